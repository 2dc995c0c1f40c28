"""Watches a trial from a thread of its own while its fault goes on."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psutil
from kafka.admin import KafkaAdminClient

from tests.fault.trial import Process, Trial

__all__ = ["Memory", "Standstill", "members", "watching_memory", "watching_standstill"]

_LOOK_SECONDS = 0.3


@dataclass
class Standstill:
    """The longest time for which a partition was not read further, in seconds."""

    longest: float = 0.0
    partition: int | None = None


@dataclass
class Memory:
    """What each process took, in bytes, by its name: at the beginning, and at most."""

    first: dict[str, int]
    most: dict[str, int]

    @property
    def growth(self) -> int:
        """The most that a process has grown."""
        return max(self.most[name] - first for name, first in self.first.items())


@contextmanager
def watching_standstill(trial: Trial) -> Iterator[Standstill]:
    """Watch how long each partition stands still before its end."""
    found, at, since = Standstill(), trial.offsets(), dict.fromkeys(trial.feed.ends, time.monotonic())

    def look() -> None:
        now = time.monotonic()
        for partition, offset in trial.offsets().items():
            if offset != at.get(partition) or offset == trial.feed.ends[partition]:
                at[partition], since[partition] = offset, now
        partition = min(since, key=lambda each: since[each])
        if now - since[partition] > found.longest:
            found.longest, found.partition = now - since[partition], partition

    with _looking(look):
        yield found


@contextmanager
def watching_memory(processes: list[Process]) -> Iterator[Memory]:
    """Watch the resident memory of processes."""
    known = {process.name: psutil.Process(process.pid) for process in processes}
    first = {name: process.memory_info().rss for name, process in known.items()}
    found = Memory(first, dict(first))

    def look() -> None:
        for name, process in known.items():
            found.most[name] = max(found.most[name], process.memory_info().rss)

    with _looking(look):
        yield found


@contextmanager
def _looking(look: Callable[[], None]) -> Iterator[None]:
    """Call ``look`` again and again."""
    over = threading.Event()

    def run() -> None:
        while not over.wait(_LOOK_SECONDS):
            look()

    thread = threading.Thread(target=run, name="watch")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def members(trial: Trial) -> set[str]:
    """Return the ids of the consumer group's members."""
    admin = KafkaAdminClient(bootstrap_servers=trial.services.kafka.bootstrap)
    try:
        group = admin.describe_groups([trial.topic])[trial.topic]
        return {member["member_id"] for member in group["members"]}
    finally:
        admin.close()
