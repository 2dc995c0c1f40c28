"""From an event to what can be seen of it, under a steady load of 50 models × 20 segments.

``strandline run`` with one ingest process; windows of ten seconds. An event is *counted* when the transaction with its
offset can be seen in the database: from the time it was sent. The *reading* of its window can be seen: from the time
at which the window is over, its lateness included, so that an event may come that closes it; before that there can
be none.
"""

import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psycopg
from kafka import KafkaConsumer, TopicPartition
from numpy.typing import NDArray

from benchmarks.load import SEGMENT_TAG, SEGMENTS, Load
from benchmarks.report import Goal, print_table
from benchmarks.stand import ROOT, Outcome, Stand
from benchmarks.topics import Topic

__all__ = ["GOALS", "run"]

GOALS: tuple[Goal, ...] = ()
_RATE = 2000
_WINDOW_SECONDS = 10
_LOOK_SECONDS = 0.02
_OVERLAP_SECONDS = 5
_CONFIG = """
[kafka]
bootstrap_servers = ["{bootstrap}"]
topics = ["{topic}"]
assignment = "static"
[postgres]
url = "{url}"
[ops]
port = 0
[model."*"]
segments = ["{tag}"]
window_seconds = {window}
lateness_seconds = 0
expected_events_per_day = 172_800_000
"""


@dataclass(slots=True)
class _Seen:
    """What was seen when (seconds since 1970): the offset read up to; the newest window of each cohort."""

    offsets: list[tuple[int, float]] = field(default_factory=list)
    windows: dict[tuple[int, int], float] = field(default_factory=dict)


def run(stand: Stand, *, quick: bool) -> Outcome:
    """Measure."""
    warm, seconds = (12, 20) if quick else (30, 90)
    topic = Topic("latency", 0)
    stand.topic(topic)
    database = stand.database()
    text = _CONFIG.format(
        bootstrap=stand.bootstrap, topic=topic.name, url=database, tag=SEGMENT_TAG, window=_WINDOW_SECONDS
    )
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "config.toml"
        config.write_text(text, encoding="utf-8")
        command = [sys.executable, "-m", "daemon", "--config", str(config), "run", "--log-level", "error"]
        daemon = subprocess.Popen(command, cwd=ROOT)  # noqa: S603
        try:
            with Load(stand.bootstrap, topic.name, 1, _RATE):
                print(f"latency: {warm} s to warm up, then {seconds} s", file=sys.stderr)
                time.sleep(warm)
                seen = _watch(database, seconds)
        finally:
            daemon.terminate()
            daemon.wait(30)
    counted = _counted(seen, _sent(stand.bootstrap, topic.name))
    readings = np.array([at - (window + 1) * _WINDOW_SECONDS for (_, window), at in seen.windows.items()])
    figures: dict[str, float] = {}
    rows = []
    for name, found in (("latency_seconds", readings), ("latency_to_counted_seconds", counted)):
        p50, p99 = np.quantile(found, [0.5, 0.99]).tolist()
        figures |= {f"{name}_p50": p50, f"{name}_p99": p99}
        rows.append([name, f"{len(found):,}", f"{p50:.3f}", f"{p99:.3f}"])
    title = f"{_RATE:,} events/s, 50 models × {SEGMENTS} segments"
    print_table(title, ["", "seen", "p50 (s)", "p99 (s)"], rows)
    return Outcome(figures, {})


def _watch(database: str, seconds: float) -> _Seen:
    """Look at the database again and again."""
    seen = _Seen()
    with psycopg.connect(database, autocommit=True) as connection:
        # What can be seen at the first look was there before.
        before = set(connection.execute('SELECT cohort_id, "window" FROM closed_window').fetchall())
        until = time.time() + seconds
        while time.time() < until:
            time.sleep(_LOOK_SECONDS)
            offset = connection.execute("SELECT next_offset FROM partition").fetchone()
            since = time.time() - _OVERLAP_SECONDS
            rows = connection.execute(
                'SELECT cohort_id, "window" FROM closed_window WHERE created_at >= to_timestamp(%s)', [since]
            ).fetchall()
            now = time.time()
            if offset and offset[0] is not None and (not seen.offsets or offset[0] > seen.offsets[-1][0]):
                seen.offsets.append((offset[0], now))
            for cohort, window in set(rows) - before:
                seen.windows.setdefault((cohort, window), now)
    return seen


def _sent(bootstrap: str, topic: str) -> NDArray[np.float64]:
    """Return when each record was sent, seconds since 1970, by its offset."""
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, group_id=None)
    partition = TopicPartition(topic, 0)
    consumer.assign([partition])
    consumer.seek_to_beginning(partition)
    end = consumer.end_offsets([partition])[partition]
    times: list[float] = []
    while len(times) < end:
        for records in consumer.poll(timeout_ms=500).values():
            times += [record.timestamp / 1000 for record in records]
    consumer.close()
    return np.array(times)


def _counted(seen: _Seen, sent: NDArray[np.float64]) -> NDArray[np.float64]:
    pieces = []
    for (start, _), (end, at) in zip(seen.offsets[:-1], seen.offsets[1:], strict=True):
        pieces.append(at - sent[start:end])
    return np.concatenate(pieces)
