"""Closing windows: parts merged, detectors updated, readings, state and alarms stored, as the reduce job does it.

Real PostgreSQL, no Kafka. A stream has 30 monitors: its confidence, its classes, new fields, and of each of 9 fields
the values, whether they are missing, and their type. A stream has 72 events a window, committed in 36 parts. All
streams have a reference. Seconds are those of the process's CPU, PostgreSQL's own not in them; a window is the median
of several, after the first, which begins the state. Of those that follow, in the full run one measures how each stream
varies, and reads the 200 stored windows before it for that: it is told apart.
"""

import argparse
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.contenders.learnt import VERSION, learnt_layout, summary_of
from benchmarks.report import Goal, print_json, print_table
from benchmarks.topics import SEGMENT_TAG, START, Topic, events, model_names
from daemon.jobs.reduce import ReduceJob
from daemon.settings import Settings
from detectors.layout import Layout
from detectors.reference import Reference
from detectors.state import QUIET_WINDOWS
from detectors.summary import Summary
from sinks.cohorts import register
from sinks.controls import ALWAYS, lock_exclusive, publish
from sinks.database import connect, upgrade
from sinks.effects import Effects, PartRow, write
from sinks.windows import compress
from tests.services import Postgres

GOALS = (Goal("reduce_seconds_10000_streams", 6.0, at_most=True),)
TOPIC = "reduce"
PARTS, EVENTS = 36, 72
"""Parts of a window; events of a stream in it."""
REFERENCE_WINDOWS = 60
FEATURES = 7
"""And two tags: nine fields."""


@dataclass(frozen=True, slots=True)
class Scale:
    """Streams are the segments of some models."""

    models: int
    segments: int

    @property
    def streams(self) -> int:
        """How many there are."""
        return self.models * max(self.segments, 1)


# A model has at most 256 segments, the whole model included.
SCALES = (Scale(1, 0), Scale(4, 250), Scale(40, 250))


class Streams:
    """A database with models whose windows are to be closed."""

    def __init__(self, url: str, scale: Scale) -> None:
        segments = [SEGMENT_TAG] if scale.segments else []
        self._settings = Settings.model_validate(
            {"kafka": {"topics": [TOPIC]}, "postgres": {"url": url}, "model": {"*": {"segments": segments}}}
        )
        self._job = ReduceJob(self._settings)
        self._connection = connect(url, name="benchmark")
        self._connection.execute("INSERT INTO partition (topic, partition) VALUES (%s, 0)", [TOPIC])
        self._window = START // self._settings.of("*").window_seconds
        topic = Topic(TOPIC, EVENTS * scale.segments or EVENTS, segments=scale.segments, features=FEATURES)
        layout = learnt_layout(self._settings, topic)
        values = list(events(topic))
        parts = [summary_of(self._settings, layout, values[at::PARTS]) for at in range(PARTS)]
        self._bodies = [(int(part.events[0]), compress(part.to_bytes())) for part in parts]
        past = Summary.empty(layout)
        for part in parts * REFERENCE_WINDOWS:
            past.add(part)
        self._cohorts = [self._register(model, layout, Reference(layout, past)) for model in model_names(scale.models)]

    def _register(self, model: str, layout: Layout, reference: Reference) -> int:
        connection, seconds = self._connection, self._settings.of(model).window_seconds
        cohort = register(connection, model, VERSION, window_seconds=seconds, layout=layout, cap=1000)
        assert cohort is not None
        body = compress(reference.to_bytes())
        with connection.transaction():
            lock_exclusive(connection)
            publish(connection, kind="reference", model=model, cohort_id=cohort, effective_from=ALWAYS, body=body)
        return cohort

    def close_next(self) -> tuple[float, float]:
        """Commit a window of all of them, and close it; return what closing took of CPU and of wall."""
        connection, window = self._connection, self._window
        layouts = connection.execute("SELECT cohort_id, max(id) FROM control WHERE kind = 'layout' GROUP BY 1")
        layout_of: dict[int, int] = dict(layouts.fetchall())
        parts = [
            PartRow(cohort, window, layout_of[cohort], count, body)
            for count, body in self._bodies
            for cohort in self._cohorts
        ]
        with connection.transaction():
            write(connection, Effects(parts), dead_letters_kept=0, dead_letter_bytes=lambda value: value)
        model = self._settings.of("*")
        high = (window + 1) * model.window_us + model.lateness_us
        connection.execute("UPDATE partition SET event_high_us = %s", [high])
        self._window += 1
        wall, cpu = time.perf_counter(), time.process_time()
        closed = self._job.run_once(connection)
        assert closed == len(self._cohorts), f"{closed} windows were closed"
        return time.process_time() - cpu, time.perf_counter() - wall


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    parser.add_argument("--quick", action="store_true", help="less than a minute: four windows of each")
    arguments = parser.parse_args()
    windows = 4 if arguments.quick else QUIET_WINDOWS + 4
    figures: dict[str, float] = {}
    rows = []
    with tempfile.TemporaryDirectory() as folder, Postgres(Path(folder), upgrade) as postgres:
        for scale in SCALES:
            print(f"{scale.streams:,} streams, {windows} windows", file=sys.stderr)
            streams = Streams(postgres.new_database(), scale)
            cpu, wall = zip(*(streams.close_next() for _ in range(windows)), strict=True)
            name = f"{scale.streams}_streams"
            usual = statistics.median(cpu[1:])
            figures |= {
                f"reduce_seconds_{name}": usual,
                f"reduce_wall_seconds_{name}": statistics.median(wall[1:]),
                f"reduce_seconds_first_window_{name}": cpu[0],
                f"reduce_seconds_longest_window_{name}": max(cpu[1:]),
            }
            row = [f"{scale.streams:,}", f"{scale.models}", f"{usual:.3f}", f"{statistics.median(wall[1:]):.3f}"]
            rows.append([*row, f"{cpu[0]:.3f}", f"{max(cpu[1:]):.3f}"])
    columns = ["streams", "models", "CPU (s)", "wall (s)", "first window, CPU (s)", "longest other, CPU (s)"]
    print_table(f"closing a window of {PARTS} parts; {windows} windows", columns, rows)
    if arguments.json:
        print_json("reduce", figures, GOALS)


if __name__ == "__main__":
    main()
