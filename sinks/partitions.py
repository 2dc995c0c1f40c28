"""Partitions, for the operator: how far each was read, by whom, and how a stopped one goes on."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sinks.database import Connection
from sinks.effects import Partition
from sinks.statements import statement

__all__ = ["Standing", "find", "list_all", "resume"]


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a partition stands. ``next``: the offset to be read next; ``event_high_us``: greatest event time so far.

    ``owner`` is None if nobody has given a sign of life for a while; ``stopped``: why it is not read, if so.
    """

    topic: str
    partition: int
    next: int | None
    event_high_us: int | None
    owner: str | None
    stopped: str | None
    updated_at: datetime


def list_all(connection: Connection, topics: Sequence[str]) -> list[Standing]:
    """Return the partitions of ``topics``."""
    return [Standing(*row) for row in connection.execute(statement("partitions", "list"), [list(topics)])]


def find(connection: Connection, partition: Partition) -> Standing | None:
    """Return one partition; None if it was never seen."""
    row = connection.execute(statement("partitions", "find"), partition).fetchone()
    return None if row is None else Standing(*row)


def resume(connection: Connection, standing: Standing, to: int, topics: Sequence[str]) -> bool:
    """Let a stopped partition be read on from offset ``to``; False if it is not as it was found any more.

    Call it in a transaction. ``topics`` are all those whose partitions hold back the windows.
    """
    # No watermark is read between looking at those of the others and having one again.
    connection.execute(statement("ledger", "lock_partitions"))
    values = {"topic": standing.topic, "partition": standing.partition, "from": standing.next, "to": to}
    return connection.execute(statement("partitions", "resume"), {**values, "all_topics": list(topics)}).rowcount == 1
