"""Rows that tests put into the store, as ingest and reduce would."""

from typing import Any

import numpy as np

from detectors.columns import UNIT
from detectors.readings import Contributor, Transition
from detectors.registry import unlearnt_layout
from detectors.summary import Summary, blocks_of
from sinks.controls import ALWAYS, publish
from sinks.database import Connection
from sinks.windows import compress

DAY_US = 86_400_000_000
MIDNIGHT_US = 20_000 * DAY_US


def add_model(connection: Connection, model: str = "digits", window_seconds: int = 300) -> int:
    """Register a model with one version; return the cohort's id."""
    connection.execute("INSERT INTO model (name, window_seconds) VALUES (%s, %s)", [model, window_seconds])
    rows = connection.execute("INSERT INTO cohort (model, version) VALUES (%s, '1') RETURNING id", [model]).fetchall()
    return int(rows[0][0])


def add_candidates(connection: Connection, count: int, **given: Any) -> None:
    """Add undecided candidates; ``given`` replaces columns, with a list for a value each."""
    draws = np.random.default_rng(7)
    columns: dict[str, Any] = {
        "model": "digits",
        "version": "1",
        "event_id": [f"event-{index}" for index in range(count)],
        "topic": "predictions",
        "partition": 0,
        "offset": list(range(count)),
        "event_time_us": MIDNIGHT_US,
        "window": MIDNIGHT_US // 300_000_000,
        "prediction": "8",
        "confidence": 0.31,
        "expected_error": 0.69,
        "reason": "uncertainty",
        "nominated": 0.8,
        "wanted": 0.2,
        "select_draw": draws.random(count).tolist(),
        "order_draw": draws.random(count).tolist(),
        **given,
    }
    names = ", ".join(f'"{name}"' for name in columns)
    places = ", ".join(["%s"] * len(columns))
    rows = [
        [value[index] if isinstance(value, list) else value for value in columns.values()] for index in range(count)
    ]
    with connection.cursor() as cursor:
        cursor.executemany(f"INSERT INTO candidate ({names}) VALUES ({places})".encode(), rows)


def add_items(connection: Connection, count: int, **given: Any) -> None:
    """Add pending items of the queue."""
    draws = np.random.default_rng(8)
    columns: dict[str, Any] = {
        "candidate_id": list(range(1, count + 1)),
        "model": "digits",
        "version": "1",
        "event_id": [f"event-{index}" for index in range(count)],
        "reason": "uniform",
        "propensity": 0.1,
        "urgent": False,
        "day": "2024-10-04",
        "order_draw": draws.random(count).tolist(),
        **given,
    }
    names = ", ".join(columns)
    places = ", ".join(["%s"] * len(columns))
    rows = [
        [value[index] if isinstance(value, list) else value for value in columns.values()] for index in range(count)
    ]
    with connection.cursor() as cursor:
        cursor.executemany(f"INSERT INTO queue_item ({names}) VALUES ({places})".encode(), rows)


def close_windows(
    connection: Connection, cohort_id: int, windows: range, *, events: int, weight: float, model: str = "digits"
) -> None:
    """Write closed windows, each with so many events of that mean selection weight."""
    layout = unlearnt_layout()
    layout_id = publish(
        connection,
        kind="layout",
        model=model,
        cohort_id=cohort_id,
        effective_from=ALWAYS,
        body=layout.to_json().encode(),
    )
    summary = Summary.empty(layout)
    at = 0
    for block in blocks_of(layout):
        for name in block.sums:
            if name == "events":
                summary.sums[0, at] = events
            if name == "weight":
                summary.sums[0, at] = int(weight * events * UNIT)
            at += 1
    body = compress(summary.to_bytes())
    for window in windows:
        connection.execute(
            'INSERT INTO closed_window (cohort_id, "window", layout_id, events, summary, readings)'
            " VALUES (%s, %s, %s, %s, %s, '')",
            [cohort_id, window, layout_id, events, body],
        )
    connection.execute("UPDATE cohort SET reduced_window = %s WHERE id = %s", [windows[-1], cohort_id])


def transition(**given: Any) -> Transition:
    """Return a transition: mean confidence fell, unless ``given`` otherwise."""
    values: dict[str, Any] = {
        "monitor": "confidence",
        "segment": "",
        "to": "firing",
        "window": 1000,
        "since_window": 998,
        "component": "mean confidence",
        "before": 0.93,
        "after": 0.71,
        "low": 0.7,
        "high": 0.72,
        "unit": "points of confidence",
        "log_evidence": 12.0,
        "log_threshold": 11.0,
        "calibrating": False,
        "contributors": (Contributor("share of class 8 rising", 0.1, 0.2),),
        "reason": "",
        **given,
    }
    return Transition(**values)
