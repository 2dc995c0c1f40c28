"""Kafka's record batches as columns: many records at a time, where clients make an object of each.

The format is version 2 of the protocol's "Record Batch" (KIP-98): after a header, which the client reads, come
``records_count`` records, each ``length, attributes, timestampDelta, offsetDelta, key, value, headers``; numbers are
zigzag varints of up to ten bytes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from daemon.records import Records

__all__ = ["RecordBatch", "read_batches"]

_MORE, _BITS = 0x7F, 7
_LONGEST_BITS = 70
_ONE = np.uint64(1)
_Positions = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class RecordBatch:
    """A batch whose checksum was right. ``body``: its records, no longer compressed.

    ``timestamp_ms``: that of the record with delta 0; ``appended``: it is that of all of them, the broker's own.
    """

    base_offset: int
    timestamp_ms: int
    appended: bool
    count: int
    body: bytes | memoryview

    def __len__(self) -> int:
        return self.count


def read_batches(batches: Sequence[RecordBatch]) -> Records:
    """Return the records of ``batches``, one after the other; raises ValueError if one is not as it should be."""
    body = b"".join([batch.body for batch in batches])
    begins = np.array(_begins(body, batches), dtype=np.int64)
    if not len(body):
        return Records([], [], [])
    data = np.frombuffer(body, dtype=np.uint8)
    sizes, at = _varints(data, begins[:-1])
    ends = at + sizes
    deltas_ms, at = _varints(data, at + 1)
    deltas, at = _varints(data, at)
    keys, at = _varints(data, at)
    lengths, starts = _varints(data, at + _size(keys))
    stops = starts + _size(lengths)
    # Headers are not looked at: where the next record begins is known.
    headers, after = _varints(data, stops)
    if not ((ends == begins[1:]) & (stops < ends) & (after <= ends) & ((headers > 0) | (after == ends))).all():
        raise ValueError("a record does not end where it should")
    counts = [batch.count for batch in batches]
    offsets = np.repeat([batch.base_offset for batch in batches], counts) + deltas
    if (offsets[1:] <= offsets[:-1]).any():
        raise ValueError("offsets do not rise")
    times = np.repeat([batch.timestamp_ms for batch in batches], counts)
    times += np.where(np.repeat([batch.appended for batch in batches], counts), 0, deltas_ms)
    values: list[bytes | None] = [body[start:stop] for start, stop in zip(starts.tolist(), stops.tolist(), strict=True)]
    for row in np.flatnonzero(lengths < 0).tolist():
        values[row] = None
    return Records(offsets.tolist(), times.tolist(), values)


def _begins(body: bytes, batches: Sequence[RecordBatch]) -> list[int]:
    """Return where each record begins, and where the last one ends.

    Each follows from the size of the one before: the only thing here that has to go from record to record.
    """
    begins: list[int] = []
    at = end = 0
    for batch in batches:
        end += len(batch.body)
        for _ in range(batch.count):
            if at >= end:
                raise ValueError("there are fewer records than the batch should have")
            begins.append(at)
            size = body[at]
            at += 1
            shift = _BITS
            if size > _MORE:
                size &= _MORE
                while (byte := body[at] if at < end else 0) > _MORE:
                    size |= (byte & _MORE) << shift
                    at += 1
                    shift += _BITS
                size |= byte << shift
                at += 1
            at += size >> 1
        if at != end:
            raise ValueError("records do not fill the batch")
    begins.append(at)
    return begins


def _size(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the bytes that keys or values take: -1 stands for none."""
    return np.maximum(lengths, 0)


def _varints(data: NDArray[np.uint8], at: _Positions) -> tuple[NDArray[np.int64], _Positions]:
    """Return the number at each position, and the position after it; anything at all where it lies outside."""
    last = len(data) - 1
    bytes_at = data[np.clip(at, 0, last)]
    value = (bytes_at & _MORE).astype(np.uint64)
    more = bytes_at > _MORE
    at = at + 1
    shift = _BITS
    while more.any():
        if shift >= _LONGEST_BITS:
            raise ValueError("a number has more than ten bytes")
        bytes_at = np.where(more, data[np.clip(at, 0, last)], 0)
        value |= (bytes_at & _MORE).astype(np.uint64) << np.uint64(shift)
        at = at + more
        more = bytes_at > _MORE
        shift += _BITS
    return ((value >> _ONE) ^ (_ONE + ~(value & _ONE))).view(np.int64), at
