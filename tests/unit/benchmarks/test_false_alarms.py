"""The benchmark of false alarms must tell when a detector is broken: each break here is one of a sign or a weight."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.quality import nulls
from benchmarks.quality.rates import Spent
from detectors import bets, evidence, tolerance
from detectors.budget import Budget

EDGE = nulls.Cell("edge", events=1_000, budget=100, monitors=1, windows=40_000, streams=200)
SHARED = nulls.Cell("edge", events=100, budget=100, monitors=nulls.MONITORS, windows=1_000, streams=2)
MEANS = nulls.Cell("means", events=1_000, budget=100, monitors=1, windows=40_000, streams=200)


def held(cell: nulls.Cell) -> bool:
    """Return whether the benchmark would tell that the budget was kept."""
    figures = nulls.worst(nulls.measure(cell))
    return all(goal.held(figures[goal.figure]) for goal in nulls.GOALS)


@pytest.mark.parametrize("cell", [EDGE, SHARED, MEANS], ids=["edge", "shared", "means"])
def test_the_budget_is_held(cell: nulls.Cell) -> None:
    assert held(cell)
    # And not by being deaf.
    assert nulls.worst(nulls.measure(cell))["false_alarm_ratio_max"] > 0.05


def flipped_bets(patch: pytest.MonkeyPatch) -> None:
    def losing(of: bets.Bets, moments: bets.Moments, *, exact: bool) -> NDArray[np.float64]:
        return -bets.log_wealth(of, moments, exact=exact)

    patch.setattr(evidence, "log_wealth", losing)


def summed_evidence(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(evidence, "evidence", lambda log_r: np.logaddexp.reduce(log_r.reshape(len(log_r), -1), axis=-1))


def narrow_rise(patch: pytest.MonkeyPatch) -> None:
    # A rare share may rise by a half, where it should double.
    patch.setattr(tolerance, "RISING_FACTOR", 1.5)


def doubled_bets(patch: pytest.MonkeyPatch) -> None:
    def doubled(of: bets.Bets, moments: bets.Moments, *, exact: bool) -> NDArray[np.float64]:
        return 2.0 * bets.log_wealth(of, moments, exact=exact)

    patch.setattr(evidence, "log_wealth", doubled)


@pytest.mark.parametrize("break_it", [flipped_bets, summed_evidence, narrow_rise, doubled_bets])
def test_a_broken_detector_is_told(break_it: Callable[[pytest.MonkeyPatch], None]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        break_it(patch)
        assert not held(EDGE)


def test_a_budget_that_is_not_split_is_told() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            Budget,
            "log_thresholds",
            lambda self, segments, monitors: np.full((segments, monitors), np.log(self.windows)),
        )
        assert not held(SHARED)


def test_the_interval_of_a_rate_is_the_exact_one() -> None:
    # Garwood's: half the quantiles of chi-square at 2k and 2k + 2 degrees of freedom.
    assert Spent(0, 1.0).interval == pytest.approx((0.0, 3.689), abs=2e-3)
    assert Spent(10, 1.0).interval == pytest.approx((4.795, 18.39), abs=5e-3)
    assert Spent(400, 100.0).interval == pytest.approx((3.617, 4.412), abs=2e-3)
