"""Several ingest processes: decoding and counting alone, and the whole beside the broker on the same machine."""

import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import psycopg

from benchmarks.contenders.strandline import prepare
from benchmarks.contenders.task import Answer, Task
from benchmarks.report import Goal, print_table
from benchmarks.stand import Contender, Outcome, Stand
from benchmarks.topics import Topic

__all__ = ["GOALS", "run"]

GOALS = (Goal("speedup_two_workers", 1.7),)
_WORKERS = (1, 2, 4)
_PARTITIONS = 4
_START_SECONDS = 12.0
"""In which all processes of a round are ready to begin."""
_LOOK_SECONDS = 0.1
_NEARLY_ALL = 0.9


def run(stand: Stand, *, quick: bool) -> Outcome:
    """Measure."""
    count, rounds = (200_000, 1) if quick else (600_000, 3)
    topic = Topic("workers", count, _PARTITIONS)
    stand.topic(topic)
    task = Task(stand.bootstrap, topic.name, count, _PARTITIONS)
    ways: dict[str, Callable[[int], float]] = {
        "decode and fold": lambda workers: _fold(task, workers),
        "with the broker": lambda workers: _ingest(stand, task, workers),
    }
    rates: dict[tuple[str, int], list[float]] = {(name, workers): [] for name in ways for workers in _WORKERS}
    for number in range(rounds):
        for (name, workers), found in rates.items():
            print(f"round {number + 1} of {rounds}: {name}, workers: {workers}", file=sys.stderr)
            found.append(ways[name](workers))
    best = {key: sorted(found)[len(found) // 2] for key, found in rates.items()}
    rows = [
        [name, f"{workers}", f"{rate:,.0f}", f"{rate / best[name, 1]:.2f}"] for (name, workers), rate in best.items()
    ]
    print_table(
        f"{count:,} events, {os.cpu_count()} cores, rounds: {rounds}", ["", "workers", "events/s", "to one"], rows
    )
    figures = {
        "speedup_two_workers": best["decode and fold", 2] / best["decode and fold", 1],
        "speedup_four_workers": best["decode and fold", 4] / best["decode and fold", 1],
        "speedup_two_workers_with_broker": best["with the broker", 2] / best["with the broker", 1],
        "speedup_four_workers_with_broker": best["with the broker", 4] / best["with the broker", 1],
    }
    return Outcome(figures, {})


def _fold(task: Task, workers: int) -> float:
    """Return events per second of so many processes that each have all events in memory."""
    begin = time.time() + _START_SECONDS
    return _rate(_answers([Contender("folding", replace(task, use=str(begin)))] * workers))


def _ingest(stand: Stand, task: Task, workers: int) -> float:
    """Return events per second of a consumer group on one topic, while each of its members has partitions.

    Joining stops all of them for a while, and at the end some are done earlier: neither is in it.
    """
    together = replace(
        task,
        database=stand.database(),
        settings={"kafka": {"assignment": "group", "group": f"workers-{time.time_ns()}", "session_timeout_seconds": 6}},
    )
    prepare(together)
    contender = Contender("strandline", together)
    processes = [contender.start() for _ in range(workers)]
    seen: list[tuple[float, int]] = []
    with psycopg.connect(together.database, autocommit=True) as connection:
        while not seen or seen[-1][1] < _NEARLY_ALL * task.count:
            time.sleep(_LOOK_SECONDS)
            row = connection.execute("SELECT count(DISTINCT owner), sum(next_offset) FROM partition").fetchone()
            if row is not None and row[0] == workers:
                seen.append((time.perf_counter(), int(row[1] or 0)))
            elif all(process.poll() is not None for process in processes):
                raise RuntimeError(f"{workers} workers were done before all had partitions")
    for process in processes:
        contender.answer(process)
    (began, first), (ended, last) = seen[0], seen[-1]
    return (last - first) / (ended - began)


def _answers(contenders: Sequence[Contender]) -> list[Answer]:
    started = [(each, each.start()) for each in contenders]
    return [each.answer(process) for each, process in started]


def _rate(answers: Sequence[Answer]) -> float:
    """Return the rate of all together, from the first that began to the last that ended."""
    events = sum(each.events for each in answers)
    return events / (max(each.ended for each in answers) - min(each.began for each in answers))
