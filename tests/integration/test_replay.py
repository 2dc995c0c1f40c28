"""A replay reads what the service read: the same events through both, and every byte of every window compared."""

import random
from pathlib import Path

from daemon.jobs.reduce import ReduceJob
from daemon.replay.running import Plan, run
from daemon.replay.store import Store
from daemon.settings import Settings
from sinks.database import connect
from tests.harness import event, new_topic, query, send, settings_for, wait_for, working
from tests.services import ApacheKafka

WINDOWS, EVENTS = 60, 120
"""Windows of five minutes, and events in each."""
FOREVER = 2**62


def history() -> list[list[bytes]]:
    """Return the events of each window: a class and a version that appear, a decline, late events, broken ones."""
    chance = random.Random(5)
    windows = []
    for window in range(WINDOWS):
        values = []
        for position in range(EVENTS):
            number = window * EVENTS + position
            classes = ("cat", "dog", "bird", "fox") if window > 30 else ("cat", "dog", "bird")
            fields: dict[str, object] = {
                "prediction": chance.choice(classes),
                "confidence": round(chance.betavariate(9, 1) if window < 45 else chance.betavariate(4, 2), 6),
                "features": {"age": round(chance.gauss(40, 10), 2), "colour": chance.choice(("red", "blue"))},
                "version": "2" if window > 50 and position % 2 else "1",
            }
            second = window * 300 + position * 300 / EVENTS
            if window > 10 and position == 100:
                second -= 3000
            values.append(b"{" if window == 20 and position == 7 else event(number, second=second, **fields))
        windows.append(values)
    return windows


def served(kafka: ApacheKafka, database: str, topic: str, settings: Settings) -> None:
    """Let the service watch the history as it happens: windows are closed as soon as they are over."""
    with working(settings) as worker, connect(database, name="test") as connection:
        reduce, sent = ReduceJob(settings), 0
        for window, values in enumerate(history()):
            seconds = [window * 300 + position * 300 / EVENTS for position in range(EVENTS)]
            send(kafka, topic, list(zip(values, seconds, strict=True)), [0])
            sent += EVENTS
            wait_for(lambda sent=sent: query(database, "SELECT next_offset FROM partition") == [(sent,)])  # type: ignore[misc]
            while reduce.run_once(connection):
                pass
        assert worker.committed_events == sent - 1, "one of them is broken"


def replayed(settings: Settings, path: Path, state: Path) -> Store:
    plan = Plan((path,), frozenset(), {}, (-FOREVER, FOREVER), 1)
    return run(settings, plan, state, begun=lambda _whole, _done: None, taken=lambda _more: None)


def test_a_replay_reads_what_the_service_read(kafka: ApacheKafka, database: str, tmp_path: Path) -> None:
    topic = new_topic(kafka, 1)
    settings = settings_for(kafka, database, topic, ingest={"idle_seconds": 1000})
    served(kafka, database, topic, settings)
    path = tmp_path / "history.jsonl"
    path.write_bytes(b"\n".join(value for values in history() for value in values))
    stored = query(
        database,
        'SELECT model, version, "window", events, summary, readings FROM closed_window JOIN cohort ON cohort.id ='
        " cohort_id ORDER BY 1, 2, 3",
    )
    alarms = query(
        database,
        "SELECT state, \"window\", evidence->>'component' FROM alert_transition WHERE state <> 'pending' ORDER BY id",
    )
    with replayed(settings, path, tmp_path / "state") as store:
        found = [
            (model, version, each.window, each.events, each.summary, each.readings)
            for number, model, version in sorted(store.cohorts(), key=lambda cohort: cohort[1:])
            for each in store.closed(number)
            if each.window <= max(window for _, _, window, *_ in stored)
        ]
        fired = [each for number, *_ in store.cohorts() for each in store.alarms(number)]
    assert len(found) == len(stored) > WINDOWS
    assert [each[:4] for each in found] == [each[:4] for each in stored]
    assert [each[4] for each in found] == [each[4] for each in stored], "the summaries differ"
    assert [each[5] for each in found] == [each[5] for each in stored], "the readings differ"
    assert {each[0] for each in alarms} >= {"firing"}
    last = max(window for _, _, window, *_ in stored)
    told = [(each["to"], each["window"], each["component"]) for each in fired if each["window"] <= last]
    assert sorted(told) == sorted(alarms)


def test_a_topic_is_replayed_as_its_events_in_a_file(kafka: ApacheKafka, database: str, tmp_path: Path) -> None:
    topic = new_topic(kafka, 3)
    settings = settings_for(kafka, database, topic)
    values = [value for window in history() for value in window]
    send(kafka, topic, [(value, number * 300 / EVENTS) for number, value in enumerate(values)])
    files = [tmp_path / f"partition-{number}.jsonl" for number in range(3)]
    for number, path in enumerate(files):
        path.write_bytes(b"\n".join(values[number::3]))

    def found(plan: Plan, state: Path) -> tuple[list[tuple[int, int, bytes]], dict[str, int]]:
        with run(settings, plan, state, begun=lambda _whole, _done: None, taken=lambda _more: None) as store:
            cohorts = sorted(store.cohorts(), key=lambda cohort: cohort[1:])
            closed = [
                (each.window, each.late, each.readings) for number, *_ in cohorts for each in store.closed(number)
            ]
            return closed, {reason: each.count for reason, _, each in store.rejected()}

    everything = (-FOREVER, FOREVER)
    in_files = found(Plan(tuple(files), frozenset(), {}, everything, 1), tmp_path / "files")
    in_topic = found(Plan((), frozenset(), {}, everything, 2, topic), tmp_path / "topic")
    assert in_topic == in_files
    assert in_files[1] == {"not_json": 1}
    assert sum(late for _, late, _ in in_files[0]) > WINDOWS / 2
