"""What a batch of events carries in its fields: read into columns already, or still as it came."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from daemon.events import Event
from daemon.slots import FieldColumns, Slots, Tags, members

__all__ = ["Carried", "Kept", "Read"]


class Carried(Protocol):
    """The fields of n events."""

    def columns(self, slots: Slots) -> FieldColumns:
        """Return those that have slots."""
        ...

    def whole(self, row: int) -> tuple[Mapping[str, msgspec.Raw], Collection[str]]:
        """Return all features of one event, as JSON by their names, and the names of its tags."""
        ...

    def take(self, rows: NDArray[np.intp]) -> "Carried":
        """Return those of some events."""
        ...


class Kept:
    """Features that are still JSON, and tags."""

    def __init__(self, features: Sequence[msgspec.Raw | None], tags: Sequence[Tags]) -> None:
        self.features = features
        self.tags = tags

    @staticmethod
    def joined(pieces: Sequence["Kept"]) -> "Kept":
        """Return the events of several, one after the other."""
        return Kept(
            [each for piece in pieces for each in piece.features],
            [each for piece in pieces for each in piece.tags],
        )

    def columns(self, slots: Slots) -> FieldColumns:
        """See Carried."""
        return slots.read(self.features, self.tags)

    def whole(self, row: int) -> tuple[Mapping[str, msgspec.Raw], Collection[str]]:
        """See Carried."""
        return members(self.features[row]), self.tags[row] or ()

    def take(self, rows: NDArray[np.intp]) -> "Kept":
        """See Carried."""
        wanted = rows.tolist()
        return Kept([self.features[row] for row in wanted], [self.tags[row] for row in wanted])


class Read:
    """Fields that were read into ``slots``; ``event`` decodes an event again, if more is to be known of it."""

    def __init__(self, slots: Slots, read: FieldColumns, event: Callable[[int], Event]) -> None:
        self._slots = slots
        self._read = read
        self._event = event

    def columns(self, slots: Slots) -> FieldColumns:
        """See Carried."""
        found = self._slots.pick(self._read, slots)
        if found is None:
            events = [self._event(row) for row in range(len(self._read))]
            found = slots.read([event.features for event in events], [event.tags for event in events])
        return found

    def whole(self, row: int) -> tuple[Mapping[str, msgspec.Raw], Collection[str]]:
        """See Carried."""
        event = self._event(row)
        return members(event.features), event.tags or ()

    def take(self, rows: NDArray[np.intp]) -> "Read":
        """See Carried."""
        event, wanted = self._event, rows.tolist()
        return Read(self._slots, self._read.take(rows), lambda row: event(wanted[row]))
