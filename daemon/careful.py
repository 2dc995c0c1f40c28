"""Where workers keep dying: events one by one, each noted before it is processed, so that the culprit is known."""

from collections.abc import Callable

from daemon.accumulate import Accumulation
from daemon.buffer import NEVER
from daemon.positions import Position
from daemon.records import Records
from sinks.effects import DeadLetter
from sinks.ledger import Ledger, Partition

__all__ = ["process_one_by_one"]


def process_one_by_one(
    position: Position,
    partition: Partition,
    records: Records,
    ledger: Ledger,
    accumulation: Accumulation,
    commit: Callable[[], None],
) -> None:
    """Process and commit each record alone; the one that killed its worker twice becomes a dead letter."""
    for row, (offset, value) in enumerate(zip(records.offsets, records.values, strict=True)):
        high = position.high_us if position.high_us is not None else NEVER
        if offset == position.quarantined:
            detail = "processing this event alone killed the worker twice"
            accumulation.set_aside(DeadLetter(*partition, offset, "quarantined", detail, value or b""))
        else:
            ledger.suspect(partition, position.epoch, offset)
            high = accumulation.add(*partition, records[row : row + 1], high)
        position.moved(offset + 1, None if high == NEVER else high, position.heard)
        commit()
