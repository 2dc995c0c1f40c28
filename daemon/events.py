"""Our own event, version 1: one JSON object about one prediction.

The JSON Schema in ``docs/event.schema.json`` is generated from the class here; ``docs/events.md`` tells what
becomes of every kind of bad input.
"""

import json
import math
from datetime import UTC, datetime
from typing import Any

import msgspec

__all__ = ["MAX_ID", "MAX_NAME", "Event", "Rejected", "decode", "json_schema", "parse_time", "without_payload"]

MAX_ID = 256
"""Longest event id, in characters."""
MAX_NAME = 256
"""Longest model, version, class, and tag value, in characters."""
_MILLISECONDS_FROM = 1e11
_LAST_TIME_US = 253_402_300_799_000_000
_MICROSECONDS = 1_000_000
_NUL = "\x00"
_DETAIL_CHARACTERS = 500


class Event(msgspec.Struct, gc=False):
    """One prediction of a model.

    Required: ``id`` (unique for each event), ``time`` (RFC 3339, or seconds or milliseconds since 1970),
    ``model``, ``prediction`` (a class, or a number from a regression). The rest is optional: ``probabilities``
    by class, or as an array in the order of the configured classes; ``confidence`` from 0 to 1 (default: the
    highest probability); ``uncertainty`` (a standard deviation); ``members`` (probabilities of each member of
    an ensemble); ``features`` (numbers, texts, booleans, null); ``embedding``; ``tags`` (text to text);
    ``payload``: what a labeler is shown.
    """

    id: str
    time: datetime | float | int
    model: str
    prediction: str | float | int | bool
    version: str | int = ""
    probabilities: dict[str, float] | list[float] | None = None
    confidence: float | None = None
    uncertainty: float | None = None
    members: msgspec.Raw = msgspec.Raw(b"null")
    features: msgspec.Raw = msgspec.Raw(b"null")
    embedding: msgspec.Raw = msgspec.Raw(b"null")
    tags: dict[str, str] | None = None
    payload: msgspec.Raw = msgspec.Raw(b"null")


class Rejected(Exception):
    """The event cannot be used: a dead letter, with the reason (one word) and the detail (for people)."""

    def __init__(self, reason: str, detail: str) -> None:
        self.reason = reason
        self.detail = detail[:_DETAIL_CHARACTERS].replace(_NUL, "\\u0000")
        super().__init__(f"{reason}: {self.detail}")


_DECODER = msgspec.json.Decoder(Event)


def decode(value: bytes) -> tuple[Event, bool]:
    """Return the event in ``value``, and whether numbers that are not finite had to be read as missing.

    Raises
    ------
    Rejected
        It is not JSON, or JSON of the wrong shape, or nested too deeply.
    """
    try:
        return _checked(_DECODER.decode(value)), False
    except msgspec.ValidationError as error:
        if "out of range" not in str(error):
            raise Rejected(_shape_reason(error), str(error)) from error
        return _decode_loosely(value, error), True
    except msgspec.DecodeError as error:
        return _decode_loosely(value, error), True
    except UnicodeDecodeError as error:
        raise Rejected("not_utf8", f"{error.reason} at byte {error.start}") from error
    except RecursionError as error:
        raise Rejected("too_deep", "nested too deeply") from error


def _decode_loosely(value: bytes, error: Exception) -> Event:
    """Read NaN, Infinity and numbers beyond double precision as null: many producers write them."""
    try:
        tree = json.loads(value)
        again = json.dumps(_finite(tree), allow_nan=False).encode()
        return _checked(_DECODER.decode(again))
    except msgspec.ValidationError as again_error:
        raise Rejected(_shape_reason(again_error), str(again_error)) from error
    except UnicodeDecodeError as encoding_error:
        raise Rejected("not_utf8", f"{encoding_error.reason} at byte {encoding_error.start}") from error
    except RecursionError as depth_error:
        raise Rejected("too_deep", "nested too deeply") from depth_error
    except ValueError as still_not_json:
        raise Rejected("not_json", str(error)) from still_not_json


