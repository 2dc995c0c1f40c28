"""Forgetting one event: every table loses what it knows of it, and a keyed hash keeps it from coming back."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from sinks.controls import lock_exclusive
from sinks.database import Connection, transaction
from sinks.errors import NotFound
from sinks.statements import statement

__all__ = ["Forgotten", "forget"]

_GONE = "(forgotten)"
_LONG = 6
"""Characters from which an id is looked for within texts: a shorter one is the word for many other things."""


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What was done. ``counts``: rows by table; ``places``: (topic, partition, offset) of its records in Kafka.

    ``before``: when it was forgotten first, if this is not the first time.
    """

    counts: dict[str, int]
    places: list[tuple[str, int, int]]
    before: datetime | None


def forget(
    connection: Connection, event_id: str, *, digest: bytes, model: str | None, who: str, reason: str | None
) -> Forgotten:
    """Forget an event of ``model``, or of all models; ``digest`` is what it is known by from now on.

    Raises
    ------
    NotFound
        Nothing is known of such an event, and it was not forgotten before.
    """
    with transaction(connection):
        # Waits for the commits under way, which may hold the event, and lets later ones see that it is forgotten.
        lock_exclusive(connection)
        row = connection.execute(statement("forget", "before"), {"digest": digest, "model": model}).fetchone()
        before = None if row is None else row[0]
        rows = connection.execute(statement("forget", "models")).fetchall()
        models = [name for (name,) in rows] if model is None else [model]
        places, counts = _from_rows(connection, event_id, models, who)
        counts |= _from_texts(connection, event_id)
        counts = {table: count for table, count in counts.items() if count}
        if not counts and before is None:
            raise NotFound(f"Nothing is known of an event {event_id!r}" + (f" of {model}." if model else "."))
        if counts:
            connection.execute(statement("forget", "add"), [digest, model, who, reason, Jsonb(counts)])
    return Forgotten(counts, places, before)


def _from_rows(
    connection: Connection, event_id: str, models: list[str], who: str
) -> tuple[list[tuple[str, int, int]], dict[str, int]]:
    """Take the event out of the rows that are about it."""
    values = {"event": event_id, "models": models, "who": who}
    payloads = connection.execute(statement("forget", "payloads"), values).rowcount
    # Before the items: this waits for a decision under way, after which its item is there to be found.
    places = connection.execute(statement("forget", "candidates"), values).fetchall()
    items = [item for (item,) in connection.execute(statement("forget", "items"), values)]
    counts = {
        "candidate": len(places),
        "payload": payloads,
        "queue_item": len(items),
        "label": connection.execute(statement("forget", "labels"), {"items": items}).rowcount,
        "novel_value": connection.execute(statement("forget", "novel_values"), values).rowcount,
    }
    return [(topic, partition, offset) for topic, partition, offset in places], counts


def _from_texts(connection: Connection, event_id: str) -> dict[str, int]:
    """Take the event out of what is about other things and names it."""
    quoted = json.dumps(event_id, ensure_ascii=False)[1:-1]
    escaped = json.dumps(event_id)[1:-1]
    spellings = sorted({event_id, quoted, escaped}, key=len, reverse=True)
    word = re.compile(rf"(?<![\w-])(?:{'|'.join(map(re.escape, spellings))})(?![\w-])")
    values = {"event": event_id, "quoted": quoted, "spellings": spellings}
    counts = {"dead_letter": 0}
    for *key, detail, value in connection.execute(statement("forget", "dead_letters"), values).fetchall():
        if word.search(detail) or word.search((value or b"").decode(errors="replace")):
            connection.execute(statement("forget", "empty_dead_letter"), [word.sub(_GONE, detail), *key])
            counts["dead_letter"] += 1
    inside = word if len(event_id) >= _LONG else None
    for table, found, empty in (
        ("outbox", "outbox", "empty_outbox"),
        ("alert", "alerts", "empty_alert"),
        ("alert_transition", "transitions", "empty_transition"),
        ("incident", "incidents", "empty_incident"),
        ("label note", "notes", "empty_note"),
    ):
        rows = connection.execute(statement("forget", found), values).fetchall()
        counts[table] = sum(_empty(connection, empty, row, event_id, inside) for row in rows)
    return counts


def _empty(
    connection: Connection, empty: str, row: tuple[Any, ...], event_id: str, inside: re.Pattern[str] | None
) -> bool:
    """Write the row back without the event; say whether it was in there."""
    key, *columns = row
    emptied = [_without(column, event_id, inside) for column in columns]
    if emptied == columns:
        return False
    connection.execute(statement("forget", empty), [*_adapted(emptied), key])
    return True


def _without(tree: Any, event_id: str, inside: re.Pattern[str] | None, key: str = "") -> Any:
    """Return a text or JSON value without the id: where a key says that it is one, and within texts if it is long."""
    if isinstance(tree, dict):
        return {name: _without(value, event_id, inside, name) for name, value in tree.items()}
    if isinstance(tree, list):
        return [_without(value, event_id, inside, key) for value in tree]
    if not isinstance(tree, str):
        return tree
    if tree == event_id and key.endswith("event_id"):
        return _GONE
    return tree if inside is None else inside.sub(_GONE, tree)


def _adapted(columns: Iterable[Any]) -> list[Any]:
    return [Jsonb(column) if isinstance(column, dict) else column for column in columns]
