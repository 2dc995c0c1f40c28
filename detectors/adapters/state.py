"""What is remembered of a detector of another library from one window to the next."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.adapters.memory import NOTHING
from detectors.adapters.plain import Tree

__all__ = ["AdapterState", "from_stored", "stored"]

_PREFIX = "adapter "


@dataclass(frozen=True, slots=True, eq=False)
class AdapterState:
    """The state of one adapter; replaced, never changed.

    ``identity``: what it was made with; a state with another one is given up. ``firing``, and ``since``, the window of
    the alarm; ``quiet``: windows with values since the last find. ``count`` and ``total`` of the values since then,
    or since the beginning. What the detector itself remembers is in
    ``attributes`` or in ``history``, float64 [events, values], the last it was fed, as its kind says.
    """

    identity: str
    firing: bool = False
    since: int = -1
    quiet: int = 0
    count: int = 0
    total: float = 0.0
    attributes: Tree = None
    history: NDArray[np.float64] = field(default_factory=lambda: NOTHING[1])


_PLAIN = ("identity", "firing", "since", "quiet", "count", "total", "attributes")


def stored(states: Mapping[str, AdapterState]) -> tuple[dict[str, Any], dict[str, NDArray[np.float64]]]:
    """Return states as what JSON can hold, by name, and as named arrays."""
    meta = {name: {key: getattr(state, key) for key in _PLAIN} for name, state in states.items()}
    return meta, {_PREFIX + name: state.history for name, state in states.items() if len(state.history)}


def from_stored(meta: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> dict[str, AdapterState]:
    """Return what :func:`stored` was given."""
    states = {name: AdapterState(**kept) for name, kept in meta.items()}
    return {
        name: replace(state, history=arrays[_PREFIX + name]) if _PREFIX + name in arrays else state
        for name, state in states.items()
    }
