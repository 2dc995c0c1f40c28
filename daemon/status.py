"""How the daemon is doing, read from its database: what `strandline status` shows."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

from daemon.ops.advice import advice
from daemon.settings import MICROSECONDS, DetectionSettings, Settings
from detectors import growth
from detectors.layout import Layout
from sinks.database import Connection
from sinks.processes import Process, list_processes
from sinks.statements import statement

__all__ = ["Finding", "Status", "collect"]

_BEHIND_SECONDS = 600
_NAMES_SHOWN = 3
_NEEDED = {"ingest": "nothing is read", "jobs": "no window closes"}


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that needs a look. What to do follows from its kind, a key of daemon.ops.advice."""

    kind: str
    text: str
    since: datetime | None = None

    def as_dict(self) -> dict[str, object]:
        """Return it, for JSON."""
        since = None if self.since is None else self.since.isoformat(timespec="seconds")
        return {"kind": self.kind, "problem": self.text, "since": since, "do": advice(self.kind)}


@dataclass(slots=True)
class Status:
    """Figures for programs, the same as lines for people, and what needs a look."""

    figures: dict[str, object] = field(default_factory=dict)
    lines: list[tuple[str, str]] = field(default_factory=list)
    problems: list[Finding] = field(default_factory=list)

    def add(self, name: str, words: object, **figures: object) -> None:
        """Add a line, and what of it is a figure."""
        self.lines.append((name, str(words)))
        self.figures.update(figures)

    def find(self, kind: str, text: str, since: datetime | None = None) -> None:
        """Add what needs a look."""
        self.problems.append(Finding(kind, text, since))

    def as_dict(self) -> dict[str, object]:
        """Return all of it, for JSON."""
        return {"well": not self.problems, **self.figures, "problems": [each.as_dict() for each in self.problems]}


@dataclass(frozen=True, slots=True)
class _Partition:
    topic: str
    number: int
    stopped: str | None
    unowned: bool
    high_us: int | None
    lag: int | None
    updated_at: datetime
    now: float

    @property
    def age(self) -> float:
        """Seconds from its greatest event time until now."""
        return 0.0 if self.high_us is None else self.now - self.high_us / MICROSECONDS


def collect(connection: Connection, settings: Settings) -> Status:
    """Return the status as the database tells it."""
    found = Status()
    _processes(connection, found)
    _partitions(connection, list(settings.kafka.topics), found)
    versions = _models(connection, found)
    letters: list[tuple[str, int]] = connection.execute(statement("status", "dead_letters")).fetchall()
    words = ", ".join(f"{count:,} {reason}" for reason, count in letters) or "none"
    found.add("dead letters", words, dead_letters=dict(letters))
    _caps(connection, settings.detection, versions, dict(letters).get("too_many_models", 0), found)
    queue: list[tuple[str, int]] = connection.execute(statement("status", "queue")).fetchall()
    words = ", ".join(f"{count:,} {state}" for state, count in queue) or "empty"
    found.add("queue", words, queue=dict(queue))
    _outbox(connection, found)
    return found


def _processes(connection: Connection, found: Status) -> None:
    processes = list_processes(connection)
    alive = [each for each in processes if each.alive]
    counts = {role: sum(each.role == role for each in alive) for role in _NEEDED}
    words = ", ".join(f"{count} {role}" for role, count in counts.items())
    found.add("processes", words, **{f"{role}_processes": count for role, count in counts.items()})
    for role, consequence in _NEEDED.items():
        if not counts[role]:
            seen = max((each.seen_at for each in processes if each.role == role), default=None)
            found.find("run", f"no {role} process runs: {consequence}", seen)
    for lost in processes:
        if not lost.alive and counts.get(lost.role) and not _replaced(lost, alive):
            found.find("process", f"{lost.name} on {lost.host} is not heard of any more", lost.seen_at)
    for each in alive:
        for problem in each.problems:
            found.find(
                problem.kind, f"{each.name} on {each.host}: {_words(problem.kind, problem.detail)}", problem.since
            )


def _replaced(lost: Process, alive: list[Process]) -> bool:
    return any(each.role == lost.role and each.started_at > lost.seen_at for each in alive)


def _words(kind: str, detail: str) -> str:
    services = {"kafka": "Kafka does not answer", "database": "the database does not answer"}
    return f"{services[kind]} ({detail})" if kind in services else detail


