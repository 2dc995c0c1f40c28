"""Confidence: how sure the model is of its predictions, and whether that declines."""

from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from detectors.bets import Moments
from detectors.bins import bins_of
from detectors.blocks import EmptyBlock
from detectors.columns import UNIT, Columns, fixed_point
from detectors.layout import BlockSpec, Layout
from detectors.monitors import Questions
from detectors.tolerance import Variation, mean_bound, plain_rise_bound

if TYPE_CHECKING:
    from detectors.summary import Summary

__all__ = ["SURE", "ConfidenceBlock", "ConfidenceMonitor", "ConfidenceSharesMonitor"]

BINS = 32
"""Bins of the histogram, of equal probability in the sample from which the edges are learnt."""
SURE = 0.99
"""Above this confidence a model claims to be wrong less than once in a hundred times; always an edge."""
LOW_PART = 12
"""The line of low confidence is the edge at a twelfth of the edges: with 31 different ones about the lowest tenth."""
TOLERANCE = 0.02
"""A decline of the mean confidence by less than this is too small to matter."""
SHARE_TOLERANCE = 0.02
"""A rise of the share of low, or of very high, confidences by less than this is too small to matter."""


class ConfidenceBlock(EmptyBlock):
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
        """Return the spec whose edges are SURE and quantiles of ``sample`` [n]; NaN is left out, equal ones are one."""
        known = sample[~np.isnan(sample)]
        if not len(known):
            return BlockSpec(cls.kind)
        quantiles = np.quantile(known, np.arange(1, BINS) / BINS, method="inverted_cdf")
        return BlockSpec(cls.kind, edges=tuple(float(edge) for edge in np.unique([*quantiles, SURE])))

    def cell_of(self, columns: Columns) -> NDArray[np.int64] | None:
        """Return each event's bin [n], the last cell where there is no confidence."""
        bins = bins_of(self.spec.edges, columns.confidence)
        return np.where(np.isnan(columns.confidence), self.cells - 1, bins)

    def values_of(self, columns: Columns) -> NDArray[np.int64] | None:
        """Return confidence and its square in units of 1 / UNIT, [2, n]; both 0 where there is none."""
        confidence = columns.confidence
        return np.stack([fixed_point(confidence), fixed_point(confidence * confidence)])


def _lines(layout: Layout) -> tuple[float, float]:
    """Return the line of low confidence and SURE, NaN for what the layout has no edge for."""
    edges = layout.block(ConfidenceBlock.kind).edges
    sure = SURE if SURE in edges else np.nan
    # Where nearly all are sure, low are those that are not.
    return (float(np.fmin(edges[len(edges) // LOW_PART], sure)) if edges else np.nan), sure


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
        return mean_bound(reference.mean, reference.variance, reference.n, varied, floor, log_error)


class ConfidenceSharesMonitor:
    """The share of events with low confidence, rising, and of those with a confidence above SURE, rising.

    The first finds that some events became hard while the mean hardly moves; the second overconfidence, which the
    mean takes for good news.
    """

    name: ClassVar[str] = "confidence_shares"
    unit: ClassVar[str] = "share"
    kinds: ClassVar[tuple[str, ...]] = (ConfidenceBlock.kind,)
    exact: ClassVar[bool] = True
    floor: ClassVar[float] = SHARE_TOLERANCE

    def questions(self, reference: Layout) -> Questions:
        """Return a component for each line that the reference has an edge for."""
        low, sure = _lines(reference)
        names = [] if np.isnan(low) else [f"share with confidence ≤ {low:.6g} rising"]
        names += [] if np.isnan(sure) else [f"share with confidence > {sure:.6g} rising"]
        return Questions(tuple(names), np.zeros(len(names), dtype=np.bool_))

    def moments(self, summary: "Summary", reference: Layout) -> Moments:
        """Return the number of events with a confidence, and of those beyond each line.

        A window that was counted with other edges has no events here.
        """
        edges = summary.layout.block(ConfidenceBlock.kind).edges
        low, sure = _lines(reference)
        lines = [line for line in (low, sure) if not np.isnan(line)]
        counted = np.cumsum(summary.cells(ConfidenceBlock.kind)[:, :-1], axis=1)
        n = counted[:, -1]
        if any(line not in edges for line in lines):
            nothing = np.zeros_like(n)
            return Moments.of_counts(nothing, np.zeros((len(n), len(lines)), dtype=np.int64))
        below = [counted[:, edges.index(line)] for line in lines]
        return Moments.of_counts(n, np.stack([*below[:1], *(n - each for each in below[1:])], axis=1))

    def bounds(
        self, reference: Moments, varied: Variation, falling: NDArray[np.bool_], log_error: float, floor: float
    ) -> NDArray[np.float64]:
        """Return the bounds of the shares."""
        return plain_rise_bound(reference.mean, reference.n, varied, floor, log_error)
