"""The readings of a version as series over time."""

from array import array
from dataclasses import dataclass, field
from sys import intern

import numpy as np
from numpy.typing import NDArray

from daemon.replay.reports import VersionReport
from daemon.replay.store import Store
from detectors.layout import WHOLE
from detectors.readings import STATUSES, Readings
from sinks.windows import uncompress

__all__ = ["COLUMNS", "Series", "series_of"]

COLUMNS = ("estimate", "low", "high", "reference", "tolerance", "log_evidence", "log_threshold")
_MOST_SEGMENTS = 12
"""Besides the whole model's, so many monitors of segments are drawn: those that alarmed, the first first."""


@dataclass(slots=True)
class Series:
    """A monitor's readings in a segment: of each window ``figures``, those of COLUMNS, where it ends, and what led.

    There may be very many, so they are packed.
    """

    segment: str
    monitor: str
    unit: str
    end_us: "array[int]" = field(default_factory=lambda: array("q"))
    n: "array[int]" = field(default_factory=lambda: array("q"))
    status: list[str] = field(default_factory=list)
    component: list[str] = field(default_factory=list)
    figures: "array[float]" = field(default_factory=lambda: array("d"))

    @property
    def values(self) -> NDArray[np.float64]:
        """The figures, [n, COLUMNS]."""
        return np.array(self.figures).reshape(-1, len(COLUMNS))

    @property
    def single(self) -> bool:
        """Whether all readings since there is a reference are of one component, and so of one thing."""
        watched = {name for name, status in zip(self.component, self.status, strict=True) if status != STATUSES[0]}
        return len(watched) == 1


def series_of(store: Store, cohort_id: int, found: VersionReport, window_us: int) -> list[Series]:
    """Return the series of the whole model, and of what alarmed in its segments."""
    alarmed = list(dict.fromkeys((each.segment, each.monitor) for each in found.alarms if each.segment != WHOLE))
    wanted = {*alarmed[:_MOST_SEGMENTS], *((line.segment, line.monitor) for line in found.lines if not line.segment)}
    series: dict[tuple[str, str], Series] = {}
    for closed in store.closed(cohort_id):
        readings = Readings.from_bytes(uncompress(closed.readings))
        for column, monitor in enumerate(readings.monitors):
            for row, segment in enumerate(readings.segments):
                if (segment, monitor) in wanted:
                    one = series.setdefault((segment, monitor), Series(segment, monitor, readings.units[column]))
                    _add(one, readings, (row, column), (closed.window + 1) * window_us)
    return sorted(series.values(), key=lambda each: each.segment)


def _add(one: Series, readings: Readings, at: tuple[int, int], end_us: int) -> None:
    one.end_us.append(end_us)
    one.n.append(int(readings.n[at]))
    one.status.append(STATUSES[readings.status[at]])
    one.component.append(intern(readings.components[at[1]][readings.component[at]]))
    one.figures.extend(float(getattr(readings, name)[at]) for name in COLUMNS)
