"""How streams vary while they are watched: measured from their first calm windows, and once more from many."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from detectors.alarms import Watch
from detectors.evidence import FLOOR
from detectors.learning import HISTORY_WINDOWS, Windows, calibrate
from detectors.nulls import nulls_in_force
from detectors.readings import OK
from detectors.reference import Reference
from detectors.state import NO_WINDOW, QUIET_WINDOWS, CohortState

__all__ = ["MANY_WINDOWS", "measure"]

CALM = 0.5
"""Evidence below this part of the (logarithmic) threshold is calm enough to calibrate on."""
MANY_WINDOWS = 150
"""Windows without an alarm after which the design effect is measured once more: the upper bound of 20 is 1.65 times the
estimate, that of so many 1.17 times."""
_EVERY = 50
"""How seldom it is looked for so many, since they have to be read; cohorts do so in different windows."""


def measure(state: CohortState, watching: list[Watch], windows: Windows, reference: Reference) -> None:
    """Note which segments had a window without an alarm, and measure those that have had enough of them."""
    quiet = windows.summary.events > 0
    calm = np.ones_like(quiet)
    steady = np.zeros(len(quiet), dtype=np.int64)
    for watch in watching:
        asked = slice(len(watch.state.status))
        quiet[asked] &= watch.state.status == OK
        calm[asked] &= watch.updated.log_evidence < CALM * watch.log_threshold
        steady[asked] = np.maximum(steady[asked], watch.state.steady)
    known = state.calibrated > 0
    _measure_first(state, watching, windows, reference, quiet & ~known, calm)
    if (windows.window + int(reference.digest[:8], 16)) % _EVERY == 0:
        many = known & (state.calibrated < MANY_WINDOWS) & (windows.window - steady >= MANY_WINDOWS)
        _measure_again(state, watching, windows, reference, quiet & calm & many, steady)


def _measure_first(
    state: CohortState,
    watching: list[Watch],
    windows: Windows,
    reference: Reference,
    noted: NDArray[np.bool_],
    calm: NDArray[np.bool_],
) -> None:
    """Measure how segments vary that nothing is known of; what was won until then is no evidence any more."""
    state.quiet[noted, :-1] = state.quiet[noted, 1:]
    state.quiet[noted, -1] = windows.window
    oldest = state.quiet[:, 0]
    reachable = (oldest != NO_WINDOW) & (oldest > windows.window - HISTORY_WINDOWS)
    ready = noted & calm & reachable
    if not ready.any():
        return
    stored = windows.last()
    at = np.array([window for window, _ in stored], dtype=np.int64)
    wanted: NDArray[np.bool_] = (at[:, None, None] == state.quiet).any(axis=2) & ready
    complete = wanted.sum(axis=0) >= QUIET_WINDOWS
    state.quiet[ready & ~complete] = NO_WINDOW
    ready &= complete
    measured = calibrate(reference, windows.layout, stored, dict(zip(at.tolist(), wanted, strict=True)))
    for watch in watching:
        mine = watch.state
        found = measured[watch.monitor.name].take(np.arange(len(mine.status)))
        rows = ready[: len(mine.status)] & found.measured
        mine.varied = mine.varied.replaced(rows, found)
        _set_nulls(state, watch, reference, rows)
        # What was won by untempered bets against narrower tolerances is no evidence under the new ones.
        mine.log_r = np.where(rows[:, None, None], FLOOR, mine.log_r)
    state.calibrated[ready] = QUIET_WINDOWS
    state.quiet[ready] = NO_WINDOW


def _measure_again(
    state: CohortState,
    watching: list[Watch],
    windows: Windows,
    reference: Reference,
    ready: NDArray[np.bool_],
    steady: NDArray[np.int64],
) -> None:
    """Measure the design effect on many windows, where it may be lower than few could show.

    It is never raised, and what lasts from window to window is left as it was: a change too slow to be found would
    otherwise widen the tolerance that it is to be found with. Where more lasts by now than before, the effect is
    left, too. Evidence goes on: each window's is tempered by what was known before it.
    """
    if not ready.any():
        return
    stored = windows.last()
    at = np.array([window for window, _ in stored], dtype=np.int64)
    wanted = (at[:, None] > steady) & ready
    measured = calibrate(reference, windows.layout, stored, dict(zip(at.tolist(), wanted, strict=True)))
    for watch in watching:
        mine = watch.state
        found = measured[watch.monitor.name].take(np.arange(len(mine.status)))
        rows = ready[: len(mine.status)] & found.measured
        # As in windows of the size that the effect in force was measured in.
        effect = 1.0 + (found.design_effect - 1.0) * (mine.varied.window_size / found.window_size)[:, None]
        lower = rows[:, None] & (found.persistent <= mine.varied.persistent) & (effect < mine.varied.design_effect)
        mine.varied = replace(mine.varied, design_effect=np.where(lower, effect, mine.varied.design_effect))
        _set_nulls(state, watch, reference, rows)
    state.calibrated[ready] = np.maximum(wanted.sum(axis=0)[ready], QUIET_WINDOWS)


def _set_nulls(state: CohortState, watch: Watch, reference: Reference, rows: NDArray[np.bool_]) -> None:
    mine = watch.state
    null = nulls_in_force(watch.monitor, reference, state.segments, mine.varied, state.hour, state.tolerances)
    mine.mean = np.where(rows[:, None], null.mean, mine.mean)
    mine.bound = np.where(rows[:, None], null.bound, mine.bound)
