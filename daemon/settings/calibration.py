"""The calibration of a model's confidence: a table of two numbers, or a list of points."""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from daemon.settings.inside import inside
from detectors.curves import Curve

__all__ = ["Calibration", "checked", "curve_of"]

Calibration = Mapping[str, object] | tuple[tuple[float, ...], ...]
"""Slope and intercept for the logit, by name; or points [confidence, share that is right]; none of these for none."""
_UNCHANGED = {"slope": 1.0, "intercept": 0.0}
_LARGEST_SLOPE, _LARGEST_INTERCEPT = 10, 20
_COORDINATES = 2
_LEAST_STEP = 1e-9
"""Confidences of points are at least so far from each other."""


def checked(calibration: Calibration) -> Calibration:
    """Return ``calibration`` if it is one; raises ValueError that tells what is expected."""
    if isinstance(calibration, Mapping):
        if faults := list(_faults(calibration)):
            raise inside("calibration", faults)
    elif calibration and not _is_curve(calibration):
        message = (
            "expected two or more points [confidence, share that is right], all numbers from 0 to 1, each confidence "
            "more than that before, no share less"
        )
        raise ValueError(message)
    return calibration


def curve_of(calibration: Calibration) -> Curve | None:
    """Return the curve that a checked calibration says; None if it changes nothing."""
    if not calibration:
        return None
    if not isinstance(calibration, Mapping):
        return Curve([(confidence, share) for confidence, share in calibration])
    given = _UNCHANGED | {name: float(str(value)) for name, value in calibration.items()}
    return None if given == _UNCHANGED else Curve.logistic(given["slope"], given["intercept"])


def _faults(table: Mapping[str, object]) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield the keys that are wrong, and what is expected."""
    for name, value in table.items():
        number = float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
        if name not in _UNCHANGED:
            names = " and ".join(_UNCHANGED)
            yield (name,), f"there is no such key; expected {names}, or a list of points instead of the table"
        elif name == "slope" and not 0 < number <= _LARGEST_SLOPE:
            yield (name,), f"expected a number, more than 0, at most {_LARGEST_SLOPE}"
        elif name == "intercept" and not abs(number) <= _LARGEST_INTERCEPT:
            yield (name,), f"expected a number, at least {-_LARGEST_INTERCEPT}, at most {_LARGEST_INTERCEPT}"


def _is_curve(points: Sequence[Sequence[float]]) -> bool:
    if any(len(point) != _COORDINATES for point in points):
        return False
    pairs = list(pairwise(points))
    inside_unit = all(0 <= each <= 1 for point in points for each in point)
    ascending = all(other[0] - one[0] >= _LEAST_STEP and one[1] <= other[1] for one, other in pairs)
    return bool(pairs) and inside_unit and ascending
