"""Duplicate ids: of the ids in a window, how many came more than once."""

from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from detectors.bets import Moments
from detectors.blocks import EmptyBlock
from detectors.bottomk import Repeats
from detectors.layout import BlockSpec, Layout
from detectors.monitors import Questions
from detectors.tolerance import Variation, plain_rise_bound

if TYPE_CHECKING:
    from detectors.summary import Summary

__all__ = ["DuplicatesMonitor", "IdsBlock"]

TOLERANCE = 0.01
"""A rise of the share of ids that come more than once by less than this is too small to matter."""


class IdsBlock(EmptyBlock):
    """How many ids of a window were looked at, and how many of them came more than once.

    While events come, the ids with the smallest hashes are kept apart (``Summary.ids``), since only what is known of
    the whole window says which of them came twice; these cells are filled once it is closed.
    """

    kind: ClassVar[str] = "ids"
    whole_cells: int = 2
    sampled: ClassVar[int] = 128
    """Ids of a window that are looked at: a uniform sample of those that differ."""

    @classmethod
    def unlearnt(cls) -> BlockSpec:
        """Return the only spec there is."""
        return BlockSpec(cls.kind)

    @staticmethod
    def cells_of(ids: Repeats) -> NDArray[np.int64]:
        """Return the cells of a window with these ids [whole_cells]."""
        return np.array([len(ids.counts), np.count_nonzero(ids.counts > 1)], dtype=np.int64)


class DuplicatesMonitor:
    """The share of ids that came more than once within their window, rising; in the whole model.

    Redelivered batches and producers that send again. Of ids, not of events: ids are drawn independently of each
    other, while the events of one are all in the sample or none is.
    """

    name: ClassVar[str] = "duplicates"
    unit: ClassVar[str] = "share of ids"
    kinds: ClassVar[tuple[str, ...]] = (IdsBlock.kind,)
    exact: ClassVar[bool] = True
    floor: ClassVar[float] = TOLERANCE

    def questions(self, reference: Layout) -> Questions:
        """Return the one component."""
        return Questions(("share of ids that came more than once rising",), np.array([False]), whole_only=True)

    def moments(self, summary: "Summary", reference: Layout) -> Moments:
        """Return the number of ids that were looked at, and of those that came again; of segments nothing is known."""
        looked, again = summary.cells(IdsBlock.kind)[0] + IdsBlock.cells_of(summary.ids)
        n = np.zeros_like(summary.events)
        counts = np.zeros((len(n), 1), dtype=np.int64)
        n[0], counts[0] = looked, again
        return Moments.of_counts(n, counts)

    def bounds(
        self, reference: Moments, varied: Variation, falling: NDArray[np.bool_], log_error: float, floor: float
    ) -> NDArray[np.float64]:
        """Return the bound of the share."""
        return plain_rise_bound(reference.mean, reference.n, varied, floor, log_error)
