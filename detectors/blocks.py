"""The interface between an event and a summary: a block answers the same questions for every event."""

from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from detectors.columns import Categories, Columns
from detectors.layout import BlockSpec

__all__ = ["Block", "EmptyBlock", "Unseen"]

Unseen = tuple[NDArray[np.intp], Categories]
"""Rows of events with a value that has no label (a row may stand there several times), and those values."""


class Block(Protocol):
    """One family of questions: cells of which an event falls into at most one, and sums of bounded values.

    A block has cells of the one kind or of the other.

    What a block computes for an event must not depend on the events around it: only exact or elementwise
    IEEE operations (+, -, *, /, sqrt, comparisons), no sums of floats, no BLAS, no exp or log.
    """

    kind: ClassVar[str]
    spec: BlockSpec
    cells: int
    """Number of count cells."""
    whole_cells: int
    """Number of cells in which events of the whole model are counted, and no segment's; any number for an event."""
    sums: tuple[str, ...]
    """Names of the sums, in units of 1 / UNIT for measured values and of 1 for counts."""

    def __init__(self, spec: BlockSpec) -> None: ...

    @classmethod
    def unlearnt(cls) -> BlockSpec:
        """Return the spec to count with before anything is known about a stream."""
        ...

    def cell_of(self, columns: Columns) -> NDArray[np.int64] | None:
        """Return each event's cell [n], -1 for none; None if the block has no cells."""
        ...

    def whole_counts_of(self, columns: Columns) -> NDArray[np.int64] | None:
        """Return how many events are in each cell of the whole model [whole_cells]; None if the block has none."""
        ...

    def values_of(self, columns: Columns) -> NDArray[np.int64] | None:
        """Return each event's values [len(sums), n]; None if the block has no sums."""
        ...

    def unseen(self, columns: Columns) -> Unseen | None:
        """Return the events whose value the spec has no label for; None if the block has no labels."""
        ...


class EmptyBlock:
    """A block without cells, sums or labels; one that has some of these says so itself."""

    kind: ClassVar[str]
    cells: int = 0
    whole_cells: int = 0
    sums: tuple[str, ...] = ()

    def __init__(self, spec: BlockSpec) -> None:
        self.spec = spec

    def cell_of(self, columns: Columns) -> NDArray[np.int64] | None:
        """Return None: there are no cells."""
        return None

    def whole_counts_of(self, columns: Columns) -> NDArray[np.int64] | None:
        """Return None: there are none."""
        return None

    def values_of(self, columns: Columns) -> NDArray[np.int64] | None:
        """Return None: there are no sums."""
        return None

    def unseen(self, columns: Columns) -> Unseen | None:
        """Return None: there are no labels."""
        return None
