"""The members of ensembles as a column: their disagreement, read only where a layout counts it."""

import math
from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from daemon.slots import is_given
from detectors.disagreement import disagreement
from detectors.probabilities import SUM_TOLERANCE

__all__ = ["disagreements"]

_MEMBERS = msgspec.json.Decoder(list[dict[str, float] | list[float]])
_Shares = Sequence[Sequence[float]]


def disagreements(members: Sequence[msgspec.Raw]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the disagreement of n ensembles [n], NaN where there is none, and where one is wrong [n].

    Wrong is what is no array of two members or more, or if they have probabilities that are none: not from 0 to 1, or
    not together 1; or if some of them have these by class and others in an array, or arrays of different lengths.
    """
    found = np.full(len(members), np.nan)
    wrong = np.zeros(len(members), dtype=np.bool_)
    for row, raw in enumerate(members):
        if not is_given(raw):
            continue
        shares = _shares(raw)
        if shares is None:
            wrong[row] = True
        else:
            found[row] = disagreement(shares)
    return found, wrong


def _shares(raw: msgspec.Raw) -> _Shares | None:
    """Return each member's probabilities of the same classes; None if something is wrong. A class not named has 0."""
    try:
        members = _MEMBERS.decode(raw)
    except msgspec.MsgspecError:
        return None
    by_class = [each for each in members if isinstance(each, dict)]
    arrays = [each for each in members if isinstance(each, list)]
    shares: _Shares = arrays
    if by_class and not arrays:
        names = list(dict.fromkeys(name for each in by_class for name in each))
        shares = [[each.get(name, 0.0) for name in names] for each in by_class]
    elif by_class or len(set(map(len, arrays))) > 1:
        return None
    return shares if len(members) > 1 and all(map(_are_probabilities, shares)) else None


def _are_probabilities(shares: Sequence[float]) -> bool:
    inside = bool(shares) and min(shares) >= 0.0 and max(shares) <= 1.0
    return inside and abs(math.fsum(shares) - 1.0) <= SUM_TOLERANCE
