"""The processes of the daemon: one role each, and the supervisor that keeps them alive."""

import multiprocessing
import os
import signal
import socket
import time
from collections.abc import Callable
from threading import Event as Signal
from threading import Thread
from types import FrameType
from typing import TYPE_CHECKING

import structlog

from daemon.jobs import runner
from daemon.jobs.absence import AbsenceJob
from daemon.jobs.dispatch import DispatchJob
from daemon.jobs.reduce import ReduceJob
from daemon.jobs.retention import RetentionJob
from daemon.jobs.select import SelectJob
from daemon.kafka_clients import KafkaUnavailable
from daemon.logs import configure
from daemon.settings import Settings
from daemon.source import KafkaSource
from daemon.worker import Worker
from sinks.database import Connection, check_version, connect
from sinks.errors import DatabaseUnavailable

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess

__all__ = ["ROLES", "ingest", "jobs", "supervise"]

log = structlog.get_logger()

_RETRY_SECONDS = 1.0
_FIRST_BACKOFF_SECONDS = 1.0
_LAST_BACKOFF_SECONDS = 30.0
_STOP_SECONDS = 10.0
_LOOK_SECONDS = 0.2


def ingest(settings: Settings) -> None:
    """Consume until told to stop."""
    stop = _stop_on_signals()
    owner = f"{socket.gethostname()}:{os.getpid()}"
    source: KafkaSource | None = None
    while not stop.is_set():
        try:
            store = _connector(settings, "ingest")
            source = source or KafkaSource(
                settings.kafka,
                poll_records=settings.ingest.poll_records,
                max_event_bytes=settings.ingest.max_event_bytes,
            )
            Worker(settings, source, store, owner, stop).run()
        except (KafkaUnavailable, DatabaseUnavailable) as error:
            # At the start neither has to be there yet.
            log.warning("ingest.waiting", error=str(error))
            stop.wait(_RETRY_SECONDS)
        else:
            return


def jobs(settings: Settings) -> None:
    """Reduce, select, dispatch and clean up until told to stop."""
    stop = _stop_on_signals()
    runner.run(
        {
            "reduce": (ReduceJob(settings), 0.5),
            "select": (SelectJob(settings), 1.0),
            "dispatch": (DispatchJob(settings), 1.0),
            "absence": (AbsenceJob(settings), 15.0),
            "retention": (RetentionJob(settings.retention), 60.0),
        },
        _connector(settings, "jobs"),
        stop,
    )
    log.info("jobs.stopped")


ROLES: dict[str, Callable[[Settings], None]] = {"ingest": ingest, "jobs": jobs}
"""What a process can be."""


def supervise(settings: Settings, verbosity: str) -> None:
    """Run every role in processes of their own; start again what dies, and stop all when told to."""
    stop = _stop_on_signals()
    names = [("ingest", f"ingest-{number}") for number in range(settings.ingest.workers)] + [("jobs", "jobs")]
    children = [_Child(role, name, settings, verbosity) for role, name in names]
    for child in children:
        child.start()
    log.info("run.started", processes=[child.name for child in children])
    while not stop.is_set():
        for child in children:
            child.look_after()
        stop.wait(_LOOK_SECONDS)
    for child in children:
        child.terminate()
    until = time.monotonic() + _STOP_SECONDS
    for child in children:
        child.join(until)
    log.info("run.stopped")


class _Child:
    """A process of ours that is started again when it dies, after ever longer pauses."""

    def __init__(self, role: str, name: str, settings: Settings, verbosity: str) -> None:
        self.name = name
        self._arguments = (role, settings, verbosity, os.getpid())
        # Spawned, not forked: no connection or lock of the parent's is shared by accident.
        self._context = multiprocessing.get_context("spawn")
        self._process: BaseProcess | None = None
        self._started = 0.0
        self._backoff = _FIRST_BACKOFF_SECONDS
        self._again_at: float | None = None

    def start(self) -> None:
        self._process = self._context.Process(target=_child_main, args=self._arguments, name=self.name)
        self._process.start()
        self._started = time.monotonic()
        self._again_at = None

    def look_after(self) -> None:
        if self._process is None or self._process.is_alive():
            return
        now = time.monotonic()
        if self._again_at is None:
            if now - self._started > 2 * _LAST_BACKOFF_SECONDS:
                self._backoff = _FIRST_BACKOFF_SECONDS
            log.error("run.child_died", process=self.name, code=self._process.exitcode, again_in=self._backoff)
            self._again_at = now + self._backoff
            self._backoff = min(2 * self._backoff, _LAST_BACKOFF_SECONDS)
        elif now >= self._again_at:
            self.start()

    def terminate(self) -> None:
        if self._process is not None and self._process.is_alive():
            self._process.terminate()

    def join(self, until: float) -> None:
        if self._process is None:
            return
        self._process.join(max(0.0, until - time.monotonic()))
        if self._process.is_alive():
            log.error("run.child_killed", process=self.name)
            self._process.kill()
            self._process.join()


def _child_main(role: str, settings: Settings, verbosity: str, parent: int) -> None:
    configure(verbosity)
    _die_with(parent)
    ROLES[role](settings)


def _die_with(parent: int) -> None:
    """Stop this process in good order when its supervisor is gone without having said so."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        os.kill(os.getpid(), signal.SIGTERM)

    Thread(target=watch, name="parent-watch", daemon=True).start()


def _connector(settings: Settings, name: str) -> Callable[[], Connection]:
    url = settings.postgres.conninfo

    def connect_and_check() -> Connection:
        connection = connect(url, name=name)
        check_version(connection)
        return connection

    return connect_and_check


def _stop_on_signals() -> Signal:
    """Return a signal that SIGTERM and SIGINT set; a second one ends the process at once."""
    stop = Signal()

    def on_signal(number: int, _: FrameType | None) -> None:
        if stop.is_set():
            os._exit(128 + number)
        stop.set()

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    return stop
