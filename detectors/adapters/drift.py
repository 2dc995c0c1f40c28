"""Detectors that are fed one value after the other and say when they found a change: those of ``river.drift``."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from detectors.adapters.kinds import Kind
from detectors.adapters.plain import Tree, overlay, plain

__all__ = ["HISTORY", "Memory", "made", "take"]

HISTORY = 4096
"""Values kept of a detector whose own memory cannot be stored: that is then all it knows."""
_SEED = "seed"

Memory = tuple[Tree, NDArray[np.float64]]
"""What a detector remembers: its attributes, or the last values it was fed (None and none at the beginning)."""


class _Detector(Protocol):
    drift_detected: bool

    def update(self, x: float) -> object: ...


def made(kind: Kind, arguments: Mapping[str, object]) -> Any:
    """Return a new detector of that kind.

    Raises
    ------
    ImportError
        Its library is not installed.
    ValueError, TypeError
        It does not take these arguments; the library says why.
    """
    seed = {_SEED: 0} if _SEED in kind.arguments else {}
    return getattr(import_module(kind.module), kind.name)(**{**seed, **arguments})


def take(
    kind: Kind, arguments: Mapping[str, object], memory: Memory, values: NDArray[np.float64]
) -> tuple[Memory, bool]:
    """Feed ``values`` [n], in their order; return what the detector remembers then, and whether it found a change.

    The answer depends on the memory and the values alone, wherever the windows before were taken.
    """
    attributes, history = memory
    detector: _Detector = made(kind, arguments)
    if kind.memory == "attributes":
        if attributes is not None:
            detector = overlay(detector, attributes)
        found = _feed(detector, values)
        return (plain(detector), history), found
    _feed(detector, history)
    found = _feed(detector, values)
    return (None, np.concatenate([history, values])[-HISTORY:]), found


def _feed(detector: _Detector, values: NDArray[np.float64]) -> bool:
    found = False
    for value in values.tolist():
        detector.update(value)
        found |= bool(detector.drift_detected)
    return found
