"""Learning: a reference from the live stream, and how live windows vary."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from detectors.bets import Moments
from detectors.layout import Layout
from detectors.monitors import means, observe, readable, watches
from detectors.reference import LEARNING_WINDOWS, Calibration, Reference, Source, aligned
from detectors.registry import MONITORS
from detectors.season import Season
from detectors.summary import Summary
from detectors.varying import Varying

__all__ = ["HISTORY_WINDOWS", "LEAST_CYCLES", "History", "Windows", "calibrate", "learn", "made"]

History = Callable[[int], Sequence[tuple[int, Summary]]]
"""Returns up to the last n stored windows before this one, ascending: (window, its summary)."""

LEAST_CYCLES = 2
"""Times that a season has to be seen before it is known to repeat."""
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
    return counted, made(layout, lambda: stored, "learnt")


def made(
    layout: Layout,
    read: Callable[[], Iterable[tuple[int, Summary]]],
    source: Source,
    season: Season | None = None,
) -> Reference:
    """Return the reference that closed windows make, counted under ``layout`` or an earlier one.

    ``read`` returns the windows in time order; it is called twice, and what it returns need not be in memory. Those
    that cannot be counted under the layout are left out. How they vary is known from LEARNING_WINDOWS on.

    With a ``season`` by hour; they vary around their hour then. Of what lasts from one time to the next of c times
    only (c − 1)/c shows in the distances from their own mean, and that mean is off by a further 1/c.
    """
    merged = Summary.empty(Layout(layout.segments, layout.blocks))
    hourly = tuple(Summary.empty(merged.layout) for _ in range(0 if season is None else season.hours))

    def counted() -> Iterator[tuple[int, Summary]]:
        for window, summary in read():
            found = aligned(summary, merged.layout)
            if found is not None and found.events[0]:
                yield window, found

    at = []
    for window, summary in counted():
        merged.add(summary)
        if season is not None:
            hourly[season.hour(window)].add(summary)
        at.append(window)
    reference = Reference(merged.layout, merged, len(at), None, source, season, hourly)
    if len(at) < LEARNING_WINDOWS:
        return reference
    calibration = calibrate(reference, merged.layout, counted())
    if season is not None:
        times = max(season.cycles(at[-1] - at[0] + 1), LEAST_CYCLES)
        more = (times + 1.0) / (times - 1.0)
        calibration = {name: varied.wandering_more(more) for name, varied in calibration.items()}
    return replace(reference, calibration=calibration)


def calibrate(
    reference: Reference,
    layout: Layout,
    stored: Iterable[tuple[int, Summary]],
    wanted: Mapping[int, NDArray[np.bool_]] | None = None,
) -> Calibration:
    """Return how each monitor's means vary over ``stored`` (windows counted under ``layout``, in time order).

    ``wanted``: by window, for which segments it counts; None: every window for all.
    """
    watching = [
        (monitor, [means(monitor, reference, layout.segments, hour) for hour in range(reference.hours)])
        for monitor in MONITORS
        if watches(monitor, reference.layout) and readable(monitor, layout, reference.layout)
    ]
    measuring = [Varying(*hours[0].shape) for _, hours in watching]
    for window, summary in stored:
        kept = 1 if wanted is None else wanted[window]
        for (monitor, hours), varying in zip(watching, measuring, strict=True):
            seen = observe(monitor, summary, reference.layout)
            varying.add(Moments(seen.n * kept, seen.first, seen.second), hours[reference.hour(window)])
    return {
        monitor.name: varying.variation(least=LEARNING_WINDOWS)
        for (monitor, _), varying in zip(watching, measuring, strict=True)
    }
