"""A backlog: what piles up in ten minutes at 5,000 events a second, caught up from a cold start; and the memory."""

import sys

from benchmarks.contenders.task import Task
from benchmarks.report import Goal, print_table
from benchmarks.stand import Contender, Outcome, Stand
from benchmarks.topics import Topic

__all__ = ["GOALS", "run"]

GOALS = (Goal("rss_growth_ratio", 1.1, at_most=True),)
_COUNT = 3_000_000
_MEMORY_AT = (500_000, _COUNT)


def run(stand: Stand, *, quick: bool) -> Outcome:
    """Measure; a tenth of it if it is to be quick."""
    part = 10 if quick else 1
    at = [events // part for events in _MEMORY_AT]
    topic = Topic("backlog", at[-1])
    stand.topic(topic)
    print(f"backlog: {topic.count:,} events", file=sys.stderr)
    task = Task(stand.bootstrap, topic.name, topic.count, memory_at=tuple(at[:-1]))
    answer = stand.run(Contender("strandline", task))
    stand.forget(topic)
    growth = answer.memory[-1] / answer.memory[0]
    rows = [[f"{events:,}", f"{held / 2**20:.1f}"] for events, held in zip(at, answer.memory, strict=True)]
    print_table(
        f"{topic.count:,} events caught up in {answer.since_start:.0f} s; memory grows by {growth:.3f}",
        ["events", "MiB"],
        rows,
    )
    figures = {"rss_growth_ratio": growth}
    if not quick:
        figures["catch_up_seconds_10_minutes_at_5000_per_second"] = answer.since_start
    return Outcome(figures, {})
