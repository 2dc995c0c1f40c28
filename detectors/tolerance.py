"""Tolerances: what difference is too small to matter, and what the reference itself may be wrong by.

Everything here turns a reference and its variation from window to window into the bound b of a null
hypothesis "the share, or mean, is at most b".
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "REFERENCE_ERROR",
    "Variation",
    "chernoff_upper",
    "divergence",
    "mean_bound",
    "plain_rise_bound",
    "share_fall_bound",
    "share_rise_bound",
]

REFERENCE_ERROR = 0.01
"""The probability that any bound of a cohort is wrong because of the reference's own sampling error."""
SMALLEST_RISE = 1e-4
"""No share is watched more closely than this."""
FALLING_FACTOR, RISING_FACTOR = 0.5, 2.0
"""A rare share may halve, or double."""
PERSISTENT_MEAN, PERSISTENT_SHARE = 2.0, 2.4
"""Standard deviations of the persistent part that a mean, and a share, may wander."""
_BISECTIONS = 60


@dataclass(frozen=True, slots=True, eq=False)
class Variation:
    """How the means of windows varied, by segment and component.

    ``design_effect``: the variance of a window's mean over that of as many independent events.
    ``persistent``: the part of that variance which lasts from window to window. ``farthest``: the greatest
    distance of a window's mean from the reference. All [segments, components]. ``window_size`` (harmonic mean
    of the windows' events) and ``measured`` (False: nothing is known, the numbers are those of independent
    events) [segments].
    """

    design_effect: NDArray[np.float64]
    persistent: NDArray[np.float64]
    farthest: NDArray[np.float64]
    window_size: NDArray[np.float64]
    measured: NDArray[np.bool_]

    @classmethod
    def unknown(cls, segments: int, components: int) -> "Variation":
        """Return the variation of independent events."""
        zeros = np.zeros((segments, components))
        return cls(zeros + 1.0, zeros, zeros.copy(), np.ones(segments), np.zeros(segments, dtype=np.bool_))

    def arrays(self) -> dict[str, NDArray[np.float64] | NDArray[np.bool_]]:
        """Return the arrays by name."""
        return {
            "design_effect": self.design_effect,
            "persistent": self.persistent,
            "farthest": self.farthest,
            "window_size": self.window_size,
            "measured": self.measured,
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.float64] | NDArray[np.bool_]], prefix: str) -> "Variation":
        """Return the variation whose :meth:`arrays` are in ``arrays`` under ``prefix`` + name."""
        return cls(
            np.asarray(arrays[prefix + "design_effect"], dtype=np.float64),
            np.asarray(arrays[prefix + "persistent"], dtype=np.float64),
            np.asarray(arrays[prefix + "farthest"], dtype=np.float64),
            np.asarray(arrays[prefix + "window_size"], dtype=np.float64),
            np.asarray(arrays[prefix + "measured"], dtype=np.bool_),
        )

    def without_wandering(self) -> "Variation":
        """Return the same as if nothing lasted from window to window."""
        none = np.zeros_like(self.persistent)
        return replace(self, persistent=none, farthest=none)

    def wandering_more(self, times: float) -> "Variation":
        """Return the same with so many times what lasts from window to window."""
        return replace(self, persistent=self.persistent * times)

    def take(self, rows: NDArray[np.intp]) -> "Variation":
        """Return the variation of the segments at ``rows``."""
        return Variation(
            self.design_effect[rows],
            self.persistent[rows],
            self.farthest[rows],
            self.window_size[rows],
            self.measured[rows],
        )

    def replaced(self, segments: NDArray[np.bool_], other: "Variation") -> "Variation":
        """Return this variation with that of ``other`` where ``segments``."""
        column = segments[:, None]
        return Variation(
            np.where(column, other.design_effect, self.design_effect),
            np.where(column, other.persistent, self.persistent),
            np.where(column, other.farthest, self.farthest),
            np.where(segments, other.window_size, self.window_size),
            np.where(segments, other.measured, self.measured),
        )


