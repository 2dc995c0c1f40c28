"""Numbers among the fields: features, a regression's predictions, counts and scores of objects."""

from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from detectors.bets import Moments
from detectors.bins import bins_of
from detectors.blocks import EmptyBlock
from detectors.columns import Columns
from detectors.layout import BlockSpec, Layout
from detectors.monitors import Questions
from detectors.tolerance import Variation, plain_rise_bound

if TYPE_CHECKING:
    from detectors.summary import Summary

__all__ = ["NumberBlock", "NumbersMonitor", "RangeMonitor"]

BINS = 10
"""Bins of a histogram, of equal probability in the sample from which the edges are learnt."""
TOLERANCE = 0.05
"""A Kolmogorov distance of less than this is too small to matter."""
RANGE_TOLERANCE = 0.01
"""A rise of the share beyond the usual range by less than this is too small to matter."""
_LOWEST = -float(np.finfo(np.float64).max)


class NumberBlock(EmptyBlock):
    """A histogram of one field, with a first cell for values of another type. Missing values are in no cell.

    Cell i + 1 holds ``edges[i-1] < x <= edges[i]``.
    """

    kind: ClassVar[str] = "number"

    def __init__(self, spec: BlockSpec) -> None:
        self.spec = spec
        self.cells = len(spec.edges) + 2

    @classmethod
    def unlearnt(cls, field: str = "") -> BlockSpec:
        """Return the spec with a single bin."""
        return BlockSpec(cls.kind, field=field)

    @classmethod
    def learnt(cls, field: str, sample: NDArray[np.float64]) -> BlockSpec:
        """Return the spec whose edges are quantiles of ``sample`` [n] between the ends of its range.

        NaN is left out, equal edges are one. The first edge is the next number below the lowest value.
        """
        known = sample[~np.isnan(sample)]
        if not len(known):
            return cls.unlearnt(field)
        quantiles = np.quantile(known, np.arange(1, BINS) / BINS, method="inverted_cdf")
        below = np.nextafter(known.min(), _LOWEST)
        edges = np.unique([below, *quantiles, known.max()])
        return BlockSpec(cls.kind, edges=tuple(float(edge) for edge in edges), field=field, outer=True)

    def cell_of(self, columns: Columns) -> NDArray[np.int64] | None:
        """Return each event's bin [n]: 0 where the value is no number, -1 where there is none."""
        values = columns.numbers.get(self.spec.field)
        if values is None:
            return np.full(len(columns), -1, dtype=np.int64)
        bins = bins_of(self.spec.edges, values) + 1
        bins[np.isnan(values)] = -1
        wrong = columns.wrong.get(self.spec.field)
        return bins if wrong is None else np.where(wrong, 0, bins)


def _inner(spec: BlockSpec) -> slice:
    """Return which of the edges are not the ends of the range."""
    return slice(1, -1) if spec.outer else slice(None)


class NumbersMonitor:
    """The distribution of each number: for every edge within its range, the share at most there, and beyond, rising.

    Both are shares of all events. Among those that have the value the one rises where the other falls, so
    asking for rises alone finds every shift, while values that go missing (another monitor's concern) let
    both fall.
    """

    name: ClassVar[str] = "numbers"
    unit: ClassVar[str] = "share"
    kinds: ClassVar[tuple[str, ...]] = (NumberBlock.kind,)
    exact: ClassVar[bool] = True
    floor: ClassVar[float] = TOLERANCE

    def questions(self, reference: Layout) -> Questions:
        """Return two components for each edge of each field."""
        names = [
            f"share of {spec.field} {relation} {edge:.6g} rising"
            for spec in reference.blocks_of(NumberBlock.kind)
            for relation in ("≤", ">")
            for edge in spec.edges[_inner(spec)]
        ]
        return Questions(tuple(names), np.zeros(len(names), dtype=np.bool_))

    def moments(self, summary: "Summary", reference: Layout) -> Moments:
        """Return the number of events, and how many of them each component asks for."""
        counts = []
        for spec in reference.blocks_of(NumberBlock.kind):
            below = np.cumsum(summary.cells(NumberBlock.kind, spec.field)[:, 1:], axis=1)
            inner = below[:, :-1][:, _inner(spec)]
            counts += [inner, below[:, -1:] - inner]
        return Moments.of_counts(summary.events, np.concatenate(counts, axis=1))

    def bounds(
        self, reference: Moments, varied: Variation, falling: NDArray[np.bool_], log_error: float, floor: float
    ) -> NDArray[np.float64]:
        """Return the bounds of the shares."""
        return plain_rise_bound(reference.mean, reference.n, varied, floor, log_error)


class RangeMonitor:
    """The share of events whose number is below, and above, all that were seen when its edges were learnt; rising.

    Of all events, as with the distributions. Units that changed, sentinels such as -1 or 9999, and sensors at
    their limit show here long before a twentieth of the events has moved.
    """

    name: ClassVar[str] = "range"
    unit: ClassVar[str] = "share"
    kinds: ClassVar[tuple[str, ...]] = (NumberBlock.kind,)
    exact: ClassVar[bool] = True
    floor: ClassVar[float] = RANGE_TOLERANCE

    def questions(self, reference: Layout) -> Questions:
        """Return two components for each field whose range is known."""
        fields = [spec for spec in reference.blocks_of(NumberBlock.kind) if spec.outer]
        names = [
            name
            for spec in fields
            for name in (
                f"share of {spec.field} < {np.nextafter(spec.edges[0], np.inf):.6g} rising",
                f"share of {spec.field} > {spec.edges[-1]:.6g} rising",
            )
        ]
        return Questions(tuple(names), np.zeros(len(names), dtype=np.bool_))

    def moments(self, summary: "Summary", reference: Layout) -> Moments:
        """Return the number of events, and how many of them each component asks for."""
        fields = [spec.field for spec in reference.blocks_of(NumberBlock.kind) if spec.outer]
        counts = [summary.cells(NumberBlock.kind, field)[:, [1, -1]] for field in fields]
        return Moments.of_counts(summary.events, np.concatenate(counts, axis=1))

    def bounds(
        self, reference: Moments, varied: Variation, falling: NDArray[np.bool_], log_error: float, floor: float
    ) -> NDArray[np.float64]:
        """Return the bounds of the shares."""
        return plain_rise_bound(reference.mean, reference.n, varied, floor, log_error)
