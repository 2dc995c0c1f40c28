"""References by hour: what repeats with the day is no change, and what comes on top is."""

from dataclasses import replace

import numpy as np
import pytest

from detectors.cohort import CohortState
from detectors.layout import Layout
from detectors.learning import made
from detectors.origins import FLOOR, UNWATCHED, origins
from detectors.reference import Reference
from detectors.season import DAY_HOURS, WEEK_HOURS, Season
from detectors.summary import Summary
from tests.unit.detectors.streams import Stream, fired, layout_of, shares_of, status, summary_of

TOLERANCE = 0.02
"""The floor of confidence and of classes."""
DAY = Season(window_seconds=900, hours=DAY_HOURS)
WINDOWS = 96
"""Windows in a day."""
DAYS = 7
LAYOUT = layout_of(("",))


def of_day(window: int, random: np.random.Generator, *, drop: float = 0.0, rise: float = 0.0, n: int = 1000) -> Summary:
    """Return a window of a day in which confidence and a class swing by five times the tolerance."""
    wave = 5 * TOLERANCE * np.sin(2 * np.pi * (window + 0.5) / WINDOWS)
    return summary_of(LAYOUT, random, n, confidence=0.8 + wave - drop, shares=shares_of(c3=0.2 + wave + rise))


def learnt(
    random: np.random.Generator, days: int = DAYS, season: Season | None = DAY, layout: Layout = LAYOUT
) -> Reference:
    windows = [(window, of_day(window, random)) for window in range(days * WINDOWS)]
    return made(layout, lambda: windows, "learnt", season)


def swinging(seed: int, season: Season | None = DAY) -> tuple[Stream, np.random.Generator]:
    random = np.random.default_rng(seed)
    stream = Stream(LAYOUT, learnt(random, season=season))
    stream.window = DAYS * WINDOWS
    return stream, random


def live(stream: Stream, random: np.random.Generator, windows: int, *, drop: float = 0.0, rise: float = 0.0) -> None:
    for _ in range(windows):
        stream.take(of_day(stream.window, random, drop=drop, rise=rise))


@pytest.mark.parametrize("season", [DAY, Season(900, WEEK_HOURS)])
def test_the_hour_of_a_window_is_that_in_which_it_begins(season: Season) -> None:
    # 1970 began on a Thursday.
    monday = 4 * WINDOWS
    assert [season.hour(monday + at) for at in (0, 3, 4, WINDOWS - 1)] == [0, 0, 1, 23]
    assert season.hour(0) == (0 if season == DAY else 72)
    assert season.hour(monday + 7 * WINDOWS) == 0
    assert season.cycles(14 * WINDOWS) == (14 if season == DAY else 2)


@pytest.mark.parametrize("seed", range(3))
def test_a_swing_of_five_times_the_tolerance_raises_nothing_and_twice_the_tolerance_on_top_is_found(seed: int) -> None:
    stream, random = swinging(seed)
    live(stream, random, 5 * WINDOWS)
    assert fired(stream.steps, "pending") == fired(stream.steps) == []
    changed, kept = stream.window, stream.state
    # From the middle of the swing on, and from its top.
    for at in (0, 24):
        stream.state, stream.window = kept, changed
        live(stream, random, at)
        live(stream, random, 16, drop=2 * TOLERANCE)
        assert "confidence" in {monitor for _, monitor, _, _ in fired(stream.steps[-16:])}, at
        stream.state, stream.window = kept, changed
        live(stream, random, at)
        # A share of a fifth varies more than ten times as much from event to event.
        live(stream, random, 48, rise=2 * TOLERANCE)
        assert "classes" in {monitor for _, monitor, _, _ in fired(stream.steps[-48:])}, at


def test_the_same_swing_against_the_whole_of_the_reference_is_an_alarm_or_blinds() -> None:
    random = np.random.default_rng(1)
    windows = [(window, of_day(window, random)) for window in range(20)]
    stream = Stream(LAYOUT, made(LAYOUT, lambda: windows, "learnt"))
    live(stream, random, 2 * WINDOWS)
    assert fired(stream.steps)
    # Learnt over days, the swing is taken for what wanders: nothing fires, and twice the tolerance is not found.
    blind, random = swinging(1, season=None)
    live(blind, random, WINDOWS)
    live(blind, random, WINDOWS, drop=2 * TOLERANCE)
    assert fired(blind.steps) == []


