"""What most events are expected to hold, so that they are decoded straight into slots in one pass.

It only makes reading fast. An event that holds something else is read the general way, and gives the same.
"""

import math
import struct
from collections.abc import Sequence
from typing import Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from daemon.slots import Slots, can_have_slot

__all__ = ["Expected", "Probabilities", "Wishes", "expected_of"]

_FEW_SLOTS = 64
_MOST_CLASSES = 64
"""Slots that an event does not fill cost time, too: with many more than it fills the general way is as fast."""


Probabilities = dict[str, float] | list[float] | None
"""By class, or in the order of the configured classes."""


class Wishes(Protocol):
    """What is read of the events of one layout."""

    @property
    def slots(self) -> Slots:
        """Its features and tags."""
        ...

    @property
    def classes(self) -> Sequence[str]:
        """Its classes."""
        ...


class Expected:
    """Slots for features, and one for the probability of each of ``classes``, if each can have one and they are few.

    ``types``: the types of fields of an event that are more special than those of ``events.Event``.
    """

    def __init__(self, slots: Slots, classes: Sequence[str]) -> None:
        self.slots = slots
        self._asked = frozenset(classes)
        all_fit = len(classes) <= _MOST_CLASSES and all(map(can_have_slot, classes))
        self.classes = tuple(classes) if all_fit else ()
        names = {f"c{at}": name for at, name in enumerate(self.classes)}
        # A class without a slot must not be passed over: such an event is read the general way.
        self._shares: type[msgspec.Struct] = msgspec.defstruct(
            "Shares",
            [(slot, float, math.nan) for slot in names],
            rename=names,
            gc=False,
            forbid_unknown_fields=True,
        )
        self._pack = struct.Struct(f"{len(self.classes)}d").pack
        self.types: dict[str, object] = {"features": slots.type | None}
        if self.classes:
            self.types["probabilities"] = self._shares | list[float] | None

    def covers(self, wishes: Wishes) -> bool:
        """Say whether there is a slot for each."""
        return self.slots.covers(wishes.slots) and self._asked.issuperset(wishes.classes)

    def shares(self, given: Sequence[object]) -> NDArray[np.float64] | None:
        """Return probabilities as float64 [n, classes], NaN where there is none; None if not all are in slots."""
        if set(map(type, given)) != {self._shares}:
            return None
        astuple, pack = msgspec.structs.astuple, self._pack
        packed = b"".join([pack(*astuple(each)) for each in given])  # type: ignore[arg-type] # they are structs
        return np.frombuffer(packed, dtype=np.float64).reshape(len(given), len(self.classes))

    def plain(self, probabilities: Probabilities | msgspec.Struct) -> Probabilities:
        """Return probabilities as they are without slots: by class, if they are in slots."""
        if not isinstance(probabilities, msgspec.Struct):
            return probabilities
        shares = zip(self.classes, msgspec.structs.astuple(probabilities), strict=True)
        return {name: share for name, share in shares if not math.isnan(share)}


def expected_of(wishes: Sequence[Wishes]) -> Expected | None:
    """Return what covers all ``wishes``; None if there are so many that the general way is better."""
    numbers = dict.fromkeys(name for each in wishes for name in each.slots.numbers)
    texts = dict.fromkeys(name for each in wishes for name in each.slots.texts)
    tags = dict.fromkeys(name for each in wishes for name in each.slots.tags)
    classes = dict.fromkeys(name for each in wishes for name in each.classes)
    most = max((each.slots.features for each in wishes), default=0)
    if len(numbers) + len(texts) > max(_FEW_SLOTS, 2 * most) or numbers.keys() & texts.keys():
        return None
    return Expected(Slots(tuple(numbers), tuple(texts), tuple(tags)), tuple(classes))
