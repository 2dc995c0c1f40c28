"""What the screen shows, read from PostgreSQL and nowhere else."""

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from daemon.demo.images import from_png_url
from daemon.demo.story import WINDOW_SECONDS, Fired
from daemon.demo.traffic import MODEL
from detectors.columns import UNIT
from detectors.layout import WHOLE
from detectors.readings import STATUSES, Readings
from detectors.summary import Summary
from sinks.database import Connection
from sinks.incidents import list_incidents
from sinks.messages import Incident
from sinks.windows import Layouts, uncompress

__all__ = ["Alarm", "ClosedWindow", "Sample", "View"]

_MICROSECONDS = 1_000_000
_RATE_SECONDS = 3.0
_PROGRESS = "SELECT coalesce(sum(next_offset), 0)::bigint, max(event_high_us) FROM partition"
_CLOSED = """
SELECT closed."window", closed.layout_id, closed.summary, closed.readings
FROM closed_window AS closed JOIN cohort ON cohort.id = closed.cohort_id
WHERE cohort.model = %s AND closed."window" > %s ORDER BY closed."window"
"""
_TRANSITIONS = """
SELECT transition.id, transition."window", transition.state, transition.evidence, alert.labels,
    transition.incident_id, transition.created_at
FROM alert_transition AS transition JOIN alert USING (fingerprint)
WHERE alert.model = %s AND transition.state <> 'pending'
ORDER BY transition."window", transition.id
"""
_SAMPLES = """
SELECT item.reason, candidate.prediction, candidate.confidence, payload.event
FROM queue_item AS item JOIN candidate ON candidate.id = item.candidate_id
JOIN payload ON payload.candidate_id = candidate.id
WHERE item.model = %s ORDER BY item.id DESC LIMIT %s
"""
_SAMPLES_SHOWN = 4
_QUEUE = "SELECT reason, count(*) FROM queue_item WHERE model = %s GROUP BY reason ORDER BY reason"


@dataclass(frozen=True, slots=True)
class ClosedWindow:
    """A closed window: its number in the story, what came, what the model thought, and how monitors stand."""

    number: int
    events: int
    confidence: dict[str, float]
    """Mean, by segment."""
    shares: dict[str, float]
    """Of each predicted class, in the whole model."""
    statuses: dict[tuple[str, str], str]
    """By monitor and segment."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """An alarm that fired, or was resolved, in a window of the story."""

    id: int
    window: int
    state: str
    monitor: str
    segment: str
    evidence: dict[str, Any]
    incident: int | None


@dataclass(frozen=True, slots=True)
class Sample:
    """What waits for a label: why, what the model said, and the picture's grey values [SIDE, SIDE]."""

    reason: str
    prediction: str
    confidence: float
    picture: NDArray[np.uint8]


@dataclass(slots=True)
class View:
    """The state of things. ``first_window``: the index of the story's first window."""

    connection: Connection
    first_window: int
    events: int = 0
    rate: float = 0.0
    high_us: int | None = None
    closed: list[ClosedWindow] = field(default_factory=list)
    alarms: list[Alarm] = field(default_factory=list)
    incidents: list[Incident] = field(default_factory=list)
    queue: dict[str, int] = field(default_factory=dict)
    samples: list[Sample] = field(default_factory=list)
    """Those queued last."""
    _layouts: Layouts = field(init=False)
    _rates: list[tuple[float, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._layouts = Layouts(self.connection)

    def refresh(self, now: float) -> None:
        """Read what is new; ``now`` in seconds of any clock."""
        row = self.connection.execute(_PROGRESS).fetchone()
        if row is not None:
            self.events, self.high_us = int(row[0]), row[1]
        self._rates = [*(each for each in self._rates if each[0] > now - _RATE_SECONDS), (now, self.events)]
        began, before = self._rates[0]
        self.rate = (self.events - before) / (now - began) if now > began else 0.0
        latest = self.first_window + self.closed[-1].number if self.closed else -1
        for window, layout_id, summary, readings in self.connection.execute(_CLOSED, [MODEL, latest]):
            counted = Summary.from_bytes(self._layouts[layout_id], uncompress(summary))
            self.closed.append(_closed(window - self.first_window, counted, Readings.from_bytes(uncompress(readings))))
        self.alarms = [self._alarm(*each) for each in self.connection.execute(_TRANSITIONS, [MODEL])]
        self.incidents = list_incidents(self.connection, model=MODEL)
        self.queue = dict(self.connection.execute(_QUEUE, [MODEL]).fetchall())
        newest = self.connection.execute(_SAMPLES, [MODEL, _SAMPLES_SHOWN]).fetchall()
        self.samples = [sample for row in newest if (sample := _sample(*row)) is not None]

    @property
    def windows(self) -> int:
        """The windows of the story that are closed."""
        return self.closed[-1].number + 1 if self.closed else 0

    def status(self, monitor: str, segment: str = "") -> str:
        """Return how a monitor stands after the last closed window."""
        return self.closed[-1].statuses.get((monitor, segment), "") if self.closed else ""

    def fired(self) -> list[Fired]:
        """Return the alarms that fired."""
        return [
            Fired(alarm.window, alarm.monitor, alarm.segment, alarm.evidence["title"])
            for alarm in self.alarms
            if alarm.state == "firing"
        ]

    def time_us(self, window: int) -> int:
        """Return the event time at which a window of the story begins."""
        return (self.first_window + window) * WINDOW_SECONDS * _MICROSECONDS

    def _alarm(
        self,
        number: int,
        window: int,
        state: str,
        evidence: dict[str, Any],
        labels: dict[str, str],
        incident: int | None,
        _at: datetime,
    ) -> Alarm:
        return Alarm(
            number,
            window - self.first_window,
            state,
            labels.get("monitor", ""),
            labels.get("segment", ""),
            evidence,
            incident,
        )


def _sample(reason: str, prediction: str, confidence: float, event: bytes) -> Sample | None:
    picture = from_png_url(str(json.loads(event).get("payload")))
    return None if picture is None else Sample(reason, prediction, confidence, picture)


def _closed(number: int, summary: Summary, readings: Readings) -> ClosedWindow:
    layout = summary.layout
    known = summary.cells("confidence")[:, :-1].sum(axis=1)
    sums = summary.total("confidence", "confidence") / UNIT
    whole = layout.segments.index(WHOLE)
    counts = summary.cells("classes")[whole]
    total = max(1, int(counts.sum()))
    return ClosedWindow(
        number,
        int(summary.events[whole]),
        {name: float(sums[row] / known[row]) for row, name in enumerate(layout.segments) if known[row]},
        {label: int(count) / total for label, count in zip(layout.block("classes").labels, counts[:-1], strict=True)},
        {
            (monitor, segment): STATUSES[readings.status[row, column]]
            for row, segment in enumerate(readings.segments)
            for column, monitor in enumerate(readings.monitors)
        },
    )
