"""Ambiguity: by how much the likeliest class leads, and how widely the probabilities are spread."""

from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from detectors.bets import UNIT_ERROR, Moments
from detectors.blocks import Unseen
from detectors.columns import UNIT, Columns
from detectors.layout import BlockSpec, Layout
from detectors.monitors import Questions
from detectors.tolerance import Variation, mean_bound

if TYPE_CHECKING:
    from detectors.summary import Summary

__all__ = ["AmbiguityBlock", "AmbiguityMonitor"]

TOLERANCE = 0.02
"""A change of the mean margin, or entropy, by less than this is too small to matter."""


class AmbiguityBlock:
    """Sums of margin and entropy, and of their squares, over the events with probabilities, and how many those are."""

    kind: ClassVar[str] = "ambiguity"
    cells: int = 0
    sums: tuple[str, ...] = ("told", "margin", "margin_squared", "entropy", "entropy_squared")

    def __init__(self, spec: BlockSpec) -> None:
        self.spec = spec

    @classmethod
    def unlearnt(cls) -> BlockSpec:
        """Return the only spec there is."""
        return BlockSpec(cls.kind)

    def cell_of(self, columns: Columns) -> NDArray[np.int64] | None:
        """Return None: there are no cells."""
        return None

    def values_of(self, columns: Columns) -> NDArray[np.int64] | None:
        """Return a one, then margin and entropy and their squares in units of 1 / UNIT, [5, n]; 0 without them."""
        values = np.zeros((len(self.sums), len(columns)), dtype=np.int64)
        margin, entropy = columns.margin, columns.entropy
        if entropy is None:
            return values
        told = ~np.isnan(margin + entropy)
        values[0] = told
        for at, measured in ((1, margin), (3, entropy)):
            # Of what is not negative, cutting off is the rounding down that fixed_point does.
            known = np.where(told, measured, 0.0)
            values[at] = known * UNIT
            values[at + 1] = known * known * UNIT
        return values

    def unseen(self, columns: Columns) -> Unseen | None:
        """Return None: there are no labels."""
        return None


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
        n = np.maximum(reference.n, 1.0)[:, None]
        mean = reference.first / n
        variance = np.maximum(reference.second / n - mean**2, 0.0)
        return mean_bound(mean, variance, reference.n, varied, floor, log_error)
