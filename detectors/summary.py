"""Summaries: what is kept of the events of one cohort's window.

Integers only, so merging is exactly associative and commutative: any split of the events, merged in any
order, gives the same bytes as one uninterrupted count.
"""

from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from detectors.arrays import pack, smallest_unsigned, unpack
from detectors.blocks import Block, Unseen
from detectors.bottomk import Sample, Sketch
from detectors.columns import DRAWS, Categories, Columns
from detectors.layout import WHOLE, Layout
from detectors.registry import BLOCKS
from detectors.traffic import TrafficBlock

__all__ = ["SEGMENT", "SKETCH_SIZE", "Summary", "blocks_of", "fold"]

SKETCH_SIZE = 64
"""Entries in the sketch of what a layout has no label for; a layout that still learns holds as many as its sample."""
SEGMENT = "segment"
"""The name of the sketch of segments that the layout does not have."""
_SAMPLE_DRAW = DRAWS.index("sample")
_UNKNOWN = -2


@lru_cache(maxsize=4096)
def blocks_of(layout: Layout) -> tuple[Block, ...]:
    """Return the blocks of a layout, ready to count."""
    return tuple(BLOCKS[spec.kind](spec) for spec in layout.blocks)


@lru_cache(maxsize=4096)
def _segment_positions(layout: Layout) -> dict[str, int]:
    return {segment: position for position, segment in enumerate(layout.segments)}


@dataclass(slots=True)
class Summary:
    """Counts, sums, and samples of a set of events under one layout.

    ``counts``: int64 [segments, cells of all blocks]; ``sums``: int64 [segments, sums of all blocks];
    ``sample``: raw values of the whole model's events, columns (confidence,); ``sketches``: by kind, what the
    layout has no label for.
    """

    layout: Layout
    counts: NDArray[np.int64]
    sums: NDArray[np.int64]
    sample: Sample
    sketches: dict[str, Sketch] = field(default_factory=dict)

    @classmethod
    def empty(cls, layout: Layout) -> "Summary":
        """Return the summary of no events."""
        blocks = blocks_of(layout)
        segments = len(layout.segments)
        return cls(
            layout,
            np.zeros((segments, sum(block.cells for block in blocks)), dtype=np.int64),
            np.zeros((segments, sum(len(block.sums) for block in blocks)), dtype=np.int64),
            Sample(layout.sample_size, np.empty(0, np.uint64), np.empty((0, 1))),
        )

    def add(self, other: "Summary") -> None:
        """Merge ``other`` into this summary.

        Raises
        ------
        ValueError
            The two have different layouts.
        """
        if self.layout != other.layout:
            message = "summaries of different layouts cannot be merged"
            raise ValueError(message)
        self.counts += other.counts
        self.sums += other.sums
        self.sample = self.sample.merge(other.sample)
        for kind, sketch in other.sketches.items():
            mine = self.sketches.get(kind)
            self.sketches[kind] = sketch if mine is None else mine.merge(sketch)

    def cells(self, kind: str) -> NDArray[np.int64]:
        """Return the counts of one block, [segments, cells]; raises KeyError for a block there is not."""
        start = 0
        for block in blocks_of(self.layout):
            if block.kind == kind:
                return self.counts[:, start : start + block.cells]
            start += block.cells
        raise KeyError(kind)

    def total(self, kind: str, name: str) -> NDArray[np.int64]:
        """Return one sum of one block, [segments]; raises KeyError for one there is not."""
        start = 0
        for block in blocks_of(self.layout):
            if block.kind == kind and name in block.sums:
                return self.sums[:, start + block.sums.index(name)]
            start += len(block.sums)
        raise KeyError((kind, name))

    @property
    def events(self) -> NDArray[np.int64]:
        """Events on time in each segment, int64 [segments]."""
        return self.total(TrafficBlock.kind, "events")

    def to_bytes(self) -> bytes:
        """Return the summary, without its layout, as bytes: equal summaries give equal bytes."""
        cells = np.flatnonzero(self.counts)
        sums = np.flatnonzero(self.sums)
        meta = {
            "sample": self.sample.size,
            "sketches": {kind: [sketch.size, sketch.entries] for kind, sketch in self.sketches.items()},
        }
        return pack(
            meta,
            {
                "cells": smallest_unsigned(np.diff(cells, prepend=0)),
                "counts": smallest_unsigned(self.counts.ravel()[cells]),
                "sums_at": smallest_unsigned(np.diff(sums, prepend=0)),
                "sums": smallest_unsigned(self.sums.ravel()[sums]),
                "sample_hashes": self.sample.hashes,
                "sample_values": self.sample.values,
            },
        )

    @classmethod
    def from_bytes(cls, layout: Layout, data: bytes) -> "Summary":
        """Return the summary that :meth:`to_bytes` wrote under ``layout``."""
        meta, arrays = unpack(data)
        summary = cls.empty(layout)
        summary.counts.ravel()[np.cumsum(arrays["cells"].astype(np.int64))] = arrays["counts"]
        summary.sums.ravel()[np.cumsum(arrays["sums_at"].astype(np.int64))] = arrays["sums"]
        summary.sample = Sample(meta["sample"], arrays["sample_hashes"], arrays["sample_values"])
        summary.sketches = {
            kind: Sketch(size, tuple((entry[0], entry[1]) for entry in entries))
            for kind, (size, entries) in meta["sketches"].items()
        }
        return summary


