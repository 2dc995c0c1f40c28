"""Closing a window of a cohort: what the detectors make of it, and which layout and reference it calls for.

The same for the service, which keeps what comes of it in PostgreSQL, and for a replay, which keeps it in a file.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from daemon.monitors import raw_spec
from daemon.settings import Settings
from detectors import growth
from detectors.adapters.watch import watch
from detectors.budget import Budget
from detectors.cohort import CohortState, Step, step
from detectors.confidence import ConfidenceMonitor
from detectors.layout import Layout
from detectors.learning import History, made
from detectors.monitors import MINIMUM_EVENTS
from detectors.reference import Reference, aligned
from detectors.summary import Summary
from sinks.controls import ControlRecord

__all__ = ["CALIBRATED", "LAYOUT_MARGIN", "Closing"]

LAYOUT_MARGIN = 1
"""Windows between the first that holds nothing yet and a new layout, so that who counts learns of it in time."""

CALIBRATED = "points of calibrated confidence"
"""The unit of the mean confidence where a calibration is configured."""


class Closing:
    """Closes windows of the versions of one model, each version's in order."""

    def __init__(self, settings: Settings, model: str) -> None:
        self._model = settings.of(model)
        self._detection = settings.detection
        self._budget = Budget(self._model.budget_windows, self._detection.segments_cap)
        self._adapters = settings.monitors_of(model)
        self._raw = raw_spec(settings, model)

    def step(
        self, summary: Summary, reference: Reference | None, state: CohortState | None, window: int, history: History
    ) -> Step:
        """Return what one window led to; as ``detectors.cohort.step``, with detectors of other libraries."""
        found = step(
            summary.layout,
            reference,
            state,
            summary,
            window,
            self._budget,
            history,
            for_windows=self._detection.for_windows,
            tolerances=self._model.tolerances,
            learns=self._model.season is None,
        )
        if self._model.curve is not None:
            found = _calibrated(found)
        known = {} if state is None else state.adapters
        if not self._adapters and not known:
            return found
        watched = watch(self._adapters, known, summary, window, found.readings)
        found.state.adapters = watched.states
        transitions = (*found.transitions, *watched.transitions)
        return replace(found, readings=watched.readings, transitions=transitions, faults=watched.faults)

    def grown(self, latest: Layout, summary: Summary, window: int, history: History) -> Layout | None:
        """Return a layout that knows what this window met and the ``latest`` one did not; None if it met nothing."""
        caps = {"segments_cap": self._detection.segments_cap, "classes_cap": self._detection.classes_cap}
        if not latest.sample_size:
            wanted = growth.grown(latest, summary, **caps)
        elif summary.layout != latest:
            # What this window could teach has been learnt already.
            return None
        else:
            past = [*history(growth.LEARNING_WINDOWS), (window, summary)]
            learnt = growth.learnt(
                [each for _, each in past if each.layout == latest],
                fields_cap=self._detection.fields_cap,
                classes_cap=self._detection.classes_cap,
                pairs_cap=self._detection.pairs_cap,
            )
            wanted = None if learnt is None else growth.grown(learnt, summary, **caps) or learnt
        if latest.raw != self._raw:
            # Other monitors are configured than the layout was made for, or it came with a reference.
            return replace(wanted or latest, raw=self._raw)
        return wanted

    def relearnt(
        self,
        known: Reference | None,
        since: int,
        layouts: Iterable[ControlRecord],
        latest: Layout,
        window: int,
        reaches_back: Callable[[Sequence[int], int], bool],
        between: Callable[[int, int], Iterable[tuple[int, Summary]]],
    ) -> Reference | None:
        """Return a reference of the last days once they are closed and one is wanted.

        One by hour is wanted once, in the place of another that was learnt; a trailing one whenever what was in force,
        wherever it came from, has been for so many days.

        ``known``: the latest there is, in force from window ``since`` on; ``layouts``: all that were published.
        ``reaches_back`` tells whether a window up to the second argument is kept, with events, under one of the layouts
        (numbers); ``between`` yields those from the one to the other, oldest first.
        """
        first = window + 1 - round(self._model.reference.days * self._model.windows_per_day)
        if latest.sample_size or not self._wants_another(known, aged=since <= first):
            return None
        usable = [
            each.id
            for each in layouts
            if aligned(Summary.empty(Layout.from_json(each.body.decode())), latest) is not None
        ]
        if not reaches_back(usable, first):
            return None
        found = made(latest, lambda: between(first, window), "learnt", self._model.season)
        # Of few events no reference is better than that in force.
        return None if self._model.trails and found.summary.events[0] < MINIMUM_EVENTS else found

    def _wants_another(self, known: Reference | None, *, aged: bool) -> bool:
        """Say whether a reference of the last days is wanted; ``aged``: the known one is in force for as long."""
        season = self._model.season
        if self._model.trails:
            return known is not None and aged
        return season is not None and (known is None or (known.season != season and known.source == "learnt"))

    def beyond(self, summary: Summary) -> tuple[str, ...]:
        """Return the caps beyond which this window met something."""
        return growth.beyond(summary, growth.reached(summary.layout, **self._detection.layout_caps))


def _calibrated(step: Step) -> Step:
    """Return what a window led to, with a unit that says that the mean confidence is a calibrated one."""
    readings = step.readings
    units = tuple(
        CALIBRATED if monitor == ConfidenceMonitor.name else unit
        for monitor, unit in zip(readings.monitors, readings.units, strict=True)
    )
    transitions = tuple(
        replace(each, unit=CALIBRATED) if each.monitor == ConfidenceMonitor.name else each for each in step.transitions
    )
    return replace(step, readings=replace(readings, units=units), transitions=transitions)
