from collections.abc import Iterator

import pytest

from daemon.settings import Settings
from daemon.status import collect
from sinks.database import Connection, connect
from tests.rows import add_items, add_model

SETTINGS = Settings()


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    with connect(database, name="test") as opened:
        yield opened


def test_nothing_was_ever_read(connection: Connection) -> None:
    problems = " ".join(collect(connection, SETTINGS).problems)
    assert "nothing was ever read from predictions" in problems
    assert "no jobs process" in problems


def test_all_is_well_only_with_processes_and_without_incidents(connection: Connection, database: str) -> None:
    add_model(connection)
    add_items(connection, 3)
    connection.execute(
        "INSERT INTO partition (topic, partition, owner, lease_until, event_high_us, next_offset)"
        " VALUES ('predictions', 0, 'me', now() + interval '1 minute', 1760000000000000, 5)"
    )
    with connect(database, name="ingest"), connect(database, name="jobs"):
        found = collect(connection, SETTINGS)
        assert found.problems == []
        figures = found.as_dict()
        assert (figures["well"], figures["partitions"], figures["ingest_processes"], figures["queue"]) == (
            True,
            1,
            1,
            {"pending": 3},
        )
        connection.execute("UPDATE partition SET stopped_reason = 'the topic was recreated'")
        connection.execute(
            "INSERT INTO incident (model, state, severity, title) VALUES ('digits', 'firing', 'page', 'it fell')"
        )
        problems = collect(connection, SETTINGS).problems
        assert len(problems) == 2
        assert "recreated" in problems[0]
        assert "firing incidents: 1" in problems[1]
    assert any("no ingest process" in each for each in collect(connection, SETTINGS).problems)
