"""Connections to PostgreSQL, and the version of its schema."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import LiteralString

import psycopg
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from psycopg.rows import TupleRow

from sinks.errors import DatabaseUnavailable, Fenced, WrongDatabaseVersion

__all__ = ["Connection", "check_version", "connect", "faults_as_ours", "upgrade"]

Connection = psycopg.Connection[TupleRow]

_CONNECT_SECONDS = 10
_SESSION: LiteralString = "SET timezone TO 'UTC'"


def connect(url: str, *, name: str) -> Connection:
    """Return a connection in autocommit mode: transactions are opened where they are needed.

    ``name`` shows in ``pg_stat_activity``.

    Raises
    ------
    DatabaseUnavailable
        It does not answer.
    """
    try:
        connection = psycopg.connect(
            url, autocommit=True, connect_timeout=_CONNECT_SECONDS, application_name=f"strandline {name}"
        )
        connection.execute(_SESSION)
    except psycopg.OperationalError as error:
        raise DatabaseUnavailable(str(error).strip()) from error
    return connection


@contextmanager
def faults_as_ours() -> Iterator[None]:
    """Turn the database's faults into ours: it is gone, or things changed under our hands (then act as fenced)."""
    try:
        yield
    except (
        psycopg.errors.DeadlockDetected,
        psycopg.errors.SerializationFailure,
        # A version that nothing was heard of for so long that retention has just taken it.
        psycopg.errors.ForeignKeyViolation,
    ) as error:
        raise Fenced(str(error).strip()) from error
    except psycopg.OperationalError as error:
        raise DatabaseUnavailable(str(error).strip()) from error


def check_version(connection: Connection) -> None:
    """Raise WrongDatabaseVersion, naming the command that mends it, unless the schema is this version's."""
    wanted = _scripts().get_current_head()
    known = connection.execute("SELECT to_regclass('alembic_version') IS NOT NULL").fetchone()
    row = connection.execute("SELECT version_num FROM alembic_version").fetchone() if known and known[0] else None
    found = row[0] if row else None
    if found == wanted:
        return
    if found is None:
        message = f"It has no tables of ours yet (wanted: {wanted}). Make them with: strandline db upgrade"
    elif any(script.revision == found for script in _scripts().walk_revisions()):
        message = f"It is {found}, wanted: {wanted}. Bring it up with: strandline db upgrade"
    else:
        message = (
            f"It is {found}, which this version does not know (it wants {wanted}): a newer Strandline made it. "
            "Install that version, or a newer one."
        )
    raise WrongDatabaseVersion(message)


def upgrade(url: str) -> tuple[str | None, str | None]:
    """Bring the schema to this version's; return its revision (before, after)."""
    engine = sa.create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(url), poolclass=sa.NullPool)
    try:
        with engine.begin() as connection:
            # Two upgrades at once wait for each other instead of failing half-way.
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(hashtext('strandline db upgrade'))"))
            context = MigrationContext.configure(connection)
            before = context.get_current_revision()
            config = _config()
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            return before, context.get_current_revision()
    except (psycopg.OperationalError, sa.exc.OperationalError) as error:
        raise DatabaseUnavailable(str(error).strip()) from error
    finally:
        engine.dispose()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", "sinks:migrations")
    return config


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())
