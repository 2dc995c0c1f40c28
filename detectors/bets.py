"""Bets against "this share, or mean, is at most b": their sizes and what a window's events win or lose.

A bet of size λ in (0, 1/b) on values x in [0, 1] multiplies its wealth by ``1 + λ(x − b)`` at every event.
While the mean of x, given the past, is at most b, that factor has an expectation of at most one.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["BETS", "Bets", "Moments", "log_wealth", "tempering"]

BETS = 8
"""Bets on each component."""
SMALLEST = 0.01
"""The smallest bet, as a part of the largest possible; b/4 where that is less."""
LARGEST = 0.9
"""The largest bet, as a part of the largest possible."""
CERTAIN = 0.999
"""Above this b nothing can be shown to exceed it, so there is no forward bet."""
UNIT_ERROR = 2.0**-32
"""Sums are kept in fixed point, rounded down: a value may be greater by this, never less."""


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """Of n events with values in [0, 1]: ``n`` [segments], Σx and Σx² [segments, components].

    ``first`` is never above, ``second`` never below the truth, so a bet is never paid for rounding.
    """

    n: NDArray[np.float64]
    first: NDArray[np.float64]
    second: NDArray[np.float64]

    @classmethod
    def of_counts(cls, n: NDArray[np.int64], counts: NDArray[np.int64]) -> "Moments":
        """Return the moments of zeros and ones: ``counts`` [segments, components] ones among ``n``."""
        ones = counts.astype(np.float64)
        return cls(n.astype(np.float64), ones, ones)

    @property
    def mean(self) -> NDArray[np.float64]:
        """Σx/n [segments, components]; 0 where there are no events."""
        mean: NDArray[np.float64] = self.first / np.maximum(self.n, 1.0)[:, None]
        return mean

    @property
    def variance(self) -> NDArray[np.float64]:
        """The variance of the values [segments, components]; 0 where there are no events."""
        squares: NDArray[np.float64] = self.second / np.maximum(self.n, 1.0)[:, None]
        return np.maximum(squares - self.mean**2, 0.0)

    def head(self, segments: int) -> "Moments":
        """Return the moments of the first segments."""
        return Moments(self.n[:segments], self.first[:segments], self.second[:segments])

    def where_reversed(self, reverse: NDArray[np.bool_], rounding: float) -> "Moments":
        """Return the moments of 1 − x where ``reverse`` (broadcast against [segments, components])."""
        n = self.n[:, None]
        first = np.maximum(n - self.first - rounding * n, 0.0)
        second = n - 2.0 * self.first + self.second + rounding * n
        return Moments(self.n, np.where(reverse, first, self.first), np.where(reverse, second, self.second))


@dataclass(frozen=True, slots=True, eq=False)
class Bets:
    """A geometric grid of bets against ``mean ≤ bound``.

    ``bound`` [..., components]; ``fraction`` (of the largest possible bet) and ``size`` λ = fraction / bound
    [..., components, BETS].
    """

    bound: NDArray[np.float64]
    fraction: NDArray[np.float64]
    size: NDArray[np.float64]

    @classmethod
    def against(cls, bound: NDArray[np.float64]) -> "Bets":
        """Return the grid for every ``bound`` (in (0, 1]): from min(0.01, bound/4) to 0.9 of the largest bet.

        A bound b above a mean m wants a bet of about (m − b) / (b(1 − b)): the grid spans faint changes as
        well as a rare share's outbreak, where the best bet is close to 1/b.
        """
        safe = np.clip(bound, 1e-12, 1.0)
        low = np.log(np.minimum(SMALLEST, safe / 4.0))[..., None]
        steps = np.arange(BETS) / (BETS - 1)
        fraction = np.exp(low + (np.log(LARGEST) - low) * steps)
        return cls(safe, fraction, fraction / safe[..., None])


def log_wealth(bets: Bets, moments: Moments, *, exact: bool) -> NDArray[np.float64]:
    """Return the logarithm of what one window multiplies each bet's wealth by [segments, components, BETS].

    ``exact`` for zeros and ones: ``n₁·log(1 + λ(1−b)) + n₀·log(1 − λb)``. Otherwise by Fan's inequality
    (Fan, Grama, Liu 2015, "Exponential inequalities for martingales with applications", lemma 4.1): for
    y ≥ −f, ``log(1+y) ≥ y − c·y²`` with ``c = (−log(1−f) − f)/f²``, so that
    ``λ(Σx − nb) − c·λ²·Σ(x−b)²`` is never above the logarithm of the product.
    """
    size, bound = bets.size, bets.bound[..., None]
    n, first, second = moments.n[:, None, None], moments.first[..., None], moments.second[..., None]
    if exact:
        result: NDArray[np.float64] = first * np.log1p(size * (1.0 - bound))
        result += (n - first) * np.log1p(-bets.fraction)
        return result
    curvature = (-np.log1p(-bets.fraction) - bets.fraction) / bets.fraction**2
    spread = np.maximum(second - 2.0 * bound * first + n * bound**2, 0.0)
    gain: NDArray[np.float64] = size * (first - n * bound) - curvature * size**2 * spread
    return gain


def tempering(
    n: NDArray[np.float64], design_effect: NDArray[np.float64], window_size: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the factor s [segments, components] on log-wealth for events that are not independent.

    ``design_effect``: the variance of a window's mean over that of as many independent events, in
    windows of ``window_size`` events. A wandering of the mean that all events of a window share makes the
    effect grow with the window, so s(n) = 1 / (1 + (design_effect − 1)·n / window_size). An approximation:
    the promise holds for s = 1 and nulls that hold given the past (see docs/detectors.md).
    """
    result: NDArray[np.float64] = 1.0 / (1.0 + (design_effect - 1.0) * (n / np.maximum(window_size, 1.0))[:, None])
    return result
