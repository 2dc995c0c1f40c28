"""Summaries: what is kept of the events of one cohort's window.

Integers only, so merging is exactly associative and commutative: any split of the events, merged in any
order, gives the same bytes as one uninterrupted count.
"""

from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from detectors.arrays import pack, smallest_unsigned, unpack
from detectors.blocks import Block, Unseen
from detectors.bottomk import Sample, Sketch
from detectors.columns import DRAWS, Categories, Columns
from detectors.layout import WHOLE, BlockSpec, Layout
from detectors.numbers import NumberBlock
from detectors.pairs import PairsBlock
from detectors.raw import raw_values
from detectors.registry import block_of
from detectors.traffic import TrafficBlock

__all__ = ["SEGMENT", "SKETCH_SIZE", "Summary", "blocks_of", "fold", "sampled_fields", "sketch_name"]

SKETCH_SIZE = 64
"""Entries in the sketch of what a layout has no label for; a layout that still learns holds as many as its sample."""
SEGMENT = "segment"
"""The name of the sketch of segments that the layout does not have."""
_SAMPLE_DRAW = DRAWS.index("sample")
_UNKNOWN = -2
_MANY_EVENTS = 1000


@lru_cache(maxsize=4096)
def blocks_of(layout: Layout) -> tuple[Block, ...]:
    """Return the blocks of a layout, ready to count."""
    return tuple(block_of(spec) for spec in layout.blocks)


@lru_cache(maxsize=4096)
def _sums_at(layout: Layout) -> dict[tuple[str, str], int]:
    return {
        (block.kind, name): position
        for position, (block, name) in enumerate((block, name) for block in blocks_of(layout) for name in block.sums)
    }


@lru_cache(maxsize=4096)
def _starts(layout: Layout) -> tuple[int, ...]:
    """Return the first cell of each block."""
    ends = accumulate(block.cells for block in blocks_of(layout))
    return tuple([0, *ends][: len(layout.blocks)])


@lru_cache(maxsize=4096)
def _cells_at(layout: Layout) -> dict[tuple[str, str], tuple[int, int]]:
    return {
        (block.spec.kind, block.spec.field): (start, start + block.cells)
        for block, start in zip(blocks_of(layout), _starts(layout), strict=True)
    }


def sampled_fields(layout: Layout) -> list[str]:
    """Return the numbers of which the raw sample holds a column each, after that of the confidence."""
    return [spec.field for spec in layout.blocks_of(NumberBlock.kind)]


def sketch_name(spec: BlockSpec) -> str:
    """Return the name of a block's sketch: its kind, and the field if it has one."""
    return f"{spec.kind} {spec.field}" if spec.field else spec.kind


@lru_cache(maxsize=4096)
def _segment_positions(layout: Layout) -> dict[str, int]:
    return {segment: position for position, segment in enumerate(layout.segments)}


def _no_raw(layout: Layout) -> Sample:
    return Sample.none(0, 1) if layout.raw is None else Sample.none(layout.raw.events, 1 + len(layout.raw.values))


