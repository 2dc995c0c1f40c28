"""A running daemon as its operator sees it, sampled: memory, tables, lag, commits, `status` and /readyz."""

import json
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil
import psycopg
from prometheus_client.parser import text_string_to_metric_families

__all__ = ["Observer", "Sample", "Told"]

ROOT = Path(__file__).resolve().parent.parent
_STRANDLINE = [sys.executable, "-m", "daemon"]
_TABLES = (
    "SELECT relname, pg_table_size(oid), pg_indexes_size(oid) FROM pg_class"
    " WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY relname"
)
_CLOSED = 'SELECT cohort_id, "window", events FROM closed_window WHERE created_at >= to_timestamp(%s)'
_OVERLAP_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Told:
    """What `status` and /readyz say. ``code``: the exit code; ``problems``: their kinds."""

    code: int
    problems: tuple[str, ...]
    failing: tuple[str, ...]

    @property
    def well(self) -> bool:
        """Whether nobody says that anything is wrong."""
        return self.code == 0 and not self.failing


@dataclass(frozen=True, slots=True)
class Sample:
    """One moment. ``rss``: bytes by process; ``rows``, ``sizes``, ``indexes`` (bytes) by table, no database: none.

    ``commit_seconds``: the mean of the commits since the last sample.
    """

    at: float
    told: Told
    rss: dict[str, int]
    rows: dict[str, int] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    indexes: dict[str, int] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    commit_seconds: float = float("nan")

    def line(self) -> str:
        """Return it in one line."""
        rss = " ".join(f"{name} {size / 2**20:.1f}" for name, size in sorted(self.rss.items()))
        lag = sum(value for name, value in self.metrics.items() if "lag_records" in name)
        age = max((value for name, value in self.metrics.items() if "watermark_age" in name), default=float("nan"))
        size = (sum(self.sizes.values()) + sum(self.indexes.values())) / 2**20
        rows = " ".join(f"{name} {count}" for name, count in self.rows.items() if count > 1)
        told = "well" if self.told.well else f"code {self.told.code} {self.told.problems} {self.told.failing}"
        return (
            f"{self.at:7.0f} s  MB: {rss}, tables {size:.1f}; lag {lag:.0f}, watermark {age:.1f} s ago, "
            f"commit {self.commit_seconds * 1000:.0f} ms; {told}; {rows}"
        )


class Observer:
    """Asks one daemon. ``counted``: the events of every window that it saw closed: rows are deleted meanwhile."""

    def __init__(self, process: subprocess.Popen[bytes], config: Path, database: str, port: int) -> None:
        self._process = process
        self._config = config
        self._database = database
        self._address = f"http://127.0.0.1:{port}"
        self._began = time.monotonic()
        self._names: dict[int, str] = {}
        self._commits = (0.0, 0.0)
        self._seen_until = 0.0
        self.counted: dict[tuple[int, int], int] = {}

    @property
    def seconds(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self._began

    def told(self) -> Told:
        """Ask `status` and /readyz."""
        command = [*_STRANDLINE, "--config", str(self._config), "status", "--json"]
        answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603
        problems = json.loads(answer.stdout)["problems"] if answer.stdout.startswith("{") else []
        return Told(answer.returncode, tuple(each["kind"] for each in problems), self._failing())

    def sample(self) -> Sample:
        """Return this moment; a service that is away leaves its part empty."""
        at, told, metrics = self.seconds, self.told(), self.metrics()
        commits = (
            metrics.get("strandline_commit_duration_seconds_sum", 0.0),
            metrics.get("strandline_commit_duration_seconds_count", 0.0),
        )
        number = commits[1] - self._commits[1]
        mean = (commits[0] - self._commits[0]) / number if number else float("nan")
        self._commits = commits
        try:
            with psycopg.connect(self._database, connect_timeout=3) as connection:
                rows, sizes, indexes = self._tables(connection)
        except psycopg.OperationalError:
            rows, sizes, indexes = {}, {}, {}
        return Sample(at, told, self._rss(), rows, sizes, indexes, metrics, mean)

    def metrics(self) -> dict[str, float]:
        """Return every figure of /metrics by its name and labels; none if it does not answer."""
        try:
            text = httpx.get(f"{self._address}/metrics", timeout=20, trust_env=False).text
        except httpx.HTTPError:
            return {}
        return {
            "".join([each.name, *(f" {value}" for value in each.labels.values())]): each.value
            for family in text_string_to_metric_families(text)
            for each in family.samples
        }

    def total(self) -> int:
        """Return the events counted on time, in closed windows and in those that are still open."""
        with psycopg.connect(self._database) as connection:
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            self._tables(connection)
            (open_events,) = connection.execute("SELECT coalesce(sum(events), 0)::bigint FROM part").fetchone() or (0,)
        return sum(self.counted.values()) + int(open_events)

    def _failing(self) -> tuple[str, ...]:
        try:
            answer = httpx.get(f"{self._address}/readyz", timeout=20, trust_env=False)
        except httpx.HTTPError:
            return ("no answer",)
        if answer.is_success:
            return ()
        return tuple(sorted({str(json.loads(line)["check"]) for line in answer.text.splitlines()}))

    def _rss(self) -> dict[str, int]:
        supervisor = psutil.Process(self._process.pid)
        found = {"supervisor": supervisor.memory_info().rss}
        for child in supervisor.children():
            if child.pid in self._names:
                found[self._names[child.pid]] = child.memory_info().rss
        return found

    def _tables(self, connection: psycopg.Connection) -> tuple[dict[str, int], dict[str, int], dict[str, int]]:
        self._names |= dict(connection.execute("SELECT pid, name FROM process").fetchall())
        now = time.time()
        for cohort, window, events in connection.execute(_CLOSED, [self._seen_until]):
            self.counted[cohort, window] = events
        # A row's time is its transaction's beginning, which may lie before the last look.
        self._seen_until = now - _OVERLAP_SECONDS
        found = connection.execute(_TABLES).fetchall()
        rows = {}
        for name, *_ in found:
            (count,) = connection.execute(f'SELECT count(*) FROM "{name}"').fetchone() or (0,)  # noqa: S608
            rows[name] = int(count)
        return rows, {name: size for name, size, _ in found}, {name: size for name, _, size in found}
