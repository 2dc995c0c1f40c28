"""Parts, closed windows and the state of cohorts, as they are stored: compressed, one row each."""

from collections.abc import Iterator, Sequence

import zstandard

from detectors.layout import Layout
from detectors.summary import Summary
from sinks.database import Connection
from sinks.errors import StrandlineError
from sinks.statements import statement

__all__ = [
    "Layouts",
    "PartAfterClosing",
    "compress",
    "history",
    "merge_parts",
    "reaches_back",
    "stored_between",
    "uncompress",
    "window_back",
]

_LEVEL = 1
_AT_ONCE = 50


class PartAfterClosing(StrandlineError):
    """Events were committed to a window that had been closed; this must never happen."""


def compress(data: bytes) -> bytes:
    """Return ``data`` compressed for a bytea column."""
    return zstandard.ZstdCompressor(level=_LEVEL).compress(data)


def uncompress(data: bytes) -> bytes:
    """Return what :func:`compress` was given."""
    return zstandard.ZstdDecompressor().decompress(data)


class Layouts:
    """Layouts by the id of their control record, each read once: they never change."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._known: dict[int, Layout] = {}

    def __getitem__(self, layout_id: int) -> Layout:
        layout = self._known.get(layout_id)
        if layout is None:
            row = self._connection.execute(statement("windows", "layout"), [layout_id]).fetchone()
            if row is None:
                raise KeyError(layout_id)
            layout = self._known[layout_id] = Layout.from_json(row[0].decode())
        return layout


def merge_parts(connection: Connection, layouts: Layouts, cohort_id: int, window: int) -> tuple[int, Summary]:
    """Take the parts of one window out of the database; return their layout's id and their sum."""
    rows = connection.execute(statement("windows", "take_parts"), [cohort_id, window]).fetchall()
    layout_id = rows[0][0]
    summary = Summary.empty(layouts[layout_id])
    for part_layout, body in rows:
        summary.add(Summary.from_bytes(layouts[part_layout], uncompress(body)))
    return layout_id, summary


def stored_between(
    connection: Connection, layouts: Layouts, cohort_id: int, first: int, last: int
) -> Iterator[tuple[int, Summary]]:
    """Yield the closed windows from ``first`` to ``last``, oldest first; few are in memory at a time."""
    while rows := connection.execute(statement("windows", "between"), [cohort_id, first, last, _AT_ONCE]).fetchall():
        for window, layout_id, summary in rows:
            yield window, Summary.from_bytes(layouts[layout_id], uncompress(summary))
        first = rows[-1][0] + 1


def reaches_back(connection: Connection, cohort_id: int, layouts: Sequence[int], first: int) -> bool:
    """Return whether a window up to ``first`` is stored, with events, under one of ``layouts`` (ids)."""
    row = connection.execute(statement("windows", "reaches_back"), [cohort_id, first, list(layouts)]).fetchone()
    return row is not None


def window_back(connection: Connection, cohort_id: int, count: int) -> int | None:
    """Return the first of the last ``count`` closed windows; None if none is closed."""
    row = connection.execute(statement("windows", "back"), [cohort_id, count]).fetchone()
    return None if row is None or row[0] is None else int(row[0])


def history(
    connection: Connection, layouts: Layouts, cohort_id: int, before: int, count: int
) -> list[tuple[int, Summary]]:
    """Return up to ``count`` closed windows before ``before``, oldest first."""
    rows = connection.execute(statement("windows", "history"), [cohort_id, before, count]).fetchall()
    return [
        (window, Summary.from_bytes(layouts[layout_id], uncompress(summary)))
        for window, layout_id, summary in reversed(rows)
    ]
