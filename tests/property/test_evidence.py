"""What the theorem asks of bets, by enumeration, and what it promises of e-detectors, by simulation."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from detectors.bets import BETS, Bets, Moments, log_wealth
from detectors.evidence import FLOOR, accumulate, advance, evidence, reverse_wealth
from detectors.tolerance import chernoff_upper

BOUNDS = st.floats(min_value=1e-5, max_value=0.999)
ROUNDING = 1e-9


_LOG_FACTORIALS = np.cumsum(np.log(np.maximum(np.arange(3001.0), 1.0)))


def binomial(n: int, share: float) -> NDArray[np.float64]:
    """Return the probabilities of 0 … n ones."""
    ones = np.arange(n + 1)
    share = min(max(share, 1e-300), 1.0 - 1e-16)
    ways = _LOG_FACTORIALS[n] - _LOG_FACTORIALS[ones] - _LOG_FACTORIALS[n - ones]
    chances: NDArray[np.float64] = np.exp(ways + ones * math.log(share) + (n - ones) * math.log1p(-share))
    return chances


def wealth(bound: float, moments: Moments, *, exact: bool) -> NDArray[np.float64]:
    return np.exp(log_wealth(Bets.against(np.full((1, 1), bound)), moments, exact=exact)[:, 0])


@given(bound=BOUNDS, n=st.integers(1, 40), part=st.floats(0.0, 1.0))
def test_a_bet_on_counts_wins_nothing_on_average_while_the_null_holds(bound: float, n: int, part: float) -> None:
    ones = np.arange(n + 1.0)[:, None]
    probabilities = binomial(n, part * bound)
    won = wealth(bound, Moments(np.full(n + 1, float(n)), ones, ones), exact=True)
    assert won.shape == (n + 1, BETS)
    assert (probabilities @ won <= 1.0 + ROUNDING).all()


def test_at_the_bound_itself_a_bet_on_counts_is_fair() -> None:
    ones = np.arange(21.0)[:, None]
    won = wealth(0.3, Moments(np.full(21, 20.0), ones, ones), exact=True)
    assert binomial(20, 0.3) @ won == pytest.approx(np.ones(BETS))


@given(
    bound=BOUNDS,
    n=st.integers(1, 12),
    points=st.lists(st.floats(0.0, 1.0), min_size=3, max_size=3),
    weights=st.lists(st.floats(0.01, 1.0), min_size=3, max_size=3),
)
def test_a_bet_on_means_wins_nothing_on_average_while_the_null_holds(
    bound: float, n: int, points: list[float], weights: list[float]
) -> None:
    values = np.array(points)
    probabilities = np.array(weights) / sum(weights)
    mean = float(probabilities @ values)
    if mean > bound:
        values = values * (bound / mean)
    counted = np.array([(i, j, n - i - j) for i in range(n + 1) for j in range(n + 1 - i)], dtype=np.float64)
    ways = _LOG_FACTORIALS[n] - _LOG_FACTORIALS[counted.astype(np.intp)].sum(axis=1)
    chances = np.exp(ways + counted @ np.log(probabilities))
    moments = Moments(np.full(len(counted), float(n)), (counted @ values)[:, None], (counted @ values**2)[:, None])
    assert (chances @ wealth(bound, moments, exact=False) <= 1.0 + 1e-7).all()


@given(bound=st.floats(0.01, 0.99), n=st.integers(1, 30), part=st.floats(0.0, 1.0))
def test_the_reverse_bet_wins_nothing_on_average_while_the_share_is_beyond_its_bound(
    bound: float, n: int, part: float
) -> None:
    ones = np.arange(n + 1.0)[:, None]
    probabilities = binomial(n, bound + part * (1.0 - bound))
    moments = Moments(np.full(n + 1, float(n)), ones, ones)
    gain = reverse_wealth(np.full(n + 1, bound), moments, np.ones(n + 1), exact=True, rounding=0.0)
    assert (probabilities @ np.exp(gain) <= 1.0 + ROUNDING).all()


@given(n=st.integers(1, 3000), part=st.floats(0.0, 1.0))
def test_the_upper_bound_of_a_share_is_wrong_as_rarely_as_it_says_and_not_much_too_wide(n: int, part: float) -> None:
    error = 1e-3
    k = round(part * n)
    upper = float(chernoff_upper(np.array([k / n]), np.array([float(n)]), -math.log(error))[0])
    so_few = binomial(n, upper)[: k + 1].sum()
    if k < n:
        assert error / 100.0 < so_few <= error * (1.0 + 1e-6)
    else:
        assert upper == 1.0


@pytest.mark.parametrize("n", [10, 1000, 100_000])
@pytest.mark.parametrize("bound", [0.001, 0.12])
def test_false_alarms_stay_within_the_budget_at_the_edge_of_the_tolerance(n: int, bound: float) -> None:
    average, streams, windows, components = 100.0, 200, 500, 5
    random = np.random.default_rng(n)
    bounds = np.full((streams, components), bound)
    log_r = np.full((streams, components, BETS), FLOOR)
    alarms = 0
    for _ in range(windows):
        ones = random.binomial(n, bounds).astype(np.float64)
        moments = Moments(np.full(streams, float(n)), ones, ones)
        log_r = advance(log_r, bounds, moments, np.ones_like(bounds), exact=True)
        alarmed = evidence(log_r) >= np.log(average)
        alarms += int(alarmed.sum())
        log_r[alarmed] = FLOOR
    allowed = streams * windows / average
    assert alarms <= allowed
    # Not by being deaf: where a window's noise is within the grid of bets, from 0.14 to 0.52 of it is spent.
    if n <= 1000:
        assert alarms >= allowed / 10


@pytest.mark.parametrize("n", [10, 1000, 100_000])
def test_false_alarms_of_means_stay_within_the_budget(n: int) -> None:
    average, streams, windows = 100.0, 40, 500
    random = np.random.default_rng(n)
    bounds = np.full((streams, 1), 0.12)
    log_r = np.full((streams, 1, BETS), FLOOR)
    alarms = 0
    for _ in range(windows):
        # Values 0, 0.1 and 1 with a mean of 0.12.
        drawn = random.multinomial(n, [0.4, 0.533333333333, 0.066666666667], streams) @ np.array(
            [[0.0, 0.0], [0.1, 0.01], [1.0, 1.0]]
        )
        moments = Moments(np.full(streams, float(n)), drawn[:, :1], drawn[:, 1:])
        log_r = advance(log_r, bounds, moments, np.ones_like(bounds), exact=False)
        alarmed = evidence(log_r) >= np.log(average)
        alarms += int(alarmed.sum())
        log_r[alarmed] = FLOOR
    assert alarms <= streams * windows / average


def test_evidence_is_the_sum_over_all_beginnings() -> None:
    gains = np.random.default_rng(3).normal(0.0, 1.0, 12)
    log_r = np.full(1, FLOOR)
    for gain in gains:
        log_r = accumulate(log_r, np.array([gain]), np.array([True]))
    beginnings = [gains[start:].sum() for start in range(len(gains))]
    assert np.exp(log_r[0]) == pytest.approx(np.exp(beginnings).sum())


def test_evidence_stays_finite_and_can_return_from_the_floor() -> None:
    bounds = np.array([[0.1]])
    log_r = np.full((1, 1, BETS), FLOOR)
    for share in (0.0, 0.0, 0.5):
        for n in (10.0, 1e8):
            ones = np.array([[share * n]])
            log_r = advance(log_r, bounds, Moments(np.array([n]), ones, ones), np.ones((1, 1)), exact=True)
            assert np.isfinite(log_r).all()
    assert evidence(log_r)[0] > 100.0
