"""Bottom-k samples: the k events with the smallest hashes, mergeable exactly.

The hash of an event is uniform and fixed, so the k smallest are a uniform sample of all events seen,
whatever the order in which they came or how they were split (Cohen & Kaplan 2007, "Summarizing data using
bottom-k sketches"). Of what came more than once the events share a hash: then the k smallest *different* hashes are
a uniform sample of the different events.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Repeats", "Sample", "Sketch"]

_EXPECTED = 2
"""So many times the sample are expected among the hashes that are looked at first: nearly always they are enough."""


@dataclass(frozen=True, slots=True)
class Sample:
    """The raw numbers of the ``size`` events with the smallest hashes.

    ``hashes``: uint64 [k], ascending; ``values``: float64 [k, d].
    """

    size: int
    hashes: NDArray[np.uint64]
    values: NDArray[np.float64]

    @classmethod
    def none(cls, size: int, columns: int) -> "Sample":
        """Return the sample of no events."""
        return cls(size, np.empty(0, np.uint64), np.empty((0, columns)))

    @classmethod
    def of(cls, size: int, hashes: NDArray[np.uint64], values: NDArray[np.float64]) -> "Sample":
        """Return the sample of events given by ``hashes`` [n] and ``values`` [n, d]."""
        if len(hashes) > size:
            kept = np.flatnonzero(hashes <= np.partition(hashes, size - 1)[size - 1]) if size else slice(0, 0)
            hashes, values = hashes[kept], values[kept]
        # Equal hashes are the same event delivered twice or a collision: the values break the tie.
        order = np.lexsort((*values.T[::-1], hashes))[:size]
        return cls(size, hashes[order], values[order])

    def merge(self, other: "Sample") -> "Sample":
        """Return the sample of both sets of events."""
        return Sample.of(
            self.size,
            np.concatenate([self.hashes, other.hashes]),
            np.concatenate([self.values, other.values]),
        )


@dataclass(frozen=True, slots=True)
class Repeats:
    """The ``size`` smallest different hashes, and how often each came.

    ``hashes``: uint64 [k], ascending; ``counts``: int64 [k]. The k-th smallest hash of more events is no greater, so
    what is among the smallest in the end was so from its first event on, in every part of the events: no event of
    it was passed over, and the counts are exact.
    """

    size: int
    hashes: NDArray[np.uint64]
    counts: NDArray[np.int64]

    @classmethod
    def none(cls, size: int) -> "Repeats":
        """Return what is known of no events."""
        return cls(size, np.empty(0, np.uint64), np.empty(0, np.int64))

    def more(self, hashes: NDArray[np.uint64]) -> "Repeats":
        """Return the same with further events, given by their ``hashes`` [n]."""
        if not self.size or not len(hashes):
            return self
        if len(self.hashes) == self.size:
            return self._with(hashes[hashes <= self.hashes[-1]])
        # Sorting them all would cost more than anything else that is counted.
        share = _EXPECTED * self.size / len(hashes)
        if share < 1.0:
            limit = np.uint64(int(share * 2.0**64))
            found = self._with(hashes[hashes < limit])
            if len(found.hashes) == self.size and found.hashes[-1] < limit:
                return found
        return self._with(hashes)

    def _with(self, hashes: NDArray[np.uint64]) -> "Repeats":
        return self.merge(Repeats(self.size, hashes, np.ones(len(hashes), dtype=np.int64)))

    def merge(self, other: "Repeats") -> "Repeats":
        """Return what is known of both sets of events."""
        if not len(other.hashes):
            return self
        hashes = np.concatenate([self.hashes, other.hashes])
        order = np.argsort(hashes, kind="stable")
        ordered = hashes[order]
        starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
        counts = np.add.reduceat(np.concatenate([self.counts, other.counts])[order], starts)
        return Repeats(self.size, ordered[starts][: self.size], counts[: self.size])


@dataclass(frozen=True, slots=True)
class Sketch:
    """Text values of the ``size`` events with the smallest hashes, ascending by (hash, value)."""

    size: int
    entries: tuple[tuple[int, str], ...]

    @classmethod
    def of(cls, size: int, entries: list[tuple[int, str]]) -> "Sketch":
        """Return the sketch of events given as (hash, value)."""
        return cls(size, tuple(sorted(entries)[:size]))

    def merge(self, other: "Sketch") -> "Sketch":
        """Return the sketch of both sets of events."""
        return Sketch.of(self.size, [*self.entries, *other.entries])

    def most_frequent(self) -> list[str]:
        """Return the values, the most frequent in the sample first, ties by name."""
        counts: dict[str, int] = {}
        for _, value in self.entries:
            counts[value] = counts.get(value, 0) + 1
        return sorted(counts, key=lambda value: (-counts[value], value))
