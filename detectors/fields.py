"""The fields themselves: which there are, of which type, and whether they are there."""

from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from detectors.bets import Moments
from detectors.blocks import EmptyBlock, Unseen
from detectors.categories import CategoryBlock
from detectors.columns import Columns
from detectors.layout import BlockSpec, Layout
from detectors.monitors import Questions
from detectors.numbers import NumberBlock
from detectors.tolerance import Variation, plain_rise_bound, share_rise_bound

if TYPE_CHECKING:
    from detectors.summary import Summary

__all__ = ["FIELD_KINDS", "FieldsBlock", "MissingMonitor", "SchemaMonitor", "path_of"]

FIELD_KINDS = (NumberBlock.kind, CategoryBlock.kind)
"""The kinds of blocks of which a layout has one for each field."""
MISSING_TOLERANCE = 0.02
"""A change of a missing value's share by less than this is too small to matter."""
WRONG_TOLERANCE = 0.01
"""So many values of another type are too few to matter."""
VANISHED = 0.9
"""A field that is missing in more than this part of the events has vanished."""
USUAL = 0.5
"""A field that is missing in more than this part of the reference's events cannot vanish."""


def path_of(label: str) -> str:
    """Return the path in a field's label, which is its type, a space, and its path."""
    return label.partition(" ")[2]


class FieldsBlock(EmptyBlock):
    """Which fields events have, of those events that were looked at as a whole.

    ``labels``: the fields the layout knows, each as type and path ("number features.age"), watched or not.
    """

    kind: ClassVar[str] = "fields"
    sums: tuple[str, ...] = ("looked", "appeared")

    def __init__(self, spec: BlockSpec) -> None:
        self.spec = spec
        self._known = {path_of(label) for label in spec.labels}

    @classmethod
    def unlearnt(cls) -> BlockSpec:
        """Return the spec that knows no field."""
        return BlockSpec(cls.kind)

    def values_of(self, columns: Columns) -> NDArray[np.int64] | None:
        """Return ones for each event that was looked at, and that had a field the layout does not know."""
        values = np.zeros((len(self.sums), len(columns)), dtype=np.int64)
        sightings = columns.sightings
        if sightings is not None:
            values[0] = sightings.looked
            values[1, sightings.rows[self._new(columns)]] = 1
        return values

    def unseen(self, columns: Columns) -> Unseen | None:
        """Return the fields the layout does not know, each with its event."""
        sightings = columns.sightings
        if sightings is None:
            return None
        new = self._new(columns)
        return sightings.rows[new], sightings.fields.take(new)

    def _new(self, columns: Columns) -> NDArray[np.intp]:
        if columns.sightings is None:
            return np.zeros(0, dtype=np.intp)
        fields = columns.sightings.fields
        new = np.array([path_of(name) not in self._known for name in fields.names], dtype=np.bool_)
        return np.flatnonzero(new[fields.codes]) if len(new) else np.zeros(0, dtype=np.intp)


def _fields(layout: Layout) -> list[BlockSpec]:
    return [spec for kind in FIELD_KINDS for spec in layout.blocks_of(kind)]


class MissingMonitor:
    """The share of events without each field, rising and falling."""

    name: ClassVar[str] = "missing"
    unit: ClassVar[str] = "share"
    kinds: ClassVar[tuple[str, ...]] = FIELD_KINDS
    exact: ClassVar[bool] = True
    floor: ClassVar[float] = MISSING_TOLERANCE

    def questions(self, reference: Layout) -> Questions:
        """Return two components for each field."""
        fields = [spec.field for spec in _fields(reference)]
        names = [f"share without {field} {way}" for way in ("rising", "falling") for field in fields]
        return Questions(tuple(names), np.repeat([False, True], len(fields)), (*fields, *fields))

    def moments(self, summary: "Summary", reference: Layout) -> Moments:
        """Return the number of events, and of those without each field."""
        missing = [summary.events - summary.cells(spec.kind, spec.field).sum(axis=1) for spec in _fields(reference)]
        return Moments.of_counts(summary.events, np.stack([*missing, *missing], axis=1))

    def bounds(
        self, reference: Moments, varied: Variation, falling: NDArray[np.bool_], log_error: float, floor: float
    ) -> NDArray[np.float64]:
        """Return the bounds of the shares, turned round where a fall is looked for."""
        return plain_rise_bound(reference.mean, reference.n, varied, floor, log_error)


class SchemaMonitor:
    """Fields that change their type or vanish, and new ones that appear.

    Of new fields the counts say little more than that they are there, since few events are looked at as a
    whole: their share is that of events found with one among all events.
    """

    name: ClassVar[str] = "schema"
    unit: ClassVar[str] = "share"
    appeared: ClassVar[str] = "share found with a new field rising"
    """The component that is about new fields: nothing is broken by them."""
    kinds: ClassVar[tuple[str, ...]] = (FieldsBlock.kind, *FIELD_KINDS)
    exact: ClassVar[bool] = True
    floor: ClassVar[float] = WRONG_TOLERANCE

    def questions(self, reference: Layout) -> Questions:
        """Return two components for each field, and one for fields that are new."""
        fields = [spec.field for spec in _fields(reference)]
        names = (
            *(f"share with {field} of another type rising" for field in fields),
            *(f"share that lost {field} rising" for field in fields),
            self.appeared,
        )
        return Questions(names, np.zeros(len(names), dtype=np.bool_), (*fields, *fields, ""))

    def moments(self, summary: "Summary", reference: Layout) -> Moments:
        """Return the number of events, and how many of them each component asks for."""
        events = summary.events
        cells = [summary.cells(spec.kind, spec.field) for spec in _fields(reference)]
        wrong = [each[:, 0] for each in cells]
        lost = [events - each.sum(axis=1) for each in cells]
        appeared = summary.total(FieldsBlock.kind, "appeared")
        return Moments.of_counts(events, np.stack([*wrong, *lost, appeared], axis=1))

    def bounds(
        self, reference: Moments, varied: Variation, falling: NDArray[np.bool_], log_error: float, floor: float
    ) -> NDArray[np.float64]:
        """Return the bounds of the shares."""
        share = reference.mean
        bound = share_rise_bound(share, reference.n, varied, floor, log_error)
        fields = (share.shape[1] - 1) // 2
        bound[:, :fields] = np.maximum(bound[:, :fields], share[:, :fields] + floor)
        lost = share[:, fields : 2 * fields]
        bound[:, fields : 2 * fields] = np.where(lost > USUAL, 1.0, VANISHED)
        return bound