def _partitions(connection: Connection, topics: list[str], found: Status) -> None:
    rows = connection.execute(statement("status", "partitions"), [topics]).fetchall()
    partitions = [_Partition(*row) for row in rows]
    if not partitions:
        found.add("partitions", "none yet", partitions=0)
        found.find("run", f"nothing was ever read from {', '.join(topics)}")
        return
    reading = [each for each in partitions if each.stopped is None]
    unowned = sum(each.unowned for each in reading)
    lag = sum(each.lag or 0 for each in reading)
    found.add(
        "partitions",
        f"{len(partitions)}, {len(partitions) - len(reading)} stopped, {unowned} without a worker",
        partitions=len(partitions),
        stopped_partitions=len(partitions) - len(reading),
        partitions_without_worker=unowned,
    )
    last = max(each.updated_at for each in partitions).isoformat(timespec="seconds")
    found.add("reading", f"{lag:,} records behind, last commit {last}", lag_records=lag, last_commit=last)
    if unowned:
        found.find("unowned", f"{unowned} partitions have no worker")
    for each in partitions:
        if each.stopped is not None:
            found.find("partition", f"{each.topic}/{each.number} is stopped: {each.stopped}", each.updated_at)
    _event_time(reading, lag, found)


def _event_time(reading: list[_Partition], lag: int, found: Status) -> None:
    # By the time alone: partitions have no order, and two may be equally far.
    known = sorted(((each.high_us, each) for each in reading if each.high_us is not None), key=lambda moment: moment[0])
    if not known:
        return
    slowest, spread = known[0][1], (known[-1][0] - known[0][0]) / MICROSECONDS
    reached = datetime.fromtimestamp(known[-1][0] / MICROSECONDS, tz=UTC).isoformat(timespec="seconds")
    words = f"{reached}, the slowest partition is {spread:.0f} s behind the fastest"
    found.add("event time", words, event_time=reached, partition_spread_seconds=spread)
    if lag and slowest.age > _BEHIND_SECONDS:
        found.find(
            "behind", f"{lag:,} records wait in Kafka, and events are read {slowest.age:,.0f} s after their time"
        )
    elif spread > _BEHIND_SECONDS:
        text = f"{slowest.topic}/{slowest.number} is {spread:,.0f} s behind the others and holds back the windows"
        found.find("spread", text)


def _models(connection: Connection, found: Status) -> int:
    """Tell of the models; return how many versions there are of all of them."""
    models = connection.execute(statement("status", "cohorts")).fetchone()
    windows = connection.execute(statement("status", "windows")).fetchone()
    incidents = connection.execute(statement("status", "incidents")).fetchone()
    if models is None or windows is None or incidents is None:
        return 0
    names, versions, learning = models
    words = f"{names} ({versions} versions)" + (f", {learning} still learn their reference" if learning else "")
    found.add("models", words, models=names, versions=versions, learning=learning)
    closed, events = windows[0], int(windows[1])
    words = f"{closed:,} with {events:,} events in the last 24 hours"
    found.add("closed windows", words, closed_windows=closed, closed_events=events)
    found.add("firing incidents", incidents[0], firing_incidents=incidents[0])
    if incidents[0]:
        found.find("incident", f"firing incidents: {incidents[0]}")
    return int(versions)


def _caps(connection: Connection, detection: DetectionSettings, versions: int, refused: int, found: Status) -> None:
    """Tell which models met more than is told apart, and whether further models are refused."""
    reached: dict[str, set[str]] = {}
    for model, body in connection.execute(statement("status", "layouts")):
        for cap in growth.reached(Layout.from_json(body.decode()), **detection.layout_caps):
            reached.setdefault(cap, set()).add(model)
    found.figures["caps_reached"] = {cap: sorted(models) for cap, models in sorted(reached.items())}
    if reached:
        words = (f"{cap} by {_some(sorted(models))}" for cap, models in sorted(reached.items()))
        found.add("caps reached", f"{'; '.join(words)}: what is beyond is counted as other")
    if refused and versions >= detection.models_cap:
        text = f"models_cap = {detection.models_cap:,} is reached: {refused:,} events of further models and versions"
        found.find("models_cap", f"{text} are dead letters")


def _some(names: list[str]) -> str:
    more = len(names) - _NAMES_SHOWN
    return ", ".join(names[:_NAMES_SHOWN]) + (f" and {more:,} more" if more > 0 else "")


def _outbox(connection: Connection, found: Status) -> None:
    row = connection.execute(statement("status", "outbox")).fetchone()
    if row is None:
        return
    waiting, failed, attempts, error, oldest, stuck = row
    found.add("notifications", f"{waiting:,} wait" if waiting else "all delivered", notifications_waiting=waiting)
    if failed and error:
        found.find("outbox", f"{failed} notifications wait for another try ({attempts} so far): {error}", oldest)
    elif stuck:
        found.find("outbox", f"{waiting} notifications wait and are not sent", oldest)
