"""Signs of life in the database, of this process and those it keeps; and whether the database can be reached at all."""

import socket
import time
from collections import deque
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from threading import Event as Signal
from threading import Thread

import psycopg
import structlog

from daemon.ops.health import Report
from daemon.ops.standing import Failing
from sinks.database import Connection, check_version, connect
from sinks.errors import DatabaseUnavailable, WrongDatabaseVersion
from sinks.processes import Problem, Sign, beat

__all__ = ["Signs"]

log = structlog.get_logger()

_PAUSE_SECONDS = 3.0
_SILENT_SECONDS = 15.0
_STATEMENT_TIMEOUT = "5s"
_CHECK_EVERY = 20
_ENDED_KEPT = 100
_LEAVE_SECONDS = 2.0


class Signs:
    """Writes signs of life every few seconds on a thread of its own.

    Parameters
    ----------
    url
        The database.
    reports
        What there is to write.
    """

    def __init__(self, url: str, reports: Callable[[], Iterable[Report]]) -> None:
        self._url = url
        self._reports = reports
        self._ended: deque[Report] = deque(maxlen=_ENDED_KEPT)
        self._problem: Problem | None = Problem("database", "it was not reached yet", datetime.now(UTC))
        self._answered = time.monotonic()
        self._connection: Connection | None = None
        self._beats = 0
        self._stop = Signal()
        self._thread = Thread(target=self._run, name="signs", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Write the last signs, and end."""
        self._stop.set()
        self._thread.join(_LEAVE_SECONDS)

    def ended(self, report: Report) -> None:
        """Note a process that is no more, so that nobody takes it for lost."""
        self._ended.append(report)

    def failing(self) -> list[Failing]:
        """Return what is wrong with the database, if anything."""
        problem, silent = self._problem, time.monotonic() - self._answered
        if problem is None and silent > _SILENT_SECONDS:
            since = datetime.fromtimestamp(time.time() - silent, UTC)
            problem = Problem("database", f"no answer for {silent:.0f} s", since)
        return [] if problem is None else [Failing(problem.kind, "", problem.detail, problem.since)]

    def _run(self) -> None:
        while True:
            last = self._stop.wait(0 if self._connection is None and not self._beats else _PAUSE_SECONDS)
            self._beats += 1
            try:
                self._beat()
            except WrongDatabaseVersion as error:
                self._note("schema", str(error))
            except (DatabaseUnavailable, psycopg.Error) as error:
                self._note("database", str(error).strip())
            else:
                self._answered = time.monotonic()
                self._problem = None
            if last:
                self._close()
                return

    def _beat(self) -> None:
        if self._connection is None:
            self._connection = connect(self._url, name="ops")
            self._connection.execute(f"SET statement_timeout = '{_STATEMENT_TIMEOUT}'")
            check_version(self._connection)
        elif self._beats % _CHECK_EVERY == 0:
            check_version(self._connection)
        ended = len(self._ended)
        signs = {each.pid: _sign(each) for each in [*list(self._ended)[:ended], *self._reports()]}
        beat(self._connection, socket.gethostname(), list(signs.values()))
        for _ in range(ended):
            self._ended.popleft()

    def _note(self, kind: str, detail: str) -> None:
        since = datetime.now(UTC) if self._problem is None else self._problem.since
        self._problem = Problem(kind, detail, since)
        self._close()

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _sign(report: Report) -> Sign:
    return Sign(report.pid, report.name, report.role, report.state, report.problems, report.started_at)
