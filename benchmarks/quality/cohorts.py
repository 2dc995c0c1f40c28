"""Many independent streams watched as Strandline watches one: the segments of a cohort, window after window."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from detectors.budget import Budget
from detectors.classes import ClassesBlock
from detectors.cohort import Step, step
from detectors.columns import DRAWS, Categories, Columns
from detectors.confidence import ConfidenceBlock
from detectors.layout import WHOLE, BlockSpec, Layout
from detectors.learning import HISTORY_WINDOWS
from detectors.numbers import NumberBlock
from detectors.reference import Reference
from detectors.registry import BLOCKS
from detectors.state import CohortState
from detectors.summary import Summary

__all__ = ["TAG", "Cohort", "columns_of", "layout_of", "segments"]

TAG = "stream"


def segments(streams: int) -> tuple[str, ...]:
    """Return the segments of a layout of so many streams; the first is all of them together."""
    return (WHOLE, *(f"{TAG}={number}" for number in range(streams)))


def layout_of(streams: int, sample: Columns) -> Layout:
    """Return a layout with edges and labels as they are learnt from a ``sample``."""
    learnt: dict[str, BlockSpec] = {
        ConfidenceBlock.kind: ConfidenceBlock.learnt(sample.confidence),
        ClassesBlock.kind: BlockSpec(ClassesBlock.kind, labels=tuple(sorted(sample.predicted.names))),
    }
    blocks = [learnt.get(kind, block.unlearnt()) for kind, block in BLOCKS.items()]
    blocks += [NumberBlock.learnt(name, values) for name, values in sample.numbers.items()]
    return Layout(segments(streams), tuple(blocks))


def columns_of(
    streams: NDArray[np.int64],
    confidence: NDArray[np.float64],
    predicted: Categories,
    numbers: Mapping[str, NDArray[np.float64]],
    texts: Mapping[str, Categories] | None = None,
) -> Columns:
    """Return events as decoding would, [n] each; ``streams``: the number of each event's stream."""
    count = len(confidence)
    names = tuple(str(number) for number in range(int(streams.max(initial=0)) + 1))
    return Columns(
        confidence=confidence,
        margin=np.full(count, np.nan),
        predicted=predicted,
        tags={TAG: Categories(streams, names)},
        hashes=np.zeros((count, len(DRAWS)), dtype=np.uint64),
        defects=np.zeros(count, dtype=np.uint32),
        numbers=numbers,
        texts=texts or {},
    )


@dataclass
class Cohort:
    """Streams with the threshold that each would have as a whole model: one false alarm in ``windows`` windows."""

    layout: Layout
    windows: float
    reference: Reference | None = None
    window: int = 0
    _state: CohortState | None = None
    _stored: list[tuple[int, Summary]] = field(default_factory=list)

    @property
    def state(self) -> CohortState:
        """The state after the last window."""
        assert self._state, "a window was taken"
        return self._state

    def take(self, summary: Summary) -> Step:
        """Close a window; a reference that was learnt is in force from the next one on."""
        streams = len(self.layout.segments) - 1
        # A half of the budget is the segments', which is what a whole model has for itself.
        budget = Budget(self.windows / streams, segments_cap=streams) if streams else Budget(self.windows, 0)
        taken = step(self.layout, self.reference, self._state, summary, self.window, budget, self._history)
        self._stored = [*self._stored[1 - HISTORY_WINDOWS :], (self.window, summary)]
        self._state = taken.state
        self.reference = taken.proposal or self.reference
        self.window += 1
        return taken

    def fired(self, taken: Step) -> list[int]:
        """Return the streams in which an alarm went off, whatever of."""
        fired = {each.segment for each in taken.transitions if each.to == "firing" and each.segment != WHOLE}
        return [self.layout.segments.index(segment) - 1 for segment in fired]

    def _history(self, count: int) -> list[tuple[int, Summary]]:
        return self._stored[-count:] if count else []
