"""The labelling queue: pending → leased → labelled | skipped, each step checked by the lease's token.

A token stays good until somebody else has claimed the item, even after the lease has run out: an answer that
comes late, but first, is not lost.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sinks.database import Connection
from sinks.errors import BadData, LeaseLost
from sinks.statements import statement

__all__ = [
    "STATES",
    "Item",
    "Settled",
    "StatsRow",
    "claim",
    "find",
    "item_of",
    "label",
    "labels_of",
    "list_items",
    "release",
    "renew",
    "skip",
    "stats",
    "was_given",
]

_MAX_TEXT = 256
_MAX_NOTE = 4000
STATES = ("pending", "leased", "labelled", "skipped", "expired")
_LOOKS = 50
_LOOK_AGAIN_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Item:
    """An item of the queue, with what the model thought of the event.

    ``token`` is None unless this is the claim that made it. ``propensity``: the probability with which the
    event was drawn; None where it was queued for certain. ``event``: untrusted; None in lists, and where it was
    not kept. ``topic``, ``partition``, ``offset``: where it lies in Kafka; None when that was forgotten.
    """

    id: int
    token: str | None
    model: str
    version: str
    event_id: str
    reason: str
    propensity: float | None
    urgent: bool
    day: date
    state: str
    leased_by: str | None
    lease_until: datetime | None
    created_at: datetime
    settled_at: datetime | None
    prediction: str | None
    confidence: float | None
    expected_error: float | None
    event: bytes | None
    truncated: bool
    topic: str | None
    partition: int | None
    offset: int | None


@dataclass(frozen=True, slots=True)
class Settled:
    """An item that has its answer: a label's ``value``, or None where it was skipped."""

    item_id: int
    model: str
    event_id: str
    state: str
    value: str | None
    who: str
    settled_at: datetime


@dataclass(frozen=True, slots=True)
class StatsRow:
    """How many items of one model and reason are in a state, since when, and how many settled in the last day."""

    model: str
    reason: str
    state: str
    count: int
    oldest: datetime
    settled_last_day: int


def claim(connection: Connection, *, n: int, who: str, lease_seconds: float, model: str | None = None) -> list[Item]:
    """Lease up to ``n`` items to ``who``: urgent ones first, then day by day in random order.

    Pending items and those whose lease has run out are served alike, each with a fresh token. An empty list
    means that nothing is free, not that somebody else was looking at it.
    """
    wanted = {"n": n, "who": who, "seconds": lease_seconds, "model": model}
    for _ in range(_LOOKS):
        rows = connection.execute(statement("queue", "claim"), wanted).fetchall()
        if rows:
            return [_item(row) for row in rows]
        # Rows that another claim is looking at were skipped; it may take fewer than it looked at.
        free = connection.execute(statement("queue", "any_free"), wanted).fetchone()
        if free is None or not free[0]:
            return []
        time.sleep(_LOOK_AGAIN_SECONDS)
    return []


def label(connection: Connection, token: str, *, value: str, who: str, note: str | None = None) -> Settled:
    """Settle the item with a label. The same token and value again get the same answer.

    Raises
    ------
    LeaseLost
        Somebody else has claimed the item, or it is settled otherwise.
    BadData
        There is no such label or no such token.
    """
    if not value.strip():
        raise BadData("A label must not be empty.")
    if len(value) > _MAX_TEXT or not value.isprintable():
        raise BadData(f"A label has at most {_MAX_TEXT} characters, all of them printable.")
    if len(note or "") > _MAX_NOTE or "\0" in (note or ""):
        raise BadData(f"A note has at most {_MAX_NOTE} characters, and no NUL among them.")
    _check_who(who)
    return _settle(connection, "label", token, who, value=value, note=note)


def _check_who(who: str) -> None:
    if not 0 < len(who) <= _MAX_TEXT or not who.isprintable():
        raise BadData(f"Who answers needs a name of at most {_MAX_TEXT} characters, all of them printable.")


def skip(connection: Connection, token: str, *, who: str) -> Settled:
    """Settle the item without an answer; it counts as non-response. Repeating it gets the same answer.

    Raises
    ------
    LeaseLost
        Somebody else has claimed the item, or it is settled otherwise.
    """
    return _settle(connection, "skip", token, who, value=None)


def renew(connection: Connection, token: str, *, lease_seconds: float) -> datetime:
    """Make the lease last ``lease_seconds`` from now and return its end.

    Raises
    ------
    LeaseLost
        Somebody else has claimed the item, or it is settled.
    """
    values = {**_parse(token), "seconds": lease_seconds}
    row = connection.execute(statement("queue", "renew"), values).fetchone()
    if row is None:
        raise LeaseLost
    end: datetime = row[0]
    return end


def release(connection: Connection, token: str, *, who: str) -> None:
    """Give the item back, for the next one who claims.

    Raises
    ------
    LeaseLost
        Somebody else has claimed the item, or it is settled.
    """
    if connection.execute(statement("queue", "release"), {**_parse(token), "who": who}).fetchone() is None:
        raise LeaseLost


def list_items(
    connection: Connection,
    *,
    model: str | None = None,
    state: str | None = None,
    reason: str | None = None,
    before: int | None = None,
    limit: int = 50,
) -> list[Item]:
    """Return items that fit, the newest first; ``before``: only ids less than this, for the next page."""
    values = {"model": model, "state": state, "reason": reason, "before": before, "limit": limit}
    return [_item(row) for row in connection.execute(statement("queue", "list"), values)]


def find(connection: Connection, item_id: int) -> Item | None:
    """Return an item with its event, whatever its state; None if there is none."""
    row = connection.execute(statement("queue", "find"), [item_id]).fetchone()
    return None if row is None else _item(row)


def item_of(token: str) -> int:
    """Return the number of the item that a lease's token is for.

    Raises
    ------
    BadData
        There is no such token.
    """
    return int(str(_parse(token)["id"]))


def was_given(connection: Connection, model: str, value: str) -> bool:
    """Tell whether an item of ``model`` has this label."""
    return bool(connection.execute(statement("queue", "was_given"), [model, value]).fetchall()[0][0])


def labels_of(connection: Connection, item_ids: list[int]) -> dict[int, str]:
    """Return the label of each of the items that has one."""
    return {row[0]: row[1] for row in connection.execute(statement("queue", "labels_of"), [item_ids])}


def stats(connection: Connection, *, model: str | None = None) -> list[StatsRow]:
    """Return how full the queue is, by model, reason and state."""
    return [StatsRow(*row) for row in connection.execute(statement("queue", "stats"), {"model": model})]


def _settle(connection: Connection, how: str, token: str, who: str, **answer: str | None) -> Settled:
    values = {**_parse(token), **answer, "who": who}
    row = connection.execute(statement("queue", how), values).fetchone()
    if row is not None:
        return Settled(*row)
    row = connection.execute(statement("queue", "settled"), values).fetchone()
    before = None if row is None else Settled(*row)
    if before is None or before.value != answer["value"]:
        raise LeaseLost
    return before


def _item(row: tuple[Any, ...]) -> Item:
    item_id, token, *rest = row
    return Item(item_id, None if token is None else f"{item_id}-{token.hex}", *rest)


def _parse(token: str) -> Mapping[str, object]:
    """Return the item's id and the lease's UUID. The id in the token spares the hot table an index."""
    item_id, _, lease = token.strip().partition("-")
    try:
        found = {"id": int(item_id), "token": UUID(hex=lease)}
    except ValueError:
        found = {}
    if not found or not 0 < int(item_id) < 2**63:
        raise BadData(f"{token!r} is not a lease token; `strandline queue next` gives one out.")
    return found
