"""Connections to PostgreSQL, and the version of its schema."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import psycopg
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from psycopg.abc import Buffer
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import TransactionStatus
from psycopg.rows import TupleRow
from psycopg.types.datetime import TimestamptzLoader

from sinks.errors import DatabaseUnavailable, Fenced, NotPermitted, TablesInUse, WrongDatabaseVersion

__all__ = ["Connection", "check_version", "connect", "faults_as_ours", "transaction", "upgrade"]

Connection = psycopg.Connection[TupleRow]

_PARAMETERS = {
    "connect_timeout": 10,
    # A server that is gone without a word is noticed within half a minute: idle by probes, at work by what it
    # does not acknowledge.
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,
}
"""What the URL does not say, in seconds; the last in milliseconds."""
_LOCK_SECONDS = 30
_IDLE_SECONDS = 300.0
"""More than is ever computed between two statements."""


class _UtcLoader(TimestamptzLoader):
    """Reads times in UTC whatever the session's time zone, which behind a pooler is not ours to set."""

    def load(self, data: Buffer) -> datetime:
        return super().load(data).astimezone(UTC)


def connect(url: str, *, name: str) -> Connection:
    """Return a connection in autocommit mode: transactions are opened where they are needed.

    Nothing of it lives in the session, so it may be one of a pooler's that lends sessions for a transaction.
    ``name`` shows in ``pg_stat_activity``.

    Raises
    ------
    DatabaseUnavailable
        It does not answer.
    """
    try:
        return _open(url, name, autocommit=True)
    except psycopg.OperationalError as error:
        raise DatabaseUnavailable(str(error).strip()) from error


def _open(url: str, name: str, *, autocommit: bool) -> Connection:
    parameters = {**_PARAMETERS, **conninfo_to_dict(url), "application_name": f"strandline {name}"}
    # Prepared statements live in the session, too. They would save some 3 ms of a commit.
    connection = psycopg.connect(make_conninfo("", **parameters), autocommit=autocommit, prepare_threshold=None)
    connection.adapters.register_loader("timestamptz", _UtcLoader)
    return connection


@contextmanager
def transaction(connection: Connection, *, idle_seconds: float = _IDLE_SECONDS) -> Iterator[None]:
    """Open a transaction that the server ends once it has waited so long for its next statement.

    Without that a process that stands still, or its whole machine, would keep its locks from all others. Set anew
    in each, since the session may be a pooler's; within another transaction, that one's holds.
    """
    outermost = connection.info.transaction_status == TransactionStatus.IDLE
    with connection.transaction():
        if outermost:
            limit = f"SET LOCAL idle_in_transaction_session_timeout = {max(1, round(idle_seconds * 1000))}"
            connection.execute(limit.encode())
        yield


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
    except psycopg.errors.InsufficientPrivilege as error:
        raise NotPermitted(f"({str(error).strip()})") from error
    except (psycopg.OperationalError, psycopg.errors.IdleInTransactionSessionTimeout) as error:
        raise DatabaseUnavailable(str(error).strip()) from error


def check_version(connection: Connection) -> None:
    """Raise WrongDatabaseVersion, naming the command that mends it, unless the schema is this version's."""
    wanted = _scripts().get_current_head()
    with faults_as_ours():
        known = connection.execute("SELECT to_regclass('alembic_version') IS NOT NULL").fetchone()
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone() if known and known[0] else None
    found = row[0] if row else None
    if found == wanted:
        return
    if found is None:
        message = f"It has no tables of ours yet (wanted: {wanted}). Make them with: strandline db upgrade"
    elif _is_known(found):
        message = f"It is {found}, wanted: {wanted}. Bring it up with: strandline db upgrade"
    else:
        message = _of_newer(found)
    raise WrongDatabaseVersion(message)


def upgrade(url: str) -> tuple[str | None, str | None]:
    """Bring the schema to this version's, all or nothing; return its revision (before, after).

    Raises
    ------
    WrongDatabaseVersion
        A newer Strandline has been here.
    TablesInUse
        Somebody else holds a table.
    NotPermitted
        The role of ``url`` does not own the tables.
    DatabaseUnavailable
        It does not answer.
    """
    engine = sa.create_engine(
        "postgresql+psycopg://", creator=lambda: _open(url, "upgrade", autocommit=False), poolclass=sa.NullPool
    )
    try:
        with engine.begin() as connection:
            # Two upgrades at once wait for each other instead of failing half-way.
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(hashtext('strandline db upgrade'))"))
            # Else it would wait for whoever holds a table, and everybody else for it.
            connection.execute(sa.text(f"SET LOCAL lock_timeout = '{_LOCK_SECONDS}s'"))
            context = MigrationContext.configure(connection)
            before = context.get_current_revision()
            if before is not None and not _is_known(before):
                raise WrongDatabaseVersion(_of_newer(before))
            config = _config()
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            return before, context.get_current_revision()
    except sa.exc.DBAPIError as error:
        with faults_as_ours():
            if isinstance(error.orig, psycopg.errors.LockNotAvailable):
                raise TablesInUse(f"Another session held one for {_LOCK_SECONDS} s.") from error
            raise (error.orig or error) from error
    except psycopg.OperationalError as error:
        raise DatabaseUnavailable(str(error).strip()) from error
    finally:
        engine.dispose()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", "sinks:migrations")
    return config


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())


def _is_known(revision: str) -> bool:
    return any(script.revision == revision for script in _scripts().walk_revisions())


def _of_newer(revision: str) -> str:
    return (
        f"It is {revision}, which this version does not know (it wants {_scripts().get_current_head()}): a newer "
        "Strandline made it. Install that version, or a newer one."
    )
