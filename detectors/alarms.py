"""One monitor's window: evidence updated, alarms begun, kept and ended, for all segments at once."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detectors.bets import UNIT_ERROR, Moments, tempering
from detectors.evidence import (
    CLEAR_THRESHOLD,
    FLOOR,
    accumulate,
    advance,
    component_evidence,
    evidence,
    reverse_wealth,
)
from detectors.monitors import Monitor
from detectors.readings import FIRING, OK, PENDING
from detectors.state import MonitorState

__all__ = ["Update", "Watch", "update"]


@dataclass(frozen=True, slots=True, eq=False)
class Update:
    """What a window did: the evidence it led to, the component with the most, and which alarms changed.

    ``log_evidence`` float64, ``component`` int32, ``fired``, ``pended``, ``lapsed`` (pending no longer) and
    ``cleared`` bool, all [segments].
    """

    log_evidence: NDArray[np.float64]
    component: NDArray[np.int32]
    fired: NDArray[np.bool_]
    pended: NDArray[np.bool_]
    lapsed: NDArray[np.bool_]
    cleared: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Watch:
    """One monitor at work on one window: what it saw (``moments``), and what came of it."""

    monitor: Monitor
    state: MonitorState
    falling: NDArray[np.bool_]
    moments: Moments
    log_threshold: NDArray[np.float64]
    updated: Update


def update(
    state: MonitorState,
    moments: Moments,
    log_threshold: NDArray[np.float64],
    window: int,
    for_windows: int,
    *,
    exact: bool,
) -> Update:
    """Take one window's ``moments`` into ``state`` (in place); ``log_threshold`` [segments].

    An alarm fires once the evidence has been at the threshold for ``for_windows`` windows after the first.
    Then the forward bets start again and a reverse bet is made on the component that won: "it is still beyond
    its bound". The alarm ends when the reverse evidence reaches 1,000, the forward evidence is below its
    threshold, and the window's own mean is within the bound but for noise (two standard deviations). Forward
    evidence at the threshold before that starts both again, without another alarm.
    """
    present = moments.n > 0
    rows = np.arange(len(present))
    tempered = tempering(moments.n, state.varied.design_effect, state.varied.window_size)
    state.log_r = advance(state.log_r, state.bound, moments, tempered, exact=exact)
    log_evidence = evidence(state.log_r)
    component = component_evidence(state.log_r).argmax(axis=1).astype(np.int32)
    above = present & (log_evidence >= log_threshold)

    firing = state.status == FIRING
    chosen = state.component
    bound = state.bound[rows, chosen]
    own = Moments(moments.n, moments.first[rows, chosen, None], moments.second[rows, chosen, None])
    gain = reverse_wealth(bound, own, tempered[rows, chosen], exact=exact, rounding=0.0 if exact else UNIT_ERROR)
    state.log_reverse = accumulate(state.log_reverse, gain, (firing & present)[:, None])
    size = np.maximum(moments.n, 1.0)
    noise = 2.0 * np.sqrt(bound * (1.0 - bound) / size)
    cleared = (
        (firing & present & ~above)
        & (component_evidence(state.log_reverse) >= np.log(CLEAR_THRESHOLD))
        & (own.first[:, 0] / size <= bound + noise)
    )

    fired = ~firing & above & (state.waited >= for_windows)
    waiting = ~firing & above & ~fired
    pended = waiting & (state.status == OK)
    lapsed = present & (state.status == PENDING) & ~above
    state.waited = np.where(waiting, state.waited + 1, np.where(present, 0, state.waited)).astype(np.int32)
    state.status = np.select([fired, waiting, lapsed | cleared], [FIRING, PENDING, OK], default=state.status).astype(
        np.int8
    )
    restarted = fired | (firing & above)
    state.component = np.where(restarted | pended, component, chosen).astype(np.int32)
    state.log_r = np.where(restarted[:, None, None], FLOOR, state.log_r)
    state.log_reverse = np.where((restarted | cleared)[:, None], FLOOR, state.log_reverse)
    state.steady = np.where(cleared, window, state.steady)
    return Update(log_evidence, component, fired, pended, lapsed, cleared)
