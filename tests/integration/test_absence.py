"""No data: a page when a model falls silent, resolved when it speaks again."""

from collections.abc import Iterator

import pytest

from daemon.jobs.absence import AbsenceJob
from daemon.settings import Settings
from sinks.database import Connection, connect
from tests.rows import add_model, close_windows

SETTINGS = Settings.model_validate({"kafka": {"topics": ["predictions"]}, "model": {"*": {"owner": "vision"}}})
WINDOW_US = 300_000_000
FIRST = 20_000 * 288


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    with connect(database, name="test") as opened:
        yield opened


def read_up_to(connection: Connection, window: int) -> None:
    connection.execute("DELETE FROM partition")
    connection.execute(
        "INSERT INTO partition (topic, partition, event_high_us) VALUES ('predictions', 0, %s)",
        [window * WINDOW_US + 60_000_000],
    )


def no_data(connection: Connection) -> list[tuple[str, str, str]]:
    return connection.execute(
        "SELECT labels->>'model', state, severity FROM alert WHERE labels->>'alertname' = 'no_data' ORDER BY 1"
    ).fetchall()


def test_a_model_that_falls_silent_is_a_page_until_it_speaks_again(connection: Connection) -> None:
    job = AbsenceJob(SETTINGS)
    speaks, silent = add_model(connection, "speaks"), add_model(connection, "silent")
    close_windows(connection, silent, range(FIRST, FIRST + 300), events=10, weight=0.1, model="silent")
    close_windows(connection, speaks, range(FIRST, FIRST + 310), events=10, weight=0.1, model="speaks")

    read_up_to(connection, FIRST + 302)
    assert job.run_once(connection) == 0, "two windows are no silence yet"
    read_up_to(connection, FIRST + 303)
    assert job.run_once(connection) == 1
    assert job.run_once(connection) == 0, "told once"
    assert no_data(connection) == [("silent", "firing", "page")]
    [(body,)] = connection.execute("SELECT body FROM outbox").fetchall()
    assert body["owner"] == "vision"
    assert "silent: no events since" in body["text"]

    close_windows(connection, silent, range(FIRST + 303, FIRST + 304), events=1, weight=0.1, model="silent")
    read_up_to(connection, FIRST + 305)
    assert job.run_once(connection) == 1
    assert no_data(connection) == [("silent", "resolved", "page")]


def test_a_pipeline_that_is_behind_says_nothing_of_its_models(connection: Connection) -> None:
    cohort = add_model(connection, "digits")
    close_windows(connection, cohort, range(FIRST, FIRST + 300), events=10, weight=0.1)
    assert AbsenceJob(SETTINGS).run_once(connection) == 0, "no partition was read"
    read_up_to(connection, FIRST + 300)
    assert AbsenceJob(SETTINGS).run_once(connection) == 0
    assert not no_data(connection)
