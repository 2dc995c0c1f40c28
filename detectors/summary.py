"""Summaries: what is kept of the events of one cohort's window.

Integers only, so merging is exactly associative and commutative: any split of the events, merged in any
order, gives the same bytes as one uninterrupted count.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from detectors.arrays import pack, smallest_unsigned, unpack
from detectors.blocks import Block
from detectors.bottomk import Repeats, Sample, Sketch
from detectors.duplicates import IdsBlock
from detectors.layout import BlockSpec, Layout
from detectors.numbers import NumberBlock
from detectors.registry import block_of
from detectors.traffic import TrafficBlock

__all__ = ["Summary", "blocks_of", "sampled_fields", "sketch_name"]


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
def _cells_at(layout: Layout) -> dict[tuple[str, str], tuple[bool, slice]]:
    """Return where the cells of each block are: whether in those of the whole model alone, and which."""
    found: dict[tuple[str, str], tuple[bool, slice]] = {}
    ends = [0, 0]
    for block in blocks_of(layout):
        alone = block.whole_cells > 0
        start, ends[alone] = ends[alone], ends[alone] + block.cells + block.whole_cells
        found[block.spec.kind, block.spec.field] = (alone, slice(start, ends[alone]))
    return found


@lru_cache(maxsize=4096)
def _alone(layout: Layout) -> NDArray[np.bool_]:
    """Return which cells of a stored row, which has those of all blocks, are counted in the whole model alone."""
    blocks = blocks_of(layout)
    alone = np.array([block.whole_cells > 0 for block in blocks], dtype=np.bool_)
    return np.repeat(alone, [block.cells + block.whole_cells for block in blocks])


def sampled_fields(layout: Layout) -> list[str]:
    """Return the numbers of which the raw sample holds a column each, after that of the confidence."""
    return [spec.field for spec in layout.blocks_of(NumberBlock.kind)]


def sketch_name(spec: BlockSpec) -> str:
    """Return the name of a block's sketch: its kind, and the field if it has one."""
    return f"{spec.kind} {spec.field}" if spec.field else spec.kind


def _no_raw(layout: Layout) -> Sample:
    return Sample.none(0, 1) if layout.raw is None else Sample.none(layout.raw.events, 1 + len(layout.raw.values))


@lru_cache(maxsize=4096)
def _no_ids(layout: Layout) -> Repeats:
    return Repeats.none(IdsBlock.sampled if layout.blocks_of(IdsBlock.kind) else 0)


