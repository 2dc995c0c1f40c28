"""Predicted classes: the share of each, rising or falling, rare ones, and values never seen."""

from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from detectors.bets import Moments
from detectors.blocks import EmptyBlock, Unseen
from detectors.columns import Columns
from detectors.layout import BlockSpec, Layout
from detectors.monitors import Questions
from detectors.tolerance import Variation, share_fall_bound, share_rise_bound

if TYPE_CHECKING:
    from detectors.summary import Summary

__all__ = ["ClassesBlock", "ClassesMonitor"]

TOLERANCE = 0.02
"""A change of a class's share by less than this is too small to matter."""


class ClassesBlock(EmptyBlock):
    """Counts of each predicted class the layout knows; the last cell counts all others."""

    kind: ClassVar[str] = "classes"

    def __init__(self, spec: BlockSpec) -> None:
        self.spec = spec
        self.cells = len(spec.labels) + 1
        self._positions = {label: position for position, label in enumerate(spec.labels)}

    @classmethod
    def unlearnt(cls) -> BlockSpec:
        """Return the spec that knows no class."""
        return BlockSpec(cls.kind)

    def cell_of(self, columns: Columns) -> NDArray[np.int64] | None:
        """Return each event's class [n]; -1 for events that predict none."""
        return columns.predicted.positions(self._positions, self.cells - 1)

    def unseen(self, columns: Columns) -> Unseen | None:
        """Return the events that predict a class without a cell of its own."""
        rows = np.flatnonzero(self.cell_of(columns) == self.cells - 1)
        return rows, columns.predicted.take(rows)


@lru_cache(maxsize=256)
def _positions(labels: tuple[str, ...], layout: tuple[str, ...]) -> NDArray[np.intp]:
    """Return where each of ``labels`` stands in ``layout``, -1 for one that is not there."""
    known = {label: position for position, label in enumerate(layout)}
    return np.array([known.get(label, -1) for label in labels], dtype=np.intp)


class ClassesMonitor:
    """The share of each predicted class, rising and falling, and of classes that the reference has not seen.

    Components: a rise of each of the reference's labels, a fall of each, and the share of all other classes,
    whether the current layout has labels for them by now or not.
    """

    name: ClassVar[str] = "classes"
    unit: ClassVar[str] = "share"
    kinds: ClassVar[tuple[str, ...]] = (ClassesBlock.kind,)
    exact: ClassVar[bool] = True
    floor: ClassVar[float] = TOLERANCE

    def questions(self, reference: Layout) -> Questions:
        """Return two components for each label of the reference, and one for all others."""
        labels = reference.block(ClassesBlock.kind).labels
        names = (
            *(f"share of class {label} rising" for label in labels),
            *(f"share of class {label} falling" for label in labels),
            "share of never-seen classes",
        )
        known = len(labels)
        return Questions(names, np.repeat([False, True, False], [known, known, 1]))

    def moments(self, summary: "Summary", reference: Layout) -> Moments:
        """Return the number of events with a prediction, and of those in each component's class."""
        cells = summary.cells(ClassesBlock.kind)
        at = _positions(reference.block(ClassesBlock.kind).labels, summary.layout.block(ClassesBlock.kind).labels)
        known = np.where(at >= 0, cells[:, at], 0)
        n = cells.sum(axis=1)
        new = n - known.sum(axis=1)
        return Moments.of_counts(n, np.concatenate([known, known, new[:, None]], axis=1))

    def bounds(
        self, reference: Moments, varied: Variation, falling: NDArray[np.bool_], log_error: float, floor: float
    ) -> NDArray[np.float64]:
        """Return the bounds of the shares, and of 1 − the share where a fall is looked for."""
        share = reference.mean
        rise = share_rise_bound(share, reference.n, varied, floor, log_error)
        fall = share_fall_bound(1.0 - share, reference.n, varied, floor, log_error)
        return np.where(falling, fall, rise)
