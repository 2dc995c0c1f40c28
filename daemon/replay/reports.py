"""What a replay found, from its store: of each version the alarms, the readings in figures, and the budget spent."""

import math
from array import array
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from daemon.replay.store import Store
from daemon.settings import Settings
from detectors.readings import LEARNING, Contributor, Reading, Readings
from sinks.windows import uncompress

__all__ = ["Alarm", "Line", "VersionReport", "readings", "report"]


@dataclass(slots=True)
class Alarm:
    """An alarm that fired: at the end of which window, since when it had changed, and when it was over (us)."""

    monitor: str
    segment: str
    component: str
    unit: str
    fired_us: int
    since_us: int
    before: float
    after: float
    low: float
    high: float
    calibrating: bool
    contributors: tuple[Contributor, ...]
    over_us: int | None = None
    over: str = ""


@dataclass(slots=True)
class Line:
    """One monitor's readings in one segment. ``closest``: the most of its threshold its evidence reached, 1 for all.

    ``estimates``: least, middle and greatest of what was read, NaN without any; ``watched``: windows with events after
    a reference was there; ``failed``: windows that a detector of another library could not take.
    """

    segment: str
    monitor: str
    unit: str
    readings: int
    watched: int
    estimates: tuple[float, float, float]
    closest: float
    closest_us: int | None
    alarms: int = 0
    failed: int = 0


@dataclass(slots=True)
class VersionReport:
    """What was found of one version.

    ``allowed``: false alarms that the model's budget allows in the time from ``first_us`` to ``last_us``. ``spent``:
    the most that were to be expected of all that was watched of this version in its windows, at its thresholds.
    """

    model: str
    version: str
    budget: str
    events: int = 0
    late: int = 0
    windows: int = 0
    first_us: int = 0
    last_us: int = 0
    allowed: float = 0.0
    spent: float = 0.0
    alarms: list[Alarm] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)


def readings(settings: Settings, store: Store) -> Iterator[dict[str, object]]:
    """Yield every reading of every version, window by window, with ``window_us``, where its window begins."""
    for cohort_id, model, version in store.cohorts():
        length = settings.of(model).window_us
        for closed in store.closed(cohort_id):
            place = {"model": model, "version": version, "window_us": closed.window * length}
            for each in Readings.from_bytes(uncompress(closed.readings)).rows():
                yield {**place, **asdict(each)}


def report(settings: Settings, store: Store) -> list[VersionReport]:
    """Return what was found of each version, in the order of their names."""
    cohorts = sorted(store.cohorts(), key=lambda each: each[1:])
    return [_of_version(settings, store, *each) for each in cohorts]


def _of_version(settings: Settings, store: Store, cohort_id: int, model: str, version: str) -> VersionReport:
    own = settings.of(model)
    found = VersionReport(model, version, own.false_alarms)
    gathered: dict[tuple[str, str], _Gathered] = {}
    for closed in store.closed(cohort_id):
        if not found.windows:
            found.first_us = closed.window * own.window_us
        found.last_us = (closed.window + 1) * own.window_us
        found.windows += 1
        found.events += closed.events
        found.late += closed.late
        read = Readings.from_bytes(uncompress(closed.readings))
        watching = (read.n > 0) & (read.status != LEARNING)
        # Detectors of other libraries have no threshold, and no part in the budget.
        found.spent += float(np.nansum(np.exp(-read.log_threshold[watching])))
        for each in read.rows():
            at = gathered.setdefault((each.segment, each.monitor), _Gathered(each.unit))
            at.take(each, found.last_us)
    found.allowed = (found.last_us - found.first_us) / own.window_us / own.budget_windows
    found.alarms = _alarms(store.alarms(cohort_id), own.window_us)
    found.lines = [each.line(segment, monitor) for (segment, monitor), each in gathered.items()]
    for line in found.lines:
        line.alarms = sum((each.segment, each.monitor) == (line.segment, line.monitor) for each in found.alarms)
    return found


class _Gathered:
    def __init__(self, unit: str) -> None:
        self._unit = unit
        self._readings = self._watched = self._failed = 0
        self._estimates = array("d")
        self._closest = 0.0
        self._closest_us: int | None = None

    def take(self, reading: Reading, end_us: int) -> None:
        self._readings += 1
        self._failed += reading.status == "failed"
        if not math.isnan(reading.estimate):
            self._estimates.append(reading.estimate)
        if reading.status == "learning" or not reading.n:
            return
        self._watched += 1
        reached = max(0.0, reading.log_evidence / reading.log_threshold)
        if reached > self._closest or self._closest_us is None:
            self._closest, self._closest_us = reached, end_us

    def line(self, segment: str, monitor: str) -> Line:
        unknown = float("nan")
        estimates = (unknown, unknown, unknown)
        if self._estimates:
            least, middle, most = np.quantile(self._estimates, (0, 0.5, 1)).tolist()
            estimates = (least, middle, most)
        return Line(
            segment,
            monitor,
            self._unit,
            self._readings,
            self._watched,
            estimates,
            self._closest,
            self._closest_us,
            failed=self._failed,
        )


def _alarms(transitions: list[dict[str, Any]], window_us: int) -> list[Alarm]:
    """Return the alarms that fired, each with its end if there was one."""
    alarms: list[Alarm] = []
    firing: dict[tuple[str, str], Alarm] = {}
    for each in transitions:
        key = each["monitor"], each["segment"]
        end_us = (each["window"] + 1) * window_us
        if each["to"] == "firing":
            firing[key] = Alarm(
                **{name: each[name] for name in ("monitor", "segment", "component", "unit", "before", "after")},
                **{name: each[name] for name in ("low", "high", "calibrating")},
                fired_us=end_us,
                since_us=each["since_window"] * window_us,
                contributors=tuple(Contributor(*of) for of in each["contributors"]),
            )
            alarms.append(firing[key])
        elif each["to"] == "resolved" and key in firing:
            over = firing.pop(key)
            over.over_us, over.over = end_us, each["reason"]
    return alarms
