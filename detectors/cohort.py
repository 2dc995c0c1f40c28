"""One window of one cohort: the state before it and its summary in, the state after it and readings out."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from detectors.alarms import Watch, update
from detectors.bets import CERTAIN
from detectors.budget import Budget
from detectors.calibrating import measure
from detectors.effects import effects_of
from detectors.evidence import FLOOR
from detectors.layout import Layout
from detectors.learning import History, Windows, learn
from detectors.monitors import observe, questions_of, readable, rows_of, watches
from detectors.nulls import nulls_in_force
from detectors.readings import Contributor, Fault, Reading, Readings, Transition
from detectors.reference import Reference
from detectors.registry import MONITORS
from detectors.state import CohortState, MonitorState
from detectors.summary import Summary
from detectors.tables import blank, column, table
from detectors.tolerance import Variation
from detectors.transitions import changed, dropped

__all__ = ["CohortState", "Contributor", "History", "Reading", "Readings", "Step", "Transition", "step"]


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """What one window led to; ``proposal`` is the reference just learnt, to be published; ``faults``: who failed.

    A reference is proposed once: the caller publishes it in the transaction that stores ``state``.
    """

    state: CohortState
    readings: Readings
    transitions: tuple[Transition, ...]
    proposal: Reference | None
    faults: tuple[Fault, ...] = ()


def step(
    layout: Layout,
    reference: Reference | None,
    state: CohortState | None,
    summary: Summary,
    window: int,
    budget: Budget,
    history: History,
    *,
    for_windows: int = 0,
    tolerances: Mapping[str, float] = MappingProxyType({}),
    learns: bool = True,
) -> Step:
    """Take one closed window of a cohort, ``summary``, counted under ``layout``.

    Without a reference one is being learnt. With another one than the state was made for, the state starts
    afresh, and alarms that were on are resolved. A segment without events in this window keeps its evidence
    to the byte. ``history`` is called at most once, and only to learn, to calibrate, or to explain an alarm.
    An alarm fires once its evidence has been at the threshold for ``for_windows`` windows after the first.
    ``tolerances``: by monitor, those that a person has set. Where a stream ``learns`` none, its reference is made
    elsewhere.
    """
    thresholds = budget.log_thresholds(len(layout.segments), len(MONITORS))
    digest = "" if reference is None else reference.digest
    transitions: list[Transition] = []
    same = state is not None and state.reference == digest
    if state is not None and not (same and state.segments == layout.segments[: len(state.segments)]):
        reason = "segments replaced" if same else _replaced(reference)
        transitions += dropped(state, window, thresholds, reason)
        state = None
    windows = Windows(layout, window, summary, history)
    if reference is None:
        return _learning(windows, state, thresholds, tuple(transitions), learns=learns)
    if state is not None:
        state, outdated = _without_outdated(state, reference)
        transitions += dropped(outdated, window, thresholds, "other questions are asked by now")

    after = _grown(state, layout, reference, window, tolerances)
    _set(after, reference, reference.hour(window), tolerances)
    watching: dict[str, Watch] = {}
    for position, monitor in enumerate(MONITORS):
        mine = after.monitors.get(monitor.name)
        if mine is None or not readable(monitor, layout, reference.layout):
            continue
        rows = len(mine.status)
        moments = observe(monitor, summary, reference.layout).head(rows)
        log_threshold = thresholds[:rows, position]
        updated = update(mine, moments, log_threshold, window, for_windows, exact=monitor.exact)
        falling = questions_of(monitor, reference.layout).falling
        watch = Watch(monitor, mine, falling, moments, log_threshold, updated)
        watching[monitor.name] = watch
        transitions += changed(watch, windows, after, reference)
    columns = [
        column(watching[monitor.name], after)
        if monitor.name in watching
        else blank(monitor, summary, thresholds[:, position])
        for position, monitor in enumerate(MONITORS)
    ]
    measure(after, list(watching.values()), windows, reference)
    return Step(after, table(layout, MONITORS, columns, effects_of(summary, reference)), tuple(transitions), None)


def _replaced(reference: Reference | None) -> str:
    """Return why the alarms end that were on under another reference."""
    if reference is None:
        return "reference withdrawn"
    return "accepted as the new normal" if reference.source == "accepted" else "reference replaced"


def _learning(
    windows: Windows,
    state: CohortState | None,
    thresholds: NDArray[np.float64],
    transitions: tuple[Transition, ...],
    *,
    learns: bool,
) -> Step:
    layout = windows.layout
    counted, proposal = learn(windows, () if state is None else state.learning) if learns else ((), None)
    after = CohortState.fresh("", layout.segments)
    after.learning = counted
    columns = [blank(monitor, windows.summary, thresholds[:, position]) for position, monitor in enumerate(MONITORS)]
    readings = table(layout, MONITORS, columns, effects_of(windows.summary, None))
    return Step(after, readings, transitions, proposal)


def _fresh(layout: Layout, reference: Reference, window: int, tolerances: Mapping[str, float]) -> CohortState:
    """Return the state with which a reference comes into force."""
    fresh = CohortState.fresh(reference.digest, layout.segments)
    fresh.tolerances = dict(tolerances)
    fresh.hour = reference.hour(window)
    fresh.calibrated[:] = reference.windows if reference.calibration is not None else 0
    named = np.array([segment in reference.layout.segments for segment in layout.segments])
    for monitor in MONITORS:
        questions = questions_of(monitor, reference.layout)
        names = questions.names
        if not names:
            continue
        asked = questions.rows(len(layout.segments))
        rows = rows_of(monitor, reference, layout.segments[:asked])
        known = (reference.calibration or {}).get(monitor.name)
        if known is None or known.design_effect.shape[1] != len(names):
            # It was learnt by a version that asked other questions.
            varied = Variation.unknown(len(rows), len(names))
        else:
            varied = known.take(rows)
        null = nulls_in_force(monitor, reference, layout.segments, varied, fresh.hour, tolerances)
        fresh.monitors[monitor.name] = MonitorState.fresh(names, null, varied, window)
        # A segment that is compared with the whole model, or was too sparse, has yet to show how it varies.
        own = named[:asked] & ((rows > 0) | (np.arange(asked) == 0))
        watched = (null.bound < CERTAIN).any(axis=1)
        fresh.calibrated[:asked] *= ~watched | (own & varied.measured)
    return fresh


def _without_outdated(state: CohortState, reference: Reference) -> tuple[CohortState, CohortState]:
    """Return the state without the monitors that ask other questions by now than when it was made, and with them alone.

    Their evidence says nothing about the questions of now: they begin again.
    """
    asked = {monitor.name: questions_of(monitor, reference.layout).names for monitor in MONITORS}
    same = {name: mine for name, mine in state.monitors.items() if asked.get(name, mine.names) == mine.names}
    others = {name: mine for name, mine in state.monitors.items() if name not in same}
    return replace(state, monitors=same), replace(state, monitors=others)


def _grown(
    state: CohortState | None, layout: Layout, reference: Reference, window: int, tolerances: Mapping[str, float]
) -> CohortState:
    """Return a copy of the state with a row for every segment of the layout and every monitor."""
    if state is not None and state.segments == layout.segments and not _missing(state, reference):
        return state.copy()
    fresh = _fresh(layout, reference, window, tolerances)
    if state is None:
        return fresh
    rows = len(state.segments)
    grown = state.copy()
    grown.segments = layout.segments
    grown.quiet = np.concatenate([state.quiet, fresh.quiet[rows:]])
    grown.calibrated = np.concatenate([state.calibrated, fresh.calibrated[rows:]])
    if _missing(state, reference):
        # The windows that others were calibrated on did not measure what begins now.
        grown.calibrated[:rows] = np.minimum(grown.calibrated[:rows], fresh.calibrated[:rows])
    for name, begun in fresh.monitors.items():
        mine = grown.monitors.get(name)
        grown.monitors[name] = begun if mine is None else mine.joined(begun.rows(slice(rows, None)))
    return grown


def _set(state: CohortState, reference: Reference, hour: int, tolerances: Mapping[str, float]) -> None:
    """Bring the nulls in line with the hour, and with what a person has set since.

    Evidence goes on from hour to hour, since each is bet on with its own bounds, known beforehand; what was won
    against a person's other tolerance is none against this one.
    """
    if state.hour == hour and state.tolerances == tolerances:
        return
    for monitor in MONITORS:
        mine = state.monitors.get(monitor.name)
        again = tolerances.get(monitor.name) != state.tolerances.get(monitor.name)
        if mine is not None and (again or state.hour != hour):
            null = nulls_in_force(monitor, reference, state.segments, mine.varied, hour, tolerances)
            mine.mean, mine.bound = null.mean, null.bound
            if again:
                mine.log_r[:], mine.log_reverse[:] = FLOOR, FLOOR
    state.hour, state.tolerances = hour, dict(tolerances)


def _missing(state: CohortState, reference: Reference) -> bool:
    """Return whether a monitor of the reference has no state yet: it, or what it asks, is newer than the state."""
    return any(monitor.name not in state.monitors for monitor in MONITORS if watches(monitor, reference.layout))
