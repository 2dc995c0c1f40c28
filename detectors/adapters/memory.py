"""What a detector remembers from window to window: its own numbers, or the last values that it was fed."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.adapters.kinds import SEED, Kind
from detectors.adapters.plain import Tree, overlay, plain

__all__ = ["HISTORY", "NOTHING", "Memory", "Values", "made", "remembered", "resumed"]

HISTORY = 4096
"""Events kept of a detector whose own memory cannot be stored: that is then all it knows."""

Values = NDArray[np.float64]
"""float64 [events, values]."""
Memory = tuple[Tree, Values]
"""What a detector remembers: its attributes, or the events it was fed last, float64 [events, values]."""
NOTHING: Memory = (None, np.empty((0, 0)))
"""What a detector remembers at the beginning."""


def made(kind: Kind, arguments: Mapping[str, object]) -> Any:
    """Return a new detector of that kind, one that needs no reference.

    Raises
    ------
    ImportError
        Its library is not installed.
    ValueError, TypeError
        It does not take these arguments; the library says why.
    """
    seed = {SEED: 0} if SEED in kind.arguments else {}
    return getattr(import_module(kind.module), kind.name)(**{**seed, **arguments})


def resumed(
    kind: Kind, arguments: Mapping[str, object], memory: Memory, learn: Callable[[Any, list[float]], object]
) -> Any:
    """Return a detector as it was when ``memory`` was made; ``learn`` feeds it one event."""
    attributes, history = memory
    detector = made(kind, arguments)
    if attributes is not None:
        return overlay(detector, attributes)
    for event in history.tolist():
        learn(detector, event)
    return detector


def remembered(kind: Kind, detector: object, memory: Memory, values: Values) -> Memory:
    """Return what to store of a detector that was fed ``values`` [events, values] after it was resumed."""
    if kind.memory == "attributes":
        return plain(detector), NOTHING[1]
    history = memory[1]
    return None, np.concatenate([history, values])[-HISTORY:] if len(history) else values[-HISTORY:]
