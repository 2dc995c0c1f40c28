"""Calibration curves: what they give is monotone, near what they stand for, and the same in every batch."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from detectors.curves import Curve

LINES = Curve([(0.5, 0.4), (0.9, 0.8), (1.0, 0.8)])
confidences = st.lists(st.floats(0, 1) | st.just(float("nan")), min_size=1, max_size=50)
curves = st.builds(Curve.logistic, st.floats(0.01, 10), st.floats(-20, 20)) | st.just(LINES)
# Decimals, so that no two are nearer than settings let them be.
shares = st.integers(0, 10**6).map(lambda each: each / 10**6)
points = st.lists(shares, min_size=2, max_size=9, unique=True).flatmap(
    lambda at: st.lists(shares, min_size=len(at), max_size=len(at)).map(
        lambda values: list(zip(sorted(at), sorted(values), strict=True))
    )
)


def logistic(slope: float, intercept: float, confidence: NDArray[np.float64]) -> NDArray[np.float64]:
    found: NDArray[np.float64] = 1 / (1 + np.exp(-(slope * np.log(confidence / (1 - confidence)) + intercept)))
    return found


def test_between_points_it_is_a_straight_line_and_beyond_them_flat() -> None:
    given_ = np.array([0.0, 0.5, 0.6, 0.9, 0.95, 1.0, np.nan])
    assert LINES.of(given_) == pytest.approx([0.4, 0.4, 0.5, 0.8, 0.8, 0.8, np.nan], nan_ok=True)


@pytest.mark.parametrize(("slope", "intercept"), [(1 / 1.7, 0.0), (0.3, 1.0), (2.0, -1.0)])
def test_a_logistic_curve_is_one_to_a_thousandth(slope: float, intercept: float) -> None:
    near_ends = np.logspace(-6.5, -1, 500)
    given_ = np.concatenate([np.linspace(0.001, 0.999, 5000), near_ends, 1 - near_ends])
    assert Curve.logistic(slope, intercept).of(given_) == pytest.approx(logistic(slope, intercept, given_), abs=1e-3)


def test_the_ends_of_a_logistic_curve_are_not_certain() -> None:
    low, high = Curve.logistic(0.5, 0.0).of(np.array([0.0, 1.0]))
    assert (low, high) == pytest.approx((3.4e-4, 1 - 3.4e-4), rel=0.02)


@given(curve=curves, some=confidences)
def test_it_does_not_depend_on_the_batch(curve: Curve, some: list[float]) -> None:
    together = curve.of(np.array(some))
    one_by_one = np.concatenate([curve.of(np.array([each])) for each in some])
    assert together.tobytes() == one_by_one.tobytes()
    assert together.tobytes() == curve.of(np.array(some[::-1]))[::-1].tobytes()


@example(Curve([(0.87, 0.1), (0.89, 1.0)]), [0.89])
@given(curve=curves | st.builds(Curve, points), some=confidences)
def test_it_is_monotone_and_stays_from_0_to_1(curve: Curve, some: list[float]) -> None:
    found = curve.of(np.sort(np.array(some)))
    known = found[~np.isnan(found)]
    assert len(known) == np.count_nonzero(~np.isnan(some))
    assert ((known >= 0) & (known <= 1)).all()
    assert (np.diff(known) >= 0).all()
