"""Runs the jobs, each on its own connection and in its own rhythm, for as long as the process lives."""

import time
from collections.abc import Callable
from threading import Event as Signal
from typing import Protocol

import psycopg
import structlog
from apscheduler.schedulers.background import BackgroundScheduler

from sinks.database import Connection
from sinks.errors import StrandlineError

__all__ = ["Job", "run"]

log = structlog.get_logger()

_PAUSE_SECONDS = 10.0
"""A job that keeps failing says so again after this long."""


class Job(Protocol):
    """A job that can be run at any time, any number of times, beside any number of others."""

    def run_once(self, connection: Connection) -> int:
        """Do what is due; return how much that was."""
        ...


class _Runner:
    """Runs one job; a fault is logged, and the next run starts on a fresh connection."""

    def __init__(self, name: str, job: Job, connect: Callable[[], Connection]) -> None:
        self._name = name
        self._job = job
        self._connect = connect
        self._connection: Connection | None = None
        self._told = -_PAUSE_SECONDS

    def __call__(self) -> None:
        try:
            if self._connection is None or self._connection.closed:
                self._connection = self._connect()
            done = self._job.run_once(self._connection)
        except (StrandlineError, psycopg.Error) as error:
            now = time.monotonic()
            if now - self._told >= _PAUSE_SECONDS:
                self._told = now
                log.warning("job.failed", job=self._name, error=str(error).strip(), kind=type(error).__name__)
            self.close()
        else:
            if done:
                log.debug("job.done", job=self._name, done=done)

    def close(self) -> None:
        """Give the connection back."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def run(jobs: dict[str, tuple[Job, float]], connect: Callable[[], Connection], stop: Signal) -> None:
    """Run ``jobs``, given with their pause in seconds, until ``stop``; wait for those that are at work."""
    scheduler = BackgroundScheduler(
        job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
    )
    runners = {name: _Runner(name, job, connect) for name, (job, _) in jobs.items()}
    for name, (_, seconds) in jobs.items():
        scheduler.add_job(runners[name], "interval", seconds=seconds, id=name)
    scheduler.start()
    stop.wait()
    scheduler.shutdown(wait=True)
    for runner in runners.values():
        runner.close()
