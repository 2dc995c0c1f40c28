"""The file a replay keeps its results in: what the service has in PostgreSQL, for one replay, and how far it came.

Whatever is written belongs to a transaction, so that a replay that was interrupted goes on from the last one.
"""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from daemon.buffer import NEVER
from daemon.replay.chunks import Chunk
from daemon.replay.folding import Folded, Part, Rejections
from detectors.layout import Layout
from detectors.summary import Summary
from sinks.controls import ControlRecord
from sinks.errors import BadData
from sinks.windows import uncompress

__all__ = ["ClosedWindow", "Progress", "Store"]

_AT_ONCE = 50
_TABLES = """
CREATE TABLE about (identity TEXT NOT NULL);
CREATE TABLE stream (number INTEGER PRIMARY KEY, at INTEGER NOT NULL, high_us INTEGER NOT NULL, ended INTEGER NOT NULL);
CREATE TABLE chunk (id INTEGER PRIMARY KEY, high_us INTEGER NOT NULL, place TEXT NOT NULL);
CREATE TABLE part (
    chunk INTEGER NOT NULL, model TEXT NOT NULL, version TEXT NOT NULL, "window" INTEGER NOT NULL,
    layout TEXT NOT NULL, body BLOB NOT NULL
);
CREATE INDEX part_window ON part (model, version, "window");
CREATE INDEX part_chunk ON part (chunk);
CREATE TABLE cohort (
    id INTEGER PRIMARY KEY, model TEXT NOT NULL, version TEXT NOT NULL, reduced INTEGER, state BLOB,
    UNIQUE (model, version)
);
CREATE TABLE control (
    id INTEGER PRIMARY KEY, kind TEXT NOT NULL, cohort_id INTEGER NOT NULL, model TEXT NOT NULL,
    effective_from INTEGER NOT NULL, body BLOB NOT NULL
);
CREATE TABLE closed (
    cohort_id INTEGER NOT NULL, "window" INTEGER NOT NULL, layout_id INTEGER NOT NULL, events INTEGER NOT NULL,
    late INTEGER NOT NULL, summary BLOB NOT NULL, readings BLOB NOT NULL, PRIMARY KEY (cohort_id, "window")
) WITHOUT ROWID;
CREATE TABLE alarm (id INTEGER PRIMARY KEY, cohort_id INTEGER NOT NULL, body TEXT NOT NULL);
CREATE TABLE rejected (
    reason TEXT PRIMARY KEY, count INTEGER NOT NULL, stream INTEGER NOT NULL, "offset" INTEGER NOT NULL,
    detail TEXT NOT NULL, value BLOB
);
"""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a stream has been taken in: up to ``at``, with ``high_us`` its greatest event time so far."""

    at: int
    high_us: int = NEVER
    ended: bool = False


@dataclass(frozen=True, slots=True)
class ClosedWindow:
    """A window as it was closed; ``summary`` and ``readings`` as PostgreSQL would hold them."""

    cohort_id: int
    window: int
    layout_id: int
    events: int
    late: int
    summary: bytes
    readings: bytes


class Store:
    """The file of one replay, to be closed by ``with``; ``reading``: by one who only looks at cohorts and layouts."""

    def __init__(self, path: Path, *, reading: bool = False) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._layouts: dict[int, Layout] = {}
        if reading:
            return
        self._connection.execute("PRAGMA journal_mode = WAL")
        # A replay can be repeated: it has to outlive its own end, not that of the machine.
        self._connection.execute("PRAGMA synchronous = OFF")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Write what is written in this context together, or not at all."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def begin(self, identity: str) -> bool:
        """Make the tables, or find them made for the same replay; say whether there is something to go on from.

        Raises
        ------
        BadData
            It holds another replay.
        """
        made = self._rows("SELECT 1 FROM sqlite_master WHERE name = 'about'")
        if made and self._rows("SELECT identity FROM about") != [(identity,)]:
            raise BadData("the state is that of another replay: other files, or other settings")
        if not made:
            with self.transaction():
                for each in _TABLES.split(";"):
                    self._connection.execute(each)
                self._connection.execute("INSERT INTO about VALUES (?)", [identity])
        return bool(made)

    # -- how far the streams were taken in

    def progress(self) -> dict[int, Progress]:
        """Return how far each stream that was begun has been taken in."""
        rows = self._rows("SELECT number, at, high_us, ended FROM stream")
        return {number: Progress(at, high, bool(ended)) for number, at, high, ended in rows}

    def set_progress(self, stream: int, progress: Progress) -> None:
        """Note how far a stream has been taken in."""
        row = [stream, progress.at, progress.high_us, progress.ended]
        self._connection.execute("INSERT OR REPLACE INTO stream VALUES (?, ?, ?, ?)", row)

    # -- parts, and the chunks they come from

    def add_chunk(self, chunk: Chunk, high_us: int, folded: Folded) -> None:
        """Take in a chunk before which its stream's greatest event time was ``high_us``."""
        place = [chunk.stream, chunk.topic, str(chunk.path), chunk.start, chunk.end, chunk.base, chunk.next]
        inserted = self._connection.execute(
            "INSERT INTO chunk (high_us, place) VALUES (?, ?)", [high_us, json.dumps(place)]
        )
        self._add_parts(inserted.lastrowid or 0, folded.parts)
        for reason, found in folded.rejected.items():
            self._connection.execute(
                "INSERT INTO rejected VALUES (?, ?, ?, ?, ?, ?)"
                " ON CONFLICT (reason) DO UPDATE SET count = count + excluded.count",
                [reason, found.count, chunk.stream, found.offset, found.detail, found.value],
            )

    def chunk(self, number: int) -> tuple[Chunk, int]:
        """Return a chunk that was taken in, and its stream's greatest event time before it."""
        [(high, text)] = self._rows("SELECT high_us, place FROM chunk WHERE id = ?", number)
        stream, topic, path, start, end, base, after = json.loads(text)
        return Chunk(stream, topic, Path(path), start, end, base, after), high

    def replace_parts(self, chunk: int, parts: Sequence[Part]) -> None:
        """Put other parts in the place of those of a chunk, but for windows that are closed."""
        self._connection.execute("DELETE FROM part WHERE chunk = ?", [chunk])
        reduced = dict(self._reduced())
        self._add_parts(
            chunk,
            [each for each in parts if (last := reduced.get((each.model, each.version))) is None or each.window > last],
        )

    def _add_parts(self, chunk: int, parts: Sequence[Part]) -> None:
        self._connection.executemany(
            "INSERT INTO part VALUES (?, ?, ?, ?, ?, ?)",
            [(chunk, each.model, each.version, each.window, each.layout, each.body) for each in parts],
        )

    def _reduced(self) -> list[tuple[tuple[str, str], int | None]]:
        rows = self._rows("SELECT model, version, reduced FROM cohort")
        return [((model, version), reduced) for model, version, reduced in rows]

    def open_windows(self) -> list[tuple[str, str, int]]:
        """Return the model, version and number of every window that has parts."""
        return self._rows('SELECT DISTINCT model, version, "window" FROM part')

    def parts(self, model: str, version: str, window: int) -> list[tuple[int, str, bytes]]:
        """Return the chunk, the layout's digest and the body of each part of a window."""
        return self._rows(
            'SELECT chunk, layout, body FROM part WHERE model = ? AND version = ? AND "window" = ?',
            model,
            version,
            window,
        )

    def drop_parts(self, model: str, version: str, window: int) -> None:
        """Forget the parts of a window that is closed."""
        self._connection.execute(
            'DELETE FROM part WHERE model = ? AND version = ? AND "window" = ?', [model, version, window]
        )

    def drop_done_chunks(self) -> list[Path]:
        """Forget the chunks of which no part is left; return their files."""
        places = self._rows(
            "DELETE FROM chunk WHERE NOT EXISTS (SELECT 1 FROM part WHERE part.chunk = chunk.id) RETURNING place"
        )
        return [Path(json.loads(place)[2]) for (place,) in places]

    # -- cohorts, and what is in force for them

    def cohorts(self) -> list[tuple[int, str, str]]:
        """Return (id, model, version) of every cohort, in the order in which they were registered."""
        return self._rows("SELECT id, model, version FROM cohort ORDER BY id")

    def add_cohort(self, model: str, version: str) -> int:
        """Register a version; return its number."""
        made = self._connection.execute("INSERT INTO cohort (model, version) VALUES (?, ?)", [model, version])
        return made.lastrowid or 0

    def controls(self, after: int = 0, kinds: Sequence[str] = ("layout", "reference")) -> list[ControlRecord]:
        """Return the control records with a greater number than ``after``."""
        marks = ", ".join("?" * len(kinds))
        return [
            ControlRecord(*row)
            for row in self._rows(
                f"SELECT id, kind, cohort_id, model, effective_from, body FROM control"  # noqa: S608 - marks only
                f" WHERE id > ? AND kind IN ({marks}) ORDER BY id",
                after,
                *kinds,
            )
        ]

    def publish(self, kind: str, cohort_id: int, model: str, effective_from: int, body: bytes) -> ControlRecord:
        """Append a control record and return it."""
        row = [kind, cohort_id, model, effective_from, body]
        made = self._connection.execute(
            "INSERT INTO control (kind, cohort_id, model, effective_from, body) VALUES (?, ?, ?, ?, ?)", row
        )
        return ControlRecord(made.lastrowid or 0, kind, cohort_id, model, effective_from, body)

    # -- closed windows

    def state(self, cohort_id: int) -> bytes | None:
        """Return the state after the last closed window of a cohort."""
        [(state,)] = self._rows("SELECT state FROM cohort WHERE id = ?", cohort_id)
        return None if state is None else bytes(state)

    def set_state(self, cohort_id: int, window: int, state: bytes) -> None:
        """Note the state after ``window``, the last one that is closed."""
        self._connection.execute("UPDATE cohort SET reduced = ?, state = ? WHERE id = ?", [window, state, cohort_id])

    def add_closed(self, closed: ClosedWindow, alarms: Sequence[str]) -> None:
        """Add a closed window, and the transitions of alarms in it as JSON."""
        self._connection.execute(
            "INSERT INTO closed VALUES (?, ?, ?, ?, ?, ?, ?)",
            [
                closed.cohort_id,
                closed.window,
                closed.layout_id,
                closed.events,
                closed.late,
                closed.summary,
                closed.readings,
            ],
        )
        self._connection.executemany(
            "INSERT INTO alarm (cohort_id, body) VALUES (?, ?)", [(closed.cohort_id, each) for each in alarms]
        )

    def history(self, cohort_id: int, before: int, count: int) -> list[tuple[int, Summary]]:
        """Return up to ``count`` closed windows before ``before``, oldest first."""
        rows = self._rows(
            'SELECT "window", layout_id, summary FROM closed WHERE cohort_id = ? AND "window" < ?'
            ' ORDER BY "window" DESC LIMIT ?',
            cohort_id,
            before,
            count,
        )
        return [
            (window, Summary.from_bytes(self.layout(layout_id), uncompress(summary)))
            for window, layout_id, summary in reversed(rows)
        ]

    def reaches_back(self, cohort_id: int, layouts: Sequence[int], first: int) -> bool:
        """Return whether a window up to ``first`` is kept, with events, under one of the layouts (numbers)."""
        rows = self._rows(
            'SELECT DISTINCT layout_id FROM closed WHERE cohort_id = ? AND "window" <= ? AND events > 0',
            cohort_id,
            first,
        )
        return any(layout_id in layouts for (layout_id,) in rows)

    def between(self, cohort_id: int, first: int, last: int) -> Iterator[tuple[int, Summary]]:
        """Yield the closed windows from ``first`` to ``last``, oldest first; few are in memory at a time."""
        while rows := self._rows(
            'SELECT "window", layout_id, summary FROM closed WHERE cohort_id = ? AND "window" BETWEEN ? AND ?'
            ' ORDER BY "window" LIMIT ?',
            cohort_id,
            first,
            last,
            _AT_ONCE,
        ):
            for window, layout_id, summary in rows:
                yield window, Summary.from_bytes(self.layout(layout_id), uncompress(summary))
            first = rows[-1][0] + 1

    def layout(self, layout_id: int) -> Layout:
        """Return a layout by the number of its control record."""
        layout = self._layouts.get(layout_id)
        if layout is None:
            [(body,)] = self._rows("SELECT body FROM control WHERE id = ?", layout_id)
            layout = self._layouts[layout_id] = Layout.from_json(bytes(body).decode())
        return layout

    def closed(self, cohort_id: int) -> Iterator[ClosedWindow]:
        """Yield the closed windows of a cohort, in order."""
        for row in self._connection.execute('SELECT * FROM closed WHERE cohort_id = ? ORDER BY "window"', [cohort_id]):
            yield ClosedWindow(*row)

    def alarms(self, cohort_id: int) -> list[dict[str, Any]]:
        """Return the transitions of alarms of a cohort, in order."""
        rows = self._rows("SELECT body FROM alarm WHERE cohort_id = ? ORDER BY id", cohort_id)
        return [json.loads(body) for (body,) in rows]

    def rejected(self) -> list[tuple[str, int, Rejections]]:
        """Return the reasons for which events were not usable, the most frequent first, each with a stream."""
        rows = self._rows('SELECT reason, stream, count, "offset", detail, value FROM rejected ORDER BY count DESC')
        return [(reason, stream, Rejections(*found)) for reason, stream, *found in rows]

    def _rows(self, text: str, *values: object) -> list[Any]:
        return self._connection.execute(text, values).fetchall()
