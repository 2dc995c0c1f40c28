"""Where tolerances come from: what a person is told of each bound."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detectors.bets import CERTAIN, Moments
from detectors.explain import shown
from detectors.layout import WHOLE
from detectors.monitors import Monitor, log_error_of, nulls, observe, questions_of, rows_of
from detectors.reference import Reference
from detectors.registry import MONITORS
from detectors.tolerance import Variation

__all__ = [
    "ERROR",
    "FIXED",
    "FLOOR",
    "GIVEN",
    "RARE",
    "TOO_SMALL",
    "TOO_VARIABLE",
    "UNWATCHED",
    "VARIATION",
    "Origin",
    "origins",
]

FLOOR = "floor"
GIVEN = "set by you"
VARIATION = "variation"
ERROR = "reference error"
RARE = "rare: may double or halve"
FIXED = "fixed"
UNWATCHED = "not watched"
TOO_VARIABLE, TOO_SMALL = "reference too variable", "reference too small"
WIDE = 3.0
"""Floors of which a tolerance is told to be wide."""
_EPSILON = 1e-6
_ENDLESS = 1e12


@dataclass(frozen=True, slots=True)
class Origin:
    """One component's tolerance, in the monitor's ``unit``: from ``reference`` on, ``bound`` is too far.

    ``origin``: the constants of this module, of several those that made the bound what it is, with commas
    between. ``measured``: whether ``design_effect`` and variation are known. ``warning``: "" if there is none.
    """

    monitor: str
    component: str
    unit: str
    reference: float
    tolerance: float
    bound: float
    origin: str
    design_effect: float
    measured: bool
    warning: str


def origins(
    reference: Reference,
    segment: str,
    measured: Mapping[str, Variation],
    tolerances: Mapping[str, float],
    hour: int = 0,
) -> list[Origin]:
    """Return the origin of every tolerance with which ``segment`` is compared with ``reference`` in an ``hour``.

    ``measured``: by monitor, the variation [1, components] of that segment measured since; of others that of the
    reference counts. ``tolerances``: by monitor, those that a person has set.
    """
    components = sum(len(questions_of(monitor, reference.layout).names) for monitor in MONITORS)
    found: list[Origin] = []
    for monitor in MONITORS:
        questions = questions_of(monitor, reference.layout)
        names = questions.names
        if names and not (questions.whole_only and segment != WHOLE):
            row = rows_of(monitor, reference, (segment,))
            known = (reference.calibration or {}).get(monitor.name)
            varied = Variation.unknown(1, len(names)) if known is None else known.take(row)
            varied = measured.get(monitor.name, varied)
            found += _of(monitor, reference, segment, varied, components, hour, tolerances.get(monitor.name))
    return found


def _of(
    monitor: Monitor,
    reference: Reference,
    segment: str,
    varied: Variation,
    components: int,
    hour: int,
    given: float | None,
) -> list[Origin]:
    questions = questions_of(monitor, reference.layout)
    null = nulls(monitor, reference, (segment,), varied, components, hour, given)
    row = rows_of(monitor, reference, (segment,))
    counted = observe(monitor, reference.counted(hour), reference.layout)
    counted = Moments(counted.n[row], counted.first[row], counted.second[row])
    endless = Moments(counted.n * _ENDLESS, counted.first * _ENDLESS, counted.second * _ENDLESS)
    floor = monitor.floor if given is None else given
    steady = varied.without_wandering()
    log_error = log_error_of(reference, components)

    def bound(moments: Moments, variation: Variation) -> NDArray[np.float64]:
        every = monitor.bounds(moments, variation, questions.falling, log_error, floor)
        return every.reshape(-1)

    # What made the bound what it is, shows without it.
    full, mean = null.bound[0], null.mean[0]
    wandering = full > bound(counted, steady) + _EPSILON
    error = full > bound(endless, steady if given is not None else varied) + _EPSILON
    least = bound(endless, steady) - mean
    before, limit = shown(mean, questions.falling), shown(full, questions.falling)
    return [
        Origin(
            monitor=monitor.name,
            component=name,
            unit=monitor.unit,
            reference=float(before[at]),
            tolerance=float(full[at] - mean[at]),
            bound=float(limit[at]),
            origin=_origin(
                watched=bool(full[at] < CERTAIN),
                wandering=bool(wandering[at]),
                error=bool(error[at]),
                beyond=float(least[at]) - floor,
                given=given is not None,
            ),
            design_effect=float(varied.design_effect[0, at]),
            measured=bool(varied.measured[0]),
            warning=(
                ""
                if full[at] >= CERTAIN or full[at] - mean[at] <= WIDE * floor or not (wandering[at] or error[at])
                else TOO_VARIABLE
                if wandering[at]
                else TOO_SMALL
            ),
        )
        for at, name in enumerate(questions.names)
    ]


def _origin(*, watched: bool, wandering: bool, error: bool, beyond: float, given: bool) -> str:
    """Return it in words; ``beyond``: how far the bound of an endless, steady reference is beyond the floor."""
    if not watched:
        return UNWATCHED
    if wandering or error:
        return ", ".join(word for word, holds in ((VARIATION, wandering), (ERROR, error)) if holds)
    if beyond < -_EPSILON:
        return RARE
    if beyond > _EPSILON:
        return FIXED
    return GIVEN if given else FLOOR
