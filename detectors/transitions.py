"""The transitions of a cohort's alarms, explained for people."""

import numpy as np
from numpy.typing import NDArray

from detectors.alarms import Watch
from detectors.explain import Past, change
from detectors.learning import Windows
from detectors.monitors import Monitor, means, observe
from detectors.readings import OK, Transition
from detectors.reference import Reference
from detectors.registry import MONITORS
from detectors.state import NO_WINDOW, QUIET_WINDOWS, CohortState
from detectors.summary import Summary

__all__ = ["changed", "dropped"]


def dropped(state: CohortState, window: int, thresholds: NDArray[np.float64], reason: str) -> list[Transition]:
    """Return the ends of the alarms of a state that is given up."""
    unknown = float("nan")
    return [
        Transition(
            monitor=monitor.name,
            segment=state.segments[segment],
            to="resolved",
            window=window,
            since_window=int(mine.since[segment]),
            component=mine.names[mine.component[segment]],
            before=unknown,
            after=unknown,
            low=unknown,
            high=unknown,
            unit=monitor.unit,
            log_evidence=unknown,
            log_threshold=float(thresholds[min(segment, len(thresholds) - 1), position]),
            calibrating=not state.calibrated[segment],
            contributors=(),
            reason=reason,
        )
        for position, monitor in enumerate(MONITORS)
        if (mine := state.monitors.get(monitor.name)) is not None
        for segment in np.flatnonzero(mine.status != OK).tolist()
    ]


def changed(watch: Watch, windows: Windows, state: CohortState, reference: Reference) -> list[Transition]:
    """Return the transitions of one monitor in this window."""
    updated, mine = watch.updated, watch.state
    kinds = (
        (updated.fired, "firing", "the evidence reached its threshold"),
        (updated.pended, "pending", "the evidence reached its threshold"),
        (updated.lapsed, "resolved", "the evidence fell back before the alarm fired"),
        (updated.cleared, "resolved", "the reverse bet shows it is over"),
    )
    if not any(which.any() for which, _, _ in kinds):
        return []
    begun = bool((updated.fired | updated.pended).any())
    past = _past(watch.monitor, windows.last() if begun else windows.last(1), reference)
    transitions = []
    for which, to, reason in kinds:
        for segment in np.flatnonzero(which).tolist():
            seen = past if to != "resolved" else past.latest()
            found = change(seen, mine, watch.falling, segment, exact=watch.monitor.exact)
            if to != "resolved":
                mine.since[segment] = found.since
                # What has changed already must not be taken for the stream's ordinary variation.
                quiet = state.quiet[segment]
                kept = quiet[(quiet != NO_WINDOW) & (quiet < found.since)]
                quiet[:] = NO_WINDOW
                quiet[QUIET_WINDOWS - len(kept) :] = kept
            transitions.append(
                Transition(
                    monitor=watch.monitor.name,
                    segment=state.segments[segment],
                    to=to,
                    window=windows.window,
                    since_window=int(mine.since[segment]),
                    component=mine.names[mine.component[segment]],
                    before=found.before,
                    after=found.after,
                    low=found.low,
                    high=found.high,
                    unit=watch.monitor.unit,
                    log_evidence=float(updated.log_evidence[segment]),
                    log_threshold=float(watch.log_threshold[segment]),
                    calibrating=not state.calibrated[segment],
                    contributors=found.contributors,
                    reason=reason,
                )
            )
    mine.since[updated.lapsed | updated.cleared] = NO_WINDOW
    return transitions


def _past(monitor: Monitor, stored: list[tuple[int, Summary]], reference: Reference) -> Past:
    """Return what a monitor saw in ``stored`` windows, as it would be in the hour of the last of them."""
    seen = [observe(monitor, summary, reference.layout) for _, summary in stored]
    past = Past(
        np.array([window for window, _ in stored], dtype=np.int64),
        np.stack([moments.n for moments in seen]),
        np.stack([moments.first for moments in seen]),
        np.stack([moments.second for moments in seen]),
    )
    if reference.season is None:
        return past
    hours = [reference.hour(window) for window, _ in stored]
    segments = stored[-1][1].layout.segments
    usual = {hour: means(monitor, reference, segments, hour) for hour in set(hours)}
    return past.shifted(np.stack([usual[hours[-1]] - usual[hour] for hour in hours]))
