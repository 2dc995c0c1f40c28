"""The same work on every PostgreSQL that is supported, behind a pooler, and by a role that may do little."""

import json
import socket
from collections.abc import Iterator
from datetime import UTC
from pathlib import Path

import psycopg
import pytest
from typer.testing import CliRunner

from daemon.audiences import audience_of
from daemon.cli.main import app
from daemon.jobs.dispatch import DispatchJob
from daemon.jobs.reduce import ReduceJob
from daemon.jobs.retention import RetentionJob
from daemon.jobs.select import SelectJob
from sinks import database, grants, queue
from sinks.alerts import pipeline_alert
from sinks.database import check_version, connect, faults_as_ours, upgrade
from sinks.errors import NotFound, NotPermitted, TablesInUse
from tests.harness import event, new_topic, query, send, settings_for, wait_for, working
from tests.more_databases import OlderPostgres, PgBouncer, need, programs
from tests.services import ApacheKafka, Postgres

DAEMON = "strandline_daemon"


@pytest.fixture
def older(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    version: str = request.param
    how = "apt-get install postgresql-15" if version == "15" else "`make test` fetches it"
    need(str(programs(version) / "postgres"), how)
    with OlderPostgres(tmp_path_factory.mktemp("older"), version, upgrade) as server:
        yield server


@pytest.fixture(scope="module")
def pooler(tmp_path_factory: pytest.TempPathFactory, postgres: Postgres) -> Iterator[PgBouncer]:
    need("pgbouncer", "apt-get install pgbouncer")
    with PgBouncer(tmp_path_factory.mktemp("pooler"), postgres) as service:
        yield service


@pytest.fixture(scope="module")
def role(postgres: Postgres) -> str:
    administer(postgres, f"CREATE ROLE {DAEMON} LOGIN")
    return DAEMON


def administer(server: Postgres, statement: str) -> None:
    with psycopg.connect(server.database_url("postgres"), autocommit=True) as connection:
        connection.execute(statement.encode())


def as_role(url: str, name: str) -> str:
    return url.replace("postgres@", f"{name}@", 1)


@pytest.fixture
def url(request: pytest.FixtureRequest, postgres: Postgres) -> str:
    """A database with our tables, on the server that the test is for."""
    if request.param == "pgbouncer":
        pooler: PgBouncer = request.getfixturevalue("pooler")
        name = postgres.new_database(empty=True).partition("@/")[2].partition("?")[0]
        # Whatever the server's time zone is, and no session of ours changes it.
        administer(postgres, f"ALTER DATABASE {name} SET timezone TO 'Asia/Tokyo'")
        upgrade(pooler.url(name))
        return pooler.url(name)
    role: str = request.getfixturevalue("role")
    owned = postgres.new_database()
    with connect(owned, name="owner") as connection:
        grants.apply(connection, role)
    return as_role(owned, role)


@pytest.mark.parametrize("older", ["14", "15", "16", "17"], indirect=True)
def test_everything_works_on_older_servers(kafka: ApacheKafka, older: Postgres, tmp_path: Path) -> None:
    everything_works(kafka, older.new_database(), tmp_path)


@pytest.mark.parametrize("url", ["pgbouncer", "least role"], indirect=True)
def test_everything_works_with(kafka: ApacheKafka, url: str, tmp_path: Path) -> None:
    everything_works(kafka, url, tmp_path)


def everything_works(kafka: ApacheKafka, url: str, tmp_path: Path) -> None:
    count, topic = 4000, new_topic(kafka)
    times = [number * 0.5 for number in range(count)]
    # What is not JSON becomes dead letters.
    broken = [(b"{", times[-1])] * 5
    values = [(event(n, second=at, prediction="dog" if n % 5 else "cat"), at) for n, at in enumerate(times)]
    send(kafka, topic, [*values, *broken])
    settings = settings_for(kafka, url, topic)
    with working(settings) as worker, connect(url, name="jobs") as connection:
        reduce = ReduceJob(settings)
        wait_for(lambda: reduce.run_once(connection) >= 0 and worker.committed_events == count)
        wait_for(lambda: reduce.run_once(connection) >= 0 and query(url, CLOSED) == [(6 * 600,)])
    with connect(url, name="jobs") as connection:
        assert SelectJob(settings).run_once(connection) > 0
        audience = audience_of(settings, "*")
        with connection.transaction():
            pipeline_alert(connection, "records_lost", {"topic": topic}, "lost", {"lost": 1}, "page", audience=audience)
        assert DispatchJob(settings).run_once(connection) == 1
        [first, second] = queue.claim(connection, n=2, who="Ada", lease_seconds=60)
        assert first.created_at.tzinfo is UTC
        queue.label(connection, str(first.token), value="cat", who="Ada")
        queue.skip(connection, str(second.token), who="Ada")
        # All that can grow old grew old.
        connection.execute(AGE)
        assert RetentionJob(settings.retention).run_once(connection) > 0
    assert query(url, "SELECT count(*) FROM closed_window") == [(0,)]
    (tmp_path / "config.toml").write_text(f'[kafka]\ntopics = ["{topic}"]\n[postgres]\nurl = "{url}"\n')
    told = CliRunner().invoke(app, ["--config", str(tmp_path / "config.toml"), "status", "--json"])
    assert json.loads(told.stdout), told.exception


CLOSED = "SELECT coalesce(sum(events), 0)::int FROM closed_window"
AGE = """
    WITH w AS (UPDATE closed_window SET created_at = now() - interval '400 days'),
         c AS (UPDATE candidate SET created_at = now() - interval '400 days'),
         d AS (UPDATE dead_letter SET created_at = now() - interval '400 days')
    UPDATE queue_item SET settled_at = now() - interval '400 days' WHERE settled_at IS NOT NULL
"""


def test_the_daemons_role_can_change_no_table_and_drop_none(postgres: Postgres, role: str) -> None:
    owned = postgres.new_database()
    with connect(owned, name="owner") as connection:
        grants.apply(connection, role)
    with connect(as_role(owned, role), name="daemon") as connection:
        check_version(connection)
        for statement in (
            b"ALTER TABLE candidate ADD COLUMN more text",
            b"TRUNCATE candidate",
            b"DROP TABLE candidate",
            b"CREATE TABLE more (id int)",
            b"UPDATE alembic_version SET version_num = '0'",
        ):
            with pytest.raises(NotPermitted), faults_as_ours():
                connection.execute(statement)


def test_a_role_without_grants_is_told_which_command_gives_them(postgres: Postgres, role: str) -> None:
    owned = postgres.new_database()
    with connect(as_role(owned, role), name="daemon") as connection:
        with pytest.raises(NotPermitted, match="strandline db grants ROLE"):
            check_version(connection)
        with pytest.raises(NotPermitted):
            grants.apply(connection, role)
    with connect(owned, name="owner") as connection, pytest.raises(NotFound, match="nobody_knows"):
        grants.apply(connection, "nobody_knows")


def test_a_peer_that_is_gone_without_a_word_is_noticed(pooler: PgBouncer) -> None:
    def option(url: str, number: int) -> int:
        with (
            connect(url, name="test") as connection,
            # Duplicated: closing it leaves the connection open.
            socket.fromfd(connection.fileno(), socket.AF_INET, socket.SOCK_STREAM) as shared,
        ):
            return shared.getsockopt(socket.IPPROTO_TCP, number)

    url = pooler.url("postgres")
    probes = option(url, socket.TCP_KEEPINTVL) * option(url, socket.TCP_KEEPCNT)
    assert option(url, socket.TCP_KEEPIDLE) + probes <= 30
    assert option(url, socket.TCP_USER_TIMEOUT) <= 30_000
    assert option(f"{url}?keepalives_idle=7", socket.TCP_KEEPIDLE) == 7


def test_an_upgrade_gives_up_where_a_table_is_held(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "_LOCK_SECONDS", 1)
    url = postgres.new_database()
    with psycopg.connect(url) as holder:
        holder.execute("LOCK TABLE alembic_version")
        with pytest.raises(TablesInUse, match="1 s"):
            upgrade(url)


def test_the_command_line_grants_and_prints_the_grants(postgres: Postgres, role: str, tmp_path: Path) -> None:
    owned = postgres.new_database(empty=True)
    (tmp_path / "config.toml").write_text(f'[postgres]\nurl = "{owned}"\n')
    told = CliRunner().invoke(app, ["--config", str(tmp_path / "config.toml"), "db", "upgrade", "--grant-to", role])
    assert f"granted to {role}" in told.stdout
    with connect(as_role(owned, role), name="daemon") as connection:
        check_version(connection)
    printed = CliRunner().invoke(app, ["--config", str(tmp_path / "config.toml"), "db", "grants", 'o"dd']).stdout
    assert printed.count(";\n") == len(printed.splitlines())
    assert 'TO "o""dd";' in printed
    with psycopg.connect(owned) as connection:
        connection.execute('CREATE ROLE "o""dd"')
        connection.execute(printed.encode())
        assert connection.execute("""SELECT has_table_privilege('o"dd', 'candidate', 'DELETE')""").fetchone() == (True,)
        connection.rollback()
