"""Shadow versions as a column: what they say otherwise than the model, read only where a layout counts it."""

import math
import sys
from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from daemon.events import Rejected
from daemon.kinds import class_named
from daemon.slots import is_given
from detectors.columns import Categories

__all__ = ["otherwise"]

_FARTHEST = sys.float_info.max


class _Shadow(msgspec.Struct, gc=False):
    """What a shadow version says of the event; which one it is, nobody compares."""

    prediction: str | int | float | bool


_SHADOW = msgspec.json.Decoder(_Shadow | str | int | float | bool)


def otherwise(
    shadows: Sequence[msgspec.Raw], predicted: Categories, numbers: NDArray[np.float64] | None
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return what n shadows say otherwise than the model [n], and where one is wrong [n].

    Where the model ``predicted`` a class, 1 if the shadow's is another, else 0; where it predicted one of the
    ``numbers`` [n] (NaN where it did not; None if it never did), the distance. NaN where there is no shadow, where the
    model predicted neither, and where one is wrong: it is no prediction, or none of that kind.
    """
    found = np.full(len(shadows), np.nan)
    wrong = np.zeros(len(shadows), dtype=np.bool_)
    for row, raw in enumerate(shadows):
        if not is_given(raw):
            continue
        code = int(predicted.codes[row])
        number = math.nan if numbers is None else float(numbers[row])
        try:
            shadow = _SHADOW.decode(raw)
            prediction = shadow.prediction if isinstance(shadow, _Shadow) else shadow
            found[row] = _distance(number, prediction) if code < 0 else predicted.names[code] != class_named(prediction)
        except (msgspec.MsgspecError, Rejected):
            wrong[row] = True
    return found, wrong


def _distance(number: float, prediction: str | float | bool) -> float:
    if math.isnan(number):
        return math.nan
    if isinstance(prediction, (str, bool)):
        raise Rejected("prediction_not_a_number", f"the model predicted a number, its shadow {prediction!r}")
    try:
        return min(abs(number - prediction), _FARTHEST)
    except OverflowError as error:
        raise Rejected("prediction_not_a_number", "the shadow's number is beyond double precision") from error
