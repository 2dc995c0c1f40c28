"""Candidates for labelling: those not decided yet, and the decisions, each made once under the model's lock."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

from detectors.columns import UNIT
from detectors.selection import SelectionBlock
from detectors.summary import Summary
from sinks.database import Connection
from sinks.effects import NEVER_SEEN
from sinks.statements import statement
from sinks.windows import Layouts, uncompress

__all__ = [
    "NEVER_SEEN",
    "Candidate",
    "ClosedTraffic",
    "Decision",
    "ModelRow",
    "day_of",
    "decide",
    "lock_model",
    "models",
    "newly_closed",
    "queued",
    "undecided",
]

_MICROSECONDS = 1_000_000


@dataclass(frozen=True, slots=True)
class ModelRow:
    """A registered model, and whether candidates of it wait for a decision."""

    name: str
    window_seconds: int
    waiting: bool


@dataclass(frozen=True, slots=True)
class Candidate:
    """What a decision is made from. ``nominated`` (π₁) and ``wanted`` (π) are None where no draw was made."""

    id: int
    event_time_us: int
    window: int
    reason: str
    nominated: float | None
    wanted: float | None
    draw: float

    @property
    def day(self) -> date:
        """The day of the event: the one whose budget it takes from."""
        return day_of(self.event_time_us)


@dataclass(frozen=True, slots=True)
class Decision:
    """What became of a candidate. ``selected``: π₂; ``propensity``: π, None where it says nothing."""

    candidate: Candidate
    queued: bool
    selected: float
    propensity: float | None
    urgent: bool


@dataclass(frozen=True, slots=True)
class ClosedTraffic:
    """A closed window's events in the whole model, and the sum of their selection weights."""

    cohort_id: int
    window: int
    events: int
    weight: float


def day_of(time_us: int) -> date:
    """Return the day (UTC) of a time in microseconds since 1970."""
    return datetime.fromtimestamp(time_us // _MICROSECONDS, UTC).date()


def models(connection: Connection) -> list[ModelRow]:
    """Return every registered model."""
    return [ModelRow(*row) for row in connection.execute(statement("candidates", "models"))]


def lock_model(connection: Connection, model: str) -> bool:
    """Lock the model's row until this transaction ends; False, at once, if another one holds it."""
    return connection.execute(statement("candidates", "lock_model"), [model]).fetchone() is not None


def undecided(connection: Connection, model: str, limit: int) -> list[Candidate]:
    """Return the first candidates without a decision, in their order. Call it under the model's lock."""
    return [Candidate(*row) for row in connection.execute(statement("candidates", "undecided"), [model, limit])]


def queued(connection: Connection, model: str, days: Iterable[date]) -> dict[date, int]:
    """Return how many events of each of ``days`` were queued so far, whatever became of them."""
    wanted = sorted(set(days))
    counted = dict.fromkeys(wanted, 0)
    counted.update((row[0], row[1]) for row in connection.execute(statement("candidates", "queued"), [model, wanted]))
    return counted


def decide(connection: Connection, decisions: Sequence[Decision]) -> int:
    """Record decisions and queue what was selected; return how many were. Call it under the model's lock."""
    cursor = connection.execute(
        statement("candidates", "decide"),
        {
            "ids": [decision.candidate.id for decision in decisions],
            "decisions": ["queued" if decision.queued else "passed" for decision in decisions],
            "selected": [decision.selected for decision in decisions],
            "propensities": [decision.propensity for decision in decisions],
            "urgent": [decision.urgent for decision in decisions],
            "days": [decision.candidate.day for decision in decisions],
        },
    )
    return cursor.rowcount


def newly_closed(
    connection: Connection, layouts: Layouts, model: str, *, known: Mapping[int, int], after: int
) -> list[ClosedTraffic]:
    """Return the model's windows later than ``after`` and than the last one ``known`` of their cohort."""
    rows = connection.execute(
        statement("candidates", "newly_closed"),
        {"model": model, "cohorts": list(known), "windows": list(known.values()), "after": after},
    ).fetchall()
    return [
        _traffic(cohort_id, window, Summary.from_bytes(layouts[layout_id], uncompress(body)))
        for cohort_id, window, layout_id, body in rows
    ]


def _traffic(cohort_id: int, window: int, summary: Summary) -> ClosedTraffic:
    weight = int(summary.total(SelectionBlock.kind, "weight")[0]) / UNIT
    return ClosedTraffic(cohort_id, window, int(summary.events[0]), weight)
