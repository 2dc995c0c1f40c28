"""Detectors that are fed one value after the other and say when they found a change: those of ``river.drift``."""

from collections.abc import Mapping
from typing import Protocol

from detectors.adapters.kinds import Kind
from detectors.adapters.memory import Memory, Values, remembered, resumed

__all__ = ["take"]


class _Detector(Protocol):
    drift_detected: bool

    def update(self, x: float) -> object: ...


def take(kind: Kind, arguments: Mapping[str, object], memory: Memory, values: Values) -> tuple[Memory, bool]:
    """Feed ``values`` [events, 1], in their order; return what the detector remembers, and whether it found a change.

    The answer depends on the memory and the values alone, wherever the windows before were taken.
    """
    detector: _Detector = resumed(kind, arguments, memory, _learn)
    found = False
    for event in values.tolist():
        _learn(detector, event)
        found |= bool(detector.drift_detected)
    return remembered(kind, detector, memory, values), found


def _learn(detector: _Detector, event: list[float]) -> None:
    detector.update(event[0])
