import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.selection import UNIFORM_SHARE, Pace, first_phase, initial_pace, next_pace, second_phase

rates = st.floats(1e-9, 1.0)


def pace(**given: float) -> Pace:
    values = {
        "labels_per_day": 500.0,
        "labels_left": 500.0,
        "events_per_day": 100_000.0,
        "day_left": 1.0,
        "mean_weight": 0.2,
        **given,
    }
    return next_pace(initial_pace(500, 100_000), **values)


@given(rates, rates, st.floats(0.001, 1.0), st.floats(0.0, 0.5))
def test_two_phases_make_the_wanted_probability(uniform: float, weighted: float, mean: float, weight: float) -> None:
    rates_then = Pace(uniform, weighted, mean)
    nominated, wanted = (float(found[0]) for found in first_phase(rates_then, np.array([weight])))
    assert nominated * second_phase(rates_then, wanted, nominated, exhausted=False) == wanted
    exhausted = nominated * second_phase(rates_then, wanted, nominated, exhausted=True)
    assert exhausted == pytest.approx(uniform, rel=1e-12)
    assert exhausted > 0


def test_weighted_labels_are_unbiased() -> None:
    # What an event adds to an estimate, 1/π if it is queued, has the expectation one, at the cap and below.
    for exhausted in (False, True):
        for weight in (0.0, 0.1, 0.5):
            now = Pace(0.01, 0.05, 0.2)
            nominated, wanted = (float(found[0]) for found in first_phase(now, np.array([weight])))
            selected = second_phase(now, wanted, nominated, exhausted=exhausted)
            draws = np.random.default_rng(3).random((2, 400_000))
            queued = (draws[0] <= nominated) & (draws[1] < selected)
            assert queued.mean() / (nominated * selected) == pytest.approx(1.0, abs=0.06)


def test_before_the_traffic_is_known_the_uniform_share_goes_alone() -> None:
    assert initial_pace(500, 100_000) == Pace(UNIFORM_SHARE * 500 / 100_000, 0.0, 1.0)
    assert initial_pace(500, 10).uniform == 1.0


@pytest.mark.parametrize("windows", [24, 288])
@pytest.mark.parametrize("traffic", [np.ones, lambda n: 1 + 9 * (np.arange(n) % 7 == 0)])
def test_a_day_spends_its_budget(windows: int, traffic: object) -> None:
    shape = traffic(windows)  # type: ignore[operator]
    events = 100_000 * shape / shape.sum()
    now, spent = initial_pace(500, 100_000), 0.0
    for window in range(windows):
        now = next_pace(
            now,
            labels_per_day=500,
            labels_left=500 - spent,
            events_per_day=100_000,
            day_left=1 - window / windows,
            mean_weight=0.2,
        )
        spent += events[window] * (now.uniform + now.weighted)
    assert spent == pytest.approx(500, rel=0.07)


def test_unforeseen_traffic_overspends_little_and_never_stops() -> None:
    now, spent, lowest = initial_pace(500, 100_000), 0.0, 1.0
    for window in range(288):
        now = next_pace(
            now,
            labels_per_day=500,
            labels_left=500 - spent,
            events_per_day=100_000,
            day_left=1 - window / 288,
            mean_weight=0.2,
        )
        spent += 10 * 100_000 / 288 * (now.uniform + now.weighted)
        lowest = min(lowest, now.uniform)
    assert 500 <= spent < 1.15 * 500
    assert lowest > 0


def test_at_the_cap_rates_shrink_from_window_to_window() -> None:
    at_cap = [initial_pace(500, 100_000)]
    for _ in range(100):
        at_cap.append(
            next_pace(at_cap[-1], labels_per_day=500, labels_left=0, events_per_day=1e5, day_left=0.5, mean_weight=0.2)
        )
    assert all(each.weighted == 0 for each in at_cap)
    assert at_cap[3].uniform < at_cap[2].uniform < at_cap[1].uniform < at_cap[0].uniform
    assert at_cap[-1].uniform == pytest.approx(0.01 * at_cap[0].uniform)
    assert pace().uniform == at_cap[0].uniform


def test_the_rate_is_at_most_three_times_the_even_one() -> None:
    assert pace(day_left=0.001).weighted + pace().uniform == pytest.approx(3 * 500 / 100_000)


def test_a_model_without_doubts_is_not_divided_by_zero() -> None:
    _, wanted = first_phase(pace(mean_weight=0.0), np.array([0.0, 0.5]))
    assert np.isfinite(wanted).all()
    assert wanted[0] > 0


@given(rates, rates, rates)
def test_a_pace_survives_json(uniform: float, weighted: float, mean: float) -> None:
    written = Pace(uniform, weighted, mean)
    assert Pace.from_json(written.to_json()) == written


def test_small_changes_are_no_difference() -> None:
    assert not Pace(0.01, 0.02, 0.2).differs(Pace(0.0104, 0.0208, 0.2), 0.05)
    assert Pace(0.01, 0.02, 0.2).differs(Pace(0.011, 0.02, 0.2), 0.05)
    assert Pace(0.01, 0.0, 0.2).differs(Pace(0.01, 0.001, 0.2), 0.05)
