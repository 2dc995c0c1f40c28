"""Closing a window of a cohort: what the detectors make of it, and which layout it calls for.

The same for the service, which keeps what comes of it in PostgreSQL, and for a replay, which keeps it in a file.
"""

from daemon.settings import Settings
from detectors import growth
from detectors.budget import Budget
from detectors.cohort import CohortState, Step, step
from detectors.layout import Layout
from detectors.learning import History
from detectors.reference import Reference
from detectors.summary import Summary

__all__ = ["LAYOUT_MARGIN", "Closing"]

LAYOUT_MARGIN = 1
"""Windows between the first that holds nothing yet and a new layout, so that who counts learns of it in time."""


class Closing:
    """Closes windows of the versions of one model, each version's in order."""

    def __init__(self, settings: Settings, model: str) -> None:
        self._detection = settings.detection
        self._budget = Budget(settings.of(model).budget_windows, self._detection.segments_cap)

    def step(
        self, summary: Summary, reference: Reference | None, state: CohortState | None, window: int, history: History
    ) -> Step:
        """Return what one window led to; as ``detectors.cohort.step``."""
        return step(
            summary.layout,
            reference,
            state,
            summary,
            window,
            self._budget,
            history,
            for_windows=self._detection.for_windows,
        )

    def grown(self, latest: Layout, summary: Summary, window: int, history: History) -> Layout | None:
        """Return a layout that knows what this window met and the ``latest`` one did not; None if it met nothing."""
        caps = {"segments_cap": self._detection.segments_cap, "classes_cap": self._detection.classes_cap}
        if not latest.sample_size:
            return growth.grown(latest, summary, **caps)
        if summary.layout != latest:
            # What this window could teach has been learnt already.
            return None
        past = [*history(growth.LEARNING_WINDOWS), (window, summary)]
        learnt = growth.learnt(
            [each for _, each in past if each.layout == latest],
            fields_cap=self._detection.fields_cap,
            classes_cap=self._detection.classes_cap,
        )
        return None if learnt is None else growth.grown(learnt, summary, **caps) or learnt

    def beyond(self, summary: Summary) -> tuple[str, ...]:
        """Return the caps beyond which this window met something."""
        return growth.beyond(summary, growth.reached(summary.layout, **self._detection.layout_caps))
