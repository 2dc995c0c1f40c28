"""The interface of a monitor, and what all monitors share: their nulls under a reference.

A monitor asks questions about a window's events. Each question, in one direction, is a **component**: "has
the mean of x in [0, 1] risen above b?", x being the value asked for, or 1 − itself to look for a fall.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from detectors.bets import UNIT_ERROR, Moments
from detectors.layout import Layout
from detectors.tolerance import REFERENCE_ERROR, Variation

if TYPE_CHECKING:
    from detectors.reference import Reference
    from detectors.summary import Summary

__all__ = [
    "MINIMUM_EVENTS",
    "Monitor",
    "Nulls",
    "Questions",
    "log_error_of",
    "means",
    "nulls",
    "observe",
    "questions_of",
    "readable",
    "rows_of",
    "watches",
]

MINIMUM_EVENTS = 1000
"""A segment with fewer events in the reference is compared with the whole model's."""
_TAGS = "tags."


@dataclass(frozen=True, slots=True, eq=False)
class Questions:
    """The components of a monitor: their ``names`` for people, and which look for a fall [components].

    ``fields``: the field each is about; empty where they are not about fields. ``whole_only``: they are asked of the
    whole model, and not of its segments.
    """

    names: tuple[str, ...]
    falling: NDArray[np.bool_]
    fields: tuple[str, ...] = ()
    whole_only: bool = False

    def rows(self, segments: int) -> int:
        """Return of how many of the segments they are asked: the whole model is the first."""
        return min(1, segments) if self.whole_only else segments


class Monitor(Protocol):
    """A family of questions about one block of counts. Stateless."""

    name: ClassVar[str]
    unit: ClassVar[str]
    kinds: ClassVar[tuple[str, ...]]
    """The kinds of blocks it reads; where a layout has none of them there is nothing to watch."""
    exact: ClassVar[bool]
    """Whether the values are zeros and ones."""
    floor: ClassVar[float]
    """The difference that is too small to matter, in its unit, unless a person says another."""

    def __hash__(self) -> int: ...

    def questions(self, reference: Layout) -> Questions:
        """Return the components; they depend on the layout of the reference alone."""
        ...

    def moments(self, summary: "Summary", reference: Layout) -> Moments:
        """Return the moments of the values asked for, not of 1 − them, [segments of the summary, components].

        The summary's layout is the reference's, or a later one with labels and segments appended.
        """
        ...

    def bounds(
        self, reference: Moments, varied: Variation, falling: NDArray[np.bool_], log_error: float, floor: float
    ) -> NDArray[np.float64]:
        """Return b [segments, components] from the reference's moments, in which falls are turned round.

        ``log_error``: −ln of the probability with which a bound may be wrong by the reference's own error.
        ``floor``: the least tolerance; its own, or what a person has set.
        """
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Nulls:
    """What is tested: the means of x, ``mean`` in the reference, are by hypothesis at most ``bound``.

    [segments, components]. Where there is nothing to compare with, ``mean`` is NaN and ``bound`` 1.
    """

    mean: NDArray[np.float64]
    bound: NDArray[np.float64]


@lru_cache(maxsize=1024)
def questions_of(monitor: Monitor, reference: Layout) -> Questions:
    """Return the components of ``monitor`` under the layout of a reference; none where it has nothing to read."""
    if not any(spec.kind in monitor.kinds for spec in reference.blocks):
        return Questions((), np.zeros(0, dtype=np.bool_))
    return monitor.questions(reference)


def watches(monitor: Monitor, layout: Layout) -> bool:
    """Return whether ``layout`` counts what ``monitor`` reads."""
    return bool(questions_of(monitor, layout).names)


@lru_cache(maxsize=1024)
def readable(monitor: Monitor, layout: Layout, reference: Layout) -> bool:
    """Return whether windows counted under ``layout`` can be compared with ``reference``: same fields, same cells."""
    blocks = {(spec.kind, spec.field): spec for spec in layout.blocks}
    if not watches(monitor, layout):
        return False
    for spec in reference.blocks:
        found = blocks.get((spec.kind, spec.field))
        if (spec.field or spec.pairs) and spec.kind in monitor.kinds and found != spec:
            return False
    return True


