"""Record batches read as columns hold what the client itself finds in them, record by record."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka import TopicPartition
from kafka.consumer.fetcher import Fetcher, IsolationLevel
from kafka.errors import CorruptRecordError
from kafka.record.default_records import DefaultRecordBatch
from kafka.record.memory_records import MemoryRecords, MemoryRecordsBuilder
from kafka.record.util import calc_crc32c

from daemon.records import Records
from daemon.sources.fetched import FetchedRecords
from daemon.sources.record_batches import RecordBatch, read_batches

TP = TopicPartition("events", 3)
START_MS = 1_700_000_000_000
BYTES = st.binary(max_size=20) | st.sampled_from([b"x" * size for size in (63, 64, 8_191, 8_192, 70_000)])
HEADERS = st.lists(st.tuples(st.text(max_size=3), st.none() | BYTES), max_size=2)
RECORDS = st.lists(
    st.tuples(
        st.sampled_from([0, 0, 0, 1, 100]),
        st.sampled_from([0, 1, 63, 64, 2**31, 2**40, -1, -(2**40)]),
        st.none() | BYTES,
        st.none() | BYTES,
        HEADERS,
    ),
    min_size=1,
    max_size=70,
)
OLD = st.lists(st.tuples(st.none() | BYTES, st.none() | BYTES), min_size=1, max_size=3)
_ATTRIBUTES, _LAST_OFFSET_DELTA, _COUNT = 5, 6, 12
_Read = list[tuple[int, int, bytes | None]]


@dataclass(frozen=True)
class Written:
    """A batch. Of each record: offsets left out before it, milliseconds after the start, key, value, headers.

    ``gap``: offsets left out after the last: what compaction leaves.
    """

    records: Sequence[tuple[int, int, bytes | None, bytes | None, list[tuple[str, bytes | None]]]]
    codec: int = 0
    gap: int = 0
    appended: bool = False
    aborted: bool = False


@dataclass(frozen=True)
class Aborted:
    producer_id: int
    first_offset: int


@dataclass
class Log:
    """Batches as a broker keeps them."""

    end: int = 0
    data: bytearray = field(default_factory=bytearray)
    aborted: list[Aborted] = field(default_factory=list)

    def add(self, batch: Written) -> None:
        builder = builder_of(batch.codec, transaction=batch.aborted)
        for gap, after_ms, key, value, headers in batch.records:
            builder.skip(gap)
            builder.append(START_MS + after_ms, key, value, headers)
        attributes = DefaultRecordBatch.TIMESTAMP_TYPE_MASK if batch.appended else 0
        if batch.aborted:
            self.aborted.append(Aborted(7, self.end))
        self._append(builder, attributes, batch.gap)
        if batch.aborted:
            marker = builder_of(0, transaction=True)
            marker.append(START_MS, b"\0\0\0\0", b"\0" * 6, [])
            self._append(marker, DefaultRecordBatch.CONTROL_MASK)

    def add_old(self, records: Sequence[tuple[bytes | None, bytes | None]]) -> None:
        """Add records in the format before this one."""
        builder = MemoryRecordsBuilder(1, 0, 2**30, offset=self.end)
        for key, value in records:
            builder.append(START_MS, key, value)
        self.end = builder.next_offset()
        builder.close()
        self.data += builder.buffer()

    def _append(self, builder: MemoryRecordsBuilder, attributes: int, gap: int = 0) -> None:
        count = builder.next_offset() + gap
        builder.close()
        data = bytearray(builder.buffer())
        header = list(DefaultRecordBatch.HEADER_STRUCT.unpack_from(data))
        header[0] = self.end
        header[_ATTRIBUTES] |= attributes
        header[_LAST_OFFSET_DELTA] += gap
        write_header(data, header)
        self.data += data
        self.end += count


def builder_of(codec: int, *, transaction: bool) -> MemoryRecordsBuilder:
    producer = {"transactional": True, "producer_id": 7, "producer_epoch": 0, "base_sequence": 0}
    return MemoryRecordsBuilder(2, codec, 2**30, **(producer if transaction else {}))


def write_header(data: bytearray, header: Sequence[int]) -> None:
    """Write a batch's header, with a checksum that is right."""
    layout = DefaultRecordBatch.HEADER_STRUCT
    layout.pack_into(data, 0, *header)
    crc = calc_crc32c(memoryview(data)[DefaultRecordBatch.ATTRIBUTES_OFFSET :])
    layout.pack_into(data, 0, *header[:4], crc, *header[5:])


