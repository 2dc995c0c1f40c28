"""Pacing: the selection rates of coming windows, from the traffic of the last day and what is left of the budget."""

from daemon.settings import MICROSECONDS, Settings
from detectors.selection import Pace, initial_pace, next_pace
from sinks.candidates import ClosedTraffic, ModelRow, day_of, newly_closed, queued
from sinks.controls import ALWAYS, Controls, lock_exclusive, next_free_window, publish
from sinks.database import Connection, transaction
from sinks.windows import Layouts

__all__ = ["SELECTION", "Pacer", "Traffic"]

SELECTION = "selection"
"""The kind of control record that holds a model's rates."""
_DAY_SECONDS = 86_400
_TOLERANCE = 0.05
"""Rates that differ by less are not worth a record."""
_LEAST_WINDOWS = 3
"""Windows from which the traffic of a day is extrapolated; the first one is seldom whole."""
_MARGIN = 1
"""Windows between the first free one and the one that new rates start with: workers learn of them before."""


class Traffic:
    """The closed windows of one model's last day, read once each."""

    def __init__(self, window_seconds: int) -> None:
        self.windows_per_day = _DAY_SECONDS / window_seconds
        self.last: dict[int, int] = {}
        self._events: dict[int, int] = {}
        self._weights: dict[int, float] = {}

    def add(self, closed: list[ClosedTraffic]) -> None:
        """Take in windows, those of one cohort in their order, and forget those older than a day."""
        for each in closed:
            self.last[each.cohort_id] = each.window
            self._events[each.window] = self._events.get(each.window, 0) + each.events
            self._weights[each.window] = self._weights.get(each.window, 0.0) + each.weight
        newest = max(self._events, default=0)
        for window in [window for window in self._events if window <= newest - self.windows_per_day]:
            del self._events[window], self._weights[window]

    @property
    def events_per_day(self) -> float | None:
        """The events expected in a day; None while too little is known."""
        events = sum(self._events.values())
        span = max(self._events, default=0) - min(self._events, default=0) + 1
        if span < _LEAST_WINDOWS or events == 0:
            return None
        return events * max(1.0, self.windows_per_day / span)

    @property
    def mean_weight(self) -> float:
        """The mean selection weight of an event; 1 while none is known."""
        events = sum(self._events.values())
        return sum(self._weights.values()) / events if events else 1.0


class Pacer:
    """Publishes a model's rates: when they changed or a day begins, and at most once for each window."""

    def __init__(self, settings: Settings, controls: Controls) -> None:
        self._settings = settings
        self._controls = controls
        self._traffic: dict[str, Traffic] = {}
        self._considered: dict[str, int] = {}

    def pace(self, connection: Connection, model: ModelRow) -> Pace | None:
        """Publish the rates of a coming window if they are due, and return them."""
        window = _coming(connection, model.name)
        if window is None or self._considered.get(model.name) == window:
            return None
        self._controls.refresh(connection)
        pace = self._due(connection, model, window)
        if pace is None:
            self._considered[model.name] = window
            return None
        with transaction(connection):
            # Ingest commits wait for this lock, so only what must be under it comes after it.
            lock_exclusive(connection)
            self._controls.refresh(connection)
            window = _coming(connection, model.name)
            pace = None if window is None else self._due(connection, model, window)
            if window is None or pace is None:
                return None
            body = pace.to_json().encode()
            publish(connection, kind=SELECTION, model=model.name, cohort_id=None, effective_from=window, body=body)
        self._considered[model.name] = window
        return pace

    def _due(self, connection: Connection, model: ModelRow, window: int) -> Pace | None:
        """Return the rates for ``window`` if a record of them is due."""
        window_us = model.window_seconds * MICROSECONDS
        latest = self._controls.latest(SELECTION, model.name)
        if latest is not None and latest.effective_from >= window:
            return None
        events_per_day, mean_weight = self._known(connection, model, window)
        if events_per_day is None:
            return None
        settings = self._settings.of(model.name)
        labels = settings.labels_per_day
        day = day_of(window * window_us)
        previous = (
            initial_pace(labels, settings.expected_events_per_day)
            if latest is None
            else Pace.from_json(latest.body.decode())
        )
        coming = next_pace(
            previous,
            labels_per_day=labels,
            labels_left=labels - queued(connection, model.name, [day])[day],
            events_per_day=events_per_day,
            day_left=1.0 - (window * model.window_seconds) % _DAY_SECONDS / _DAY_SECONDS,
            mean_weight=mean_weight,
        )
        new_day = latest is None or day_of(latest.effective_from * window_us) != day
        return coming if new_day or coming.differs(previous, _TOLERANCE) else None

    def _known(self, connection: Connection, model: ModelRow, window: int) -> tuple[float | None, float]:
        traffic = self._traffic.setdefault(model.name, Traffic(model.window_seconds))
        after = window - _MARGIN - 1 - int(traffic.windows_per_day)
        traffic.add(newly_closed(connection, Layouts(connection), model.name, known=traffic.last, after=after))
        return traffic.events_per_day, traffic.mean_weight


def _coming(connection: Connection, model: str) -> int | None:
    """Return the first window that new rates may start with; None before the model's first window."""
    free = next_free_window(connection, model)
    return None if free == ALWAYS else free + _MARGIN
