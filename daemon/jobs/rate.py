"""Event rate: a ticket when an hour has far fewer, or far more, events than the same hour of earlier days.

Of closed windows, in event time, so that a pipeline that is itself behind raises nothing. What has come to a stop is
the absence job's concern.
"""

import numpy as np

from daemon.audiences import audience_of
from daemon.settings import MICROSECONDS, Settings
from daemon.settings.section import DAY_SECONDS
from detectors.rate import DAYS, Hour, hour_of
from sinks.alerts import pipeline_alert, pipeline_resolved
from sinks.database import Connection
from sinks.messages import iso
from sinks.statements import statement

__all__ = ["EVENT_RATE", "RateJob"]

EVENT_RATE = "event_rate"
"""The name of the alert."""
_HOUR_SECONDS = 3600
_EVERY_SECONDS = 900
"""How much event time passes before a model's hour is looked at again."""


class RateJob:
    """Looks for models whose traffic has changed by more than its days do."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._looked_at: dict[str, int] = {}

    def run_once(self, connection: Connection) -> int:
        """Fire and resolve what is due; return how many alerts changed."""
        firing = {row[0] for row in connection.execute(statement("absence", "firing"), [EVENT_RATE])}
        changed = 0
        looked_at: dict[str, int] = {}
        for model, window_seconds, end in connection.execute(statement("absence", "first_open")).fetchall():
            looked_at[model] = end * window_seconds // _EVERY_SECONDS
            if looked_at[model] != self._looked_at.get(model):
                hour = self._hour(connection, model, window_seconds, end)
                if hour is not None:
                    changed += self._tell(connection, model, hour, end * window_seconds, firing=model in firing)
        self._looked_at = looked_at
        return changed

    def _hour(self, connection: Connection, model: str, window_seconds: int, end: int) -> Hour | None:
        oldest = end - (DAYS * DAY_SECONDS + 2 * _HOUR_SECONDS) // window_seconds - 1
        rows = connection.execute(statement("absence", "traffic"), [model, oldest]).fetchall()
        if not rows:
            return None
        windows, events = np.array(rows, dtype=np.int64).T
        return hour_of(windows, events, end, window_seconds)

    def _tell(self, connection: Connection, model: str, hour: Hour, until_seconds: int, *, firing: bool) -> int:
        audience = audience_of(self._settings, model)
        if firing and hour.usual:
            pipeline_resolved(connection, EVENT_RATE, {"model": model}, audience=audience)
            return 1
        if firing or hour.unusual is None:
            return 0
        until = iso(until_seconds * MICROSECONDS)
        title = (
            f"{model}: far {hour.unusual} events than usual: {hour.events:,} in the hour until {until}; in the same"
            f" hour of {hour.days} earlier days from {hour.least:,} to {hour.most:,}"
        )
        evidence = {"until": until, "events": hour.events, "least": hour.least, "most": hour.most, "days": hour.days}
        pipeline_alert(connection, EVENT_RATE, {"model": model}, title, evidence, "ticket", audience=audience)
        return 1
