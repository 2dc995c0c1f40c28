"""Which events are worth a label: predictable probabilities for sequential Poisson sampling (design §4).

Two phases: an event is *nominated* where it is scored, by comparing its own uniform draw with π₁; *select*
then decides with π₂, which may depend on everything decided before but not on this draw. Because π = π₁·π₂ is
known before the draw, the weighted labels give unbiased estimates.
"""

import json
from dataclasses import asdict, dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from detectors.blocks import EmptyBlock
from detectors.columns import Columns, fixed_point
from detectors.layout import BlockSpec

__all__ = [
    "OVERSAMPLING",
    "UNCERTAINTY",
    "UNIFORM_SHARE",
    "Pace",
    "SelectionBlock",
    "first_phase",
    "initial_pace",
    "next_pace",
    "second_phase",
]

UNCERTAINTY = "uncertainty"
"""The field that holds the standard deviation of a predicted number."""
UNIFORM_SHARE = 0.3
"""The part of the budget that is drawn uniformly."""
OVERSAMPLING = 4.0
"""How many times more events are nominated than the budget holds."""
RESERVE = 0.15
"""The part of the budget held back for surprises; it is released as the day goes by."""
FASTEST = 3.0
"""The rate is at most this many times the one that spends the budget evenly."""
SLOWING = 0.8
"""By this factor the uniform rate shrinks from window to window once the day's budget is used up."""
SLOWEST = 0.01
"""It never shrinks below this part of what it was: every event keeps a chance, so the labels stay unbiased."""
LEAST_MEAN_WEIGHT = 0.01
"""The mean weight is taken as no less: else a model that was always certain is flooded when it no longer is."""


@dataclass(frozen=True, slots=True)
class Pace:
    """The selection rates in force for a window, set before it begins.

    ``uniform``: the probability e that every event has at least; ``weighted``: the rate g that is spent in
    proportion to weight / ``mean_weight``.
    """

    uniform: float
    weighted: float
    mean_weight: float

    def differs(self, other: "Pace", tolerance: float) -> bool:
        """Return whether a rate is off ``other``'s by more than the part ``tolerance`` of the larger one."""
        mine = (self.uniform, self.weighted / self.mean_weight)
        others = (other.uniform, other.weighted / other.mean_weight)
        return any(abs(a - b) > tolerance * max(a, b) for a, b in zip(mine, others, strict=True))

    def to_json(self) -> str:
        """Return the rates as JSON; they come back exactly."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> "Pace":
        """Return the rates that :meth:`to_json` wrote."""
        return cls(**json.loads(text))


def initial_pace(labels_per_day: float, expected_events_per_day: float) -> Pace:
    """Return the rates before the traffic is known: the uniform share alone, for the expected traffic."""
    return Pace(min(1.0, UNIFORM_SHARE * labels_per_day / expected_events_per_day), 0.0, 1.0)


def next_pace(
    previous: Pace,
    *,
    labels_per_day: float,
    labels_left: float,
    events_per_day: float,
    day_left: float,
    mean_weight: float,
) -> Pace:
    """Return the rates for a coming window, from what is known before it begins.

    With the budget B, the N events expected a day and ρ = UNIFORM_SHARE: e = ρ·B/N; the whole rate
    λ = (what is left of the budget) / (events still expected), without what is still in reserve, at most
    3·B/N; g = max(λ − e, 0). Once the budget is used up the uniform rate alone goes on, ever smaller, but
    positive: a hard stop would bias the estimates.

    Parameters
    ----------
    previous
        The rates of the window before.
    labels_per_day
        The budget of a day.
    labels_left
        What is left of it in the day of the coming window; may be negative.
    events_per_day
        The events expected in a day.
    day_left
        The part of that day still to come, in (0, 1].
    mean_weight
        The mean weight of an event in past windows.
    """
    even = labels_per_day / events_per_day
    uniform = min(1.0, UNIFORM_SHARE * even)
    mean_weight = max(mean_weight, LEAST_MEAN_WEIGHT)
    if labels_left <= 0:
        return Pace(min(uniform, max(previous.uniform * SLOWING, uniform * SLOWEST)), 0.0, mean_weight)
    rate = min(labels_left / (events_per_day * day_left) - RESERVE * even, FASTEST * even)
    return Pace(uniform, min(1.0, max(rate - uniform, 0.0)), mean_weight)


def first_phase(pace: Pace, weights: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return π₁ and the wanted π of each event, [n] each, from their weights."""
    wanted = np.minimum(1.0, pace.uniform + pace.weighted * (weights / pace.mean_weight))
    return np.minimum(1.0, OVERSAMPLING * wanted), wanted


def second_phase(pace: Pace, wanted: float, nominated: float, *, exhausted: bool) -> float:
    """Return π₂ of a nominated event, such that π₁·π₂ is the wanted π.

    ``exhausted``: the day's budget is used up, by decisions before this one; then only the uniform share of
    ``pace``, the rates that were in force in the event's window, goes on.
    """
    if exhausted:
        wanted = min(wanted, pace.uniform)
    return min(1.0, wanted / nominated)


class SelectionBlock(EmptyBlock):
    """Sums of the selection weight and of the expected error, from which pace and estimates are made.

    ``edges``: the median uncertainty of a regression's predictions, once it is known.
    """

    kind: ClassVar[str] = "selection"
    sums: tuple[str, ...] = ("weight", "expected_error")

    @classmethod
    def unlearnt(cls) -> BlockSpec:
        """Return the spec that knows no uncertainty."""
        return BlockSpec(cls.kind)

    @classmethod
    def learnt(cls, uncertainty: NDArray[np.float64]) -> BlockSpec:
        """Return the spec that knows the median of a sample [n] of uncertainties; NaN is left out."""
        known = uncertainty[uncertainty > 0]
        if not len(known):
            return cls.unlearnt()
        return BlockSpec(cls.kind, edges=(float(np.quantile(known, 0.5, method="inverted_cdf")),))

    def expected_error(self, columns: Columns) -> NDArray[np.float64]:
        """Return each event's expected error ê [n] in [0, 1]; 0.5 where nothing tells it.

        What the event itself tells (``Columns.doubt``); else 1 − confidence; else, for a regression's
        uncertainty u with the median m, u / (u + m): without a unit, and 0.5 for the usual prediction.
        """
        error = 1.0 - columns.confidence
        if columns.doubt is not None:
            error = np.where(np.isnan(columns.doubt), error, columns.doubt)
        uncertainty = columns.numbers.get(UNCERTAINTY)
        if uncertainty is not None and self.spec.edges:
            positive = np.where(uncertainty > 0, uncertainty, np.nan)
            error = np.where(np.isnan(error), positive / (positive + self.spec.edges[0]), error)
        return np.where(np.isnan(error), 0.5, error)

    def weight(self, columns: Columns) -> NDArray[np.float64]:
        """Return each event's selection weight [n] in [0, 0.5]: the standard deviation of its expected error.

        That of being right or wrong with probability ê; a regression's error is as spread out as it is large,
        so there it is ê / 2.
        """
        error = self.expected_error(columns)
        spread = np.sqrt(error * (1.0 - error))
        if UNCERTAINTY in columns.numbers and self.spec.edges:
            return np.where(np.isnan(columns.confidence), 0.5 * error, spread)
        return spread

    def values_of(self, columns: Columns) -> NDArray[np.int64] | None:
        """Return weight and expected error in units of 1 / UNIT, [2, n]."""
        return np.stack([fixed_point(self.weight(columns)), fixed_point(self.expected_error(columns))])