@dataclass(slots=True)
class Summary:
    """Counts, sums, and samples of a set of events under one layout.

    ``counts``: int64 [segments, cells of all blocks]; ``whole``: int64 [cells that are counted in the whole model
    alone]; ``sums``: int64 [segments, sums of all blocks];
    ``sample``: raw values of the whole model's events, columns (confidence, numbers in the order of their
    blocks); ``sketches``: by kind and field (see ``sketch_name``), what the layout has no label for; ``raw``: the
    whole model's events for the detectors of other libraries, as ``layout.raw`` says, the time in the first column;
    ``ids``: the smallest of the events' draws, and how often each came, if the layout counts ids.
    """

    layout: Layout
    counts: NDArray[np.int64]
    whole: NDArray[np.int64]
    sums: NDArray[np.int64]
    sample: Sample
    raw: Sample
    ids: Repeats
    sketches: dict[str, Sketch] = field(default_factory=dict)

    @classmethod
    def empty(cls, layout: Layout) -> "Summary":
        """Return the summary of no events."""
        blocks = blocks_of(layout)
        segments = len(layout.segments)
        return cls(
            layout,
            np.zeros((segments, sum(block.cells for block in blocks)), dtype=np.int64),
            np.zeros(sum(block.whole_cells for block in blocks), dtype=np.int64),
            np.zeros((segments, sum(len(block.sums) for block in blocks)), dtype=np.int64),
            Sample.none(layout.sample_size, 1 + len(sampled_fields(layout))),
            _no_raw(layout),
            _no_ids(layout),
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
        self.whole += other.whole
        self.sums += other.sums
        self.sample = self.sample.merge(other.sample)
        self.raw = self.raw.merge(other.raw)
        self.ids = self.ids.merge(other.ids)
        self.add_sketches(other.sketches)

    def add_sketches(self, sketches: Mapping[str, Sketch]) -> None:
        """Merge the sketches of other events into those of this summary."""
        for name, sketch in sketches.items():
            mine = self.sketches.get(name)
            self.sketches[name] = sketch if mine is None else mine.merge(sketch)

    def cells(self, kind: str, field: str = "") -> NDArray[np.int64]:
        """Return the counts of one block, [segments, cells]; raises KeyError for a block there is not.

        Of one that counts in the whole model alone, [1, cells].
        """
        alone, at = _cells_at(self.layout)[kind, field]
        return self.whole[None, at] if alone else self.counts[:, at]

    def total(self, kind: str, name: str) -> NDArray[np.int64]:
        """Return one sum of one block, [segments]; raises KeyError for one there is not."""
        return self.sums[:, _sums_at(self.layout)[kind, name]]

    @property
    def events(self) -> NDArray[np.int64]:
        """Events on time in each segment, int64 [segments]."""
        return self.total(TrafficBlock.kind, "events")

    def closed(self) -> "Summary":
        """Return the summary of a window to which nothing is added any more, as it is stored: without single events.

        Nothing is left of what other libraries' detectors were fed; ids are counted.
        """
        closed = replace(self, raw=_no_raw(self.layout), ids=_no_ids(self.layout))
        if len(self.ids.hashes):
            closed.whole = self.whole.copy()
            closed.cells(IdsBlock.kind)[0] += IdsBlock.cells_of(self.ids)
        return closed

    def to_bytes(self) -> bytes:
        """Return the summary, without its layout, as bytes: equal summaries give equal bytes."""
        cells, counts = _filled(self)
        sums = np.flatnonzero(self.sums)
        meta = {
            "sample": self.sample.size,
            "sketches": {kind: [sketch.size, sketch.entries] for kind, sketch in self.sketches.items()},
        }
        raw = {"raw_hashes": self.raw.hashes, "raw_values": self.raw.values} if len(self.raw.hashes) else {}
        counted = {"ids_hashes": self.ids.hashes, "ids_counts": smallest_unsigned(self.ids.counts)}
        return pack(
            meta,
            {
                **raw,
                **(counted if len(self.ids.hashes) else {}),
                "cells": smallest_unsigned(np.diff(cells, prepend=0)),
                "counts": smallest_unsigned(counts),
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
        _fill(summary, np.cumsum(arrays["cells"].astype(np.int64)), arrays["counts"])
        summary.sums.ravel()[np.cumsum(arrays["sums_at"].astype(np.int64))] = arrays["sums"]
        summary.sample = Sample(meta["sample"], arrays["sample_hashes"], arrays["sample_values"])
        if "raw_hashes" in arrays:
            summary.raw = Sample(summary.raw.size, arrays["raw_hashes"], arrays["raw_values"])
        if "ids_hashes" in arrays:
            summary.ids = Repeats(summary.ids.size, arrays["ids_hashes"], arrays["ids_counts"].astype(np.int64))
        summary.sketches = {
            kind: Sketch(size, tuple((entry[0], entry[1]) for entry in entries))
            for kind, (size, entries) in meta["sketches"].items()
        }
        return summary


def _filled(summary: Summary) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the cells that are not empty, numbered row by row as they are stored, and their counts."""
    alone = _alone(summary.layout)
    in_all, in_whole = np.flatnonzero(~alone), np.flatnonzero(alone)
    # Comparing first takes a sixth of the time: nearly all cells are empty.
    at = np.flatnonzero(summary.counts != 0)
    counts = summary.counts.ravel()[at]
    rows, columns = np.divmod(at, len(in_all))
    cells = rows * len(alone) + in_all[columns]
    some = np.flatnonzero(summary.whole)
    cells, counts = np.concatenate([cells, in_whole[some]]), np.concatenate([counts, summary.whole[some]])
    order = np.argsort(cells, kind="stable")
    return cells[order], counts[order]


def _fill(summary: Summary, cells: NDArray[np.int64], counts: NDArray[np.int64]) -> None:
    """Take what :func:`_filled` returned."""
    alone = _alone(summary.layout)
    place = np.where(alone, np.cumsum(alone), np.cumsum(~alone)) - 1
    rows, columns = np.divmod(cells, len(alone))
    whole = alone[columns]
    summary.counts[rows[~whole], place[columns[~whole]]] = counts[~whole]
    summary.whole[place[columns[whole]]] = counts[whole]
