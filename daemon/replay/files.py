"""Histories in files: lines of JSON are read where they lie; what is packed is laid out as such, piece by piece."""

import gzip
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO

import zstandard

from daemon.files import SUFFIXES, is_json_lines, records
from daemon.replay.chunks import CHUNK_BYTES, Chunk, first_us
from daemon.settings import EventSettings, Settings
from sinks.errors import BadData

__all__ = ["FileStream", "for_files"]

_TABLE = "\0rows of a table"
"""The topic whose records are what files make of rows that are not JSON: our own events."""
_UNTIMED_SECONDS = 1e12
_PACKED: Mapping[str, Callable[[Path], IO[bytes]]] = {
    ".gz": lambda path: gzip.GzipFile(path, "rb"),  # type: ignore[dict-item,return-value] # it reads like one
    ".zst": lambda path: zstandard.open(path, "rb"),
}


def for_files(settings: Settings) -> Settings:
    """Return the settings for records that have no timestamp of Kafka's: no event time is far from it."""
    ingest = settings.ingest.model_copy(
        update={"max_ahead_seconds": _UNTIMED_SECONDS, "max_behind_seconds": _UNTIMED_SECONDS}
    )
    events = settings.events.model_copy(update={"topic": {**settings.events.topic, _TABLE: EventSettings()}})
    return settings.model_copy(update={"ingest": ingest, "events": events})


class FileStream:
    """A file of events. ``spool``: where what is packed is laid out; ``settings``: as ``for_files`` makes them.

    Raises
    ------
    BadData
        It is not there, or of no kind that can be read.
    """

    def __init__(self, number: int, path: Path, settings: Settings, spool: Path) -> None:
        self.number = number
        self.name = str(path)
        self._settings = settings
        self._spool = spool
        self._path = path
        suffixes = [each.lower() for each in path.suffixes]
        self._packed = suffixes[-1] if suffixes and suffixes[-1] in _PACKED else ""
        inner = path.with_suffix("") if self._packed else path
        self._lines = is_json_lines(inner)
        if not self._lines and (self._packed or inner.suffix.lower() not in SUFFIXES.split(", ")):
            raise BadData(f"{path}: expected a file that ends in {SUFFIXES}, or JSON lines with .gz or .zst behind")
        try:
            size = path.stat().st_size
        except OSError as error:
            raise BadData(f"{path}: {error.strerror}") from error
        self.size = size if self._lines and not self._packed else None
        self._topic = settings.kafka.topics[0] if self._lines else _TABLE

    def first_us(self) -> int:
        """Return the event time of its first event; NEVER if none of the first records is one."""
        return first_us(self._settings, self.chunks(0))

    def chunks(self, at: int) -> Iterable[Chunk]:
        """Yield what lies from ``at`` on, in order; raises BadData where it cannot be read."""
        if self._lines and not self._packed:
            return self._ranges(at)
        return self._laid_out(at)

    def _ranges(self, at: int) -> Iterator[Chunk]:
        size = self.size or 0
        for start in range(at, size, CHUNK_BYTES):
            end = min(start + CHUNK_BYTES, size)
            yield Chunk(self.number, self._topic, self._path, start, end, 0, end)

    def _laid_out(self, at: int) -> Iterator[Chunk]:
        """Yield pieces as files of their own; where they begin counts in bytes of what was unpacked."""
        try:
            start = 0
            for piece in self._pieces():
                end = start + len(piece)
                if start >= at:
                    path = self._spool / f"{self.number}-{start}.jsonl"
                    path.write_bytes(piece)
                    yield Chunk(self.number, self._topic, path, 0, len(piece), start, end)
                start = end
        except (OSError, EOFError, zstandard.ZstdError) as error:
            raise BadData(f"{self._path}: {error}") from error

    def _pieces(self) -> Iterator[bytes]:
        if self._packed:
            with _PACKED[self._packed](self._path) as file:
                yield from _whole_lines(file)
            return
        piece = bytearray()
        for _, record in records(self._path):
            piece += record + b"\n"
            if len(piece) >= CHUNK_BYTES:
                yield bytes(piece)
                piece.clear()
        if piece:
            yield bytes(piece)


def _whole_lines(file: IO[bytes]) -> Iterator[bytes]:
    left = b""
    while read := file.read(CHUNK_BYTES):
        whole, line_end, rest = read.rpartition(b"\n")
        if not line_end:
            left += read
            continue
        yield left + whole + line_end
        left = rest
    if left:
        yield left
