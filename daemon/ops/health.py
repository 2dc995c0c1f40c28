"""How one process is: its heartbeat and its problems, kept by the process itself and reported to who serves them."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Lock

from sinks.processes import Problem, ProcessState

__all__ = ["Health", "Report"]


@dataclass(frozen=True, slots=True)
class Report:
    """What a process says of itself. ``beat``: when its loop last turned, monotonic seconds of this machine."""

    name: str
    role: str
    pid: int
    state: ProcessState
    problems: tuple[Problem, ...]
    started_at: datetime
    beat: float


class Health:
    """Kept up to date by the process's own loop, from any of its threads.

    Parameters
    ----------
    name, role
        Which process this is, and what it does.
    clock
        Monotonic seconds.
    """

    def __init__(self, name: str, role: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._name = name
        self._role = role
        self._clock = clock
        self._started_at = datetime.now(UTC)
        self._state: ProcessState = "starting"
        self._problems: dict[tuple[str, str], Problem] = {}
        self._beat = clock()
        self._lock = Lock()

    def beat(self) -> None:
        """Note that the loop turns; to be called while waiting, too."""
        self._beat = self._clock()

    def running(self) -> None:
        """Note that the process does its work."""
        self._state = "running"

    def stopped(self) -> None:
        """Note that the process leaves in good order."""
        self._state = "stopped"

    def problem(self, kind: str, detail: str, *, of: str = "") -> bool:
        """Note what keeps the process, or the part ``of`` it, from its work; return whether that is news."""
        with self._lock:
            known = self._problems.get((kind, of))
            since = datetime.now(UTC) if known is None else known.since
            self._problems[kind, of] = Problem(kind, detail, since)
            return known is None

    def solved(self, kind: str, *, of: str = "") -> bool:
        """Note that a problem is over; return whether there was one."""
        if not self._problems:
            return False
        with self._lock:
            return self._problems.pop((kind, of), None) is not None

    def report(self) -> Report:
        """Return how things are now."""
        with self._lock:
            problems = tuple(self._problems.values())
        return Report(self._name, self._role, os.getpid(), self._state, problems, self._started_at, self._beat)
