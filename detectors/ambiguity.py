"""Ambiguity: by how much the likeliest class leads, and how widely the probabilities are spread."""

from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from detectors.bets import UNIT_ERROR, Moments
from detectors.blocks import EmptyBlock
from detectors.columns import UNIT, Columns, fixed_point
from detectors.layout import BlockSpec, Layout
from detectors.monitors import Questions
from detectors.tolerance import Variation, mean_bound

if TYPE_CHECKING:
    from detectors.summary import Summary

__all__ = ["AmbiguityBlock", "AmbiguityMonitor"]

TOLERANCE = 0.02
"""A change of the mean margin, or entropy, by less than this is too small to matter."""


class AmbiguityBlock(EmptyBlock):
    """Sums of margin and entropy, and of their squares, over the events with probabilities, and how many those are."""

    kind: ClassVar[str] = "ambiguity"
    sums: tuple[str, ...] = ("told", "margin", "margin_squared", "entropy", "entropy_squared")

    @classmethod
    def unlearnt(cls) -> BlockSpec:
        """Return the only spec there is."""
        return BlockSpec(cls.kind)

    def values_of(self, columns: Columns) -> NDArray[np.int64] | None:
        """Return a one, then margin and entropy and their squares in units of 1 / UNIT, [5, n]; 0 without them."""
        values = np.zeros((len(self.sums), len(columns)), dtype=np.int64)
        margin, entropy = columns.margin, columns.entropy
        if entropy is None:
            return values
        told = ~np.isnan(margin + entropy)
        values[0] = told
        for at, measured in ((1, margin), (3, entropy)):
            known = np.where(told, measured, np.nan)
            values[at], values[at + 1] = fixed_point(known), fixed_point(known * known)
        return values


class AmbiguityMonitor:
    """The mean margin, falling, and the mean entropy, rising. Events without probabilities are left out."""

    name: ClassVar[str] = "ambiguity"
    unit: ClassVar[str] = "points of the largest possible"
    kinds: ClassVar[tuple[str, ...]] = (AmbiguityBlock.kind,)
    exact: ClassVar[bool] = False
    floor: ClassVar[float] = TOLERANCE

    def questions(self, reference: Layout) -> Questions:
        """Return the two components."""
        return Questions(("mean margin", "mean entropy"), np.array([True, False]))

    def moments(self, summary: "Summary", reference: Layout) -> Moments:
        """Return the number of events with probabilities, and the sums of both and of their squares."""
        n, *sums = (summary.total(AmbiguityBlock.kind, name).astype(np.float64) for name in AmbiguityBlock.sums)
        first = np.stack(sums[0::2], axis=1) / UNIT
        # Both directions are asked for, so the sum of squares must not be understated either.
        second = np.stack(sums[1::2], axis=1) / UNIT + UNIT_ERROR * n[:, None]
        return Moments(n, first, second)

    def bounds(
        self, reference: Moments, varied: Variation, falling: NDArray[np.bool_], log_error: float, floor: float
    ) -> NDArray[np.float64]:
        """Return the bounds of the mean of 1 − margin and of that of the entropy."""
        return mean_bound(reference.mean, reference.variance, reference.n, varied, floor, log_error)
