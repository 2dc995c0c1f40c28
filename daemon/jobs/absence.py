"""No data: a model that sends nothing where the same hours of earlier days had events is a page.

All in event time, so that nothing is missed by a pipeline that is itself behind: the watermark passes a window
only once everything that could be in it was read.
"""

import numpy as np

from daemon.audiences import audience_of
from daemon.settings import MICROSECONDS, Settings
from detectors.absence import DAYS, LEAST_EVENTS, LEAST_WINDOWS, expected_events
from sinks.alerts import pipeline_alert, pipeline_resolved
from sinks.database import Connection
from sinks.ledger import watermark
from sinks.messages import iso
from sinks.statements import statement

__all__ = ["NO_DATA", "AbsenceJob"]

NO_DATA = "no_data"
"""The name of the alert."""
_DAY_SECONDS = 86_400


class AbsenceJob:
    """Looks for models that have fallen silent, and for those that speak again."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def run_once(self, connection: Connection) -> int:
        """Fire and resolve what is due; return how many alerts changed."""
        high = watermark(connection, self._settings.kafka.topics)
        if high is None:
            return 0
        firing = {row[0] for row in connection.execute(statement("absence", "firing"), [NO_DATA])}
        changed = 0
        for model, window_seconds, last in connection.execute(statement("absence", "last_windows")).fetchall():
            closed = (high - self._settings.of(model).lateness_us) // (window_seconds * MICROSECONDS)
            gap = range(last + 1, closed)
            if len(gap) < LEAST_WINDOWS:
                if model in firing:
                    audience = audience_of(self._settings, model)
                    pipeline_resolved(connection, NO_DATA, {"model": model}, audience=audience)
                    changed += 1
            elif model not in firing and len(gap) <= _DAY_SECONDS // window_seconds + LEAST_WINDOWS:
                # A model that was let go in peace for a day is not looked at for ever.
                changed += self._consider(connection, model, window_seconds, gap)
        return changed

    def _consider(self, connection: Connection, model: str, window_seconds: int, gap: range) -> int:
        oldest = gap.start - (DAYS + 1) * _DAY_SECONDS // window_seconds
        rows = connection.execute(statement("absence", "traffic"), [model, oldest]).fetchall()
        if not rows:
            return 0
        windows, events = np.array(rows, dtype=np.int64).T
        expected = expected_events(windows, events, gap, window_seconds, int(windows[0]))
        if expected < LEAST_EVENTS:
            return 0
        since = iso(gap.start * window_seconds * MICROSECONDS)
        title = f"{model}: no events since {since}; in the same hours before there were at least {expected:,.0f}"
        evidence = {"since": since, "expected_events": round(expected), "silent_windows": len(gap)}
        audience = audience_of(self._settings, model)
        pipeline_alert(connection, NO_DATA, {"model": model}, title, evidence, "page", audience=audience)
        return 1
