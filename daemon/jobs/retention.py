"""Retention: deletes what is older than it needs to be, a few rows at a time."""

from daemon.settings import RetentionSettings
from daemon.settings.section import DAY_SECONDS
from sinks.database import Connection
from sinks.statements import statement

__all__ = ["RetentionJob"]

_BATCH = 1000
_BATCHES = 100
"""Batches of one table in one run: a large backlog is worked off over several."""
_PROCESSES_DAYS = 1
"""Processes that ended are told this long."""


class RetentionJob:
    """Deletes rows by age; each batch is a transaction of its own, and locked rows are left for the next run."""

    def __init__(self, settings: RetentionSettings) -> None:
        # In the order in which rows keep others: items candidates, transitions alerts, windows versions.
        self._days = {
            "queue": settings.queue_days,
            "payloads": settings.payloads_days,
            "candidates": settings.candidates_days,
            "windows": settings.windows_days,
            "dead_letters": settings.dead_letters_days,
            "outbox": settings.outbox_days,
            "transitions": settings.alerts_days,
            "alerts": settings.alerts_days,
            "incidents": settings.alerts_days,
            "novel_values": settings.alerts_days,
            "rates": settings.candidates_days,
            "versions": settings.versions_days,
            "processes": _PROCESSES_DAYS,
        }

    def run_once(self, connection: Connection) -> int:
        """Delete what is due; return the number of rows, without those that went along."""
        return sum(_delete(connection, name, days) for name, days in self._days.items())


def _delete(connection: Connection, name: str, days: float) -> int:
    deleted, seconds = 0, days * DAY_SECONDS
    for _ in range(_BATCHES):
        count = connection.execute(statement("retention", name), {"seconds": seconds, "limit": _BATCH}).rowcount
        deleted += count
        if count < _BATCH:
            break
    return deleted
