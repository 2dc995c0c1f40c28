"""How many events came, how many of them late, and with which defects."""

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from detectors.blocks import Unseen
from detectors.columns import DEFECTS, Columns
from detectors.layout import BlockSpec

__all__ = ["TrafficBlock"]


class TrafficBlock:
    """Counts of events. Late events are counted here, in the window that was open, and nowhere else."""

    kind: ClassVar[str] = "traffic"
    cells: int = 0
    sums: tuple[str, ...] = ("events", "late", *DEFECTS)

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

    def unseen(self, columns: Columns) -> Unseen | None:
        """Return None: there are no labels."""
        return None
