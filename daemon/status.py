"""How the daemon is doing, read from its database: what `strandline status` shows."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

from daemon.settings import MICROSECONDS, Settings
from sinks.database import Connection
from sinks.statements import statement

__all__ = ["Status", "collect"]


@dataclass(slots=True)
class Status:
    """Figures for programs, the same as lines for people, and what needs a look."""

    figures: dict[str, object] = field(default_factory=dict)
    lines: list[tuple[str, str]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def add(self, name: str, words: object, **figures: object) -> None:
        """Add a line, and what of it is a figure."""
        self.lines.append((name, str(words)))
        self.figures.update(figures)

    def as_dict(self) -> dict[str, object]:
        """Return all of it, for JSON."""
        return {"well": not self.problems, **self.figures, "problems": self.problems}


def collect(connection: Connection, settings: Settings) -> Status:
    """Return the status as the database tells it."""
    found = Status()
    topics = list(settings.kafka.topics)
    _partitions(connection, topics, found)
    _processes(connection, found)
    _findings(connection, found)
    letters: list[tuple[str, int]] = connection.execute(statement("status", "dead_letters")).fetchall()
    words = ", ".join(f"{count:,} {reason}" for reason, count in letters) or "none"
    found.add("dead letters", words, dead_letters=dict(letters))
    queue: list[tuple[str, int]] = connection.execute(statement("status", "queue")).fetchall()
    words = ", ".join(f"{count:,} {state}" for state, count in queue) or "empty"
    found.add("queue", words, queue=dict(queue))
    stuck = connection.execute(statement("status", "outbox")).fetchone()
    if stuck is not None and stuck[0]:
        found.problems.append(f"{stuck[0]} notifications wait for another try ({stuck[1]} so far): {stuck[2]}")
    return found


def _findings(connection: Connection, found: Status) -> None:
    models = connection.execute(statement("status", "cohorts")).fetchone()
    windows = connection.execute(statement("status", "windows")).fetchone()
    incidents = connection.execute(statement("status", "incidents")).fetchone()
    if models is None or windows is None or incidents is None:
        return
    found.add("models", f"{models[0]} ({models[1]} versions)", models=models[0], versions=models[1])
    closed, events = windows[0], int(windows[1])
    found.add("closed windows", f"{closed:,} with {events:,} events", closed_windows=closed, closed_events=events)
    found.add("firing incidents", incidents[0], firing_incidents=incidents[0])
    if incidents[0]:
        found.problems.append(f"firing incidents: {incidents[0]}; see `strandline alerts list`")


def _processes(connection: Connection, found: Status) -> None:
    row = connection.execute(statement("status", "processes")).fetchone()
    ingest, jobs = row or (0, 0)
    found.add("connected", f"{ingest} ingest, {jobs} jobs", ingest_processes=ingest, jobs_processes=jobs)
    if not ingest:
        found.problems.append("no ingest process is connected, nothing is read: is `strandline run` running?")
    if not jobs:
        found.problems.append("no jobs process is connected, no window closes: is `strandline run` running?")


def _partitions(connection: Connection, topics: list[str], found: Status) -> None:
    row = connection.execute(statement("status", "partitions"), [topics]).fetchone()
    if row is None or not row[0]:
        found.add("partitions", "none yet", partitions=0)
        found.problems.append(f"nothing was ever read from {', '.join(topics)}: is `strandline run` running?")
        return
    total, stopped, unowned, low, high, updated = row
    found.add(
        "partitions",
        f"{total}, {stopped} stopped, {unowned} without a worker",
        partitions=total,
        stopped_partitions=stopped,
        partitions_without_worker=unowned,
    )
    if high is not None:
        behind = 0.0 if low is None else (high - low) / MICROSECONDS
        newest = datetime.fromtimestamp(high / MICROSECONDS, tz=UTC).isoformat(timespec="seconds")
        words = f"{newest}, the slowest partition is {behind:.0f} s behind the fastest"
        found.add("newest event", words, newest_event=newest, partition_spread_seconds=behind)
    last = updated.isoformat(timespec="seconds")
    found.add("last commit", last, last_commit=last)
    if unowned:
        found.problems.append(f"{unowned} partitions have no worker: is `strandline run` running?")
    for topic, number, reason in connection.execute(statement("status", "stopped"), [topics]):
        found.problems.append(f"{topic}/{number} is stopped: {reason}")
