"""Detectors that score each event, the stranger the higher, and learn it: those of ``river.anomaly``."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.adapters.kinds import Kind
from detectors.adapters.memory import Memory, Values, remembered, resumed

__all__ = ["take"]


def take(
    kind: Kind, arguments: Mapping[str, object], memory: Memory, values: Values, names: Sequence[str]
) -> tuple[Memory, NDArray[np.float64]]:
    """Score each of ``values`` [events, values], by what came before it; return what is remembered, and the scores.

    ``names``: those of the values, for detectors that look at several.
    """

    def given(event: list[float]) -> tuple[Any, ...]:
        return (None, event[0]) if kind.single else (dict(zip(names, event, strict=True)),)

    def learn(detector: Any, event: list[float]) -> None:
        detector.learn_one(*given(event))

    detector = resumed(kind, arguments, memory, learn)
    scores = []
    for event in values.tolist():
        scores.append(float(detector.score_one(*given(event))))
        learn(detector, event)
    return remembered(kind, detector, memory, values), np.array(scores)
