"""The control log: layouts, references and selection rates, each in force from a window on.

Records are append-only and published under an exclusive advisory lock, at a window beyond any that a
committed part holds. Ingest takes the lock shared in its transaction and is fenced if a window it counted had
another record in force. What happens to an event so depends on its window and this log, never on timing.
"""

import time
from bisect import bisect_right
from dataclasses import dataclass, field

from sinks.database import Connection
from sinks.statements import statement

__all__ = ["ALWAYS", "ControlRecord", "Controls", "lock_exclusive", "lock_shared", "next_free_window", "publish"]

ALWAYS = -(2**62)
"""The window from which a cohort's first records are in force."""

_PRUNE_SECONDS = 3600.0
"""How often what retention has deleted is forgotten here, too: a process may live for years."""


@dataclass(frozen=True, slots=True)
class ControlRecord:
    """One entry of the log. ``cohort_id`` is None for what concerns the whole model."""

    id: int
    kind: str
    cohort_id: int | None
    model: str
    effective_from: int
    body: bytes


@dataclass(slots=True)
class Controls:
    """The log as read so far, or its records of some ``kinds`` only.

    ``last_id`` is complete: ids are given out under the exclusive lock.
    """

    kinds: tuple[str, ...] = ("layout", "reference", "selection")
    last_id: int = 0
    _records: dict[tuple[str, int | str], list[ControlRecord]] = field(default_factory=dict)
    _bodies: dict[int, bytes] = field(default_factory=dict)
    _pruned: float = field(default_factory=time.monotonic)

    def refresh(self, connection: Connection) -> list[ControlRecord]:
        """Read what was published since; return it."""
        rows = connection.execute(statement("controls", "since"), [self.last_id, list(self.kinds)]).fetchall()
        records = [ControlRecord(*row) for row in rows]
        for record in records:
            self.add(record)
        if time.monotonic() - self._pruned > _PRUNE_SECONDS:
            self.prune(connection)
        return records

    def prune(self, connection: Connection) -> None:
        """Forget the records that are not stored any more: nothing that can still come needs them."""
        stored = {row[0] for row in connection.execute(statement("controls", "stored"), [list(self.kinds)])}
        for subject, known in list(self._records.items()):
            self._records[subject] = [each for each in known if each.id in stored]
            if not self._records[subject]:
                del self._records[subject]
        self._bodies = {number: body for number, body in self._bodies.items() if number in stored}
        self._pruned = time.monotonic()

    def add(self, record: ControlRecord) -> None:
        """Take in one record; ids only rise."""
        self.last_id = record.id
        self._bodies[record.id] = record.body
        subject = record.model if record.cohort_id is None else record.cohort_id
        known = self._records.setdefault((record.kind, subject), [])
        known.append(record)
        # Of two records from the same window on, the later one is in force: the sort is stable.
        known.sort(key=lambda each: each.effective_from)

    def body(self, record_id: int) -> bytes:
        """Return the body of a record by its id."""
        return self._bodies[record_id]

    def in_force(self, kind: str, subject: int | str, window: int) -> ControlRecord | None:
        """Return the record of a cohort (by id) or model (by name) in force for ``window``."""
        known = self._records.get((kind, subject), [])
        position = bisect_right(known, window, key=lambda each: each.effective_from)
        return known[position - 1] if position else None

    def all(self, kind: str, subject: int | str) -> list[ControlRecord]:
        """Return all records, in the order in which they are in force."""
        return list(self._records.get((kind, subject), []))

    def latest(self, kind: str, subject: int | str) -> ControlRecord | None:
        """Return the record in force last."""
        known = self._records.get((kind, subject), [])
        return known[-1] if known else None


def lock_shared(connection: Connection) -> None:
    """Hold off publishing until this transaction ends."""
    connection.execute(statement("controls", "lock_shared"))


def lock_exclusive(connection: Connection) -> None:
    """Hold off ingest commits and other publishing until this transaction ends."""
    connection.execute(statement("controls", "lock_exclusive"))


def next_free_window(connection: Connection, model: str) -> int:
    """Return the first window beyond any that a committed part of ``model`` holds; ALWAYS if none does.

    Call it with the exclusive lock held.
    """
    row = connection.execute(statement("controls", "next_free_window"), [model, model]).fetchone()
    return ALWAYS if row is None or row[0] is None else int(row[0])


def publish(
    connection: Connection, *, kind: str, model: str, cohort_id: int | None, effective_from: int, body: bytes
) -> int:
    """Append a record and return its id. Call it with the exclusive lock held."""
    row = connection.execute(
        statement("controls", "publish"), [kind, model, cohort_id, effective_from, body]
    ).fetchone()
    if row is None:
        message = "INSERT … RETURNING gave no row"
        raise RuntimeError(message)
    return int(row[0])
