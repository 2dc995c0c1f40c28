"""Tests that compare a window with a reference, each window by itself: those of ``alibi_detect.cd``."""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from detectors.adapters.alibi import REFERENCE, given, is_ready, learnt, made, seeded
from detectors.adapters.kinds import BACKEND, Kind
from detectors.adapters.memory import Memory, Values

__all__ = ["probe", "take"]


class _Test(Protocol):
    def predict(self, x: NDArray[np.floating[Any]]) -> Mapping[str, Any]: ...


def probe(kind: Kind, arguments: Mapping[str, object], values: int) -> None:
    """Make the test once, on a few events with so many values, and try it; raises as alibi.made does."""
    events = np.arange(REFERENCE if BACKEND in kind.arguments else 2, dtype=np.float64)[:, None].repeat(values, axis=1)
    _differ(kind, arguments, events, events[:10])


def take(kind: Kind, arguments: Mapping[str, object], memory: Memory, values: Values) -> tuple[Memory, bool]:
    """Compare ``values`` [events, values] with the reference; return what is remembered, and whether they differ.

    Until the reference is complete, windows are added to it and differ from nothing.
    """
    if not is_ready(memory):
        return learnt(memory, values), False
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
    with seeded(arguments):
        return bool(test.predict(given(kind, values))["data"]["is_drift"])
