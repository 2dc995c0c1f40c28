"""One false-alarm budget, split beforehand over versions, segments and monitors."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Budget"]

WHOLE_SHARE = 0.5
"""The part of the budget that belongs to the whole model; the rest is for its segments."""


@dataclass(frozen=True, slots=True)
class Budget:
    """At most one false alarm is expected in ``windows`` windows, over everything watched of one model.

    ``segments_cap``: the most segments, besides the whole model, that a layout may have. ``versions``: the
    most versions that are live at once.

    A monitor with the weight v alarms when its evidence reaches A = windows / v. The average run length to a
    false alarm of an e-detector is at least A, and the expected number of false alarms in W windows at most
    W / A (Shin, Ramdas, Rinaldo 2022, "E-detectors", theorem 2.4); the weights add up to at most one, so the
    sum over all monitors is at most one in ``windows`` windows. The weights depend on caps, not on what is
    there: nothing is renormalised when a segment appears. Only a layout that already holds more segments than
    a cap lowered since is split by its own number.
    """

    windows: float
    segments_cap: int
    versions: int = 2

    def __post_init__(self) -> None:
        if not (self.windows >= 1 and self.segments_cap >= 0 and self.versions >= 1):
            raise ValueError(f"not a budget: {self}")

    def log_thresholds(self, segments: int, monitors: int) -> NDArray[np.float64]:
        """Return ln A [segments, monitors]; the first segment is the whole model."""
        each = np.full((segments, monitors), (1.0 - WHOLE_SHARE) / max(self.segments_cap, segments - 1, 1))
        each[:1] = WHOLE_SHARE
        thresholds: NDArray[np.float64] = np.log(self.windows * self.versions * monitors) - np.log(each)
        return thresholds
