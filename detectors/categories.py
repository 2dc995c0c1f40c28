"""Categories among the fields: features that are text or boolean, and tags."""

from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from detectors.bets import Moments
from detectors.blocks import EmptyBlock, Unseen
from detectors.bottomk import Sketch
from detectors.columns import Columns
from detectors.layout import BlockSpec, Layout
from detectors.monitors import Questions
from detectors.tolerance import Variation, plain_rise_bound

if TYPE_CHECKING:
    from detectors.summary import Summary

__all__ = ["CategoriesMonitor", "CategoryBlock"]

LABELS = 50
"""Values of one field that are counted each; the rest together."""
TOLERANCE = 0.05
"""A change of a value's share by less than this is too small to matter."""
FREE_TEXT = 0.5
"""A field with more different values than this part of a sample is no category, and only watched for missing."""


class CategoryBlock(EmptyBlock):
    """Counts of each value of one field that the layout knows; the last cell counts all others.

    The first cell counts values of another type. Missing values are in no cell.
    """

    kind: ClassVar[str] = "category"

    def __init__(self, spec: BlockSpec) -> None:
        self.spec = spec
        self.cells = len(spec.labels) + 2
        self._positions = {label: position for position, label in enumerate(spec.labels, start=1)}

    @classmethod
    def unlearnt(cls, field: str = "") -> BlockSpec:
        """Return the spec that knows no value."""
        return BlockSpec(cls.kind, field=field)

    @classmethod
    def learnt(cls, field: str, sketch: Sketch | None) -> BlockSpec:
        """Return the spec that knows the most frequent values of ``sketch``; none if it looks like free text."""
        values = [] if sketch is None else sketch.most_frequent()
        if sketch is None or len(values) > max(1, FREE_TEXT * len(sketch.entries)):
            return cls.unlearnt(field)
        return BlockSpec(cls.kind, labels=tuple(sorted(values[:LABELS])), field=field)

    def cell_of(self, columns: Columns) -> NDArray[np.int64] | None:
        """Return each event's value [n]: 0 where it is of another type, -1 where there is none."""
        texts = columns.texts.get(self.spec.field)
        if texts is None:
            cells = np.full(len(columns), -1, dtype=np.int64)
        else:
            cells = texts.positions(self._positions, self.cells - 1)
        wrong = columns.wrong.get(self.spec.field)
        return cells if wrong is None else np.where(wrong, 0, cells)

    def unseen(self, columns: Columns) -> Unseen | None:
        """Return every value while none is known; values that come later stay together in the last cell."""
        texts = columns.texts.get(self.spec.field)
        if texts is None or self.spec.labels:
            return None
        rows = np.flatnonzero(texts.codes >= 0)
        return rows, texts.take(rows)


class CategoriesMonitor:
    """The share of each value, and of all events with another value, rising; and of values not in the reference.

    All are shares of all events: as with numbers, values that go missing let all of them fall.
    """

    name: ClassVar[str] = "categories"
    unit: ClassVar[str] = "share"
    kinds: ClassVar[tuple[str, ...]] = (CategoryBlock.kind,)
    exact: ClassVar[bool] = True
    floor: ClassVar[float] = TOLERANCE

    def questions(self, reference: Layout) -> Questions:
        """Return two components for each value of each field, and one for its other values."""
        names: list[str] = []
        fields: list[str] = []
        for spec in _watched(reference):
            names += [f"share of {spec.field} = {label} rising" for label in spec.labels]
            names += [f"share of {spec.field} other than {label} rising" for label in spec.labels]
            names.append(f"share of never-seen {spec.field} rising")
            fields += [spec.field] * (len(names) - len(fields))
        return Questions(tuple(names), np.zeros(len(names), dtype=np.bool_), tuple(fields))

    def moments(self, summary: "Summary", reference: Layout) -> Moments:
        """Return the number of events, and how many of them each component asks for."""
        counts = [np.zeros((len(summary.layout.segments), 0), dtype=np.int64)]
        for spec in _watched(reference):
            cells = summary.cells(CategoryBlock.kind, spec.field)[:, 1:]
            present = cells.sum(axis=1)[:, None]
            counts += [cells[:, :-1], present - cells[:, :-1], cells[:, -1:]]
        return Moments.of_counts(summary.events, np.concatenate(counts, axis=1))

    def bounds(
        self, reference: Moments, varied: Variation, falling: NDArray[np.bool_], log_error: float, floor: float
    ) -> NDArray[np.float64]:
        """Return the bounds of the shares."""
        return plain_rise_bound(reference.mean, reference.n, varied, floor, log_error)


def _watched(reference: Layout) -> list[BlockSpec]:
    """Return the fields that are categories; free text has no labels."""
    return [spec for spec in reference.blocks_of(CategoryBlock.kind) if spec.labels]
