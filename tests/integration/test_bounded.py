"""Input without bounds: a flood of names fills neither the memory nor the tables, and a person is told."""

import gc
import json

import psutil
import pytest

from daemon.jobs.reduce import ReduceJob
from daemon.jobs.select import SelectJob
from daemon.settings import Settings
from daemon.status import collect
from detectors.classes import ClassesBlock
from detectors.growth import reached
from detectors.layout import Layout
from sinks import effects, metrics
from sinks.database import Connection, connect
from tests.harness import START_SECONDS, new_topic, query, send, settings_for, wait_for, working
from tests.services import ApacheKafka

CAPS = {"segments_cap": 8, "classes_cap": 10, "fields_cap": 6, "pairs_cap": 3, "models_cap": 5}
NOVEL_KEPT, NOVEL_A_COMMIT = 20, 64
ROUNDS, EVENTS, WINDOWS = 7, 3000, 2
WINDOW_SECONDS = 300
GROWTH_BYTES = 20 << 20
"""What the memory may differ by; holding the events of one round, names and all, would take more."""


def second(number: int) -> float:
    """Return when an event happens, seconds after the beginning."""
    return number * WINDOWS * WINDOW_SECONDS / EVENTS


def flood(number: int) -> bytes:
    """Return an event with a class, a segment, a feature and a tag of its own; one in four is of a model of its own."""
    return json.dumps(
        {
            "id": f"event-{number}",
            "time": START_SECONDS + second(number),
            "model": "flooded" if number % 4 else f"model-{number}",
            "version": "1",
            "prediction": f"class-{number:0100}",
            "confidence": 0.9,
            "features": {
                f"feature-{number:050}": number,
                **{f"usual-{each}": number * (each + 3) % 101 for each in range(9)},
            },
            "tags": {"region": f"region-{number:0100}", f"tag-{number:050}": "x"},
        }
    ).encode()


def rows(connection: Connection) -> dict[str, int]:
    """Return the number of rows of each table."""
    names = [row[0] for row in connection.execute("SELECT relname FROM pg_stat_user_tables")]
    return {name: connection.execute(f'SELECT count(*) FROM "{name}"'.encode()).fetchall()[0][0] for name in names}


def beyond() -> dict[str, float]:
    """Return the windows beyond each cap."""
    return {cap: metrics.BEYOND_CAP.labels(cap)._value.get() for cap in ("segments_cap", "classes_cap", "fields_cap")}


@pytest.fixture
def settings(kafka: ApacheKafka, database: str, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setattr(effects, "NOVEL_VALUES_KEPT", NOVEL_KEPT)
    model = {"segments": ["region"], "lateness_seconds": 1, "labels_per_day": 20, "expected_events_per_day": 100_000}
    topic = new_topic(kafka, 1)
    return settings_for(kafka, database, topic, detection=CAPS, dead_letters={"kept": 10}, model={"*": model})


def test_a_flood_of_names_fills_nothing_and_is_told(kafka: ApacheKafka, database: str, settings: Settings) -> None:
    (topic,) = settings.kafka.topics
    memory: list[int] = []
    before, reduce, select = beyond(), ReduceJob(settings), SelectJob(settings)
    with working(settings), connect(database, name="test") as connection:
        for end in range(EVENTS, (ROUNDS + 1) * EVENTS, EVENTS):
            send(kafka, topic, [(flood(number), second(number)) for number in range(end - EVENTS, end)], [0])
            wait_for(lambda end=end: query(database, "SELECT sum(next_offset) FROM partition") == [(end,)])  # type: ignore[misc] # bound at once
            reduce.run_once(connection)
            select.run_once(connection)
            gc.collect()
            memory.append(psutil.Process().memory_info().rss)
        found, filled = collect(connection, settings), rows(connection)
    assert max(memory[3:]) - memory[2] < GROWTH_BYTES, memory

    assert filled["cohort"] == CAPS["models_cap"]
    assert 0 < filled["novel_value"] <= NOVEL_KEPT + NOVEL_A_COMMIT
    assert filled["candidate"] < 5 * filled["novel_value"] + 100
    assert filled["control"] < 10 * CAPS["models_cap"]
    layouts = [
        Layout.from_json(body.decode()) for (body,) in query(database, "SELECT body FROM control WHERE kind = 'layout'")
    ]
    caps = settings.detection.layout_caps
    assert max(len(each.segments) for each in layouts) == CAPS["segments_cap"]
    assert max(len(each.block(ClassesBlock.kind).labels) for each in layouts) == CAPS["classes_cap"]
    assert max(len(each.blocks_of("number") + each.blocks_of("category")) for each in layouts) == CAPS["fields_cap"]
    assert max(len(spec.pairs) for each in layouts for spec in each.blocks_of("pairs")) == CAPS["pairs_cap"]
    assert any(reached(each, **caps) == tuple(caps) for each in layouts)

    # What is beyond the caps is counted all the same.
    counted = "SELECT (SELECT sum(events) FROM closed_window) + (SELECT sum(events) FROM part)"
    refused = query(database, "SELECT count FROM dead_letter_total WHERE reason = 'too_many_models'")[0][0]
    assert query(database, counted)[0][0] + refused == ROUNDS * EVENTS
    assert all(after > before[cap] for cap, after in beyond().items())
    assert found.figures["caps_reached"] == {cap: ["flooded"] for cap in sorted(caps)}
    assert f"models_cap = 5 is reached: {refused:,} events" in "".join(each.text for each in found.problems)