def _finite(tree: Any) -> Any:
    if isinstance(tree, float):
        return tree if math.isfinite(tree) else None
    if isinstance(tree, dict):
        return {key: _finite(value) for key, value in tree.items()}
    if isinstance(tree, list):
        return [_finite(value) for value in tree]
    return tree


def _shape_reason(error: msgspec.ValidationError) -> str:
    return "missing_field" if "missing required field" in str(error) else "wrong_shape"


def _checked(event: Event) -> Event:
    """Check what types do not say; the texts end up in PostgreSQL, which cannot hold U+0000."""
    if not 0 < len(event.id) <= MAX_ID or _NUL in event.id:
        raise Rejected("bad_text", f"id: expected 1 to {MAX_ID} characters without U+0000, found {event.id[:50]!r}")
    if not 0 < len(event.model) <= MAX_NAME or _NUL in event.model:
        raise Rejected("bad_text", f"model: expected 1 to {MAX_NAME} characters without U+0000")
    if isinstance(event.version, int):
        event.version = str(event.version)
    if len(event.version) > MAX_NAME or _NUL in event.version:
        raise Rejected("bad_text", f"version: expected at most {MAX_NAME} characters without U+0000")
    if isinstance(event.prediction, str) and (len(event.prediction) > MAX_NAME or _NUL in event.prediction):
        raise Rejected("bad_text", f"prediction: expected at most {MAX_NAME} characters without U+0000")
    if bytes(event.features)[:1] not in {b"{", b"n"}:
        raise Rejected("wrong_shape", "Expected `object | null` - at `$.features`")
    return event


def parse_time(time: datetime | float) -> tuple[int, bool]:
    """Return a time in microseconds since 1970, and whether it said no time zone (then UTC is meant).

    Raises
    ------
    Rejected
        It lies before 1970 or after 9999.
    """
    without_zone = False
    if isinstance(time, datetime):
        if time.tzinfo is None:
            time, without_zone = time.replace(tzinfo=UTC), True
        seconds = time.timestamp()
    else:
        seconds = time / 1000 if abs(time) >= _MILLISECONDS_FROM else time
    if not 0 <= seconds <= _LAST_TIME_US / _MICROSECONDS:
        raise Rejected("bad_time", f"time: expected a time from 1970 to 9999, found {time!r}")
    return round(seconds * _MICROSECONDS), without_zone


def without_payload(value: bytes) -> bytes:
    """Return a valid event without what makes it large: payload, embedding, members and features."""
    event, _ = decode(value)
    small = msgspec.structs.replace(
        event,
        payload=msgspec.Raw(b"null"),
        embedding=msgspec.Raw(b"null"),
        members=msgspec.Raw(b"null"),
        features=msgspec.Raw(b"null"),
    )
    return msgspec.json.encode(small)


def json_schema() -> dict[str, object]:
    """Return the JSON Schema (draft 2020-12) of the event."""
    anything = {
        "members": {
            "type": ["array", "null"],
            "items": {"type": ["object", "array"]},
            "description": "Probabilities of each member of an ensemble, as in `probabilities`.",
        },
        "features": {
            "type": ["object", "null"],
            "additionalProperties": {"type": ["number", "string", "boolean", "null"]},
        },
        "embedding": {"type": ["array", "null"], "items": {"type": "number"}},
        "payload": {"description": "Text, an image as data or URL, or any JSON: what a labeler is shown."},
    }
    schema = msgspec.json.schema(Event)
    event = schema["$defs"]["Event"]
    event["properties"].update(anything)
    event["properties"]["id"].update(minLength=1, maxLength=MAX_ID)
    event["properties"]["model"].update(minLength=1, maxLength=MAX_NAME)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "https://strandline.example/event/1",
        **event,
        "title": "Strandline event, version 1",
    }
