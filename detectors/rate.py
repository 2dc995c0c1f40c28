"""Event rate: whether the last hour had far fewer, or far more, events than the same hour of earlier days."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["DAYS", "Hour", "hour_of"]

DAYS = 7
"""Earlier days that are compared with, at most."""
LEAST_DAYS = 3
"""With fewer nothing is said."""
FACTOR = 2.0
"""Fewer than half the events of the least of these days, or more than twice those of the greatest, is unusual."""
USUAL_FACTOR = 1.5
"""Within so much of these it is usual again: between the two nothing changes."""
LEAST_EVENTS = 100
"""From so many expected events on none but one chance in 10⁷ halves, or doubles, them."""
_HOUR_SECONDS = 3600
_DAY_SECONDS = 86_400


@dataclass(frozen=True, slots=True)
class Hour:
    """The events of an hour, and the ``least`` and the ``most`` that the same hour of ``days`` earlier days had."""

    events: int
    least: int
    most: int
    days: int

    @property
    def unusual(self) -> Literal["fewer", "more"] | None:
        """In which direction it is unusual."""
        if self.least >= LEAST_EVENTS and self.events * FACTOR < self.least:
            return "fewer"
        return "more" if self.events > FACTOR * max(self.most, LEAST_EVENTS) else None

    @property
    def usual(self) -> bool:
        """Whether it is close enough to end what an unusual one began."""
        return self.least <= USUAL_FACTOR * self.events and self.events <= USUAL_FACTOR * max(self.most, LEAST_EVENTS)


def hour_of(windows: NDArray[np.int64], events: NDArray[np.int64], end: int, window_seconds: int) -> Hour | None:
    """Return the hour before the window ``end``, beside the same hour of up to DAYS earlier days.

    ``windows`` (ascending), ``events``: int64 [T], those in which there were some, and how many. Of each earlier day
    any hour counts that begins within an hour of the same time, so that neither a schedule that slips nor daylight
    saving raises anything. None while fewer than LEAST_DAYS days are known. A window longer than an hour is an hour.
    """
    hour = max(1, _HOUR_SECONDS // window_seconds)
    day = max(1, _DAY_SECONDS // window_seconds)
    before = windows < end
    if not before.any():
        return None
    begun = int(windows[0])
    counted = np.zeros(end - begun, dtype=np.int64)
    np.add.at(counted, windows[before] - begun, events[before])
    total = np.concatenate([[0], np.cumsum(counted)])
    earlier = []
    for back in range(1, DAYS + 1):
        at = end - begun - back * day
        ends = np.arange(max(at - hour, hour), min(at + hour, len(counted)) + 1)
        if at >= hour:
            earlier.append(total[ends] - total[ends - hour])
    if len(earlier) < LEAST_DAYS:
        return None
    return Hour(
        events=int(total[-1] - total[max(0, len(counted) - hour)]),
        least=min(int(each.min()) for each in earlier),
        most=max(int(each.max()) for each in earlier),
        days=len(earlier),
    )