def chernoff_upper(p: NDArray[np.float64], n: NDArray[np.float64], log_error: float) -> NDArray[np.float64]:
    """Return the upper confidence bound of a mean of [0, 1] values whose estimate over ``n`` events is ``p``.

    The largest q with n·KL(p ‖ q) ≤ ``log_error`` (−ln of the error probability): Chernoff's bound, inverted
    by bisection. Valid at every n for shares, wider than Clopper and Pearson's by a few per cent, and in need
    of no beta quantile. The lower bound is that of 1 − x, turned round.
    """
    low, high = p.copy(), np.ones_like(p)
    for _ in range(_BISECTIONS):
        middle = 0.5 * (low + high)
        inside = n * divergence(p, middle) <= log_error
        low, high = np.where(inside, middle, low), np.where(inside, high, middle)
    return high


def divergence(p: NDArray[np.float64], q: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the Kullback–Leibler divergence of Bernoulli(p) from Bernoulli(q), in nats."""
    tiny = 1e-300
    q = np.clip(q, 1e-15, 1.0 - 1e-15)
    result: NDArray[np.float64] = p * (np.log(np.maximum(p, tiny)) - np.log(q)) + (1.0 - p) * (
        np.log(np.maximum(1.0 - p, tiny)) - np.log1p(-q)
    )
    positive: NDArray[np.float64] = np.maximum(result, 0.0)
    return positive


def plain_rise_bound(
    p: NDArray[np.float64], n: NDArray[np.float64], varied: Variation, floor: float, log_error: float
) -> NDArray[np.float64]:
    """Return b of "the share has not risen" where rare ones matter no more than others: max(p+τ, upper bound).

    τ and the reference's upper bound as in :func:`share_rise_bound`.
    """
    tau = np.maximum(floor, PERSISTENT_SHARE * np.sqrt(varied.persistent))
    return np.minimum(np.maximum(p + tau, chernoff_upper(p, n[:, None] / varied.design_effect, log_error)), 1.0)


def share_rise_bound(
    p: NDArray[np.float64], n: NDArray[np.float64], varied: Variation, floor: float, log_error: float
) -> NDArray[np.float64]:
    """Return b of "the share has not risen": max(min(2p, p+τ), p + 0.0001, upper bound of the reference).

    ``p``: shares [segments, components] of ``n`` [segments] events; τ = max(``floor``, 2.4·√persistent).
    A rare share may double; a share that never occurred has only the reference's size to go by.
    """
    tau = np.maximum(floor, PERSISTENT_SHARE * np.sqrt(varied.persistent))
    upper = chernoff_upper(p, n[:, None] / varied.design_effect, log_error)
    bound = np.maximum(np.minimum(RISING_FACTOR * p, p + tau), np.maximum(p + SMALLEST_RISE, upper))
    return np.minimum(bound, 1.0)


def share_fall_bound(
    p: NDArray[np.float64], n: NDArray[np.float64], varied: Variation, floor: float, log_error: float
) -> NDArray[np.float64]:
    """Return b of "1 − share has not risen": the share is at least min(max(p/2, p−τ), its lower bound)."""
    tau = np.maximum(floor, PERSISTENT_SHARE * np.sqrt(varied.persistent))
    lower = 1.0 - chernoff_upper(1.0 - p, n[:, None] / varied.design_effect, log_error)
    least = np.minimum(np.maximum(FALLING_FACTOR * p, p - tau), lower)
    return np.clip(1.0 - least, 0.0, 1.0)


def mean_bound(
    mean: NDArray[np.float64],
    variance: NDArray[np.float64],
    n: NDArray[np.float64],
    varied: Variation,
    floor: float,
    log_error: float,
) -> NDArray[np.float64]:
    """Return b of "the mean has not risen": m + max(``floor``, min(2√persistent, farthest) + e·√effect).

    e is the empirical Bernstein bound of the reference's mean (Maurer & Pontil 2009, theorem 4), which about
    equals the normal 3σ/√n for one share and holds for many shares and few events as well.
    """
    log_terms = log_error + np.log(2.0)
    events = np.maximum(n[:, None], 2.0)
    error = np.sqrt(2.0 * variance * log_terms / events) + 7.0 * log_terms / (3.0 * (events - 1.0))
    wander = np.minimum(PERSISTENT_MEAN * np.sqrt(varied.persistent), varied.farthest)
    tau = np.maximum(floor, wander + error * np.sqrt(varied.design_effect))
    bound: NDArray[np.float64] = np.minimum(mean + tau, 1.0)
    return bound
