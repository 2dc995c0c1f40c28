"""The path end to end: events through real Kafka into windows, readings, alerts, candidates and the queue."""

import json
import random
from pathlib import Path

import pytest

from daemon import references
from daemon.jobs.reduce import ReduceJob
from daemon.jobs.select import SelectJob
from daemon.settings import Settings
from detectors.reference import Reference
from detectors.summary import Summary
from sinks.controls import Controls
from sinks.database import connect
from sinks.windows import Layouts, uncompress
from tests.harness import START_SECONDS, event, new_topic, query, send, settings_for, wait_for, working
from tests.services import ApacheKafka

CLASSES = ("cat", "dog", "bird")


def closed_events(database: str) -> int:
    return int(query(database, "SELECT coalesce(sum(events), 0) FROM closed_window")[0][0])


def consume_and_reduce(settings: Settings, count: int, closed: int) -> None:
    """Read ``count`` events, and reduce until ``closed`` of them are in closed windows."""
    database = settings.postgres.conninfo
    with working(settings) as worker, connect(database, name="test") as connection:
        reduce = ReduceJob(settings)
        wait_for(lambda: reduce.run_once(connection) >= 0 and worker.committed_events == count)
        wait_for(lambda: reduce.run_once(connection) >= 0 and closed_events(database) == closed)


@pytest.mark.consuming
def test_events_become_windows_candidates_and_queue_items(kafka: ApacheKafka, database: str) -> None:
    count, topic = 6000, new_topic(kafka)
    times = [number * 0.5 for number in range(count)]
    send(
        kafka,
        topic,
        [(event(n, second=at, prediction="dog" if n % 5 == 0 else "cat"), at) for n, at in enumerate(times)],
    )
    settings = settings_for(kafka, database, topic)
    # The partitions are idle at their end, so event time goes on with the clock; the last window stays open.
    consume_and_reduce(settings, count, 9 * 600)
    with connect(database, name="test") as connection:
        SelectJob(settings).run_once(connection)
    assert query(database, "SELECT sum(next_offset)::int, count(*) FROM partition") == [(count, 3)]
    assert query(database, 'SELECT sum(events), count(DISTINCT "window") FROM part') == [(600, 1)]
    [(candidates, undecided)] = query(
        database, "SELECT count(*), count(*) FILTER (WHERE decision IS NULL) FROM candidate"
    )
    assert candidates > 0
    assert undecided == 0
    [(queued, least, events)] = query(
        database,
        "SELECT count(*), min(propensity), min(convert_from(event, 'utf8')) FROM queue_item JOIN payload"
        " USING (candidate_id)",
    )
    assert 0 < queued <= candidates
    assert 0 < least <= 1
    assert json.loads(events)["payload"].startswith("picture ")


def test_late_events_are_counted_as_late_and_nowhere_else(kafka: ApacheKafka, database: str) -> None:
    topic = new_topic(kafka, 1)
    early = [(event(n, second=n), float(n)) for n in range(1000)]
    late = [(event(1000 + n, second=10), 1000.0) for n in range(7)]
    send(kafka, topic, [*early, *late], [0])
    settings = settings_for(kafka, database, topic, ingest={"idle_seconds": 1000})
    with working(settings) as worker:
        wait_for(lambda: worker.committed_events == 1007)
    with connect(database, name="test") as connection:
        layouts = Layouts(connection)
        rows = connection.execute('SELECT "window", layout_id, body FROM part ORDER BY 1').fetchall()
        summaries = [(w - START_SECONDS // 300, Summary.from_bytes(layouts[i], uncompress(b))) for w, i, b in rows]
    on_time = {window: 0 for window, _ in summaries}
    too_late = dict(on_time)
    for window, summary in summaries:
        on_time[window] += int(summary.events[0])
        too_late[window] += int(summary.total("traffic", "late")[0])
    assert on_time == {0: 300, 1: 300, 2: 300, 3: 100}
    assert too_late == {0: 0, 1: 0, 2: 0, 3: 7}


def drifting(count: int, *, drift_from: int, seed: int) -> list[tuple[bytes, float]]:
    """Return events half a second apart, 600 a window, less confident from event ``drift_from`` on."""
    chance = random.Random(seed)
    return [
        (
            event(
                number,
                second=number * 0.5,
                prediction=chance.choice(CLASSES),
                confidence=round(chance.betavariate(9, 1) if number < drift_from else chance.betavariate(4, 2), 6),
            ),
            number * 0.5,
        )
        for number in range(count)
    ]


def test_a_decline_against_a_reference_from_a_file_fires_one_incident(
    kafka: ApacheKafka, database: str, tmp_path: Path
) -> None:
    topic = new_topic(kafka)
    settings = settings_for(kafka, database, topic)
    file = tmp_path / "reference.jsonl"
    file.write_bytes(b"\n".join(value for value, _ in drifting(12_000, drift_from=12_000, seed=1)))
    with connect(database, name="test") as connection:
        built = references.build(settings, connection, file, "pets", "1")
    assert built.events == 12_000
    send(kafka, topic, drifting(6000, drift_from=3000, seed=2))
    consume_and_reduce(settings, 6000, 9 * 600)

    first = START_SECONDS // 300
    fired = query(
        database, "SELECT state, \"window\" FROM alert_transition WHERE evidence->>'component' LIKE 'mean%' ORDER BY id"
    )
    assert fired, "the decline was not noticed"
    assert all(state == "firing" for state, _ in fired)
    assert first + 5 <= min(window for _, window in fired) <= first + 7
    assert query(database, "SELECT count(*), min(state) FROM incident") == [(1, "firing")]
    [(since,)] = query(
        database,
        "SELECT min(evidence->>'since') FROM alert_transition WHERE evidence->>'component' LIKE 'mean%'",
    )
    # Changed at second 1500 after the start, which is the beginning of the sixth window.
    assert since == "2025-10-09T09:15:00Z"
    assert query(database, "SELECT count(*) FROM outbox WHERE route = 'log'")[0][0] >= 1


def test_without_a_reference_one_is_learnt_from_the_stream(kafka: ApacheKafka, database: str) -> None:
    topic = new_topic(kafka)
    settings = settings_for(kafka, database, topic)
    windows = 60
    events = drifting(windows * 600, drift_from=50 * 600, seed=3)
    # Sent in stages, as events come in life: what is learnt takes effect in windows that are still to come.
    sent = 0
    while sent < len(events):
        stage, sent = events[sent : sent + 6000], sent + 6000
        send(kafka, topic, stage)
        with working(settings) as worker, connect(database, name="test") as connection:
            wait_for(lambda worker=worker, stage=stage: worker.committed_events == len(stage))  # type: ignore[misc]
            while ReduceJob(settings).run_once(connection):
                pass
    controls = Controls()
    with connect(database, name="test") as connection:
        records = [record for record in controls.refresh(connection) if record.kind == "reference"]
    assert len(records) == 1
    learnt = Reference.from_bytes(uncompress(records[0].body))
    assert learnt.windows == 20
    assert set(learnt.layout.block("classes").labels) == set(CLASSES)
    assert set(learnt.layout.segments) == {"", "region=eu", "region=us"}
    first = START_SECONDS // 300
    fired = query(database, "SELECT min(\"window\") FROM alert_transition WHERE state = 'firing'")
    assert fired == [(first + 50,)] or fired == [(first + 51,)] or fired == [(first + 52,)]
