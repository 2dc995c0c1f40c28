from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from daemon.jobs.select import SelectJob
from daemon.settings import ModelSettings, Settings
from detectors.selection import Pace, initial_pace
from sinks.controls import Controls, publish
from sinks.database import Connection, connect
from tests.rows import DAY_US, MIDNIGHT_US, add_candidates, add_items, add_model, close_windows

NOON = MIDNIGHT_US // 300_000_000 + 144
"""The window that begins at noon of the day all this happens on."""


def settings(labels_per_day: int = 10_000) -> Settings:
    return Settings(model={"*": ModelSettings(labels_per_day=labels_per_day)})


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    with connect(database, name="test") as opened:
        yield opened


def published(connection: Connection, model: str = "digits") -> list[tuple[int, Pace]]:
    return [
        (record.effective_from, Pace.from_json(record.body.decode()))
        for record in Controls().refresh(connection)
        if record.kind == "selection" and record.model == model
    ]


def test_every_candidate_is_decided_once_by_its_own_draw(connection: Connection) -> None:
    add_model(connection)
    add_candidates(connection, 1000)
    assert SelectJob(settings()).run_once(connection) > 0
    rows = connection.execute("SELECT decision, selected, select_draw FROM candidate").fetchall()
    assert all(selected == 0.25 for _, selected, _ in rows)
    assert all((decision == "queued") == (draw < selected) for decision, selected, draw in rows)
    queued = connection.execute(
        "SELECT count(*), min(propensity), max(propensity), bool_or(urgent), min(day)::text FROM queue_item"
    ).fetchone()
    assert queued == (sum(row[0] == "queued" for row in rows), 0.2, 0.2, False, "2024-10-04")
    assert SelectJob(settings()).run_once(connection) == 0


def test_two_at_once_decide_every_candidate_once(database: str, connection: Connection) -> None:
    for model in ("a", "b", "c"):
        add_model(connection, model)
    names = [model for model in "abc" for _ in range(3000)]
    add_candidates(connection, 9000, model=names)
    together = Barrier(2)

    def select(_: int) -> int:
        with connect(database, name="select") as own:
            job, count = SelectJob(settings()), 0
            together.wait()
            for _ in range(20):
                count += job.run_once(own)
            return count

    with ThreadPoolExecutor(2) as pool:
        counts = list(pool.map(select, range(2)))
    undecided = connection.execute("SELECT count(*) FROM candidate WHERE decision IS NULL").fetchone()
    queued = connection.execute("SELECT count(*) FROM candidate WHERE decision = 'queued'").fetchone()
    items = connection.execute("SELECT count(*), count(DISTINCT candidate_id) FROM queue_item").fetchone()
    assert undecided == (0,)
    assert items == (sum(counts), sum(counts))
    assert queued == (sum(counts),)


def test_a_locked_model_is_left_to_who_holds_it(database: str, connection: Connection) -> None:
    for model in ("a", "b"):
        add_model(connection, model)
    add_candidates(connection, 2, model=["a", "b"], nominated=None, wanted=None, reason="never_seen")
    with connect(database, name="other") as other, other.transaction():
        other.execute("SELECT FROM model WHERE name = 'a' FOR UPDATE")
        assert SelectJob(settings()).run_once(connection) == 1
    assert SelectJob(settings()).run_once(connection) == 1


def test_never_seen_values_are_urgent_and_stay_out_of_estimates(connection: Connection) -> None:
    add_model(connection)
    add_candidates(
        connection,
        3,
        reason="never_seen",
        nominated=[None, 0.8, 0.8],
        wanted=[None, 0.2, 0.2],
        select_draw=[0.9, 0.9, 0.0],
    )
    SelectJob(settings(labels_per_day=1)).run_once(connection)
    rows = connection.execute("SELECT event_id, propensity, urgent FROM queue_item ORDER BY id").fetchall()
    # All are queued, whatever the budget; only the one that the draw took as well carries its probability.
    assert [(row[0], row[2]) for row in rows] == [("event-0", True), ("event-1", True), ("event-2", True)]
    assert rows[0][1] is None
    assert rows[1][1] is None
    assert rows[2][1] == pytest.approx(initial_pace(1, 100_000).uniform)


def test_at_the_cap_the_uniform_share_goes_on(connection: Connection) -> None:
    add_model(connection)
    body = Pace(0.01, 0.1, 0.2).to_json().encode()
    publish(connection, kind="selection", model="digits", cohort_id=None, effective_from=0, body=body)
    add_candidates(connection, 6, select_draw=[0.0, 0.24, 0.26, 0.2, 0.011, 0.013], event_time_us=MIDNIGHT_US + 1)
    SelectJob(settings(labels_per_day=2)).run_once(connection)
    rows = connection.execute("SELECT decision, nominated * selected FROM candidate ORDER BY id").fetchall()
    assert [row[0] for row in rows] == ["queued", "queued", "passed", "passed", "queued", "passed"]
    assert [row[1] for row in rows] == pytest.approx([0.2, 0.2, 0.01, 0.01, 0.01, 0.01])


