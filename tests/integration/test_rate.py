"""Event rate: a ticket when an hour has far fewer or more events than the same hour of earlier days."""

from collections.abc import Iterator

import pytest

from daemon.jobs.rate import RateJob
from daemon.settings import Settings
from sinks.database import Connection, connect
from tests.rows import add_model, close_windows

SETTINGS = Settings.model_validate({"model": {"*": {"owner": "vision"}}})
FIRST = 20_000 * 288
DAYS = 4 * 288


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    with connect(database, name="test") as opened:
        yield opened


def alerts(connection: Connection) -> list[tuple[str, str, str]]:
    return connection.execute(
        "SELECT labels->>'model', state, severity FROM alert WHERE labels->>'alertname' = 'event_rate' ORDER BY 1"
    ).fetchall()


@pytest.mark.parametrize(("events", "word"), [(20, "fewer"), (500, "more")])
def test_an_unusual_hour_is_a_ticket_until_it_is_usual_again(connection: Connection, events: int, word: str) -> None:
    job = RateJob(SETTINGS)
    cohort, other = add_model(connection, "digits"), add_model(connection, "steady")
    close_windows(connection, cohort, range(FIRST, FIRST + DAYS), events=100, weight=0.1)
    close_windows(connection, other, range(FIRST, FIRST + DAYS + 12), events=100, weight=0.1, model="steady")
    assert job.run_once(connection) == 0
    close_windows(connection, cohort, range(FIRST + DAYS, FIRST + DAYS + 12), events=events, weight=0.1)
    assert job.run_once(connection) == 1
    assert job.run_once(connection) == 0, "told once"
    assert RateJob(SETTINGS).run_once(connection) == 0, "by whatever process"
    assert alerts(connection) == [("digits", "firing", "ticket")]
    [(body,)] = connection.execute("SELECT body FROM outbox").fetchall()
    assert body["owner"] == "vision"
    assert f"digits: far {word} events than usual: {12 * events:,} in the hour until" in body["text"]
    assert "in the same hour of 4 earlier days from 1,200 to 1,200" in body["text"]
    close_windows(connection, cohort, range(FIRST + DAYS + 12, FIRST + DAYS + 24), events=100, weight=0.1)
    assert job.run_once(connection) == 1
    assert alerts(connection) == [("digits", "resolved", "ticket")]


def test_windows_that_wait_to_be_closed_are_not_missing(connection: Connection) -> None:
    cohort = add_model(connection, "digits")
    close_windows(connection, cohort, range(FIRST, FIRST + DAYS), events=100, weight=0.1)
    # The other version has been closed no further than this: what it had since is yet to be added.
    [(late,)] = connection.execute("INSERT INTO cohort (model, version) VALUES ('digits', '2') RETURNING id").fetchall()
    close_windows(connection, cohort, range(FIRST + DAYS, FIRST + DAYS + 12), events=20, weight=0.1)
    connection.execute(
        'INSERT INTO part (cohort_id, "window", layout_id, events, body)'
        " SELECT %s, %s, max(layout_id), 960, '' FROM closed_window",
        [late, FIRST + DAYS],
    )
    assert RateJob(SETTINGS).run_once(connection) == 0
    connection.execute("DELETE FROM part")
    assert RateJob(SETTINGS).run_once(connection) == 1