def test_an_alarm_tells_when_it_began_and_what_changed_in_the_hours_own_terms() -> None:
    stream, random = swinging(4)
    live(stream, random, 2 * WINDOWS)
    changed = stream.window
    while not fired(stream.steps):
        live(stream, random, 1, drop=0.06)
        assert stream.window < changed + 16
    [alarm] = stream.steps[-1].transitions
    assert abs(alarm.since_window - changed) <= 1
    usual = 0.8 + 5 * TOLERANCE * np.sin(2 * np.pi * (alarm.window + 0.5) / WINDOWS)
    assert alarm.before == pytest.approx(usual, abs=0.02)
    assert alarm.before - alarm.after == pytest.approx(0.06, abs=0.02)
    live(stream, random, 20, drop=0.06)
    assert status(stream, "confidence") == "firing"
    live(stream, random, 12)
    assert status(stream, "confidence") == "ok"


def test_evidence_goes_on_from_hour_to_hour_and_survives_as_bytes() -> None:
    stream, random = swinging(5)
    live(stream, random, 5)
    assert stream.state is not None
    before = stream.state.monitors["confidence"]
    hour = stream.state.hour
    while stream.reference is not None and stream.reference.hour(stream.window) == hour:
        live(stream, random, 1)
    evidence = stream.state.monitors["confidence"].log_r.copy()
    taken = stream.take(Summary.empty(LAYOUT))
    after = taken.state.monitors["confidence"]
    assert taken.state.hour == hour + 1
    assert (after.log_r == evidence).all()
    assert (after.bound != before.bound).all()
    again = CohortState.from_bytes(taken.state.to_bytes())
    assert again.hour == taken.state.hour
    assert again.to_bytes() == taken.state.to_bytes()


def test_a_reference_by_hour_survives_as_bytes_and_others_keep_theirs() -> None:
    random = np.random.default_rng(6)
    seasonal = learnt(random, 2)
    again = Reference.from_bytes(seasonal.to_bytes())
    assert again.digest == seasonal.digest
    assert again.season == DAY
    assert [int(each.events[0]) for each in again.hourly] == [8000] * 24
    assert int(again.summary.events[0]) == 2 * WINDOWS * 1000
    assert b'"season"' not in replace(seasonal, season=None, hourly=()).to_bytes()


def test_days_that_differ_are_what_wanders() -> None:
    """Of two days only half of their difference shows in the distance from their mean."""
    random = np.random.default_rng(7)
    windows = []
    for day in range(4):
        level = random.normal(0.0, 0.03)
        windows += [(day * WINDOWS + at, of_day(at, random, drop=level)) for at in range(WINDOWS)]
    for days in (2, 4):
        found = made(LAYOUT, lambda days=days: windows[: days * WINDOWS], "learnt", DAY)  # type: ignore[misc]
        assert found.calibration is not None
        levels = [float(summary.total("confidence", "confidence")[0]) for _, summary in windows[: days * WINDOWS]]
        by_day = np.array(levels).reshape(days, WINDOWS).mean(axis=1) / 2**32 / 1000
        wanted = by_day.var() * (days + 1) / (days - 1)
        assert found.calibration["confidence"].persistent[0, 0] == pytest.approx(wanted, rel=0.35)


def test_an_hour_without_events_in_the_reference_is_not_watched() -> None:
    random = np.random.default_rng(8)
    windows = [(window, of_day(window, random)) for window in range(3 * WINDOWS) if DAY.hour(window) != 5]
    reference = made(LAYOUT, lambda: windows, "learnt", DAY)
    assert {each.origin for each in origins(reference, "", {}, {}, hour=5)} == {UNWATCHED}
    assert FLOOR in {each.origin for each in origins(reference, "", {}, {}, hour=6)}
    stream = Stream(LAYOUT, reference)
    stream.window = 3 * WINDOWS
    for _ in range(WINDOWS):
        stream.take(of_day(stream.window, random, drop=0.3 if DAY.hour(stream.window) == 5 else 0.0))
    assert fired(stream.steps) == []
    live(stream, random, 20)
    live(stream, random, 8, drop=0.1)
    assert fired(stream.steps)


def test_a_segment_with_too_little_for_each_hour_is_compared_with_the_whole_model_at_that_hour() -> None:
    random = np.random.default_rng(9)
    layout = layout_of(("", "region=eu", "region=us"))
    windows = []
    for window in range(2 * WINDOWS):
        wave = 0.1 * np.sin(2 * np.pi * window / WINDOWS)
        summary = summary_of(layout, random, 400, confidence=0.8 + wave)
        summary.counts[1:], summary.sums[1:] = summary.counts[1:] // 8, summary.sums[1:] // 8
        windows.append((window, summary))
    reference = made(layout, lambda: windows, "learnt", DAY)
    whole, part = ({each.component: each for each in origins(reference, name, {}, {}, 6)} for name in ("", "region=eu"))
    assert part["mean confidence"].reference == whole["mean confidence"].reference == pytest.approx(0.9, abs=0.01)
