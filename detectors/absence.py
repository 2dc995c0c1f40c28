"""No data: whether a model's silence is longer than what its earlier days explain."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["DAYS", "LEAST_EVENTS", "LEAST_WINDOWS", "expected_events"]

DAYS = 7
"""Earlier days with which a silence is compared, at most."""
LEAST_WINDOWS = 3
"""A silence shorter than this is none."""
LEAST_EVENTS = 20.0
"""Fewer expected events than this may fail to come by chance: 20 of them do once in 500 million times."""
_HOUR_SECONDS = 3600
_DAY_SECONDS = 86_400


def expected_events(
    windows: NDArray[np.int64], events: NDArray[np.int64], gap: range, window_seconds: int, begun: int
) -> float:
    """Return how many events would have come in the silent windows ``gap``, by the least of the earlier days.

    ``windows``, ``events``: int64 [T], the windows in which there were some, and how many. ``begun``: the
    model's first window. Each silent window is compared with the hour before and the hour after the same time
    on each of up to DAYS earlier days, of which the one with the fewest events counts: so neither a silent
    night nor a silent Sunday that was there a week ago raises anything, though they begin some minutes early.
    In its first day a model is compared with its slowest hour so far.

    Without enough to compare with, 0.
    """
    hour = max(1, _HOUR_SECONDS // window_seconds)
    day = _DAY_SECONDS // window_seconds
    until = gap.start
    if until - begun < hour:
        return 0.0
    counted = np.zeros(until - begun, dtype=np.int64)
    inside = (windows >= begun) & (windows < until)
    np.add.at(counted, windows[inside] - begun, events[inside])
    total = np.concatenate([[0], np.cumsum(counted)])
    if until - begun < day:
        # Its slowest hour, whatever the time of day.
        hours = total[hour:] - total[:-hour]
        return float(hours.min()) / hour * len(gap)
    expected = 0.0
    for silent in gap:
        same = [silent - back * day for back in range(1, DAYS + 1)]
        spans = [
            (max(start, begun), min(start + hour, until)) for at in same for start in (at - hour + 1, at) if at >= begun
        ]
        rates = [
            float(total[end - begun] - total[start - begun]) / (end - start) for start, end in spans if start < end
        ]
        expected += min(rates, default=0.0)
    return expected
