"""How the means of a stream's windows vary, measured one window after another: nothing is kept of the windows."""

import numpy as np
from numpy.typing import NDArray

from detectors.bets import Moments
from detectors.tolerance import Variation

__all__ = ["Varying"]

_LAGS = 2
_NORMAL_10 = -1.2815515655446004


class Varying:
    """The variation of windows around what the reference says of each, in time order.

    With V the variance of the windows' means (for the design effect its upper 90 % bound, by chi-square),
    c₁ and c₂ their autocovariances at lags one and two: the persistent part is 0 if c₁ ≤ 2V/√T, else
    min(max(c₁, 2c₁ − c₂), V); the design effect max(1, n(V − persistent)/σ²).
    """

    def __init__(self, segments: int, components: int) -> None:
        shape = segments, components
        self._windows = np.zeros(segments, dtype=np.int64)
        self._events = np.zeros(segments)
        self._inverse = np.zeros(segments)
        # Of the events: distances from the reference, and their squares.
        self._first, self._second = np.zeros(shape), np.zeros(shape)
        # Of the windows' means: distances from the reference, their squares, and products with those before.
        self._sum, self._squares, self._farthest = np.zeros(shape), np.zeros(shape), np.zeros(shape)
        self._products = np.zeros((_LAGS, *shape))
        self._earliest, self._latest = np.zeros((_LAGS, *shape)), np.zeros((_LAGS, *shape))

    def add(self, moments: Moments, reference: NDArray[np.float64]) -> None:
        """Take in one window; ``reference``: the means to compare with [segments, components].

        A segment without events in this window, or with nothing to compare them with, is left as it was.
        """
        present = (moments.n > 0) & ~np.isnan(reference).any(axis=1)
        column = present[:, None]
        n = moments.n[:, None]
        first = np.where(column, moments.first - n * reference, 0.0)
        self._first += first
        self._second += np.where(column, moments.second - 2.0 * reference * moments.first + n * reference**2, 0.0)
        self._events += np.where(present, moments.n, 0.0)
        self._inverse += np.where(present, 1.0 / np.maximum(moments.n, 1.0), 0.0)

        distance = first / np.maximum(n, 1.0)
        self._sum += distance
        self._squares += distance**2
        self._products += distance * self._latest
        self._farthest = np.maximum(self._farthest, np.abs(distance))
        for lag in range(_LAGS):
            self._earliest[lag] = np.where(column & (self._windows == lag)[:, None], distance, self._earliest[lag])
        self._latest = np.where(column, np.concatenate([distance[None], self._latest[:-1]]), self._latest)
        self._windows += present

    def variation(self, *, least: int) -> Variation:
        """Return what was measured; a segment with fewer than ``least`` windows with events counts as not measured."""
        count = np.maximum(self._windows, 1)[:, None].astype(np.float64)
        centre = self._sum / count
        variance = np.maximum(self._squares - count * centre**2, 0.0) / np.maximum(count - 1.0, 1.0)
        lags = [
            self._products[lag]
            - centre * (2.0 * self._sum - self._earliest[: lag + 1].sum(axis=0) - self._latest[: lag + 1].sum(axis=0))
            + np.maximum(count - lag - 1, 0.0) * centre**2
            for lag in range(_LAGS)
        ]
        one, two = lags[0] / count, lags[1] / count
        lasting = np.minimum(np.maximum(one, 2.0 * one - two), variance)
        persistent = np.where(one > 2.0 * variance / np.sqrt(count), lasting, 0.0)

        degrees = np.maximum(count - 1.0, 1.0)
        upper = variance * degrees / _chi_square_10(degrees)
        size = self._windows / np.maximum(self._inverse, 1e-300)
        events = np.maximum(self._events, 1.0)[:, None]
        spread = self._second / events - (self._first / events) ** 2
        # A component whose events never differ shows no effect either way.
        effect = size[:, None] * (upper - persistent) / np.maximum(spread, 1e-300)
        measured = self._windows >= least
        known = measured[:, None]
        return Variation(
            np.where(known & (spread > 1e-12), np.maximum(1.0, effect), 1.0),
            np.where(known, persistent, 0.0),
            np.where(known, self._farthest, 0.0),
            np.where(measured, size, 1.0),
            measured,
        )


def _chi_square_10(degrees: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the 10 % quantile of chi-square (Wilson & Hilferty 1931): within 3 % from two degrees on."""
    part = 2.0 / (9.0 * degrees)
    quantile: NDArray[np.float64] = degrees * (1.0 - part + _NORMAL_10 * np.sqrt(part)) ** 3
    return quantile
