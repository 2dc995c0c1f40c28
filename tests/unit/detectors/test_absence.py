"""A silence is told when every earlier day had events in these hours, and not when one of them was silent, too."""

import numpy as np
import pytest
from numpy.typing import NDArray

from detectors.absence import expected_events

Traffic = tuple[NDArray[np.int64], NDArray[np.int64]]

DAY = 288
SECONDS = 300


def traffic(days: int, *, silent: tuple[int, int] | None = None, weekend: bool = False) -> Traffic:
    """Return ten events in every window of ``days``, but none from hour to hour of ``silent``, nor on day six."""
    windows = np.arange(days * DAY, dtype=np.int64)
    hour = windows % DAY * 24 / DAY
    spoke = np.ones(len(windows), dtype=np.bool_) if silent is None else (hour < silent[0]) | (hour >= silent[1])
    if weekend:
        spoke &= windows // DAY % 7 != 6
    return windows[spoke], np.full(int(spoke.sum()), 10, dtype=np.int64)


@pytest.mark.parametrize("days", [1, 2, 5, 14])
def test_the_same_hours_of_earlier_days_tell_what_would_have_come(days: int) -> None:
    windows, events = traffic(days)
    end = days * DAY
    assert expected_events(windows, events, range(end, end + 6), SECONDS, 0) == pytest.approx(60)


def test_a_night_that_is_always_silent_is_no_absence() -> None:
    windows, events = traffic(3, silent=(1, 5))
    night = range(3 * DAY + 2 * 12, 3 * DAY + 4 * 12)
    assert expected_events(windows[windows < night.start], events[windows < night.start], night, SECONDS, 0) == 0
    noon = range(3 * DAY + 12 * 12, 3 * DAY + 13 * 12)
    assert expected_events(windows, events, noon, SECONDS, 0) == pytest.approx(120)


def test_a_sunday_that_was_silent_a_week_ago_is_no_absence() -> None:
    windows, events = traffic(13, weekend=True)
    sunday = range(13 * DAY, 13 * DAY + 24)
    assert expected_events(windows, events, sunday, SECONDS, 0) == 0
    windows, events = traffic(13)
    assert expected_events(windows, events, sunday, SECONDS, 0) == pytest.approx(240)


def test_in_its_first_hour_a_model_is_compared_with_nothing_then_with_its_slowest_hour() -> None:
    windows, events = np.arange(30), np.where(np.arange(30) < 12, 1, 10)
    assert expected_events(windows[:11], events[:11], range(11, 20), SECONDS, 0) == 0
    assert expected_events(windows, events, range(30, 40), SECONDS, 0) == pytest.approx(10)


def test_windows_longer_than_an_hour_are_compared_as_well() -> None:
    windows, events = np.arange(10 * 4), np.full(40, 100)
    assert expected_events(windows, events, range(40, 43), 6 * 3600, 0) == pytest.approx(300)
