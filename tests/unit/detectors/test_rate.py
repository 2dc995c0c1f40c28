"""The event rate is unusual when it is far from every earlier day's, in both directions, and not before."""

import numpy as np
import pytest
from numpy.typing import NDArray

from detectors.rate import Hour, hour_of

DAY, SECONDS = 288, 300


def cycle(days: int, events: int = 100) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return windows whose events go up and down sevenfold within the day."""
    windows = np.arange(days * DAY, dtype=np.int64)
    return windows, np.rint(events * (1.0 + 0.75 * np.sin(2 * np.pi * windows / DAY))).astype(np.int64)


def test_a_daily_cycle_is_usual_at_every_hour() -> None:
    windows, events = cycle(9)
    for end in range(8 * DAY, 9 * DAY, 7):
        hour = hour_of(windows, events, end, SECONDS)
        assert hour is not None
        assert (hour.unusual, hour.usual, hour.days) == (None, True, 7)
        assert hour.events == events[end - 12 : end].sum()
        assert hour.least <= hour.events <= hour.most


@pytest.mark.parametrize(("factor", "found"), [(0.3, "fewer"), (0.75, None), (1.4, None), (3.0, "more")])
@pytest.mark.parametrize("at", [0, DAY // 4, 3 * DAY // 4])
def test_far_fewer_and_far_more_events_than_on_any_day_are_told(factor: float, found: str | None, at: int) -> None:
    windows, events = cycle(9)
    end = 8 * DAY + at
    events[end - 12 : end] = events[end - 12 : end] * factor
    hour = hour_of(windows, events, end, SECONDS)
    assert hour is not None
    assert hour.unusual == found
    assert hour.usual == (found is None)


def test_what_one_earlier_day_has_had_is_not_unusual() -> None:
    windows, events = cycle(9)
    events[3 * DAY : 4 * DAY] //= 4
    events[8 * DAY - 12 : 8 * DAY] //= 4
    hour = hour_of(windows, events, 8 * DAY, SECONDS)
    assert hour is not None
    assert hour.unusual is None


def test_a_daily_batch_that_comes_within_an_hour_of_its_time_is_usual() -> None:
    windows, events = np.arange(9 * DAY), np.zeros(9 * DAY, dtype=np.int64)
    for day in range(9):
        start = day * DAY + 100 + (9 if day == 8 else 0)
        events[start : start + 12] = 1000
    for end in range(8 * DAY + 90, 8 * DAY + 140):
        hour = hour_of(windows, events, end, SECONDS)
        assert hour is not None
        assert hour.unusual is None


def test_with_few_days_or_few_events_nothing_is_said() -> None:
    windows, events = cycle(3)
    assert hour_of(windows, events, 3 * DAY - 24, SECONDS) is None
    assert hour_of(windows[:0], events[:0], 3 * DAY, SECONDS) is None
    assert hour_of(windows, events, 0, SECONDS) is None
    windows, events = cycle(4, events=5)
    events[-12:] = 0
    hour = hour_of(windows, events, 4 * DAY, SECONDS)
    assert hour is not None
    assert (hour.events, hour.unusual) == (0, None)


def test_windows_without_events_count_as_such_though_they_are_not_listed() -> None:
    windows, events = cycle(9)
    some = (windows < 8 * DAY - 12) | (windows >= 8 * DAY - 2)
    hour = hour_of(windows[some], events[some], 8 * DAY, SECONDS)
    assert hour is not None
    assert hour.events == events[8 * DAY - 2 : 8 * DAY].sum()
    assert hour.unusual == "fewer"


def test_between_unusual_and_usual_nothing_changes() -> None:
    between = Hour(events=600, least=1000, most=1000, days=7)
    assert (between.unusual, between.usual) == (None, False)
    assert Hour(events=1800, least=1000, most=1000, days=7).usual is False
    assert Hour(events=700, least=1000, most=1000, days=7).usual


def test_windows_longer_than_an_hour_are_compared_as_well() -> None:
    windows, events = np.arange(8 * 4), np.full(32, 1000)
    events[-1] = 5000
    hour = hour_of(windows, events, 32, 6 * 3600)
    assert hour == Hour(events=5000, least=1000, most=1000, days=7)
