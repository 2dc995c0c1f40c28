"""How the daemon is doing, read from its database: what `strandline status` shows."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

from daemon.settings import MICROSECONDS, Settings
from sinks.database import Connection
from sinks.statements import statement

__all__ = ["Status", "collect"]


@dataclass(slots=True)
class Status:
    """Figures for people, and what needs a look."""

    figures: dict[str, object] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def lines(self) -> list[tuple[str, str]]:
        """Return (name, value) lines."""
        return [(name.replace("_", " "), str(value)) for name, value in self.figures.items()]

    def as_dict(self) -> dict[str, object]:
        """Return all of it, for JSON."""
        return {**self.figures, "problems": self.problems, "well": not self.problems}


def collect(connection: Connection, settings: Settings) -> Status:
    """Return the status as the database tells it."""
    found = Status()
    topics = list(settings.kafka.topics)
    _partitions(connection, topics, found)
    _processes(connection, found)
    models = connection.execute(statement("status", "cohorts")).fetchone()
    windows = connection.execute(statement("status", "windows")).fetchone()
    incidents = connection.execute(statement("status", "incidents")).fetchone()
    if models is not None and windows is not None and incidents is not None:
        found.figures["models"] = f"{models[0]} ({models[1]} versions)"
        found.figures["closed_windows"] = f"{windows[0]:,} with {windows[1]:,} events"
        found.figures["firing_incidents"] = incidents[0]
        if incidents[0]:
            found.problems.append(f"{incidents[0]} incidents are firing: see `strandline alerts list`")
    letters = connection.execute(statement("status", "dead_letters")).fetchall()
    found.figures["dead_letters"] = ", ".join(f"{count:,} {reason}" for reason, count in letters) or "none"
    queue = connection.execute(statement("status", "queue")).fetchall()
    found.figures["queue"] = ", ".join(f"{count:,} {state}" for state, count in queue) or "empty"
    stuck = connection.execute(statement("status", "outbox")).fetchone()
    if stuck is not None and stuck[0]:
        found.problems.append(f"{stuck[0]} notifications wait for another try ({stuck[1]} so far): {stuck[2]}")
    return found


def _processes(connection: Connection, found: Status) -> None:
    row = connection.execute(statement("status", "processes")).fetchone()
    ingest, jobs = row or (0, 0)
    found.figures["connected"] = f"{ingest} ingest, {jobs} jobs"
    if not ingest:
        found.problems.append("no ingest process is connected, nothing is read: is `strandline run` running?")
    if not jobs:
        found.problems.append("no jobs process is connected, no window closes: is `strandline run` running?")


def _partitions(connection: Connection, topics: list[str], found: Status) -> None:
    row = connection.execute(statement("status", "partitions"), [topics]).fetchone()
    if row is None or not row[0]:
        found.figures["partitions"] = "none yet"
        found.problems.append(f"nothing was ever read from {', '.join(topics)}: is `strandline run` running?")
        return
    total, stopped, unowned, low, high, updated = row
    found.figures["partitions"] = f"{total}, {stopped} stopped, {unowned} without a worker"
    if high is not None:
        behind = 0 if low is None else (high - low) / MICROSECONDS
        newest = datetime.fromtimestamp(high / MICROSECONDS, tz=UTC).isoformat(timespec="seconds")
        found.figures["newest_event"] = f"{newest}, slowest partition {behind:.0f} s behind it"
    found.figures["last_commit"] = updated.isoformat(timespec="seconds")
    if unowned:
        found.problems.append(f"{unowned} partitions have no worker: is `strandline run` running?")
    for topic, number, reason in connection.execute(statement("status", "stopped"), [topics]):
        found.problems.append(f"{topic}/{number} is stopped: {reason}")
