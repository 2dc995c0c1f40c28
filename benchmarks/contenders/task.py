"""What a contender is given, and what it answers; only the standard library, since peers run in another environment."""

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

__all__ = ["Answer", "Clock", "Task", "main", "resident_bytes"]


@dataclass(frozen=True, slots=True)
class Task:
    """Read ``count`` events of ``topic``; all of its partitions, or those that the group gives.

    ``client``: "kafka-python" or "confluent". ``use``: what the contender is to do beside reading, if it can do several
    things. The rest is for Strandline alone. ``settings``: laid over its defaults. ``models``, ``segments`` (of each
    model): what the events have. ``memory_at``: numbers of events at which the memory is noted, besides the end.
    """

    bootstrap: str
    topic: str
    count: int
    partitions: int = 1
    client: str = "kafka-python"
    use: str = ""
    database: str = ""
    settings: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    models: int = 1
    segments: int = 0
    features: int = 10
    memory_at: tuple[int, ...] = ()

    def to_json(self) -> str:
        """Return the task as JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Task":
        """Return the task that :meth:`to_json` wrote."""
        raw = json.loads(text)
        return cls(**{**raw, "memory_at": tuple(raw["memory_at"])})


@dataclass(slots=True)
class Answer:
    """What was taken from the first records on: ``wall`` and ``cpu`` (of the process, all threads) in seconds.

    ``events``: how many there were. ``began``, ``ended``: the same clock for all processes. ``since_start``: seconds
    from the start of the process to the end. ``memory``: resident bytes at ``memory_at`` and at the end.
    ``wal_bytes``: what PostgreSQL wrote to its log meanwhile.
    """

    wall: float
    cpu: float
    events: int
    began: float
    ended: float
    since_start: float
    memory: list[int]
    wal_bytes: int = 0


class Clock:
    """Starts with the first records, so that starting is not measured, and stops once."""

    def __init__(self) -> None:
        self._made = time.perf_counter()
        self._began: tuple[float, float, float] | None = None
        self._answer: Answer | None = None
        self.memory: list[int] = []
        self.wal_bytes = 0

    def start(self) -> None:
        """Begin, unless it has begun."""
        self._began = self._began or (time.perf_counter(), time.process_time(), time.time())

    def stop(self, events: int) -> None:
        """Note what was taken for ``events``."""
        assert self._began, "there were records"
        wall, cpu = time.perf_counter() - self._began[0], time.process_time() - self._began[1]
        self.memory.append(resident_bytes())
        self._answer = Answer(
            wall, cpu, events, self._began[2], time.time(), time.perf_counter() - self._made, self.memory
        )

    def answer(self) -> Answer:
        """Return what was taken."""
        assert self._answer, "it was stopped"
        self._answer.wal_bytes = self.wal_bytes
        return self._answer


def resident_bytes() -> int:
    """Return the bytes of memory that this process holds."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


def main(run: Callable[[Task, Clock], None]) -> None:
    """Run a contender on the task that the command line gives; the last line tells what it took."""
    clock = Clock()
    run(Task.from_json(sys.argv[1]), clock)
    print(json.dumps(asdict(clock.answer())), flush=True)
