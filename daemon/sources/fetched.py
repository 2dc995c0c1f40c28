"""What kafka-python fetched, as columns of records: its own way makes three objects of each record, most of its time.

Everything about batches stays with the client: which were aborted, which are markers, checksums, compression.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple, Protocol

from kafka.consumer.fetcher import Fetcher
from kafka.errors import CorruptRecordError, KafkaError
from kafka.record.default_records import DefaultRecordBatch

from daemon.records import Record, Records
from daemon.sources.record_batches import RecordBatch, read_batches

__all__ = ["FetchedRecords"]

_NOTHING = Records([], [], [])


class _Whole(NamedTuple):
    """A whole batch in the place of a record: all that the client looks at. ``offset``: that of its last record."""

    offset: int
    value: RecordBatch
    size_in_bytes: int
    timestamp: int
    timestamp_type: int
    key: None = None
    headers: tuple[()] = ()
    checksum: None = None

    def validate_crc(self) -> bool:
        """Say that it is right: the batch's was looked at."""
        return True


class _WholeBatch(DefaultRecordBatch):  # type: ignore[misc] # kafka-python is not typed
    """A batch that gives itself instead of its records."""

    __slots__ = ()

    def __iter__(self) -> Iterator[_Whole]:
        self._maybe_uncompress()
        if self.records_count:
            appended = self.timestamp_type == self.LOG_APPEND_TIME
            timestamp = self.max_timestamp if appended else self.first_timestamp
            body = memoryview(self._buffer)[self._pos :]
            batch = RecordBatch(self.base_offset, timestamp, appended, self.records_count, body)
            yield _Whole(self.last_offset, batch, self.size_in_bytes, timestamp, self.timestamp_type)


class _Batches(Protocol):
    def next_batch(self) -> object: ...


class _WholeBatches:
    """Batches as the client found them, but whole. Those of formats before the second remain as they are."""

    def __init__(self, batches: _Batches) -> None:
        self._batches = batches

    def next_batch(self) -> object:
        """Return the next, None at the end."""
        batch = self._batches.next_batch()
        if isinstance(batch, DefaultRecordBatch):
            batch.__class__ = _WholeBatch
        return batch


class _Taken:
    """Some records in columns. Their number is what the client counts; what it hands on is the columns."""

    def __init__(self, records: Records) -> None:
        self._records = records

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self) -> Iterator[Records]:
        return iter((self._records,))


class FetchedRecords(Fetcher.PartitionRecords):  # type: ignore[misc] # likewise
    """The records of one partition in one fetch: the client's own, but ``take`` gives columns.

    A batch that cannot be read is told once all before it was taken, and again with each fetch: it is not passed over.
    """

    next_fetch_offset: int

    def __init__(self, fetch_offset: int, tp: object, records: _Batches, **options: object) -> None:
        self._rest = _NOTHING
        self._after = fetch_offset
        self._fault: KafkaError | None = None
        super().__init__(fetch_offset, tp, _WholeBatches(records), **options)

    def take(self, n: int) -> _Taken:
        """Return the next ``n`` records, or as many as there are; raises KafkaError."""
        found: list[Record] = []
        rest, before = self._rest, self.next_fetch_offset
        count = len(rest)
        # What the client keeps is the offset after the last batch that it gave.
        self.next_fetch_offset = self._after
        try:
            # Beyond the last batch all is taken for returned, and drained: it is asked only if all of it will be.
            while count < n and self._fault is None and (each := next(self.record_iterator, None)) is not None:
                found.append(each)
                count += len(each.value) if isinstance(each.value, RecordBatch) else 1
        except KafkaError as fault:
            self._fault = fault
        self._after = self.next_fetch_offset
        ready = self._read(rest, found)
        self._rest = ready[n:]
        if self._rest:
            self.next_fetch_offset = self._rest.offsets[0]
        elif self._fault is not None:
            self.next_fetch_offset = ready.offsets[-1] + 1 if ready else before
        if self._fault is not None and not ready:
            self.drain()
            raise self._fault
        return _Taken(ready[:n])

    def drain(self) -> None:
        """Forget what was not taken."""
        self._rest = _NOTHING
        super().drain()

    def _read(self, rest: Records, found: Sequence[Record]) -> Records:
        """Return ``rest`` and what was found; what is before the offset that was asked for is left out."""
        pieces = [rest]
        for whole, group in groupby(found, lambda each: isinstance(each.value, RecordBatch)):
            some = list(group)
            pieces += self._whole([each.value for each in some]) if whole else [Records.of(some)]  # type: ignore[misc] # they are batches
            if self._fault is not None:
                break
        records = Records.joined([each for each in pieces if each])
        return records[bisect_left(records.offsets, self.fetch_offset) :]

    def _whole(self, batches: Sequence[RecordBatch]) -> list[Records]:
        """Return the records of batches up to the first that cannot be read, which is noted as a fault."""
        try:
            return [read_batches(batches)]
        except ValueError as fault:
            if len(batches) == 1:
                where = f"{self.topic_partition} from offset {batches[0].base_offset}"
                self._fault = CorruptRecordError(f"{where}: {fault}")
                return []
        read: list[Records] = []
        for batch in batches:
            read += self._whole([batch])
            if self._fault is not None:
                break
        return read
