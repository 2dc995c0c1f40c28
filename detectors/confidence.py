"""Confidence: how sure the model is of its predictions, and whether that declines."""

from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from detectors.bets import Moments
from detectors.bins import bins_of
from detectors.blocks import Unseen
from detectors.columns import UNIT, Columns, fixed_point
from detectors.layout import BlockSpec, Layout
from detectors.monitors import Questions
from detectors.tolerance import Variation, mean_bound

if TYPE_CHECKING:
    from detectors.summary import Summary

__all__ = ["ConfidenceBlock", "ConfidenceMonitor"]

BINS = 32
"""Bins of the histogram, of equal probability in the sample from which the edges are learnt."""
TOLERANCE = 0.02
"""A decline of the mean confidence by less than this is too small to matter."""


class ConfidenceBlock:
    """A histogram of confidence with a last cell for events without one, its sum and its sum of squares.

    Cell i holds ``edges[i-1] < x <= edges[i]``, so the counts up to cell i give the share of x <= edges[i].
    """

    kind: ClassVar[str] = "confidence"
    sums: tuple[str, ...] = ("confidence", "confidence_squared")

    def __init__(self, spec: BlockSpec) -> None:
        self.spec = spec
        self.cells = len(spec.edges) + 2

    @classmethod
    def unlearnt(cls) -> BlockSpec:
        """Return the spec with a single bin."""
        return BlockSpec(cls.kind)

    @classmethod
    def learnt(cls, sample: NDArray[np.float64]) -> BlockSpec:
        """Return the spec whose edges are quantiles of ``sample`` [n]; NaN is left out, equal edges are one."""
        known = sample[~np.isnan(sample)]
        if not len(known):
            return BlockSpec(cls.kind)
        quantiles = np.quantile(known, np.arange(1, BINS) / BINS, method="inverted_cdf")
        return BlockSpec(cls.kind, edges=tuple(float(edge) for edge in np.unique(quantiles)))

    def cell_of(self, columns: Columns) -> NDArray[np.int64] | None:
        """Return each event's bin [n], the last cell where there is no confidence."""
        bins = bins_of(self.spec.edges, columns.confidence)
        return np.where(np.isnan(columns.confidence), self.cells - 1, bins)

    def values_of(self, columns: Columns) -> NDArray[np.int64] | None:
        """Return confidence and its square in units of 1 / UNIT, [2, n]; both 0 where there is none."""
        confidence = columns.confidence
        return np.stack([fixed_point(confidence), fixed_point(confidence * confidence)])

    def unseen(self, columns: Columns) -> Unseen | None:
        """Return None: there are no labels."""
        return None


class ConfidenceMonitor:
    """The mean confidence, falling. Events without a confidence are left out."""

    name: ClassVar[str] = "confidence"
    unit: ClassVar[str] = "points of confidence"
    kinds: ClassVar[tuple[str, ...]] = (ConfidenceBlock.kind,)
    exact: ClassVar[bool] = False
    floor: ClassVar[float] = TOLERANCE

    def questions(self, reference: Layout) -> Questions:
        """Return the one component."""
        return Questions(("mean confidence",), np.array([True]))

    def moments(self, summary: "Summary", reference: Layout) -> Moments:
        """Return the number of events with a confidence, its sum, and its sum of squares."""
        n = summary.cells(ConfidenceBlock.kind)[:, :-1].sum(axis=1)
        first = summary.total(ConfidenceBlock.kind, "confidence") / UNIT
        second = summary.total(ConfidenceBlock.kind, "confidence_squared") / UNIT
        return Moments(n.astype(np.float64), first[:, None], second[:, None])

    def bounds(
        self,
        reference: Moments,
        varied: Variation,
        falling: NDArray[np.bool_],
        log_error: float,
        floor: float,
    ) -> NDArray[np.float64]:
        """Return the bound of the mean of 1 − confidence."""
        n = np.maximum(reference.n, 1.0)[:, None]
        mean = reference.first / n
        variance = np.maximum(reference.second / n - mean**2, 0.0)
        return mean_bound(mean, variance, reference.n, varied, floor, log_error)
