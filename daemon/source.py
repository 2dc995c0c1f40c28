"""Where events come from: the small part of a Kafka consumer that the worker needs."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from daemon.records import Records
from sinks.ledger import Partition

__all__ = ["Poll", "Source"]


@dataclass(frozen=True, slots=True)
class Poll:
    """What one poll gave. ``rebalanced``: partitions came or went since the last one, so ``records`` are void."""

    records: Mapping[Partition, Records] = field(default_factory=dict)
    rebalanced: bool = False
    out_of_range: Mapping[Partition, int] = field(default_factory=dict)


class Source(Protocol):
    """A consumer of the configured topics. Offsets are ours to keep: it starts where ``seek`` says."""

    def poll(self, seconds: float, most: int) -> Poll:
        """Return records, waiting at most ``seconds`` for the first; keeps the membership of the group alive."""
        ...

    def partitions(self) -> set[Partition]:
        """Return all partitions of the topics, whoever reads them; a static assignment takes in those that are new."""
        ...

    def assigned(self) -> set[Partition]:
        """Return the partitions that are ours to read."""
        ...

    def seek(self, partition: Partition, offset: int) -> None:
        """Read on from ``offset``, and resume a paused partition."""
        ...

    def pause(self, partitions: Collection[Partition]) -> None:
        """Return no records of these until they are sought again."""
        ...

    def first_offset(self, partition: Partition) -> int:
        """Return the oldest offset there is."""
        ...

    def last_offset(self, partition: Partition) -> int:
        """Return the offset that the next record will have."""
        ...

    def end(self, partition: Partition) -> int | None:
        """Return the offset read up to if fetches tell that nothing comes after it, else None.

        It may lie beyond the last record: what ends a transaction has an offset, too.
        """
        ...

    def high_water(self, partition: Partition) -> int | None:
        """Return the offset that the next record will have, as the last fetch told; None before any."""
        ...

    def probe(self) -> None:
        """Ask Kafka something, and raise KafkaUnavailable unless it answers soon."""
        ...

    def report(self, offsets: Mapping[Partition, int]) -> None:
        """Tell Kafka how far we are, for tools that show lag. Nothing of ours depends on it."""
        ...

    def close(self) -> None:
        """Leave the group and close the connections."""
        ...