def test_each_day_has_its_own_budget(connection: Connection) -> None:
    add_model(connection)
    times = [MIDNIGHT_US - 1, MIDNIGHT_US, MIDNIGHT_US + DAY_US]
    add_candidates(connection, 6, event_time_us=times * 2, select_draw=0.2)
    SelectJob(settings(labels_per_day=1)).run_once(connection)
    rows = connection.execute("SELECT day::text FROM queue_item ORDER BY day").fetchall()
    assert rows == [("2024-10-03",), ("2024-10-04",), ("2024-10-05",)]


def test_an_event_is_not_queued_twice(connection: Connection) -> None:
    add_model(connection)
    add_items(connection, 1, candidate_id=[999])
    add_candidates(connection, 1, select_draw=0.0)
    assert SelectJob(settings()).run_once(connection) == 0
    assert connection.execute("SELECT decision FROM candidate").fetchone() == ("queued",)


def test_rates_follow_the_traffic(connection: Connection) -> None:
    cohort = add_model(connection)
    close_windows(connection, cohort, range(NOON - 12, NOON), events=1000, weight=0.25)
    job = SelectJob(settings(labels_per_day=288))
    job.run_once(connection)
    # Half the budget's day is gone and nothing was spent of it: at most three times the even rate.
    ((window, pace),) = published(connection)
    assert window == NOON + 1
    assert pace.uniform == pytest.approx(0.3 * 0.001)
    assert pace.mean_weight == pytest.approx(0.25, abs=1e-6)
    assert pace.uniform + pace.weighted == pytest.approx(0.001 * (288 / 143 - 0.15), rel=1e-6)


def test_rates_are_published_only_when_they_change(connection: Connection) -> None:
    cohort = add_model(connection)
    close_windows(connection, cohort, range(NOON - 12, NOON), events=1000, weight=0.25)
    job = SelectJob(settings(labels_per_day=288))
    for last in (NOON, NOON + 1):
        for _ in range(3):
            job.run_once(connection)
            SelectJob(settings(labels_per_day=288)).run_once(connection)
        close_windows(connection, cohort, range(last, last + 1), events=1000, weight=0.25)
    assert len(published(connection)) == 1
    close_windows(connection, cohort, range(NOON + 2, NOON + 12), events=4000, weight=0.25)
    job.run_once(connection)
    assert [window for window, _ in published(connection)] == [NOON + 1, NOON + 13]


def test_a_new_day_begins_with_new_rates(connection: Connection) -> None:
    cohort = add_model(connection)
    midnight = NOON + 144
    job = SelectJob(settings(labels_per_day=288))
    close_windows(connection, cohort, range(midnight - 288, midnight - 2), events=1000, weight=0.25)
    # One label is left for the last window: the same rates as the next day's.
    add_items(connection, 287)
    job.run_once(connection)
    close_windows(connection, cohort, range(midnight - 2, midnight - 1), events=1000, weight=0.25)
    job.run_once(connection)
    (before, old), (after, new) = published(connection)
    assert (before, after) == (midnight - 1, midnight)
    assert not old.differs(new, 0.05)


def test_a_used_up_budget_slows_the_uniform_share(connection: Connection) -> None:
    cohort = add_model(connection)
    add_items(connection, 300)
    job = SelectJob(settings(labels_per_day=288))
    for last in range(NOON, NOON + 3):
        close_windows(connection, cohort, range(last - 5, last) if last == NOON else range(last - 1, last),
                      events=1000, weight=0.25)  # fmt: skip
        job.run_once(connection)
    rates = [pace for _, pace in published(connection)]
    assert [pace.weighted for pace in rates] == [0, 0, 0]
    assert rates[2].uniform == pytest.approx(0.64 * rates[0].uniform)
    assert rates[2].uniform > 0


def test_two_publishers_publish_once(database: str, connection: Connection) -> None:
    cohort = add_model(connection)
    close_windows(connection, cohort, range(NOON - 12, NOON), events=1000, weight=0.25)
    together = Barrier(4)

    def select(_: int) -> None:
        with connect(database, name="select") as own:
            together.wait()
            SelectJob(settings()).run_once(own)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(select, range(4)))
    assert len(published(connection)) == 1


def test_a_replay_publishes_nothing(connection: Connection) -> None:
    cohort = add_model(connection)
    close_windows(connection, cohort, range(NOON - 12, NOON), events=1000, weight=0.25)
    SelectJob(settings(), publish=False).run_once(connection)
    assert published(connection) == []


def test_too_little_traffic_is_not_extrapolated(connection: Connection) -> None:
    cohort = add_model(connection)
    close_windows(connection, cohort, range(NOON, NOON + 2), events=1000, weight=0.25)
    SelectJob(settings()).run_once(connection)
    assert published(connection) == []
