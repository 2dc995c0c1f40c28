"""Detectors of another library end to end: from the configuration to an alert that says it is outside the budget."""

import random
from typing import Any

import pytest
from structlog.testing import capture_logs

from daemon.jobs.reduce import ReduceJob
from daemon.settings import Settings
from detectors.cohort import CohortState
from detectors.readings import STATUSES, Readings
from detectors.summary import Summary
from sinks import metrics
from sinks.database import connect
from sinks.windows import Layouts, uncompress
from tests.harness import START_SECONDS, event, new_topic, query, send, settings_for, wait_for, working
from tests.services import ApacheKafka

WINDOWS, CHANGE = 20, 12
ADWIN, CATS, AGES = "river.ADWIN on confidence", "cats", "ages of other models"


def stream() -> list[tuple[bytes, float]]:
    """Return events a second apart, 300 a window, less confident from the thirteenth window on."""
    chance = random.Random(5)
    return [
        (
            event(
                number,
                second=number,
                confidence=round(chance.betavariate(9, 1) if number < CHANGE * 300 else chance.betavariate(4, 2), 6),
            ),
            float(number),
        )
        for number in range(WINDOWS * 300)
    ]


def watching(kafka: ApacheKafka, database: str, topic: str, *monitors: dict[str, Any]) -> Settings:
    settings = settings_for(kafka, database, topic, detection={"sample_events": 200})
    return Settings.model_validate({**settings.model_dump(exclude_unset=True), "monitor": list(monitors)})


def test_a_detector_of_another_library_fires_outside_the_budget(kafka: ApacheKafka, database: str) -> None:
    topic = new_topic(kafka)
    settings = watching(
        kafka,
        database,
        topic,
        {"kind": "river.ADWIN", "on": "confidence", "args": {"delta": 0.002}},
        {"kind": "river.DDM", "on": "prediction=cat", "name": CATS},
        {"kind": "river.KSWIN", "on": "features.age", "name": AGES, "model": "others-*"},
    )
    sending = stream()
    send(kafka, topic, sending)
    with working(settings) as worker, connect(database, name="test") as connection:
        reduce = ReduceJob(settings)
        wait_for(lambda: worker.committed_events == len(sending))
        wait_for(lambda: reduce.run_once(connection) >= 0 and closed(database) == WINDOWS - 1)

    first = START_SECONDS // 300
    told = query(
        database,
        "SELECT labels ->> 'monitor', \"window\", t.state, t.evidence ->> 'title', t.evidence ->> 'outside_budget'"
        " FROM alert_transition AS t JOIN alert USING (fingerprint) ORDER BY t.id",
    )
    [(monitor, window, state, title, outside)] = told
    assert (monitor, window, state, outside) == (ADWIN, first + CHANGE, "firing", "true")
    assert title.startswith("pets: river.ADWIN on confidence found a change (mean confidence, 0.9")
    assert title.endswith("(outside the budget)")
    sent = query(database, "SELECT body ->> 'text' FROM outbox")
    assert ["outside the budget of false alarms" in text for (text,) in sent] == [True]

    with connect(database, name="test") as connection:
        layouts = Layouts(connection)
        windows = query(database, 'SELECT layout_id, summary, readings FROM closed_window ORDER BY "window"')
        summaries = [Summary.from_bytes(layouts[i], uncompress(summary)) for i, summary, _ in windows]
    # Single events are used up, not stored.
    assert [len(summary.raw.hashes) for summary in summaries] == [0] * len(windows)
    states = [
        [(row.monitor, row.status, row.n) for row in Readings.from_bytes(uncompress(body)).rows() if not row.segment]
        for _, _, body in windows
    ]
    own = [{name: (status, n) for name, status, n in rows if name in {ADWIN, CATS, AGES}} for rows in states]
    assert all(status in STATUSES for rows in own for status, _ in rows.values())
    assert {tuple(rows) for rows in own} == {(ADWIN, CATS)}
    assert [rows[ADWIN] for rows in own] == [("ok", 200)] * CHANGE + [("firing", 200)] * (WINDOWS - 1 - CHANGE)

    [(state,)] = query(database, "SELECT state FROM cohort")
    kept = CohortState.from_bytes(uncompress(state))
    assert set(kept.adapters) == {ADWIN, CATS}
    assert len(kept.adapters[ADWIN].history) == 200 * (WINDOWS - 1)


def test_a_library_that_raises_stops_no_window_and_no_other_monitor(
    kafka: ApacheKafka, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("0 of 0")

    monkeypatch.setattr("river.drift.PageHinkley.update", broken)
    topic = new_topic(kafka)
    settings = watching(
        kafka,
        database,
        topic,
        {"kind": "river.PageHinkley", "on": "confidence", "name": "broken"},
        {"kind": "river.ADWIN", "on": "confidence"},
    )
    sending = stream()[: 4 * 300]
    send(kafka, topic, sending)
    with working(settings) as worker, connect(database, name="test") as connection, capture_logs() as logs:
        reduce = ReduceJob(settings)
        wait_for(lambda: worker.committed_events == len(sending))
        wait_for(lambda: reduce.run_once(connection) >= 0 and closed(database) == 3)

    faults = [each for each in logs if each["event"] == "reduce.monitor_failed"]
    first = START_SECONDS // 300
    assert [(each["monitor"], each["window"], each["error"]) for each in faults] == [
        ("broken", first + window, "ZeroDivisionError: 0 of 0") for window in range(3)
    ]
    assert metrics.MONITOR_FAULTS.labels("broken")._value.get() == 3
    bodies = query(database, 'SELECT readings FROM closed_window ORDER BY "window"')
    readings = [Readings.from_bytes(uncompress(body)).rows() for (body,) in bodies]
    rows = [{row.monitor: row for row in each if not row.segment} for each in readings]
    assert [(each["broken"].status, each["broken"].n) for each in rows] == [("failed", 0)] * 3
    assert [(each[ADWIN].status, each[ADWIN].n) for each in rows] == [("ok", 200)] * 3
    assert [each["confidence"].n for each in rows] == [300] * 3


def closed(database: str) -> int:
    return int(query(database, "SELECT count(*) FROM closed_window")[0][0])
