import numpy as np
import pytest

from detectors.bets import Moments, tempering
from detectors.tolerance import (
    Variation,
    mean_bound,
    share_fall_bound,
    share_rise_bound,
)
from detectors.varying import Varying

LOG_ERROR = float(np.log(1000.0))
UNKNOWN = Variation.unknown(1, 1)


def rise(p: float, n: float) -> float:
    return float(share_rise_bound(np.array([[p]]), np.array([n]), UNKNOWN, 0.02, LOG_ERROR)[0, 0])


def fall(p: float, n: float) -> float:
    return 1.0 - float(share_fall_bound(np.array([[p]]), np.array([n]), UNKNOWN, 0.02, LOG_ERROR)[0, 0])


def measured(means: np.ndarray[tuple[int], np.dtype[np.float64]], n: float, variance: float) -> Variation:
    """Return the variation of windows of n events each, with these means."""
    return varied(np.full(len(means), n), means, variance)


def varied(
    sizes: np.ndarray[tuple[int], np.dtype[np.float64]],
    means: np.ndarray[tuple[int], np.dtype[np.float64]],
    variance: float,
) -> Variation:
    varying = Varying(1, 1)
    for n, mean in zip(sizes.tolist(), means.tolist(), strict=True):
        seen = Moments(np.array([n]), np.array([[mean * n]]), np.array([[(mean**2 + variance) * n]]))
        varying.add(seen, np.array([[0.5]]))
    return varying.variation(least=20)


def test_common_shares_have_an_absolute_tolerance_and_rare_ones_a_relative_one() -> None:
    assert rise(0.3, 1e7) == pytest.approx(0.32)
    assert fall(0.3, 1e7) == pytest.approx(0.28)
    assert rise(0.001, 1e7) == pytest.approx(0.002)
    assert fall(0.001, 1e7) == pytest.approx(0.0005)
    assert rise(1e-6, 1e12) == pytest.approx(1e-6 + 1e-4)


def test_what_was_never_seen_is_bounded_by_how_much_was_looked_at() -> None:
    assert rise(0.0, 10_000) == pytest.approx(LOG_ERROR / 10_000, rel=0.01)
    assert fall(0.0, 10_000) == pytest.approx(0.0, abs=1e-9)


def test_a_small_reference_widens_the_bounds() -> None:
    assert rise(0.3, 500) > 0.36
    assert fall(0.3, 500) < 0.24


def test_the_bound_of_a_mean_is_the_floor_or_the_error_of_the_reference() -> None:
    def bound(n: float) -> float:
        events = np.array([n])
        args = np.array([[0.1]]), np.array([[0.02]]), events, UNKNOWN, 0.02, LOG_ERROR
        return float(mean_bound(*args)[0, 0])

    assert bound(1e6) == pytest.approx(0.12)
    assert bound(1000) > 0.13


def test_independent_windows_have_a_design_effect_near_one() -> None:
    random = np.random.default_rng(1)
    effects = [
        measured(0.5 + random.normal(0, np.sqrt(0.04 / 500), 40), 500, 0.04).design_effect[0, 0] for _ in range(200)
    ]
    # The upper 90 % bound of the variance: at least the truth nine times in ten, and by a third on average.
    assert np.mean(np.array(effects) > 1.0) > 0.8
    assert 1.1 < np.mean(effects) < 1.6


def test_windows_that_vary_more_than_their_events_explain_have_a_design_effect() -> None:
    random = np.random.default_rng(2)
    found = measured(0.5 + random.normal(0, 0.03, 200), 500, 0.04)
    assert found.design_effect[0, 0] == pytest.approx(500 * 0.03**2 / 0.04, rel=0.4)
    assert found.persistent[0, 0] == 0.0


def test_what_lasts_from_window_to_window_is_persistent() -> None:
    wave = 0.5 + 0.05 * np.sin(np.arange(100) / 8)
    found = measured(wave, 500, 0.04)
    assert found.persistent[0, 0] == pytest.approx(0.05**2 / 2, rel=0.15)
    assert found.farthest[0, 0] == pytest.approx(0.05, rel=0.01)
    # A faster one: its autocovariance at lag one alone would tell less than there is.
    faster = measured(0.5 + 0.05 * np.sin(np.arange(200) / 1.5), 500, 0.04)
    assert faster.persistent[0, 0] == pytest.approx(0.05**2 / 2, rel=0.1)
    fixed = measured(np.full(100, 0.5), 500, 0.04)
    assert fixed.persistent[0, 0] == 0.0
    assert fixed.design_effect[0, 0] == 1.0


def test_order_matters_to_what_lasts() -> None:
    wave = 0.5 + 0.05 * np.sin(np.arange(100) / 8)
    shuffled = np.random.default_rng(3).permutation(wave)
    assert measured(shuffled, 500, 0.04).persistent[0, 0] == 0.0


def test_empty_windows_are_left_out_and_too_few_are_not_measured() -> None:
    random = np.random.default_rng(4)
    means = 0.5 + random.normal(0, 0.03, 30)
    sizes = np.zeros(60)
    sizes[::2] = 500.0
    found = varied(sizes, np.repeat(means, 2), 0.04)
    dense = measured(means, 500, 0.04)
    for name, array in found.arrays().items():
        assert array == pytest.approx(dense.arrays()[name]), name
    few = measured(means[:19], 500, 0.04)
    assert not few.measured[0]
    assert few.design_effect[0, 0] == 1.0


def test_tempering_follows_the_size_of_the_window() -> None:
    n = np.array([0.0, 100.0, 1000.0, 10_000.0])
    effect, size = np.full((4, 1), 5.0), np.full(4, 1000.0)
    assert tempering(n, effect, size)[:, 0] == pytest.approx([1.0, 1 / 1.4, 1 / 5, 1 / 41])
    assert (tempering(n, np.ones((4, 1)), size) == 1.0).all()


def test_one_window_after_another_is_measured_as_all_at_once() -> None:
    """Against the textbook's sums over all windows together."""
    random = np.random.default_rng(5)
    means = 0.5 + np.cumsum(random.normal(0, 0.004, 50))
    n = random.integers(200, 900, 50).astype(np.float64)
    found = varied(n, means, 0.04)
    centred = means - means.mean()
    variance = centred @ centred / 49
    one, two = centred[1:] @ centred[:-1] / 50, centred[2:] @ centred[:-2] / 50
    assert one > 2 * variance / np.sqrt(50)
    assert found.persistent[0, 0] == pytest.approx(min(max(one, 2 * one - two), variance))
    assert found.farthest[0, 0] == pytest.approx(np.abs(means - 0.5).max())
    assert found.window_size[0] == pytest.approx(50 / (1 / n).sum())
