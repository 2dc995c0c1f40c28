"""Learning: a reference from the live stream, and how live windows vary."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from detectors.layout import Layout
from detectors.monitors import readable, vary, watches
from detectors.reference import LEARNING_WINDOWS, Calibration, Reference, aligned
from detectors.registry import MONITORS
from detectors.summary import Summary

__all__ = ["HISTORY_WINDOWS", "History", "Windows", "calibrate", "learn"]

History = Callable[[int], Sequence[tuple[int, Summary]]]
"""Returns up to the last n stored windows before this one, ascending: (window, its summary)."""

HISTORY_WINDOWS = 200
"""How many windows, this one included, are searched for the beginning of a change."""


@dataclass(slots=True)
class Windows:
    """A window, and the stored ones before it, which are read once and only when somebody asks."""

    layout: Layout
    window: int
    summary: Summary
    history: History
    _read: list[tuple[int, Summary]] = field(default_factory=list)

    def last(self, count: int = HISTORY_WINDOWS) -> list[tuple[int, Summary]]:
        """Return the last ``count`` windows that can be counted under the layout, this one included."""
        current = aligned(self.summary, self.layout)
        if current is None:
            raise ValueError(f"window {self.window} was not counted under the layout it was given with")
        if count <= 1:
            return [(self.window, current)]
        if not self._read:
            earlier = [
                (window, found)
                for window, summary in self.history(count - 1)
                if window < self.window and (found := aligned(summary, self.layout)) is not None
            ]
            self._read = [*earlier, (self.window, current)]
        return self._read


def learn(windows: Windows, counted: tuple[int, ...]) -> tuple[tuple[int, ...], Reference | None]:
    """Count this window for a reference; return the windows counted so far, and the reference once made.

    Windows count if they hold events and the layout's edges are final (it holds no raw sample any more). The
    reference is made once, from exactly LEARNING_WINDOWS windows. Should some be gone from the store by then,
    learning goes on with the others.
    """
    layout = windows.layout
    if layout.sample_size or not windows.summary.events[0] or len(counted) >= LEARNING_WINDOWS:
        return counted, None
    counted = (*counted, windows.window)
    if len(counted) < LEARNING_WINDOWS:
        return counted, None
    wanted = set(counted)
    stored = [item for item in windows.last(windows.window - counted[0] + 1) if item[0] in wanted]
    if len(stored) < LEARNING_WINDOWS:
        return tuple(window for window, _ in stored), None
    merged = Summary.empty(Layout(layout.segments, layout.blocks))
    for _, summary in stored:
        merged.add(summary)
    learnt = Reference(merged.layout, merged, LEARNING_WINDOWS, None, "learnt")
    summaries = [summary for _, summary in stored]
    everything = np.ones((len(stored), len(layout.segments)), dtype=np.bool_)
    return counted, replace(learnt, calibration=calibrate(learnt, summaries, everything))


def calibrate(reference: Reference, summaries: list[Summary], wanted: NDArray[np.bool_]) -> Calibration:
    """Return how each monitor's means vary over ``summaries`` (one layout, in time order).

    ``wanted`` [windows, segments]: which windows count for which segment.
    """
    return {
        monitor.name: vary(monitor, summaries, wanted, reference, least=LEARNING_WINDOWS)
        for monitor in MONITORS
        if watches(monitor, reference.layout) and readable(monitor, summaries[0].layout, reference.layout)
    }
