"""Folding: how a batch of events is counted into a summary."""

from functools import lru_cache
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from detectors.blocks import Unseen
from detectors.bottomk import Sample, Sketch
from detectors.columns import DRAWS, Categories, Columns
from detectors.layout import Layout
from detectors.raw import raw_values
from detectors.summary import Summary, blocks_of, sampled_fields, sketch_name
from detectors.traffic import TrafficBlock

__all__ = ["SEGMENT", "SKETCH_SIZE", "fold", "fold_into"]

SKETCH_SIZE = 64
"""Entries in the sketch of what a layout has no label for; a layout that still learns holds as many as its sample."""
SEGMENT = "segment"
"""The name of the sketch of segments that the layout does not have."""
_SAMPLE_DRAW = DRAWS.index("sample")
_UNKNOWN = -2


def fold(layout: Layout, columns: Columns, *, late: bool = False) -> Summary:
    """Return the summary of a batch: every event counts in the whole model and in each of its segments.

    ``late`` events had their window closed before them: only their number is counted.
    """
    summary = Summary.empty(layout)
    fold_into(summary, columns, late=late)
    return summary


def fold_into(summary: Summary, columns: Columns, *, late: bool = False) -> None:
    """Count a batch as :func:`fold` does, and add it to ``summary``: the same as merging with it, in less time."""
    layout = summary.layout
    memberships, unknown = _memberships(layout, columns)
    _add_sums(summary, memberships, columns, late=late)
    if late:
        return
    _add_cells(summary, memberships, columns)
    _add_whole(summary, columns)
    draws = columns.hashes[:, _SAMPLE_DRAW]
    summary.ids = summary.ids.more(draws)
    if layout.sample_size:
        missing = np.full(len(columns), np.nan)
        numbers = [columns.numbers.get(field, missing) for field in sampled_fields(layout)]
        values = np.column_stack([columns.confidence, *numbers])
        summary.sample = summary.sample.merge(Sample.of(layout.sample_size, draws, values))
    if layout.raw is not None:
        summary.raw = summary.raw.merge(Sample.of(layout.raw.events, draws, raw_values(layout.raw, columns)))
    unseen = {SEGMENT: unknown}
    # What a field's values are is learnt once.
    learning = [block for block in blocks_of(layout) if layout.sample_size or not block.spec.field]
    unseen |= {sketch_name(block.spec): found for block in learning if (found := block.unseen(columns))}
    size = max(SKETCH_SIZE, layout.sample_size)
    summary.add_sketches({name: _sketch(size, draws, *found) for name, found in unseen.items() if len(found[0])})


def _add_sums(summary: Summary, memberships: list[NDArray[np.int64]], columns: Columns, *, late: bool) -> None:
    found: list[NDArray[np.int64]] = []
    places: list[NDArray[np.intp]] = []
    start = 0
    for block in blocks_of(summary.layout):
        if not late:
            values = block.values_of(columns)
        else:
            values = TrafficBlock.late_values_of(columns) if block.kind == TrafficBlock.kind else None
        if values is not None:
            some = np.flatnonzero(values.any(axis=1))
            found.append(values[some])
            places.append(some + start)
        start += len(block.sums)
    if not found:
        return
    values, at = np.concatenate(found), np.concatenate(places)
    summary.sums[0, at] += values.sum(axis=1)
    outside = len(summary.layout.segments)
    for member in memberships:
        order = np.argsort(member, kind="stable")
        ordered = member[order]
        starts = np.flatnonzero(np.diff(ordered, prepend=-1))
        totals = np.add.reduceat(values[:, order], starts, axis=1)
        present = ordered[starts]
        inside = present < outside
        summary.sums[np.ix_(present[inside], at)] += totals[:, inside].T


def _add_cells(summary: Summary, memberships: list[NDArray[np.int64]], columns: Columns) -> None:
    """Count each event in its cell of every block."""
    blocks = blocks_of(summary.layout)
    ends = accumulate(block.cells for block in blocks)
    found = [
        (end - block.cells, cells)
        for block, end in zip(blocks, ends, strict=True)
        if (cells := block.cell_of(columns)) is not None
    ]
    if not found:
        return
    width, outside = summary.counts.shape[1], len(summary.layout.segments)
    starts = np.array([start for start, _ in found], dtype=np.int64)[:, None]
    cells = np.array([cells for _, cells in found])
    cells = np.where(cells < 0, width, cells + starts)
    summary.counts[0] += np.bincount(cells.ravel(), minlength=width + 1)[:width]
    for member in memberships:
        # One by one: a table of all cells of all segments would cost more than a batch has events.
        kept = (cells < width) & (member < outside)
        np.add.at(summary.counts.reshape(-1), (member * width + cells)[kept], 1)


def _add_whole(summary: Summary, columns: Columns) -> None:
    """Count what is counted in the whole model alone."""
    at = 0
    for block in blocks_of(summary.layout):
        counts = block.whole_counts_of(columns)
        if counts is not None:
            summary.whole[at : at + len(counts)] += counts
        at += block.whole_cells


def _sketch(size: int, draws: NDArray[np.uint64], rows: NDArray[np.intp], values: Categories) -> Sketch:
    # Only the smallest hashes can stay in the sketch: a flood of new values costs no more than a few.
    found = draws[rows]
    limit = np.partition(found, size - 1)[size - 1] if len(found) > size else found.max()
    kept = np.flatnonzero(found <= limit)
    return Sketch.of(size, [(int(found[at]), values.names[values.codes[at]]) for at in kept])


def _memberships(layout: Layout, columns: Columns) -> tuple[list[NDArray[np.int64]], Unseen]:
    """Return each event's segment [n] by each tag that makes some, and the unknown; the number of segments for none."""
    memberships: list[NDArray[np.int64]] = []
    unknown_names: list[str] = []
    unknown_codes = np.full(len(columns), -1, dtype=np.int64)
    for key, tag in columns.tags.items():
        names, position = _segments(layout, key, tag.names)
        found = position[tag.codes]
        member = np.where(found < 0, len(layout.segments), found)
        if (found >= 0).any():
            memberships.append(member)
        unknown = found == _UNKNOWN
        # An event with several unknown segments is sketched with the last of them.
        unknown_codes[unknown] = tag.codes[unknown] + len(unknown_names)
        unknown_names.extend(names)
    rows = np.flatnonzero(unknown_codes >= 0)
    return memberships, (rows, Categories(unknown_codes[rows], tuple(unknown_names)))


@lru_cache(maxsize=64)
def _segments(layout: Layout, key: str, values: tuple[str, ...]) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """Return the segments that a tag's values make, and the number of each; the last number is that of no value."""
    positions = {segment: position for position, segment in enumerate(layout.segments)}
    names = tuple(f"{key}={value}" for value in values)
    return names, np.array([positions.get(name, _UNKNOWN) for name in names] + [-1], dtype=np.int64)
