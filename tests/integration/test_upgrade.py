"""A database of the first revision, with data, comes up to the newest one and goes on where it was.

``data/revision_0001.json.gz`` holds the rows of every table as COPY writes them, made by the code of that revision:
600 events of the model "pets" in two partitions, a reference, three of eight windows reduced, five waiting as parts,
an incident that fires, and items of the queue that are pending, leased, labelled and skipped.
"""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.script import ScriptDirectory
from typer.testing import CliRunner, Result

from daemon.cli.main import app
from daemon.jobs.reduce import ReduceJob
from daemon.jobs.retention import RetentionJob
from daemon.jobs.select import SelectJob
from daemon.settings import Settings
from sinks import database, queue
from sinks.database import connect, upgrade
from sinks.errors import WrongDatabaseVersion
from sinks.ledger import Ledger
from tests.harness import query
from tests.services import Postgres

ROWS = Path(__file__).with_name("data") / "revision_0001.json.gz"
EVENTS, WINDOWS = 600, 8


def at_revision_0001(url: str) -> None:
    """Make the tables of the first revision, and fill them."""
    engine = sa.create_engine(
        "postgresql+psycopg://",
        creator=lambda: database._open(url, "test", autocommit=False),
        poolclass=sa.NullPool,
    )
    with engine.begin() as connection:
        config = database._config()
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
    engine.dispose()
    tables: dict[str, dict[str, Any]] = json.loads(gzip.decompress(ROWS.read_bytes()))
    with connect(url, name="test") as opened:
        for name, table in tables.items():
            columns = ", ".join(f'"{column}"' for column in table["columns"])
            with opened.cursor().copy(f"COPY {name} ({columns}) FROM STDIN".encode()) as copy:
                copy.write(table["rows"])
            if "id" in table["columns"]:
                serial = f"pg_get_serial_sequence('{name}', 'id')"
                opened.execute(f"SELECT setval({serial}, (SELECT max(id) FROM {name}))".encode())


@pytest.fixture
def url(postgres: Postgres) -> str:
    made = postgres.new_database(empty=True)
    at_revision_0001(made)
    return made


def strandline(tmp_path: Path, url: str, *arguments: str) -> Result:
    (tmp_path / "config.toml").write_text(f'[postgres]\nurl = "{url}"\n')
    return CliRunner().invoke(app, ["--config", str(tmp_path / "config.toml"), *arguments])


def test_a_database_of_the_first_revision_goes_on_after_an_upgrade(url: str, tmp_path: Path) -> None:
    assert upgrade(url) == ("0001", ScriptDirectory.from_config(database._config()).get_current_head())
    settings = Settings.model_validate({"model": {"*": {"segments": ["region"]}}})
    with connect(url, name="test") as connection:
        # Reduce goes on from the stored state: only the last window is still open.
        ReduceJob(settings).run_once(connection)
        closed = connection.execute("SELECT count(*), sum(events)::int FROM closed_window").fetchall()
        waiting = connection.execute('SELECT count(DISTINCT "window"), sum(events)::int FROM part').fetchall()
        assert closed[0][0] == WINDOWS - 1
        assert waiting[0][0] == 1
        assert closed[0][1] + waiting[0][1] == EVENTS
        assert connection.execute("SELECT count(DISTINCT layout_id) FROM closed_window").fetchall() == [(1,)]
        ledger = Ledger(connection, "test", lease_seconds=5, dead_letters_kept=5, dead_letter_bytes=bytes)
        claims = ledger.claim([("predictions", 0), ("predictions", 1)], leased=False)
        assert sum(claim.next_offset or 0 for claim in claims.values()) == EVENTS + 3
        SelectJob(settings).run_once(connection)
        [item] = queue.claim(connection, n=1, who="Grace", lease_seconds=60)
        assert item.event is not None
        queue.label(connection, str(item.token), value="cat", who="Grace")
        RetentionJob(settings.retention).run_once(connection)
    for arguments in (
        ("status", "--json"),
        ("alerts", "list", "--json"),
        ("queue", "list", "--state", "labelled", "--json"),
        ("reference", "list", "--json"),
    ):
        told = strandline(tmp_path, url, *arguments)
        assert json.loads(told.stdout), (arguments, told.exception)
    labels = query(url, "SELECT value, labelled_by FROM label ORDER BY id")
    assert labels == [("dog", "Ada"), ("cat", "Grace")]


def test_who_does_not_know_a_newer_revision_refuses_and_says_what_to_do(url: str, tmp_path: Path) -> None:
    upgrade(url)
    query(url, "UPDATE alembic_version SET version_num = '9999' RETURNING 1")
    for arguments in (("status",), ("run",), ("queue", "next"), ("db", "grants", "somebody")):
        error = strandline(tmp_path, url, *arguments).exception
        assert isinstance(error, WrongDatabaseVersion)
        assert error.exit_code == 5
        assert "newer Strandline made it. Install that version" in str(error)
    told = strandline(tmp_path, url, "db", "upgrade").exception
    assert isinstance(told, WrongDatabaseVersion)
    assert "newer Strandline" in str(told)
