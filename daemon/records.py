"""Records as they come from a Kafka client: a column for each thing that is known of them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, Self

__all__ = ["Record", "Records"]


class Record(Protocol):
    """A single record."""

    @property
    def offset(self) -> int:
        """Its position in the partition."""
        ...

    @property
    def timestamp(self) -> int:
        """Milliseconds since 1970; -1 if the broker has none."""
        ...

    @property
    def value(self) -> bytes | None:
        """The event; None for a tombstone."""
        ...


@dataclass(frozen=True, slots=True)
class Records:
    """Records of one partition in offset order, as columns; a slice of them is some of them.

    ``timestamps_ms``: milliseconds since 1970, -1 if the broker has none. ``values``: None for a tombstone.
    """

    offsets: Sequence[int]
    timestamps_ms: Sequence[int]
    values: Sequence[bytes | None]

    @classmethod
    def of(cls, records: Iterable[Record]) -> Self:
        """Make columns of single records."""
        given = list(records)
        return cls(
            [record.offset for record in given],
            [record.timestamp for record in given],
            [record.value for record in given],
        )

    @classmethod
    def joined(cls, pieces: Sequence["Records"]) -> "Records":
        """Return the records of several, one after the other."""
        if len(pieces) == 1:
            # Nearly always: nothing has to be copied.
            return pieces[0]
        return cls(
            [each for piece in pieces for each in piece.offsets],
            [each for piece in pieces for each in piece.timestamps_ms],
            [each for piece in pieces for each in piece.values],
        )

    def __len__(self) -> int:
        return len(self.offsets)

    def __getitem__(self, some: slice) -> "Records":
        return Records(self.offsets[some], self.timestamps_ms[some], self.values[some])

    def without_tombstones(self) -> "Records":
        """Return those that have a value."""
        if None not in self.values:
            return self
        at = [row for row, value in enumerate(self.values) if value is not None]
        columns = (self.offsets, self.timestamps_ms, self.values)
        return Records(*([column[row] for row in at] for column in columns))  # type: ignore[arg-type] # each of its type