LOGS = st.lists(
    st.builds(Written, RECORDS, st.sampled_from([0, 1]), st.sampled_from([0, 0, 5]), st.booleans(), st.booleans())
    | OLD,
    max_size=6,
)


def log_of(batches: Sequence[Written | list[tuple[bytes | None, bytes | None]]]) -> Log:
    log = Log()
    for batch in batches:
        log.add(batch) if isinstance(batch, Written) else log.add_old(batch)
    return log


def fetched(kind: type[Fetcher.PartitionRecords], log: Log, offset: int) -> Fetcher.PartitionRecords:
    """Return what a fetch from ``offset`` found."""
    return kind(
        offset,
        TP,
        MemoryRecords(bytes(log.data)),
        isolation_level=IsolationLevel.READ_COMMITTED,
        aborted_transactions=log.aborted,
    )


def by_the_client(log: Log, offset: int) -> _Read:
    found = fetched(Fetcher.PartitionRecords, log, offset).take()
    return [(each.offset, each.timestamp, each.value) for each in found]


def taken(part: FetchedRecords, most: int) -> _Read:
    some = part.take(most)
    read = [
        each for records in some for each in zip(records.offsets, records.timestamps_ms, records.values, strict=True)
    ]
    assert len(read) == len(some)
    return read


@given(LOGS, st.lists(st.sampled_from([1, 2, 3, 50, 500]), min_size=1, max_size=4), st.data())
def test_columns_hold_what_the_client_finds(
    batches: list[Written | list[tuple[bytes | None, bytes | None]]], sizes: list[int], data: st.DataObject
) -> None:
    log = log_of(batches)
    start = data.draw(st.integers(0, log.end))
    expected = by_the_client(log, start)
    part = fetched(FetchedRecords, log, start)
    read: _Read = []
    turn = 0
    while part:
        read += taken(part, sizes[turn % len(sizes)])
        turn += 1
        # Whoever goes on from the position finds the rest.
        assert read + by_the_client(log, part.next_fetch_offset) == expected
    assert read == expected
    assert not log.data or part.next_fetch_offset == log.end


def plain(count: int) -> Written:
    return Written([(0, number, None, b"%d" % number, []) for number in range(count)])


def test_a_batch_with_a_wrong_checksum_is_told_after_what_is_before_it_and_each_time() -> None:
    log = log_of([plain(10), plain(10), plain(10)])
    log.data[-1] ^= 1
    for start in (0, 15, 20):
        part = fetched(FetchedRecords, log, start)
        assert [offset for offset, _, _ in taken(part, 500)] == list(range(start, 20)) if start < 20 else True
        with pytest.raises(CorruptRecordError):
            part.take(500)
        assert not part
        assert part.next_fetch_offset == 20


@pytest.mark.parametrize("place", [2, 3])
def test_a_batch_with_a_right_checksum_and_broken_records_is_told_as_well(place: int) -> None:
    log = log_of([plain(10), plain(10)])
    second = bytearray(log.data)
    size = len(log.data) // 2
    data = second[size:]
    # The size of a key of the first record, or of its value: there is no such room.
    data[DefaultRecordBatch.HEADER_STRUCT.size + place + 2] = 0x7E
    write_header(data, DefaultRecordBatch.HEADER_STRUCT.unpack_from(data))
    log.data[size:] = data
    log.data += log_of([plain(1)]).data
    part = fetched(FetchedRecords, log, 0)
    assert [offset for offset, _, _ in taken(part, 4)] == [0, 1, 2, 3]
    assert [offset for offset, _, _ in taken(part, 500)] == list(range(4, 10))
    assert part.next_fetch_offset == 10
    again = fetched(FetchedRecords, log, 10)
    with pytest.raises(CorruptRecordError, match=r"partition=3.*from offset 10"):
        again.take(500)
    assert not again
    assert again.next_fetch_offset == 10


@given(st.binary(max_size=60), st.integers(0, 5))
def test_any_bytes_are_read_or_refused(body: bytes, count: int) -> None:
    try:
        records = read_batches([RecordBatch(0, START_MS, appended=False, count=count, body=body)])
    except ValueError:
        return
    assert len(records) == count


def test_nothing_is_read_of_no_batches() -> None:
    assert read_batches([]) == Records([], [], [])
