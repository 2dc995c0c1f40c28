"""Scale in streams: what an event costs, what the process holds, and what PostgreSQL writes, with ever more of them.

A model's segments are one family of streams; 1,000 models of one stream each are another, reported apart.
"""

import statistics
import sys
from dataclasses import dataclass

from benchmarks.contenders.task import Answer, Task
from benchmarks.report import Goal, print_table
from benchmarks.stand import Contender, Outcome, Stand
from benchmarks.topics import Topic

__all__ = ["GOALS", "run"]


@dataclass(frozen=True, slots=True)
class _Scale:
    name: str
    models: int
    segments: int

    @property
    def streams(self) -> int:
        return self.models * max(self.segments, 1)


# A model has at most 256 segments, the whole model included.
_SCALES = (
    _Scale("1_stream", 1, 0),
    _Scale("100_streams", 1, 100),
    _Scale("1000_streams", 4, 250),
    _Scale("10000_streams", 40, 250),
    _Scale("1000_models", 1000, 0),
)
_FIXED_BYTES, _STREAM_BYTES = 300e6, 40e3
GOALS = (
    Goal("cost_ratio_10000_streams", 1.5, at_most=True),
    *(Goal(f"rss_bytes_{each.name}", _FIXED_BYTES + _STREAM_BYTES * each.streams, at_most=True) for each in _SCALES),
)


def run(stand: Stand, *, quick: bool) -> Outcome:
    """Measure."""
    count, rounds = (60_000, 1) if quick else (300_000, 3)
    answers: dict[_Scale, list[Answer]] = {scale: [] for scale in _SCALES}
    topics = {
        scale: Topic(f"streams-{scale.name}", count, models=scale.models, segments=scale.segments) for scale in _SCALES
    }
    for number in range(rounds):
        for scale, topic in topics.items():
            stand.topic(topic)
            print(f"round {number + 1} of {rounds}: {scale.name}", file=sys.stderr)
            task = Task(stand.bootstrap, topic.name, count, models=scale.models, segments=scale.segments)
            answers[scale].append(stand.run(Contender("strandline", task)))
    figures: dict[str, float] = {}
    for scale, found in answers.items():
        figures |= {
            f"cpu_seconds_per_million_events_{scale.name}": statistics.median(1e6 * a.cpu / a.events for a in found),
            f"rss_bytes_{scale.name}": max(a.memory[-1] for a in found),
            f"wal_bytes_per_million_events_{scale.name}": statistics.median(
                1e6 * a.wal_bytes / a.events for a in found
            ),
        }
    base = figures["cpu_seconds_per_million_events_1_stream"]
    for scale in _SCALES[1:]:
        figures[f"cost_ratio_{scale.name}"] = figures[f"cpu_seconds_per_million_events_{scale.name}"] / base
    figures["wal_bytes_per_million_events"] = figures["wal_bytes_per_million_events_1_stream"]
    _print(figures, f"{count:,} events, rounds: {rounds}")
    return Outcome(figures, {})


def _print(figures: dict[str, float], title: str) -> None:
    rows = []
    for scale in _SCALES:
        cost = figures[f"cpu_seconds_per_million_events_{scale.name}"]
        rows.append(
            [
                f"{scale.models:,} × {max(scale.segments, 1):,}",
                f"{cost:.1f}",
                f"{figures.get(f'cost_ratio_{scale.name}', 1.0):.2f}",
                f"{figures[f'rss_bytes_{scale.name}'] / 1e6:,.0f}",
                f"{(_FIXED_BYTES + _STREAM_BYTES * scale.streams) / 1e6:,.0f}",
                f"{figures[f'wal_bytes_per_million_events_{scale.name}'] / 1e6:,.2f}",
            ]
        )
    print_table(
        title, ["models × streams", "µs CPU/event", "to one stream", "MB held", "at most", "MB of WAL/million"], rows
    )
