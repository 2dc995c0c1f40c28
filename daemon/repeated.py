"""Columns in which values come again and again: each is looked at once."""

from collections.abc import Hashable, Sequence
from typing import TypeVar

__all__ = ["distinct"]

T = TypeVar("T", bound=Hashable)


def distinct(values: Sequence[T]) -> list[T]:
    """Return the different ones of ``values``, in their order."""
    # Comparing is cheaper than hashing, and often all are the same.
    if values and values.count(values[0]) == len(values):
        return [values[0]]
    return list(dict.fromkeys(values))
