"""Where workers keep dying: events one by one, each noted before it is processed, so that the culprit is known."""

from collections.abc import Callable, Sequence

from daemon.accumulate import Accumulation
from daemon.buffer import NEVER, Record
from daemon.positions import Position
from sinks.effects import DeadLetter
from sinks.ledger import Ledger, Partition

__all__ = ["process_one_by_one"]


def process_one_by_one(
    position: Position,
    partition: Partition,
    records: Sequence[Record],
    ledger: Ledger,
    accumulation: Accumulation,
    commit: Callable[[], None],
) -> None:
    """Process and commit each record alone; the one that killed its worker twice becomes a dead letter."""
    for record in records:
        high = position.high_us if position.high_us is not None else NEVER
        if record.offset == position.quarantined:
            detail = "processing this event alone killed the worker twice"
            accumulation.set_aside(DeadLetter(*partition, record.offset, "quarantined", detail, record.value or b""))
        else:
            ledger.suspect(partition, position.epoch, record.offset)
            high = accumulation.add(*partition, [record], high)
        position.moved(record.offset + 1, None if high == NEVER else high, position.heard)
        commit()
