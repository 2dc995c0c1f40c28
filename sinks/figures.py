"""Figures of the whole service that only the database knows: what waits, what fires, how far behind reading is."""

from collections.abc import Mapping, Sequence

from sinks.database import Connection
from sinks.statements import statement

__all__ = ["Figures", "read"]

Figures = dict[str, dict[tuple[str, ...], float]]
"""Values by metric (a key of sinks.metrics.READ) and by the values of its labels."""

_QUEUE_STATES = ("pending", "leased", "labelled", "skipped", "expired")
_SEVERITIES = ("page", "ticket", "notice")


def read(connection: Connection, topics: Sequence[str]) -> Figures:
    """Return all figures, as one moment knows them."""
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        partitions = connection.execute(statement("figures", "partitions"), [list(topics)]).fetchall()
        counts = _one(connection, "partition_counts", [list(topics)])
        waiting, failed, oldest = _one(connection, "outbox")
        return {
            "partition_lag_records": {(t, str(n)): float(lag) for t, n, lag, _ in partitions if lag is not None},
            "partition_watermark_age_seconds": {
                (t, str(n)): float(age) for t, n, _, age in partitions if age is not None
            },
            "partitions_stopped": {(): counts[0]},
            "partitions_unowned": {(): counts[1]},
            "cohorts_learning": {(): _one(connection, "learning")[0]},
            "candidates_undecided": {(): _one(connection, "undecided")[0]},
            "queue_items": _by_name(connection, "queue", _QUEUE_STATES),
            "alerts_firing": _by_name(connection, "alerts", _SEVERITIES),
            "outbox_waiting": {(): waiting},
            "outbox_failed": {(): failed},
            "outbox_oldest_seconds": {(): oldest},
        }


def _one(connection: Connection, name: str, values: Sequence[object] = ()) -> list[float]:
    row = connection.execute(statement("figures", name), values).fetchone()
    return [float(value) for value in row or ()]


def _by_name(connection: Connection, name: str, names: Sequence[str]) -> dict[tuple[str, ...], float]:
    found: Mapping[str, int] = dict(connection.execute(statement("figures", name)).fetchall())
    return {(each,): float(found.get(each, 0)) for each in names}
