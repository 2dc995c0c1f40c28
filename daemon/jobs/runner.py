"""Runs the jobs, each on its own connection and in its own rhythm, for as long as the process lives."""

import time
from collections.abc import Callable
from threading import Event as Signal
from typing import Protocol

import psycopg
import structlog
from apscheduler.schedulers.background import BackgroundScheduler

from daemon.ops import occurrences
from daemon.ops.health import Health
from sinks import metrics
from sinks.database import Connection
from sinks.errors import DatabaseUnavailable, StrandlineError

__all__ = ["Job", "run"]

log = structlog.get_logger()

_BEAT_SECONDS = 1.0


class Job(Protocol):
    """A job that can be run at any time, any number of times, beside any number of others."""

    def run_once(self, connection: Connection) -> int:
        """Do what is due; return how much that was."""
        ...


class _Runner:
    """Runs one job; a fault is told, and the next run starts on a fresh connection."""

    def __init__(self, name: str, job: Job, connect: Callable[[], Connection], health: Health) -> None:
        self._name = name
        self._job = job
        self._connect = connect
        self._health = health
        self._connection: Connection | None = None
        metrics.JOB_FAILURES.labels(name)

    def __call__(self) -> None:
        began = time.monotonic()
        try:
            if self._connection is None or self._connection.closed:
                self._connection = self._connect()
            done = self._job.run_once(self._connection)
        except psycopg.errors.DiskFull as error:
            # The database does answer: other jobs, that have nothing to write, would say that it is back.
            occurrences.job_failed(self._health, self._name, error)
            self.close()
        except (DatabaseUnavailable, psycopg.OperationalError) as error:
            occurrences.service_unavailable(self._health, "database", str(error).strip())
            self.close()
        except (StrandlineError, psycopg.Error) as error:
            occurrences.job_failed(self._health, self._name, error)
            self.close()
        else:
            occurrences.service_back(self._health, "database")
            self._health.solved("job", of=self._name)
            occurrences.job_done(self._name, done, time.monotonic() - began)

    def close(self) -> None:
        """Give the connection back."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def run(jobs: dict[str, tuple[Job, float]], connect: Callable[[], Connection], stop: Signal, health: Health) -> None:
    """Run ``jobs``, given with their pause in seconds, until ``stop``; wait for those that are at work."""
    scheduler = BackgroundScheduler(
        job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
    )
    runners = {name: _Runner(name, job, connect, health) for name, (job, _) in jobs.items()}
    for name, (_, seconds) in jobs.items():
        scheduler.add_job(runners[name], "interval", seconds=seconds, id=name)
    scheduler.start()
    health.running()
    ahead = _wall_ahead()
    while not stop.wait(_BEAT_SECONDS):
        health.beat()
        before, ahead = ahead, _wall_ahead()
        if ahead < before - _BEAT_SECONDS:
            # It plans in wall time: after a clock was set back it would wait until that has caught up.
            log.warning("jobs.clock_set_back", seconds=round(before - ahead))
            for name, (_, seconds) in jobs.items():
                scheduler.reschedule_job(name, trigger="interval", seconds=seconds)
    scheduler.shutdown(wait=True)
    for runner in runners.values():
        runner.close()


def _wall_ahead() -> float:
    """Return how far the wall clock is ahead of the monotonic one; it changes only when a clock is set."""
    return time.time() - time.monotonic()
