"""Every kind of model, end to end: a reference, live events, what changes is told, and what is doubtful is queued."""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest

from daemon import references
from daemon.jobs.reduce import ReduceJob
from daemon.jobs.select import SelectJob
from sinks.database import connect
from tests.harness import START_SECONDS, new_topic, query, send, settings_for, wait_for, working
from tests.services import ApacheKafka

COUNT, CHANGE_FROM = 3000, 1500
Fields = dict[str, object]


@dataclass(frozen=True)
class Row:
    """A row of the table in docs/models.md: ``event`` makes an event, changed or not; ``fires`` is what is told.

    ``error``: the expected error of the event in which everything is usual, about.
    """

    name: str
    kind: str
    event: Callable[[Random, bool], Fields]
    fires: str
    error: float


def share(chance: Random, changed: bool) -> float:
    return round(chance.betavariate(4, 2) if changed else chance.betavariate(18, 2), 6)


def with_probabilities(chance: Random, changed: bool) -> Fields:
    top = max(share(chance, changed), 0.5)
    return {"prediction": "cat", "probabilities": {"cat": top, "dog": round(1 - top, 6)}}


def ensemble(chance: Random, changed: bool) -> Fields:
    """The mean of the members stays: only how far apart they are changes."""
    apart = round(chance.uniform(0.1, 0.25) if changed else chance.uniform(0.0, 0.12), 6)
    members = [{"cat": 0.7 + each, "dog": 0.3 - each} for each in (apart, -apart)]
    return {"prediction": "cat", "confidence": 0.7, "members": members}


def objects(chance: Random, changed: bool) -> Fields:
    found = [
        {"class": "car", "score": share(chance, changed), "box": [0, 0, 9, 9]} for _ in range(chance.randint(1, 4))
    ]
    return {"objects": found}


def number(chance: Random, changed: bool) -> float:
    return round(chance.gauss(12 if changed else 10, 2), 4)


ROWS = (
    Row("classifier with probabilities", "classifier", with_probabilities, "confidence", 0.1),
    Row(
        "classifier without probabilities",
        "classifier",
        lambda chance, changed: {"prediction": chance.choice("aaab" if changed else "ab")},
        "classes",
        0.5,
    ),
    Row("ensemble whose members disagree", "classifier", ensemble, "numbers", 0.3),
    Row("regression", "regressor", lambda chance, changed: {"prediction": number(chance, changed)}, "numbers", 0.5),
    Row(
        "regression with uncertainty",
        "regressor",
        lambda chance, changed: {"prediction": 10.0, "uncertainty": abs(number(chance, changed))},
        "numbers",
        0.5,
    ),
    Row("detector of objects", "detector", objects, "confidence", 0.15),
    Row(
        "text with a score",
        "text",
        lambda chance, changed: {"confidence": share(chance, changed), "payload": {"text": "hello"}},
        "confidence",
        0.1,
    ),
    Row(
        "text with a log-probability",
        "text",
        lambda chance, changed: {"log_probability": -0.9 if changed else -0.1 * chance.random(), "embedding": [0.1]},
        "confidence",
        0.05,
    ),
    Row(
        "ranking",
        "ranking",
        lambda chance, changed: {
            "prediction": f"item {chance.randrange(10**9)}",
            "confidence": 0.8,
            "features": {
                "candidates": chance.randint(5, 9 if changed else 50),
                "page": chance.choice(["home", "cart"]),
            },
        },
        "numbers",
        0.2,
    ),
)


def value(row: Row, chance: Random, at: int, *, changed: bool) -> bytes:
    fields = row.event(chance, changed)
    plain = {"id": f"event-{at}", "time": START_SECONDS + at * 0.5, "model": "it", "version": "1"}
    return json.dumps({**plain, **fields}).encode()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_change_is_told_and_what_is_doubtful_is_queued(
    kafka: ApacheKafka, database: str, tmp_path: Path, row: Row
) -> None:
    chance = random.Random(7)
    topic = new_topic(kafka, 1)
    settings = settings_for(
        kafka,
        database,
        topic,
        model={"it": {"kind": row.kind, "labels_per_day": 5000, "expected_events_per_day": 10_000}},
    )
    file = tmp_path / "reference.jsonl"
    file.write_bytes(b"\n".join(value(row, chance, at, changed=False) for at in range(4000)))
    with connect(database, name="test") as connection:
        references.build(settings, connection, file, "it", "1")
    events = [(value(row, chance, at, changed=at >= CHANGE_FROM), at * 0.5) for at in range(COUNT)]
    send(kafka, topic, events, [0])

    with working(settings) as worker, connect(database, name="test") as connection:
        reduce = ReduceJob(settings)
        wait_for(lambda: reduce.run_once(connection) >= 0 and worker.committed_events == COUNT)
        wait_for(lambda: reduce.run_once(connection) >= 0 and closed_windows(database) >= COUNT // 600 - 1)
        SelectJob(settings).run_once(connection)
    assert not query(database, "SELECT detail FROM dead_letter")
    first = START_SECONDS // 300
    fired = query(
        database,
        "SELECT alert.labels->>'monitor', min(\"window\") FROM alert_transition JOIN alert USING (fingerprint)"
        " WHERE alert_transition.state = 'firing' GROUP BY 1",
    )
    assert row.fires in dict(fired), fired
    # Changed at the middle of the third window.
    assert all(first + 2 <= window <= first + 4 for _, window in fired)
    [(errors, queued, certain)] = query(
        database,
        "SELECT avg(expected_error) FILTER (WHERE event_time_us < 1e6 * "
        f"{START_SECONDS + CHANGE_FROM // 2}), count(*) FILTER (WHERE decision = 'queued'), min(propensity)"
        " FROM candidate LEFT JOIN queue_item ON queue_item.candidate_id = candidate.id",
    )
    assert errors == pytest.approx(row.error, abs=0.12)
    assert queued > 20
    assert 0 < certain <= 1


def closed_windows(database: str) -> int:
    return int(query(database, "SELECT count(*) FROM closed_window")[0][0])