def observe(monitor: Monitor, summary: "Summary", reference: Layout) -> Moments:
    """Return the moments of x: those of the monitor's values, turned round where a fall is looked for."""
    falling = questions_of(monitor, reference).falling
    rounding = 0.0 if monitor.exact else UNIT_ERROR
    return monitor.moments(summary, reference).where_reversed(falling, rounding)


@lru_cache(maxsize=256)
def _named_rows(segments: tuple[str, ...], known: tuple[str, ...]) -> NDArray[np.intp]:
    positions = {segment: position for position, segment in enumerate(known)}
    return np.array([positions.get(segment, 0) for segment in segments], dtype=np.intp)


def rows_of(monitor: Monitor, reference: "Reference", segments: tuple[str, ...]) -> NDArray[np.intp]:
    """Return each segment's row in the reference: its own, or the whole model's if that holds too little.

    By hour it has to hold enough for each of them on average.
    """
    rows = _named_rows(segments, reference.layout.segments)
    events = observe(monitor, reference.summary, reference.layout).n
    return np.where(events[rows] >= MINIMUM_EVENTS * reference.hours, rows, 0)


@lru_cache(maxsize=256)
def _elsewhere(segments: tuple[str, ...], fields: tuple[str, ...]) -> NDArray[np.bool_]:
    """Return where a segment is not made by the tag a component is about [segments, components]."""
    tags = [f"{field.removeprefix(_TAGS)}=" if field.startswith(_TAGS) else None for field in fields]
    made = [[tag is not None and segment.startswith(tag) for tag in tags] for segment in segments]
    return ~np.array(made, dtype=np.bool_)


def log_error_of(reference: "Reference", components: int) -> float:
    """Return −ln of the probability with which each of the reference's shares may be wrong beyond its bound."""
    shares = len(reference.layout.segments) * components * reference.hours
    return float(np.log(max(shares, 1) / REFERENCE_ERROR))


def nulls(
    monitor: Monitor,
    reference: "Reference",
    segments: tuple[str, ...],
    varied: Variation,
    components: int,
    hour: int,
    tolerance: float | None = None,
) -> Nulls:
    """Return what ``monitor`` tests in ``segments`` that vary by ``varied``, in windows of an ``hour``.

    Of the tag that makes a segment nothing is tested in it: all its events have one value, which would be a
    change where it is compared with the whole model. ``components``: of all monitors in one segment. The
    error allowed for the reference is divided by the number of shares in the reference, since each of its
    errors would be a permanently false null. A ``tolerance`` that a person has set takes the place of the
    monitor's floor and of what wanders from window to window; the error of the reference stays a least bound.
    """
    rows = rows_of(monitor, reference, segments)
    counted = observe(monitor, reference.counted(hour), reference.layout)
    counted = Moments(counted.n[rows], counted.first[rows], counted.second[rows])
    questions = questions_of(monitor, reference.layout)
    log_error = log_error_of(reference, components)
    mean = counted.mean
    if tolerance is None:
        bound = monitor.bounds(counted, varied, questions.falling, log_error, monitor.floor)
    else:
        bound = monitor.bounds(counted, varied.without_wandering(), questions.falling, log_error, tolerance)
    known = (counted.n > 0)[:, None]
    if questions.fields:
        known = known & _elsewhere(segments, questions.fields)
    return Nulls(np.where(known, mean, np.nan), np.where(known, bound, 1.0))


def means(monitor: Monitor, reference: "Reference", segments: tuple[str, ...], hour: int) -> NDArray[np.float64]:
    """Return the reference's means of x in an hour [segments, components]; NaN where nothing was counted."""
    rows = rows_of(monitor, reference, segments)
    counted = observe(monitor, reference.counted(hour), reference.layout)
    n = counted.n[rows]
    mean: NDArray[np.float64] = counted.first[rows] / np.where(n > 0, n, np.nan)[:, None]
    return mean
