"""A calibration in the configuration: what it makes of a confidence, and what is said of one that cannot be."""

import math
from pathlib import Path

import numpy as np
import pytest

from daemon.settings import Settings
from tests.unit.daemon.test_settings_faults import bad

CURVE = (
    "expected two or more points [confidence, share that is right], all numbers from 0 to 1, each confidence more than "
    "that before, no share less"
)


def test_it_is_merged_number_by_number_and_points_take_its_place() -> None:
    settings = Settings.model_validate(
        {
            "model": {
                "*": {"calibration": {"slope": 0.5}},
                "a": {"calibration": {"intercept": 1}},
                "b": {"calibration": [[0, 0.1], [1, 0.9]]},
                "c": {"calibration": {"slope": 1.0}},
                "d": {"calibration": []},
            }
        }
    )
    sure = np.array([0.9])

    def calibrated(model: str) -> float | None:
        curve = settings.of(model).curve
        return None if curve is None else float(curve.of(sure)[0])

    # At 0.9 the odds are 9.
    assert calibrated("any") == pytest.approx(3 / 4, abs=1e-3)
    assert calibrated("a") == pytest.approx(3 * math.e / (1 + 3 * math.e), abs=1e-3)
    assert calibrated("b") == pytest.approx(0.82)
    assert calibrated("c") is None
    assert calibrated("d") is None
    assert Settings().of("any").curve is None


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("slope", "0.0", "expected a number, more than 0, at most 10"),
        ("slope", "10.5", "expected a number, more than 0, at most 10"),
        ("slope", "true", "expected a number, more than 0, at most 10"),
        ("intercept", "'low'", "expected a number, at least -20, at most 20"),
        ("intercept", "nan", "expected a number, at least -20, at most 20"),
        (
            "temperature",
            "1.7",
            "there is no such key; expected slope and intercept, or a list of points instead of the table",
        ),
    ],
)
def test_a_number_that_cannot_be_one_is_told(name: str, value: str, told: str, tmp_path: Path) -> None:
    line = f"model.a.calibration.{name} = {value}: {told}"
    assert bad(tmp_path, f"[model.a.calibration]\n{name} = {value}") == [f"FILE:2: {line}"]
    assert bad(tmp_path, f"[model.a]\ncalibration = {{ {name} = {value} }}") == [f"FILE:2: {line}"]


@pytest.mark.parametrize(
    "points",
    [
        "[[0.5, 0.4]]",
        "[[0.5], [0.9, 0.8]]",
        "[[0.5, 0.4], [0.5, 0.5]]",
        "[[0.5, 0.4], [0.9, 0.3]]",
        "[[0.5, 0.4], [0.9, 1.1]]",
        "[[-0.1, 0.4], [0.9, 0.5]]",
    ],
)
def test_points_that_make_no_curve_are_told(points: str, tmp_path: Path) -> None:
    assert bad(tmp_path, f"[model.a]\ncalibration = {points}") == [f"FILE:2: model.a.calibration = {points}: {CURVE}"]


@pytest.mark.parametrize("value", ["1.7", "[0.5, 0.9]", "'isotonic'"])
def test_what_is_neither_is_told(value: str, tmp_path: Path) -> None:
    told = f"FILE:2: model.a.calibration = {value}: expected a table or a list of points"
    assert bad(tmp_path, f"[model.a]\ncalibration = {value}") == [told]
