"""Pieces of history that are folded apart, and the records in them."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

from daemon.records import Records

__all__ = ["CHUNK_BYTES", "UNTIMED_MS", "Chunk", "records_of"]

CHUNK_BYTES = 4 << 20
UNTIMED_MS = 0
"""The timestamp of a record that Kafka gave none: the event's own time is then taken as it is."""
_READ_BYTES = 1 << 19


@dataclass(frozen=True, slots=True)
class Chunk:
    """The lines of ``path`` that begin from ``start`` on and before ``end`` (bytes).

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


def records_of(chunk: Chunk) -> Iterator[Records]:
    """Yield the chunk's records; their offsets are where their lines begin in the stream."""
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
