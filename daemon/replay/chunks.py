"""Pieces of history that are folded apart, and the records in them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import msgspec

from daemon.buffer import NEVER, Buffer, Cohort
from daemon.records import Record, Records
from daemon.settings import Settings

__all__ = ["CHUNK_BYTES", "UNTIMED_MS", "Chunk", "first_us", "records_of", "write_records"]

CHUNK_BYTES = 4 << 20
UNTIMED_MS = 0
"""The timestamp of a record that Kafka gave none: the event's own time is then taken as it is."""
_READ_BYTES = 1 << 19
_LOOKED = 1000
"""Records among which the first usable one is looked for."""
_RECORDS = ".records"
_COLUMNS = tuple[list[int], list[int], list[bytes | None]]


@dataclass(frozen=True, slots=True)
class Chunk:
    """The lines of ``path`` that begin from ``start`` on and before ``end`` (bytes); or what ``write_records`` wrote.

    ``stream``: the number of the stream they are of; ``topic``: whose records they are read as. ``base``: how far
    into the stream the file begins; ``next``: where the stream goes on after this chunk.
    """

    stream: int
    topic: str
    path: Path
    start: int
    end: int
    base: int
    next: int

    @property
    def timed(self) -> bool:
        """Whether its records have timestamps of Kafka's."""
        return self.path.suffix == _RECORDS


def records_of(chunk: Chunk) -> Iterator[Records]:
    """Yield the chunk's records; the offsets of lines are where they begin in the stream."""
    if chunk.timed:
        yield Records(*msgspec.msgpack.decode(chunk.path.read_bytes(), type=_COLUMNS))
        return
    with chunk.path.open("rb") as file:
        at = chunk.start
        if at:
            # The line that began before belongs to the chunk before.
            file.seek(at - 1)
            at += len(file.readline()) - 1
        while at < chunk.end and (lines := file.readlines(min(_READ_BYTES, chunk.end - at))):
            offsets = list(accumulate(map(len, lines), initial=at))
            at = offsets.pop()
            rows = [
                (chunk.base + offset, line)
                for offset, each in zip(offsets, lines, strict=True)
                if offset < chunk.end and (line := each.strip())
            ]
            if rows:
                places, values = zip(*rows, strict=True)
                yield Records(places, [UNTIMED_MS] * len(rows), values)


def write_records(path: Path, records: Sequence[Record]) -> None:
    """Write records with all that is known of them; the name of such a file ends in ".records"."""
    together = Records.of(records)
    path.write_bytes(msgspec.msgpack.encode((together.offsets, together.timestamps_ms, together.values)))


def first_us(settings: Settings, chunks: Iterable[Chunk]) -> int:
    """Return the event time of the first event in a stream; NEVER if none of its first records is one."""

    def cohort_of(model: str, version: str) -> Cohort:
        return Cohort(0, model, version, settings.of(model))

    buffer, looked = Buffer(settings, cohort_of), 0
    for chunk in chunks:
        for some in records_of(chunk):
            for row in range(len(some)):
                high = buffer.add(chunk.topic, 0, some[row : row + 1], NEVER)
                looked += 1
                if high != NEVER or looked >= _LOOKED:
                    return high
    return NEVER
