"""How many events came, how many of them late, and with which defects."""

from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from detectors.bets import Moments
from detectors.blocks import EmptyBlock
from detectors.columns import DEFECTS, Columns
from detectors.layout import BlockSpec, Layout
from detectors.monitors import Questions
from detectors.tolerance import Variation, plain_rise_bound

if TYPE_CHECKING:
    from detectors.summary import Summary

__all__ = ["LatenessMonitor", "TrafficBlock"]

LATE_TOLERANCE = 0.05
"""A rise of the share of late events by less than this is too small to matter."""


class TrafficBlock(EmptyBlock):
    """Counts of events. Late events are counted here, in the window that was open, and nowhere else."""

    kind: ClassVar[str] = "traffic"
    sums: tuple[str, ...] = ("events", "late", *DEFECTS)

    @classmethod
    def unlearnt(cls) -> BlockSpec:
        """Return the only spec there is."""
        return BlockSpec(cls.kind)

    def values_of(self, columns: Columns) -> NDArray[np.int64] | None:
        """Return a one for each event, and for each of its defects."""
        values = np.zeros((len(self.sums), len(columns)), dtype=np.int64)
        values[self.sums.index("events")] = 1
        if columns.defects.any():
            values[-len(DEFECTS) :] = (columns.defects >> np.arange(len(DEFECTS), dtype=np.uint32)[:, None]) & 1
        return values

    @classmethod
    def late_values_of(cls, columns: Columns) -> NDArray[np.int64]:
        """Return the values of events that came after their window had closed."""
        values = np.zeros((len(cls.sums), len(columns)), dtype=np.int64)
        values[cls.sums.index("late")] = 1
        return values


class LatenessMonitor:
    """The share of events that came after their window had closed, rising.

    Late events are counted nowhere else, so what the other monitors see of the stream becomes less. A reference
    from a file knows of none.
    """

    name: ClassVar[str] = "lateness"
    unit: ClassVar[str] = "share"
    kinds: ClassVar[tuple[str, ...]] = (TrafficBlock.kind,)
    exact: ClassVar[bool] = True
    floor: ClassVar[float] = LATE_TOLERANCE

    def questions(self, reference: Layout) -> Questions:
        """Return the one component."""
        return Questions(("share of late events rising",), np.array([False]))

    def moments(self, summary: "Summary", reference: Layout) -> Moments:
        """Return the number of events, late or not, and of those that were late."""
        late = summary.total(TrafficBlock.kind, "late")
        return Moments.of_counts(summary.events + late, late[:, None])

    def bounds(
        self, reference: Moments, varied: Variation, falling: NDArray[np.bool_], log_error: float, floor: float
    ) -> NDArray[np.float64]:
        """Return the bound of the share."""
        return plain_rise_bound(reference.mean, reference.n, varied, floor, log_error)
