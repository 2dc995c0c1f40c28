"""Health and metrics as one process serves them: of itself, and of its children."""

import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from http import HTTPStatus
from threading import Event as Signal
from threading import Thread
from types import TracebackType
from typing import Self

from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from daemon.ops.figures import DatabaseFigures, registry
from daemon.ops.health import Health, Report
from daemon.ops.listener import Answer, Listener
from daemon.ops.notify import notify, watchdog_seconds
from daemon.ops.signs import Signs
from daemon.ops.standing import STALE_SECONDS, Failing, Standing, failing
from daemon.settings import Settings

__all__ = ["Ops"]

_NOTIFY_SECONDS = 5.0
_STARTING_SECONDS = 0.2


class Ops:
    """Health and metrics, from ``__enter__`` on; all of it on threads of its own.

    Parameters
    ----------
    settings
        Where to listen, and which database.
    health
        Of this process.
    standings
        How the processes that do the work stand: this one, or its children.
    counted
        What they count.
    stop
        Is set when this process is told to stop.
    """

    def __init__(
        self,
        settings: Settings,
        health: Health,
        standings: Callable[[], list[Standing]],
        counted: Iterable[Collector],
        stop: Signal,
    ) -> None:
        self._stop = stop
        self._health = health
        self._standings = standings
        self.signs = Signs(settings.postgres.conninfo, self._reports)
        database = DatabaseFigures(settings.postgres.conninfo, settings.kafka.topics)
        self._registry = registry(counted, database, standings, lambda: not self.failing())
        paths = {"/livez": self._livez, "/readyz": self._readyz, "/metrics": self._metrics}
        self._listener = Listener(settings.ops, paths) if settings.ops.port else None
        self._stack = ExitStack()

    @property
    def address(self) -> str:
        """Where it listens; empty if it does not."""
        return "" if self._listener is None else self._listener.address

    def __enter__(self) -> Self:
        if self._listener is not None:
            self._stack.enter_context(self._listener)
        self.signs.start()
        Thread(target=self._notify, name="notify", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._health.stopped()
        self.signs.stop()
        self._stack.close()

    def failing(self) -> list[Failing]:
        """Return the checks that fail now: none if all is ready."""
        return [*self.signs.failing(), *failing(self._standings())]

    def alive(self) -> bool:
        """Say whether the loop of this process turns."""
        return time.monotonic() - self._health.report().beat < STALE_SECONDS

    def _reports(self) -> Iterable[Report]:
        yield self._health.report()
        for each in self._standings():
            if each.report is not None and each.down is None:
                yield each.report

    def _livez(self, _: str) -> Answer:
        if self.alive():
            return Answer(b"alive\n")
        return Answer(b"the loop does not turn\n", HTTPStatus.SERVICE_UNAVAILABLE)

    def _readyz(self, _: str) -> Answer:
        found = self.failing()
        if not found:
            return Answer(b"ready\n")
        lines = "".join(f"{each.line()}\n" for each in found)
        return Answer(lines.encode(), HTTPStatus.SERVICE_UNAVAILABLE, "application/jsonl; charset=utf-8")

    def _metrics(self, accept: str) -> Answer:
        encode, content_type = choose_encoder(accept)
        return Answer(encode(self._registry), content_type=content_type)

    def _notify(self) -> None:
        """Tell systemd when the roles run, how they are, and that our loop still turns."""
        told_ready = False
        pause = min(watchdog_seconds() or _NOTIFY_SECONDS, _NOTIFY_SECONDS)
        while True:
            found = self.failing()
            lines = [f"STATUS={found[0].process} {found[0].detail}" if found else "STATUS=ready"]
            if self.alive():
                lines.append("WATCHDOG=1")
            if not told_ready and all(each.report is not None for each in self._standings()):
                told_ready = True
                lines.append("READY=1")
            if not notify(*lines) or self._stop.wait(pause if told_ready else _STARTING_SECONDS):
                break
        notify("STOPPING=1")