@dataclass(slots=True)
class Summary:
    """Counts, sums, and samples of a set of events under one layout.

    ``counts``: int64 [segments, cells of all blocks]; ``sums``: int64 [segments, sums of all blocks];
    ``sample``: raw values of the whole model's events, columns (confidence, numbers in the order of their
    blocks); ``sketches``: by kind and field (see ``sketch_name``), what the layout has no label for; ``raw``: the
    whole model's events for the detectors of other libraries, as ``layout.raw`` says, the time in the first column.
    """

    layout: Layout
    counts: NDArray[np.int64]
    sums: NDArray[np.int64]
    sample: Sample
    raw: Sample
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
            Sample.none(layout.sample_size, 1 + len(sampled_fields(layout))),
            _no_raw(layout),
        )

    def add(self, other: "Summary") -> None:
        """Merge ``other`` into this summary.

        Raises
        ------
        ValueError
            The two have different layouts.
        """
        if self.layout is not other.layout and self.layout != other.layout:
            message = "summaries of different layouts cannot be merged"
            raise ValueError(message)
        self.counts += other.counts
        self.sums += other.sums
        self.sample = self.sample.merge(other.sample)
        self.raw = self.raw.merge(other.raw)
        for kind, sketch in other.sketches.items():
            mine = self.sketches.get(kind)
            self.sketches[kind] = sketch if mine is None else mine.merge(sketch)

    def cells(self, kind: str, field: str = "") -> NDArray[np.int64]:
        """Return the counts of one block, [segments, cells]; raises KeyError for a block there is not."""
        start, end = _cells_at(self.layout)[kind, field]
        return self.counts[:, start:end]

    def total(self, kind: str, name: str) -> NDArray[np.int64]:
        """Return one sum of one block, [segments]; raises KeyError for one there is not."""
        return self.sums[:, _sums_at(self.layout)[kind, name]]

    @property
    def events(self) -> NDArray[np.int64]:
        """Events on time in each segment, int64 [segments]."""
        return self.total(TrafficBlock.kind, "events")

    def without_raw(self) -> "Summary":
        """Return the summary without what other libraries' detectors were fed: single events are not stored."""
        return replace(self, raw=_no_raw(self.layout))

    def to_bytes(self) -> bytes:
        """Return the summary, without its layout, as bytes: equal summaries give equal bytes."""
        cells = np.flatnonzero(self.counts)
        sums = np.flatnonzero(self.sums)
        meta = {
            "sample": self.sample.size,
            "sketches": {kind: [sketch.size, sketch.entries] for kind, sketch in self.sketches.items()},
        }
        raw = {"raw_hashes": self.raw.hashes, "raw_values": self.raw.values} if len(self.raw.hashes) else {}
        return pack(
            meta,
            {
                **raw,
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
        if "raw_hashes" in arrays:
            summary.raw = Sample(summary.raw.size, arrays["raw_hashes"], arrays["raw_values"])
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
    memberships, unknown = _memberships(layout, columns)
    _add_sums(summary, memberships, columns, late=late)
    if late:
        return summary
    _add_cells(summary, memberships, columns)
    _add_pairs(summary, columns)
    draws = columns.hashes[:, _SAMPLE_DRAW]
    if layout.sample_size:
        missing = np.full(len(columns), np.nan)
        numbers = [columns.numbers.get(field, missing) for field in sampled_fields(layout)]
        summary.sample = Sample.of(layout.sample_size, draws, np.column_stack([columns.confidence, *numbers]))
    if layout.raw is not None:
        summary.raw = Sample.of(layout.raw.events, draws, raw_values(layout.raw, columns))
    unseen = {SEGMENT: unknown}
    # What a field's values are is learnt once.
    learning = [block for block in blocks_of(layout) if layout.sample_size or not block.spec.field]
    unseen |= {sketch_name(block.spec): found for block in learning if (found := block.unseen(columns))}
    size = max(SKETCH_SIZE, layout.sample_size)
    summary.sketches = {name: _sketch(size, draws, *found) for name, found in unseen.items() if len(found[0])}
    return summary


def _add_sums(summary: Summary, memberships: list[NDArray[np.int64]], columns: Columns, *, late: bool) -> None:
    at, segments = 0, len(summary.layout.segments)
    whole = _segment_positions(summary.layout)[WHOLE]
    for block in blocks_of(summary.layout):
        if not late:
            values = block.values_of(columns)
        else:
            values = TrafficBlock.late_values_of(columns) if block.kind == TrafficBlock.kind else None
        if values is not None:
            summary.sums[whole, at : at + len(block.sums)] += values.sum(axis=1)
            for position, value in enumerate(values, start=at):
                for member in memberships if value.any() else ():
                    # Exact: every value is an integer below 2³³, so a batch's float64 total stays below 2⁵³.
                    counted = np.bincount(member, value, segments + 1)
                    summary.sums[:, position] += counted[:segments].astype(np.int64)
        at += len(block.sums)


def _add_cells(summary: Summary, memberships: list[NDArray[np.int64]], columns: Columns) -> None:
    """Count each event in its cell of every block."""
    blocks = [
        (start, block.cells, cells)
        for block, start in zip(blocks_of(summary.layout), _starts(summary.layout), strict=True)
        if (cells := block.cell_of(columns)) is not None
    ]
    if len(columns) < _MANY_EVENTS:
        # Of a few events together: what each call costs is more than what it counts.
        width = max((start + width for start, width, _ in blocks), default=0)
        starts = np.array([start for start, _, _ in blocks], dtype=np.int64)[:, None]
        cells = np.array([cells for _, _, cells in blocks], dtype=np.int64).reshape(len(blocks), len(columns))
        _count(summary.counts[:, :width], np.where(cells < 0, -1, cells + starts), width, memberships, summary.layout)
        return
    for start, width, cells in blocks:
        _count(summary.counts[:, start : start + width], cells, width, memberships, summary.layout)


def _add_pairs(summary: Summary, columns: Columns) -> None:
    """Count the pairs that each event is in, in the whole model."""
    whole = _segment_positions(summary.layout)[WHOLE]
    for block, start in zip(blocks_of(summary.layout), _starts(summary.layout), strict=True):
        if isinstance(block, PairsBlock):
            summary.counts[whole, start : start + block.cells] += block.counts_of(columns)


def _count(
    counts: NDArray[np.int64],
    cells: NDArray[np.int64],
    width: int,
    memberships: list[NDArray[np.int64]],
    layout: Layout,
) -> None:
    """Add how many events fall into each cell, by segment; ``cells`` [..., n], -1 for none."""
    # A first column takes what is in no cell, a last row events outside a tag's segments.
    cells, width, rows = cells + 1, width + 1, len(layout.segments) + 1
    counts[_segment_positions(layout)[WHOLE]] += np.bincount(cells.ravel(), minlength=width)[1:]
    for segments in memberships:
        counted = np.bincount((segments * width + cells).ravel(), minlength=rows * width)
        counts += counted.reshape(rows, width)[:-1, 1:]


def _sketch(size: int, draws: NDArray[np.uint64], rows: NDArray[np.intp], values: Categories) -> Sketch:
    # Only the smallest hashes can stay in the sketch: a flood of new values costs no more than a few.
    found = draws[rows]
    limit = np.partition(found, size - 1)[size - 1] if len(found) > size else found.max()
    kept = np.flatnonzero(found <= limit)
    return Sketch.of(size, [(int(found[at]), values.names[values.codes[at]]) for at in kept])


def _memberships(layout: Layout, columns: Columns) -> tuple[list[NDArray[np.int64]], Unseen]:
    """Return each event's segment [n] by each tag, the number of segments for none; and those that are unknown."""
    positions, outside = _segment_positions(layout), len(layout.segments)
    memberships: list[NDArray[np.int64]] = []
    unknown_names: list[str] = []
    unknown_codes = np.full(len(columns), -1, dtype=np.int64)
    for key, tag in columns.tags.items():
        names = tuple(f"{key}={name}" for name in tag.names)
        found = Categories(tag.codes, names).positions(positions, _UNKNOWN)
        memberships.append(np.where(found < 0, outside, found))
        unknown = found == _UNKNOWN
        # An event with several unknown segments is sketched with the last of them.
        unknown_codes[unknown] = tag.codes[unknown] + len(unknown_names)
        unknown_names.extend(names)
    rows = np.flatnonzero(unknown_codes >= 0)
    return memberships, (rows, Categories(unknown_codes[rows], tuple(unknown_names)))
