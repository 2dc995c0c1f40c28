"""The processes of the daemon: one role each, alone or all of them under a supervisor."""

import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from multiprocessing.connection import Connection as Pipe
from threading import Event as Signal
from threading import Thread
from types import FrameType

import structlog
from prometheus_client import CollectorRegistry
from prometheus_client.multiprocess import MultiProcessCollector

from daemon.jobs import runner
from daemon.jobs.absence import AbsenceJob
from daemon.jobs.dispatch import DispatchJob
from daemon.jobs.rate import RateJob
from daemon.jobs.reduce import ReduceJob
from daemon.jobs.retention import RetentionJob
from daemon.jobs.select import SelectJob
from daemon.kafka_clients import KafkaUnavailable
from daemon.logs import configure
from daemon.memory import prepare_for_many_events
from daemon.monitors import licences
from daemon.ops import occurrences
from daemon.ops.health import Health
from daemon.ops.scratch import counting_directory
from daemon.ops.service import Ops
from daemon.ops.standing import Standing
from daemon.ops.supervisor import Child, Supervisor, report_to
from daemon.settings import Settings
from daemon.sources.registry import source_of
from daemon.worker import Worker
from sinks import metrics
from sinks.database import Connection, check_version, connect
from sinks.errors import DatabaseUnavailable, StrandlineError

__all__ = ["ROLES", "alone", "supervise"]

log = structlog.get_logger()

_RETRY_SECONDS = 1.0
_REPEATED_SECONDS = 1.0
SUPERVISOR = "supervisor"


def ingest(settings: Settings, health: Health, stop: Signal) -> None:
    """Consume until told to stop."""
    prepare_for_many_events()
    owner = f"{socket.gethostname()}:{os.getpid()}"
    source = None
    while not stop.is_set():
        health.beat()
        try:
            store = _connector(settings, "ingest")
            source = source or source_of(settings.kafka)(
                settings.kafka,
                poll_records=settings.ingest.poll_records,
                max_event_bytes=settings.ingest.max_event_bytes,
            )
            worker = Worker(settings, source, store, owner, stop, health)
            occurrences.service_back(health, "database")
            worker.run()
        except KafkaUnavailable as error:
            # At the start neither has to be there yet.
            occurrences.service_unavailable(health, "kafka", error.detail)
            stop.wait(_RETRY_SECONDS)
        except DatabaseUnavailable as error:
            occurrences.service_unavailable(health, "database", error.detail)
            stop.wait(_RETRY_SECONDS)
        else:
            return


def jobs(settings: Settings, health: Health, stop: Signal) -> None:
    """Reduce, select, dispatch and clean up until told to stop."""
    for each in licences(settings):
        log.warning("jobs.licence", told=each)
    runner.run(
        {
            "reduce": (ReduceJob(settings), 0.5),
            "select": (SelectJob(settings), 1.0),
            "dispatch": (DispatchJob(settings), 1.0),
            "absence": (AbsenceJob(settings), 15.0),
            "rate": (RateJob(settings), 60.0),
            "retention": (RetentionJob(settings.retention), 60.0),
        },
        _connector(settings, "jobs"),
        stop,
        health,
    )
    log.info("jobs.stopped")


ROLES: dict[str, Callable[[Settings, Health, Signal], None]] = {"ingest": ingest, "jobs": jobs}
"""What a process can be."""


def alone(role: str, settings: Settings, verbosity: str) -> None:
    """Run one role in this process; it serves its own health and metrics."""
    configure(verbosity, process=role, role=role)
    stop = _stop_on_signals()
    health = Health(role, role)
    with Ops(settings, health, lambda: [Standing(role, role, health.report())], [metrics.COUNTED], stop) as ops:
        log.info("run.started", version=version("strandline"), processes=[role], ops=ops.address)
        ROLES[role](settings, health, stop)
    log.info("run.stopped")


def supervise(settings: Settings, verbosity: str) -> None:
    """Run every role in processes of their own; start again what dies, and stop all when told to."""
    configure(verbosity, process=SUPERVISOR, role=SUPERVISOR)
    stop = _stop_on_signals()
    health = Health(SUPERVISOR, SUPERVISOR)
    names = [("ingest", f"ingest-{number}") for number in range(settings.ingest.workers)] + [("jobs", "jobs")]
    children = [Child(name, role, _child, (role, name, settings, verbosity, os.getpid())) for role, name in names]
    supervisor = Supervisor(children, health)
    with counting_directory() as directory:
        # Inherited by the children, who count into files in there; see sinks.metrics.
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(directory)
        counted = MultiProcessCollector(CollectorRegistry(), str(directory))  # type: ignore[no-untyped-call]
        with Ops(settings, health, supervisor.standings, [counted], stop) as ops:
            log.info(
                "run.started", version=version("strandline"), processes=[c.name for c in children], ops=ops.address
            )
            supervisor.run(stop, ops.signs.ended)
    log.info("run.stopped")


def _child(role: str, name: str, settings: Settings, verbosity: str, parent: int, pipe: Pipe) -> None:
    configure(verbosity, process=name, role=role)
    stop = _stop_on_signals(repeated_seconds=_REPEATED_SECONDS)
    _die_with(parent)
    health = Health(name, role)
    report_to(pipe, health)
    try:
        ROLES[role](settings, health, stop)
    except StrandlineError as error:
        log.error("run.failed", why=str(error))  # noqa: TRY400 - what a person can mend needs no traceback
        sys.exit(error.exit_code)
    except Exception:
        log.exception("run.broken")
        sys.exit(1)


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


def _stop_on_signals(*, repeated_seconds: float = 0.0) -> Signal:
    """Return a signal that SIGTERM and SIGINT set; a second one ends the process at once.

    Within ``repeated_seconds`` it is the first one said again: Ctrl-C tells all processes of a terminal, and then the
    supervisor tells its children.
    """
    stop = Signal()
    second_from = 0.0

    def on_signal(number: int, _: FrameType | None) -> None:
        nonlocal second_from
        if not stop.is_set():
            second_from = time.monotonic() + repeated_seconds
            stop.set()
        elif time.monotonic() >= second_from:
            os._exit(128 + number)

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    return stop
