"""Readings put together: one column of figures for each monitor."""

from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from detectors.alarms import Watch
from detectors.bets import CERTAIN, Moments
from detectors.effects import Effects
from detectors.explain import interval, shown, window_interval
from detectors.layout import Layout
from detectors.monitors import Monitor, questions_of, watches
from detectors.readings import CALIBRATING, FIRING, LEARNING, OK, Readings
from detectors.state import CohortState
from detectors.summary import Summary

__all__ = ["Column", "blank", "column", "table"]

_T = TypeVar("_T", bound=np.generic)


class Column(NamedTuple):
    """One monitor's part of the readings; arrays [segments], as in Readings."""

    names: tuple[str, ...]
    n: NDArray[np.int64]
    estimate: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    reference: NDArray[np.float64]
    tolerance: NDArray[np.float64]
    log_evidence: NDArray[np.float64]
    log_threshold: NDArray[np.float64]
    status: NDArray[np.int8]
    component: NDArray[np.int32]


def column(watch: Watch, state: CohortState) -> Column:
    """Return the figures of a monitor that has a reference."""
    mine = watch.state
    rows = np.arange(len(mine.status))
    component = np.where(mine.status == FIRING, mine.component, watch.updated.component).astype(np.int32)
    falling = watch.falling[component]
    mean, low, high = window_interval(watch.moments, mine, component, exact=watch.monitor.exact)
    before, bound = mine.mean[rows, component], mine.bound[rows, component]
    active = (mine.bound < CERTAIN).any(axis=1)
    ordinary = np.where(active, np.where(state.calibrated[: len(rows)], OK, CALIBRATING), LEARNING)
    return Column(
        names=mine.names,
        n=watch.moments.n.astype(np.int64),
        estimate=shown(mean, falling),
        low=np.where(falling, 1.0 - high, low),
        high=np.where(falling, 1.0 - low, high),
        reference=shown(before, falling),
        tolerance=bound - before,
        log_evidence=watch.updated.log_evidence,
        log_threshold=watch.log_threshold,
        status=np.where(mine.status == OK, ordinary, mine.status).astype(np.int8),
        component=component,
    )


def blank(monitor: Monitor, summary: Summary, log_threshold: NDArray[np.float64]) -> Column:
    """Return the figures of a monitor without a reference: the events, and the greatest share or mean."""
    segments = len(log_threshold)
    unknown = np.full(segments, np.nan)
    rows = np.arange(segments)
    names: tuple[str, ...] = ()
    seen = Moments(np.zeros(segments), np.zeros((segments, 1)), np.zeros((segments, 1)))
    if watches(monitor, summary.layout):
        names = questions_of(monitor, summary.layout).names
        seen = monitor.moments(summary, summary.layout)
    component = seen.first.argmax(axis=1)
    n = np.where(seen.n > 0, seen.n, np.nan)
    mean, squares = seen.first[rows, component] / n, seen.second[rows, component] / n
    low, high = interval(mean, squares, n, exact=monitor.exact)
    return Column(
        names=names,
        n=seen.n.astype(np.int64),
        estimate=mean,
        low=low,
        high=high,
        reference=unknown,
        tolerance=unknown,
        log_evidence=unknown,
        log_threshold=log_threshold,
        status=np.full(segments, LEARNING, dtype=np.int8),
        component=component.astype(np.int32),
    )


def table(layout: Layout, monitors: Sequence[Monitor], columns: Sequence[Column], effects: Effects) -> Readings:
    """Return the readings of a cohort from the columns of its monitors, without those that have nothing to read."""
    some = [(monitor, one) for monitor, one in zip(monitors, columns, strict=True) if one.names]
    segments = len(layout.segments)
    stacked = {
        name: np.stack([_filled(getattr(one, name), segments) for _, one in some], axis=1)
        for name in Column._fields[1:]
    }
    return Readings(
        segments=layout.segments,
        monitors=tuple(monitor.name for monitor, _ in some),
        units=tuple(monitor.unit for monitor, _ in some),
        components=tuple(one.names for _, one in some),
        effect_names=effects.names,
        effects=effects.values,
        **stacked,
    )


def _filled(values: NDArray[_T], segments: int) -> NDArray[_T]:
    """Return the figures of all segments: of those that a monitor is not asked about nothing is known."""
    nothing = np.nan if values.dtype.kind == "f" else LEARNING if values.dtype == np.int8 else 0
    return np.concatenate([values, np.full(segments - len(values), nothing, dtype=values.dtype)])
