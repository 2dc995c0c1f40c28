"""The readings of a version as series over time, thinned out so that a page can draw them."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from daemon.replay.reports import VersionReport
from daemon.replay.store import Store
from detectors.layout import WHOLE
from detectors.readings import STATUSES, Readings
from sinks.windows import uncompress

__all__ = ["COLUMNS", "Series", "series_of"]

COLUMNS = ("estimate", "low", "high", "reference", "tolerance", "log_evidence", "log_threshold")
_MOST_POINTS = 1500
_MOST_SEGMENTS = 12
"""Besides the whole model's, so many monitors of segments are drawn: those that alarmed, the first first."""


@dataclass(slots=True)
class Series:
    """A monitor's readings in a segment, a row a window: ``values`` [n, COLUMNS], where each window ends, and what led.

    ``each``: windows a point stands for; of those it is the least or the greatest.
    """

    segment: str
    monitor: str
    unit: str
    each: int = 1
    end_us: list[int] = field(default_factory=list)
    n: list[int] = field(default_factory=list)
    status: list[str] = field(default_factory=list)
    component: list[str] = field(default_factory=list)
    rows: list[tuple[float, ...]] = field(default_factory=list)

    @property
    def values(self) -> NDArray[np.float64]:
        """The figures, [n, COLUMNS]."""
        return np.array(self.rows, dtype=np.float64).reshape(-1, len(COLUMNS))

    @property
    def single(self) -> bool:
        """Whether all readings since there is a reference are of one component, and so of one thing."""
        watched = {name for name, status in zip(self.component, self.status, strict=True) if status != STATUSES[0]}
        return len(watched) == 1

    def thinned(self) -> "Series":
        """Return the series with at most _MOST_POINTS points."""
        each = -(-len(self.rows) // (_MOST_POINTS // 2))
        if each <= 2:
            # A least and a greatest of each two would be as many.
            return self
        values = self.values
        # How far it is from what it should be; while it learns, the reading itself.
        far = values[:, 0] - np.nan_to_num(values[:, 3])
        keep = sorted(
            {
                start + int(pick(far[start : start + each]))
                for start in range(0, len(far), each)
                for pick in (np.nanargmin, np.nanargmax)
                if not np.isnan(far[start : start + each]).all()
            }
        )
        return Series(
            self.segment,
            self.monitor,
            self.unit,
            each,
            [self.end_us[at] for at in keep],
            [self.n[at] for at in keep],
            [self.status[at] for at in keep],
            [self.component[at] for at in keep],
            [self.rows[at] for at in keep],
        )


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
    return [each.thinned() for each in sorted(series.values(), key=lambda each: each.segment)]


def _add(one: Series, readings: Readings, at: tuple[int, int], end_us: int) -> None:
    one.end_us.append(end_us)
    one.n.append(int(readings.n[at]))
    one.status.append(STATUSES[readings.status[at]])
    one.component.append(readings.components[at[1]][readings.component[at]])
    one.rows.append(tuple(float(getattr(readings, name)[at]) for name in COLUMNS))
