import psycopg
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from sinks.backups import are_there_copies
from sinks.database import check_version, connect, upgrade
from sinks.errors import DatabaseUnavailable, WrongDatabaseVersion
from sinks.schema import metadata
from tests.services import Postgres


def test_the_migrations_make_what_the_schema_says(database: str) -> None:
    engine = sa.create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(database), poolclass=sa.NullPool)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
        checks = "SELECT conname FROM pg_constraint WHERE contype = 'c' AND connamespace = 'public'::regnamespace"
        found = set(connection.execute(sa.text(checks)).scalars())
    wanted = [each for table in metadata.tables.values() for each in table.constraints]
    assert found == {str(each.name) for each in wanted if isinstance(each, sa.CheckConstraint)}


def test_an_empty_database_is_refused_with_the_command_that_mends_it(postgres: Postgres) -> None:
    url = postgres.new_database(empty=True)
    with connect(url, name="test") as connection:
        with pytest.raises(WrongDatabaseVersion, match="strandline db upgrade"):
            check_version(connection)
        assert upgrade(url)[0] is None
        check_version(connection)
        assert upgrade(url)[0] == upgrade(url)[1]


def test_a_database_of_a_newer_version_is_refused(database: str) -> None:
    with connect(database, name="test") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        with pytest.raises(WrongDatabaseVersion, match="newer Strandline"):
            check_version(connection)


def test_a_database_that_does_not_answer_is_unavailable() -> None:
    with pytest.raises(DatabaseUnavailable):
        connect("postgresql://localhost:1/none", name="test")


def test_a_database_with_a_standby_or_an_archive_has_copies(database: str) -> None:
    with connect(database, name="test") as connection:
        assert not are_there_copies(connection)
        connection.execute("SELECT pg_create_physical_replication_slot('standby')")
        try:
            assert are_there_copies(connection)
        finally:
            connection.execute("SELECT pg_drop_replication_slot('standby')")
