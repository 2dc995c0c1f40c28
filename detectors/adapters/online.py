"""Detectors that compare the last events with a reference, event by event: the online ones of ``alibi_detect.cd``.

Their thresholds come from a simulation that takes seconds to minutes. It depends on the reference and the arguments
alone, and so a process makes it once for each.
"""

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from detectors.adapters import alibi
from detectors.adapters.alibi import REFERENCE
from detectors.adapters.kinds import KINDS, Kind
from detectors.adapters.memory import Memory, Values

__all__ = ["probe", "take"]

_LONGEST = REFERENCE // 8
_KEPT = 64
"""Detectors that a process keeps; each has up to 8 MB."""


class _Detector(Protocol):
    def reset_state(self) -> None: ...

    def predict(self, x_t: NDArray[np.floating[Any]]) -> Mapping[str, Any]: ...


def probe(kind: Kind, arguments: Mapping[str, Any], values: int) -> None:
    """Make the detector once, of so many values, with a short simulation.

    Raises as alibi.made does, and ValueError where too little is simulated for the expected run time, too, or a window
    is longer than the reference allows.
    """
    ert, longest = float(arguments["ert"]), max(_windows(arguments))
    simulated = arguments.get("n_bootstraps", kind.simulated)
    if not (ert > 1.0 and 1 < min(_windows(arguments)) <= longest <= _LONGEST):
        raise ValueError(f"expected an ert above 1, and windows of 2 to {_LONGEST} events")
    # In each step of a simulation those that alarm are left out; the others must be enough for the next threshold.
    wanted = int(1.1 * ert * (1.0 - 1.0 / ert) ** (-2.0 * longest)) + 2
    if simulated < wanted:
        raise ValueError(f"expected n_bootstraps of at least {wanted} for this ert and these windows, not {simulated}")
    short = {**arguments, "ert": 10.0, "n_bootstraps": 200}
    short |= {"window_sizes": [10]} if "window_sizes" in arguments else {"window_size": 10}
    events = np.arange(REFERENCE, dtype=np.float64)[:, None].repeat(values, axis=1)
    alibi.made(kind, short, events % 2.0 if kind.truths else events)


def take(kind: Kind, arguments: Mapping[str, object], memory: Memory, values: Values) -> tuple[Memory, bool]:
    """Show ``values`` [events, values] in their order; return what is remembered, and whether they differed.

    Until the reference is complete, windows are added to it and differ from nothing. Remembered are the reference and,
    behind it, the events that the detector's windows reach back to.
    """
    if not alibi.is_ready(memory):
        return alibi.learnt(memory, values), False
    reference, last = np.split(memory[1], [REFERENCE])
    told = json.dumps(dict(arguments), sort_keys=True)
    detector = _made(f"{kind.extra}.{kind.name}", told, reference.tobytes(), reference.shape[1])
    with alibi.seeded(arguments):
        detector.reset_state()
        for event in alibi.given(kind, last):
            detector.predict(event)
        finds = [bool(detector.predict(event)["data"]["is_drift"]) for event in alibi.given(kind, values)]
    # Once twice as many events as the longest window has are seen, the thresholds change no more.
    kept = np.concatenate([last, values])[-2 * max(_windows(arguments)) :]
    return (None, np.concatenate([reference, kept])), any(finds)


@lru_cache(_KEPT)
def _made(name: str, arguments: str, reference: bytes, values: int) -> _Detector:
    """Return the detector on a reference, the bytes of float64 [events, values], with its thresholds."""
    detector: _Detector = alibi.made(KINDS[name], json.loads(arguments), np.frombuffer(reference).reshape(-1, values))
    return detector


def _windows(arguments: Mapping[str, Any]) -> list[int]:
    return list(arguments.get("window_sizes", ())) or [arguments["window_size"]]
