"""Curves by which a confidence is calibrated: from what a model says to how often it is right when it says so.

Monotone and made of straight lines between points, so that only exact or elementwise operations touch an event: the
same result in every batch and on every machine.
"""

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["Curve"]

_FARTHEST, _STEPS = 16, 16
"""The logistic curve has a point for every sixteenth of a logit up to 16: 10⁻⁷ from 0 and 1, where it ends."""
_PRECISION = 2.0**44
"""Points are multiples of 1 / _PRECISION: what two machines' exponentials differ in is far below."""


class Curve:
    """Straight lines between ``points`` (at least two), confidences and shares that are right, in [0, 1].

    Confidences ascend, shares do not fall. Below the first and above the last point the share is that of the point.
    """

    def __init__(self, points: Sequence[tuple[float, float]]) -> None:
        self._confidences, self._shares = np.array(points, dtype=np.float64).T
        self._slopes = np.diff(self._shares) / np.diff(self._confidences)

    @staticmethod
    @lru_cache(maxsize=256)
    def logistic(slope: float, intercept: float) -> "Curve":
        """Return the curve c ↦ σ(slope·logit(c) + intercept) (Platt 1999); slope > 0, 16·slope + |intercept| < 700."""
        logits = [step / _STEPS for step in range(-_FARTHEST * _STEPS, _FARTHEST * _STEPS + 1)]
        return Curve([(_rounded(logit), _rounded(slope * logit + intercept)) for logit in logits])

    def of(self, confidences: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the share that is right for each of ``confidences`` [n] in [0, 1]; NaN where it is NaN."""
        inside: NDArray[np.float64] = np.clip(confidences, self._confidences[0], self._confidences[-1])
        at = np.clip(np.searchsorted(self._confidences, inside, side="right") - 1, 0, len(self._slopes) - 1)
        # Not numpy's own interpolation: where a processor can multiply and add at once, it rounds otherwise.
        found: NDArray[np.float64] = inside - self._confidences[at]
        found *= self._slopes[at]
        found += self._shares[at]
        # Rounding must not lead beyond the next point.
        np.minimum(found, self._shares[at + 1], out=found)
        return found


def _rounded(logit: float) -> float:
    """Return σ(logit), rounded."""
    return round(_PRECISION / (1.0 + math.exp(-logit))) / _PRECISION
