"""Single records, read again from Kafka by their offsets: outside of any group, so that no worker notices."""

import time
from collections.abc import Iterator
from types import TracebackType
from typing import Protocol, Self

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError, OffsetOutOfRangeError

from daemon.kafka_clients import REQUEST_MS, KafkaUnavailable, reaching
from daemon.records import Record
from daemon.settings import Settings
from sinks.ledger import Partition

__all__ = ["RecordReader", "WholeRecord"]

_POLL_MS = 500
_SILENCE_SECONDS = 15.0


class WholeRecord(Record, Protocol):
    """A record with what a producer needs to send it again."""

    @property
    def key(self) -> bytes | None:
        """Its key."""
        ...

    @property
    def headers(self) -> list[tuple[str, bytes]]:
        """Its headers."""
        ...


class RecordReader:
    """A reader of single records, to be closed by ``with``; every method raises KafkaUnavailable."""

    def __init__(self, settings: Settings) -> None:
        with reaching(settings.kafka) as options:
            self._consumer = KafkaConsumer(
                **options,
                group_id=None,
                enable_auto_commit=False,
                auto_offset_reset="none",
                isolation_level="read_committed",
                allow_auto_create_topics=False,
                max_partition_fetch_bytes=max(1_048_576, settings.ingest.max_event_bytes),
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._consumer.close(autocommit=False, timeout_ms=REQUEST_MS)

    def bounds(self, partition: Partition) -> tuple[int, int] | None:
        """Return the oldest offset there is and the one the next record will have; None without such a partition."""
        tp = TopicPartition(*partition)
        try:
            if tp.partition not in (self._consumer.partitions_for_topic(tp.topic) or ()):
                return None
            first = self._consumer.beginning_offsets([tp], timeout_ms=REQUEST_MS)[tp]
            return int(first), int(self._consumer.end_offsets([tp], timeout_ms=REQUEST_MS)[tp])
        except KafkaError as error:
            raise KafkaUnavailable(str(error)) from error

    def read(self, partition: Partition, first: int, last: int) -> Iterator[WholeRecord]:
        """Yield the records from offset ``first`` to ``last`` that there still are."""
        bounds = self.bounds(partition)
        if bounds is None or last < bounds[0]:
            return
        tp = TopicPartition(*partition)
        try:
            self._consumer.assign([tp])
            self._consumer.seek(tp, max(first, bounds[0]))
            heard = time.monotonic()
            while time.monotonic() - heard < _SILENCE_SECONDS:
                for record in self._consumer.poll(timeout_ms=_POLL_MS).get(tp, ()):
                    heard = time.monotonic()
                    if record.offset > last:
                        return
                    yield record
                # From fetches, not from ListOffsets: some brokers answer that one wrongly.
                position, end = self._consumer.position(tp, timeout_ms=REQUEST_MS), self._consumer.highwater(tp)
                if position is not None and (position > last or (end is not None and position >= end)):
                    return
        except OffsetOutOfRangeError:
            return
        except KafkaError as error:
            raise KafkaUnavailable(str(error)) from error
        raise KafkaUnavailable(f"{tp.topic}/{tp.partition}: nothing came for {_SILENCE_SECONDS:.0f} seconds")
