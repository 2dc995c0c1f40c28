"""The supervisor: keeps child processes alive, listens to how they are, and ends them in good order."""

import multiprocessing
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from multiprocessing.connection import Connection as Pipe
from threading import Event as Signal
from threading import Thread
from typing import TYPE_CHECKING

import structlog

from daemon.ops.health import Health, Report
from daemon.ops.standing import STALE_SECONDS, Standing, failing
from sinks.processes import Problem

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess

__all__ = ["Child", "Supervisor", "report_to"]

log = structlog.get_logger()

_FIRST_BACKOFF_SECONDS = 1.0
_LAST_BACKOFF_SECONDS = 30.0
_STOP_SECONDS = 7.0
_LOOK_SECONDS = 0.2
_REPORT_SECONDS = 1.0
_HUNG_SECONDS = 2 * STALE_SECONDS
"""A loop that waits for a service turns, too: one that has not turned for so long never will."""


def report_to(pipe: Pipe, health: Health) -> None:
    """Report how this process is every second, from a thread, to the supervisor at the other end of ``pipe``."""

    def run() -> None:
        while True:
            try:
                pipe.send(health.report())
            except OSError:
                # The supervisor is gone; this process is told so in another way.
                return
            time.sleep(_REPORT_SECONDS)

    Thread(target=run, name="report", daemon=True).start()


class Child:
    """A process that is started again when it dies or hangs, after ever longer pauses.

    Parameters
    ----------
    name, role
        Which it is, and what it does.
    main
        What it runs; it is given ``arguments``, and then a pipe for :func:`report_to`.
    """

    def __init__(self, name: str, role: str, main: Callable[..., None], arguments: Sequence[object]) -> None:
        self.name = name
        self.role = role
        self.restarts = 0
        self.report: Report | None = None
        self.down: Problem | None = None
        self._main = main
        self._arguments = arguments
        # Spawned, not forked: no connection or lock of the parent's is shared by accident.
        self._context = multiprocessing.get_context("spawn")
        self._process: BaseProcess | None = None
        self._pipe: Pipe | None = None
        self._started = 0.0
        self._backoff = _FIRST_BACKOFF_SECONDS
        self._again_at: float | None = None

    def start(self) -> None:
        """Start it."""
        self._pipe, theirs = self._context.Pipe(duplex=False)
        self._process = self._context.Process(target=self._main, args=(*self._arguments, theirs), name=self.name)
        self._process.start()
        # Its end is its alone: when it dies, ours is closed.
        theirs.close()
        self._started = time.monotonic()
        self._again_at = None
        self.report, self.down = None, None

    def look_after(self, ended: Callable[[Report], None]) -> None:
        """Hear its reports; kill it if it hangs, start it again if it is dead; say what has ``ended``."""
        self._listen()
        now = time.monotonic()
        if self._again_at is not None:
            if now >= self._again_at:
                self.restarts += 1
                self.start()
        elif self._process is None or not self._process.is_alive():
            self._died(now, ended)
        elif now - max(self._started, self.report.beat if self.report else 0.0) > _HUNG_SECONDS:
            log.error("run.child_hung", child=self.name, seconds=_HUNG_SECONDS)
            self._process.kill()
            self._process.join()

    def standing(self) -> Standing:
        """Return how it stands."""
        return Standing(self.name, self.role, self.report, self.down, self.restarts)

    def terminate(self) -> None:
        """Tell it to stop."""
        if self._process is not None and self._process.is_alive():
            self._process.terminate()

    def join(self, until: float) -> None:
        """Wait for its end until a monotonic time, then kill it."""
        if self._process is None:
            return
        self._process.join(max(0.0, until - time.monotonic()))
        if self._process.is_alive():
            log.error("run.child_killed", child=self.name)
            self._process.kill()
            self._process.join()
        if self.report is not None:
            self.report = replace(self.report, state="stopped", problems=())

    def _listen(self) -> None:
        try:
            while self._pipe is not None and self._pipe.poll():
                self.report = self._pipe.recv()
        except (EOFError, OSError):
            self._pipe = None

    def _died(self, now: float, ended: Callable[[Report], None]) -> None:
        if now - self._started > 2 * _LAST_BACKOFF_SECONDS:
            self._backoff = _FIRST_BACKOFF_SECONDS
        code = None if self._process is None else self._process.exitcode
        log.error("run.child_died", child=self.name, code=code, again_in=self._backoff)
        told = f"died with exit code {code}; restart {self.restarts + 1} follows after {self._backoff:.0f} s"
        self.down = Problem("process", told, datetime.now(UTC))
        self._again_at = now + self._backoff
        self._backoff = min(2 * self._backoff, _LAST_BACKOFF_SECONDS)
        if self.report is not None:
            ended(replace(self.report, state="stopped", problems=()))


class Supervisor:
    """Runs children until told to stop."""

    def __init__(self, children: Sequence[Child], health: Health) -> None:
        self._children = children
        self._health = health

    def standings(self) -> list[Standing]:
        """Return how the children stand."""
        return [child.standing() for child in self._children]

    def run(self, stop: Signal, ended: Callable[[Report], None]) -> None:
        """Start the children, look after them until ``stop``, and end them; ``ended`` is told who died."""
        for child in self._children:
            child.start()
        self._health.running()
        while not stop.wait(_LOOK_SECONDS):
            self._health.beat()
            for child in self._children:
                child.look_after(ended)
                self._tell(child)
        for child in self._children:
            child.terminate()
        until = time.monotonic() + _STOP_SECONDS
        for child in self._children:
            child.join(until)

    def _tell(self, child: Child) -> None:
        """Have it in the report of this process that a child is down or hangs: the child cannot say so."""
        known = {each.kind: each.detail for each in failing([child.standing()])}
        for kind in ("process", "hung"):
            if kind in known:
                self._health.problem(kind, f"{child.name} {known[kind]}", of=child.name)
            else:
                self._health.solved(kind, of=child.name)
