"""Who folds: this process, or several. What is likely to be asked for next is folded ahead, a bounded part of it."""

import multiprocessing
import signal
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

from daemon.buffer import NEVER
from daemon.replay.chunks import Chunk
from daemon.replay.folding import Folded, Folder
from daemon.replay.playing import Stream
from daemon.replay.store import Progress, Store
from daemon.settings import Settings

__all__ = ["Alone", "Pool"]

_AHEAD = 2
"""Chunks that are folded ahead for each process."""


def _folder(settings: Settings, models: frozenset[str], state: Path) -> Folder:
    store = Store(state, reading=True)
    return Folder(settings, models, lambda after: (store.cohorts(), store.controls(after, ("layout",))))


class Alone:
    """Folds in this process."""

    def __init__(self, settings: Settings, models: frozenset[str], state: Path, streams: Sequence[Stream]) -> None:
        self._folder = _folder(settings, models, state)
        self._streams = {each.number: each for each in streams}
        self._chunks: dict[int, Iterator[Chunk]] = {}

    def next(self, stream: int, progress: Mapping[int, Progress]) -> tuple[Chunk, Folded] | None:
        """Return the next chunk of a stream, folded; None at its end."""
        if stream not in self._chunks:
            self._chunks[stream] = iter(self._streams[stream].chunks(progress[stream].at))
        chunk = next(self._chunks[stream], None)
        return None if chunk is None else (chunk, self._folder.fold(chunk))

    def again(self, chunks: Sequence[tuple[Chunk, int]]) -> list[Folded]:
        """Fold chunks again."""
        return [self._folder.fold(chunk, high) for chunk, high in chunks]


_mine: Folder


def _begin(settings: Settings, models: frozenset[str], state: Path) -> None:
    # Ctrl-C reaches all processes; this one ends when it is told to.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    global _mine  # noqa: PLW0603 - a process of the pool has one
    _mine = _folder(settings, models, state)


def _fold(chunk: Chunk, high_us: int) -> Folded:
    return _mine.fold(chunk, high_us)


class Pool:
    """Folds in ``jobs`` processes, to be closed by ``with``."""

    def __init__(
        self, settings: Settings, models: frozenset[str], state: Path, streams: Sequence[Stream], jobs: int
    ) -> None:
        self._streams = {each.number: each for each in streams}
        self._chunks: dict[int, Iterator[Chunk]] = {}
        self._waiting: defaultdict[int, deque[tuple[Chunk, Future[Folded]]]] = defaultdict(deque)
        self._spans: dict[int, int] = {}
        self._most = _AHEAD * jobs
        self._pool = ProcessPoolExecutor(
            jobs, multiprocessing.get_context("spawn"), initializer=_begin, initargs=(settings, models, state)
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=True)

    def next(self, stream: int, progress: Mapping[int, Progress]) -> tuple[Chunk, Folded] | None:
        """Return the next chunk of a stream, folded; None at its end."""
        self._fill(progress)
        if not self._waiting[stream] and not self._send(stream, progress[stream].at):
            return None
        chunk, future = self._waiting[stream].popleft()
        folded = future.result()
        if progress[stream].at:
            self._spans[stream] = max(0, folded.high_us - progress[stream].high_us)
        self._fill(progress)
        return chunk, folded

    def again(self, chunks: Sequence[tuple[Chunk, int]]) -> list[Folded]:
        """Fold chunks again."""
        futures = [self._pool.submit(_fold, chunk, high) for chunk, high in chunks]
        return [future.result() for future in futures]

    def _fill(self, progress: Mapping[int, Progress]) -> None:
        """Send what is likely to be asked for next: as far as can be told from how long each stream's chunks are."""

        def begins(stream: int) -> int:
            return progress[stream].high_us + len(self._waiting[stream]) * self._spans.get(stream, 0)

        left = {number for number, each in progress.items() if not each.ended}
        while left and sum(map(len, self._waiting.values())) < self._most:
            stream = min(left, key=lambda each: (begins(each), each))
            if not self._send(stream, progress[stream].at):
                left.discard(stream)

    def _send(self, stream: int, at: int) -> bool:
        if stream not in self._chunks:
            self._chunks[stream] = iter(self._streams[stream].chunks(at))
        chunk = next(self._chunks[stream], None)
        if chunk is None:
            return False
        self._waiting[stream].append((chunk, self._pool.submit(_fold, chunk, NEVER)))
        return True