def fold(layout: Layout, columns: Columns, *, late: bool = False) -> Summary:
    """Return the summary of a batch: every event counts in the whole model and in each of its segments.

    ``late`` events had their window closed before them: only their number is counted.
    """
    summary = Summary.empty(layout)
    rows, segments, unknown = _memberships(layout, columns)
    count_at, sum_at = 0, 0
    for block in blocks_of(layout):
        if late:
            values = TrafficBlock.late_values_of(columns) if block.kind == TrafficBlock.kind else None
            cells = None
        else:
            values, cells = block.values_of(columns), block.cell_of(columns)
        if cells is not None:
            inside = cells[rows] >= 0
            flat = segments[inside] * block.cells + cells[rows][inside]
            found = np.bincount(flat, minlength=len(layout.segments) * block.cells)
            summary.counts[:, count_at : count_at + block.cells] = found.reshape(-1, block.cells)
        if values is not None:
            for position in range(values.shape[1]):
                # Exact: every value is an integer below 2³³, so a batch's float64 total stays below 2⁵³.
                totals = np.bincount(segments, values[rows, position], minlength=len(layout.segments))
                summary.sums[:, sum_at + position] = totals.astype(np.int64)
        count_at += block.cells
        sum_at += len(block.sums)
    if not late:
        draws = columns.hashes[:, _SAMPLE_DRAW]
        summary.sample = Sample.of(layout.sample_size, draws, columns.confidence[:, None])
        unseen = {block.kind: block.unseen(columns) for block in blocks_of(layout)}
        summary.sketches = {
            kind: _sketch(max(SKETCH_SIZE, layout.sample_size), draws, *found)
            for kind, found in {SEGMENT: unknown, **unseen}.items()
            if found is not None and len(found[0])
        }
    return summary


def _sketch(size: int, draws: NDArray[np.uint64], rows: NDArray[np.intp], column: Categories) -> Sketch:
    # Only the smallest hashes can stay in the sketch: a flood of new values costs no more than a few.
    limit = np.sort(draws[rows])[:size][-1]
    kept = rows[draws[rows] <= limit]
    return Sketch.of(size, [(int(draws[row]), column.names[column.codes[row]]) for row in kept])


def _memberships(layout: Layout, columns: Columns) -> tuple[NDArray[np.intp], NDArray[np.int64], Unseen]:
    """Return the rows and segment positions of every (event, segment) pair, and the segments unknown."""
    everything = np.arange(len(columns))
    positions = _segment_positions(layout)
    rows, segments = [everything], [np.full(len(columns), positions[WHOLE], dtype=np.int64)]
    unknown_rows: list[NDArray[np.intp]] = []
    unknown_names: list[str] = []
    unknown_codes = np.full(len(columns), -1, dtype=np.int64)
    for key, tag in columns.tags.items():
        names = tuple(f"{key}={name}" for name in tag.names)
        found = Categories(tag.codes, names).positions(positions, _UNKNOWN)
        inside, outside = found >= 0, found == _UNKNOWN
        rows.append(everything[inside])
        segments.append(found[inside])
        # An event with several unknown segments is sketched with the last of them.
        unknown_rows.append(everything[outside])
        unknown_codes[outside] = tag.codes[outside] + len(unknown_names)
        unknown_names.extend(names)
    unknown = np.unique(np.concatenate(unknown_rows)) if unknown_rows else everything[:0]
    return np.concatenate(rows), np.concatenate(segments), (unknown, Categories(unknown_codes, tuple(unknown_names)))
