"""Tests that compare a window with a reference, each window by itself: those of ``alibi_detect.cd``."""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from detectors.adapters.kinds import Kind
from detectors.adapters.memory import Memory, Values, made

__all__ = ["REFERENCE", "is_ready", "probe", "take"]

REFERENCE = 1024
"""Events with which later windows are compared: the first of the sample."""


class _Test(Protocol):
    def predict(self, x: Values) -> Mapping[str, Any]: ...


def is_ready(memory: Memory) -> bool:
    """Tell whether the reference is complete."""
    return len(memory[1]) >= REFERENCE


def probe(kind: Kind, arguments: Mapping[str, object], values: int) -> None:
    """Make the test once, on two events with so many values, and try it; raises as memory.made does."""
    events = np.array([[0.0], [1.0]]).repeat(values, axis=1)
    _differ(kind, arguments, events, events)


def take(kind: Kind, arguments: Mapping[str, object], memory: Memory, values: Values) -> tuple[Memory, bool]:
    """Compare ``values`` [events, values] with the reference; return what is remembered, and whether they differ.

    Until the reference is complete, windows are added to it and differ from nothing.
    """
    if not is_ready(memory):
        reference = memory[1]
        return (None, np.concatenate([reference, values])[:REFERENCE] if len(reference) else values[:REFERENCE]), False
    return memory, _differ(kind, arguments, memory[1], values)


def _differ(kind: Kind, arguments: Mapping[str, object], reference: Values, values: Values) -> bool:
    # What is one and the same everywhere cannot differ, and chi-square's test refuses it.
    varied = (reference != reference[0]).any(axis=0) | (values != reference[0]).any(axis=0)
    if not varied.any():
        return False
    reference, values = reference[:, varied], values[:, varied]
    if kind.name == "ChiSquareDrift":
        # Both values are possible, whether or not the reference has both.
        arguments = {**arguments, "categories_per_feature": dict.fromkeys(range(reference.shape[1]), 2)}
    test: _Test = made(kind, arguments, reference)
    return bool(test.predict(values)["data"]["is_drift"])
