"""References: what a stream is compared with. Immutable; identified by a digest of their content."""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from detectors.arrays import pack, unpack
from detectors.layout import Layout
from detectors.season import Season
from detectors.summary import Summary
from detectors.tolerance import Variation

__all__ = ["LEARNING_WINDOWS", "Calibration", "Reference", "Source", "aligned"]

LEARNING_WINDOWS = 20
"""Closed windows with events from which a reference is learnt, and a design effect measured."""

_FORMAT = 1
_SEASONAL = 2
"""The format of references by hour, which would be taken for others by who does not know of them."""
_SUMMARY = "summary"

_Arrays = dict[str, NDArray[np.uint8] | NDArray[np.float64] | NDArray[np.bool_]]

Source = Literal["file", "learnt", "accepted"]
"""Where a reference comes from: a file, the live stream, or windows that a person accepted as the new normal."""
Calibration = Mapping[str, Variation]
"""By monitor: how its window means vary, a row for each segment of the reference's layout."""


@dataclass(frozen=True, eq=False)
class Reference:
    """What was counted in the reference, under the layout it was counted with.

    ``windows``: the closed windows it was learnt from, 0 if it comes from a file. ``calibration``: how the
    window means varied, None if that is not known (a file has lost the order of its events). ``season``: what
    repeats, if windows are compared with the same hour; ``hourly``: what was counted in each of its hours.
    """

    layout: Layout
    summary: Summary
    windows: int = 0
    calibration: Calibration | None = None
    source: Source = "file"
    season: Season | None = None
    hourly: tuple[Summary, ...] = ()

    @property
    def hours(self) -> int:
        """How many hours are told apart; 1 where windows are compared with all of the reference."""
        return max(1, len(self.hourly))

    def hour(self, window: int) -> int:
        """Return which of the hours a window belongs to."""
        return 0 if self.season is None else self.season.hour(window)

    def counted(self, hour: int) -> Summary:
        """Return what windows of that hour are compared with."""
        return self.summary if self.season is None else self.hourly[hour]

    @cached_property
    def digest(self) -> str:
        """Identity: the first 32 hexadecimal digits of the SHA-256 of :meth:`to_bytes`."""
        return hashlib.sha256(self.to_bytes()).hexdigest()[:32]

    def to_bytes(self) -> bytes:
        """Return the reference as bytes: equal references give equal bytes."""
        arrays: _Arrays = {_SUMMARY: np.frombuffer(self.summary.to_bytes(), dtype=np.uint8)}
        for monitor, variation in (self.calibration or {}).items():
            arrays |= {f"{monitor}.{name}": array for name, array in variation.arrays().items()}
        meta: dict[str, object] = {
            "format": _FORMAT if self.season is None else _SEASONAL,
            "layout": self.layout.to_json(),
            "windows": self.windows,
            "source": self.source,
            "calibration": None if self.calibration is None else sorted(self.calibration),
        }
        if self.season is not None:
            meta["season"] = asdict(self.season)
            arrays |= {
                f"{_SUMMARY}.{hour}": np.frombuffer(summary.to_bytes(), dtype=np.uint8)
                for hour, summary in enumerate(self.hourly)
            }
        return pack(meta, arrays)

    @classmethod
    def from_bytes(cls, data: bytes) -> "Reference":
        """Return the reference that :meth:`to_bytes` wrote.

        Raises
        ------
        ValueError
            It was written in another format.
        """
        meta, arrays = unpack(data)
        if meta["format"] not in {_FORMAT, _SEASONAL}:
            raise ValueError(f"a reference of format {meta['format']}, this version reads up to {_SEASONAL}")
        layout = Layout.from_json(meta["layout"])
        calibration = meta["calibration"]
        season = Season(**meta["season"]) if meta["format"] == _SEASONAL else None
        return cls(
            layout,
            Summary.from_bytes(layout, arrays[_SUMMARY].tobytes()),
            meta["windows"],
            None
            if calibration is None
            else {monitor: Variation.from_arrays(arrays, f"{monitor}.") for monitor in calibration},
            meta["source"],
            season,
            ()
            if season is None
            else tuple(
                Summary.from_bytes(layout, arrays[f"{_SUMMARY}.{hour}"].tobytes()) for hour in range(season.hours)
            ),
        )


def aligned(summary: Summary, layout: Layout) -> Summary | None:
    """Return ``summary`` counted under a later ``layout``, without sample and sketches; None if impossible.

    Segments and labels are append-only, so what was counted keeps its row and cell, and what had no label
    stays in the last cell. Edges must be the same.
    """
    earlier = summary.layout
    if len(earlier.segments) > len(layout.segments) or len(earlier.blocks) > len(layout.blocks):
        return None
    if earlier.segments != layout.segments[: len(earlier.segments)]:
        return None
    result = Summary.empty(Layout(layout.segments, layout.blocks))
    rows = len(earlier.segments)
    closed = summary.closed()
    for old, new in zip(earlier.blocks, layout.blocks, strict=False):
        if (
            (old.kind, old.field) != (new.kind, new.field)
            or old.edges != new.edges
            or old.pairs != new.pairs
            or old.labels != new.labels[: len(old.labels)]
        ):
            return None
        cells = closed.cells(old.kind, old.field)
        if cells.shape[1]:
            counts = result.cells(new.kind, new.field)
            counts[: len(cells), : cells.shape[1] - 1] = cells[:, :-1]
            counts[: len(cells), -1] = cells[:, -1]
    result.sums[:rows, : summary.sums.shape[1]] = summary.sums
    return result
