"""What ``/metrics`` answers: what all processes count, what the database knows, and how the processes stand."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.metadata import version
from threading import Lock, Thread

import psycopg
import structlog
from prometheus_client import CollectorRegistry, Metric
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from daemon.ops.standing import Standing
from sinks import figures
from sinks.database import connect
from sinks.errors import StrandlineError
from sinks.figures import Figures
from sinks.metrics import READ

__all__ = ["DatabaseFigures", "registry"]

log = structlog.get_logger()

_FRESH_SECONDS = 5.0
_WAIT_SECONDS = 3.0
_STATEMENT_TIMEOUT = "3s"


class DatabaseFigures:
    """The figures of the database, read when asked for, at most every few seconds.

    A database that does not answer costs each who asks a few seconds, and no more.
    """

    def __init__(self, url: str, topics: Sequence[str]) -> None:
        self._url = url
        self._topics = topics
        self._lock = Lock()
        self._thread: Thread | None = None
        self._found: Figures = {}
        self._at = -_FRESH_SECONDS

    def get(self) -> Figures:
        """Return the figures; none if they could not be read in time."""
        with self._lock:
            if self._fresh():
                return self._found
            if self._thread is None or not self._thread.is_alive():
                self._thread = Thread(target=self._read, name="figures", daemon=True)
                self._thread.start()
            self._thread.join(_WAIT_SECONDS)
            return self._found if self._fresh() else {}

    def _fresh(self) -> bool:
        return time.monotonic() - self._at < _FRESH_SECONDS

    def _read(self) -> None:
        try:
            with connect(self._url, name="metrics") as connection:
                connection.execute(f"SET statement_timeout = '{_STATEMENT_TIMEOUT}'")
                found = figures.read(connection, self._topics)
        except (StrandlineError, psycopg.Error) as error:
            log.debug("ops.no_figures", why=str(error).strip())
            found = {}
        self._found, self._at = found, time.monotonic()


class _Read(Collector):
    """Metrics that are read when they are asked for."""

    def __init__(
        self, database: DatabaseFigures, standings: Callable[[], Iterable[Standing]], ready: Callable[[], bool]
    ) -> None:
        self._database = database
        self._standings = standings
        self._ready = ready

    def collect(self) -> Iterator[Metric]:
        found = self._database.get()
        standings = list(self._standings())
        own: Figures = {
            "build_info": {(version("strandline"),): 1.0},
            "ready": {(): float(self._ready())},
            "process_up": {(each.name,): float(each.up) for each in standings},
            "process_restarts": {(each.name,): float(each.restarts) for each in standings},
            "database_up": {(): float(bool(found))},
        }
        for key, values in {**own, **found}.items():
            read = READ[key]
            family = (CounterMetricFamily if read.type == "counter" else GaugeMetricFamily)(
                read.name, read.text, labels=read.labels
            )
            for labels, value in values.items():
                family.add_metric(labels, value)
            yield family


def registry(
    counted: Iterable[Collector],
    database: DatabaseFigures,
    standings: Callable[[], Iterable[Standing]],
    ready: Callable[[], bool],
) -> CollectorRegistry:
    """Return all that is told; ``counted``: what the processes count."""
    whole = CollectorRegistry()
    for each in counted:
        whole.register(each)
    whole.register(_Read(database, standings, ready))
    return whole
