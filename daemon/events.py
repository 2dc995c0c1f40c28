"""Our own event, version 1: one JSON object about one prediction.

The JSON Schema in ``docs/event.schema.json`` is generated from the class here; ``docs/events.md`` tells what
becomes of every kind of bad input.
"""

import json
import math
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import msgspec
import numpy as np

__all__ = [
    "INTEGERS",
    "MAX_DEPTH",
    "MAX_ID",
    "MAX_NAME",
    "MAX_PROBABILITIES",
    "MILLISECONDS_FROM",
    "NULL",
    "TIME_END_US",
    "Event",
    "Rejected",
    "decode",
    "json_schema",
    "parse",
    "parse_time",
    "read",
    "without_payload",
]

MAX_ID = 256
"""Longest event id, in characters."""
MAX_NAME = 256
"""Longest model, version, class, and tag value, in characters."""
MAX_DEPTH = 128
"""Deepest nesting of objects and arrays. A limit of our own: the parsers' depends on who calls them."""
MAX_PROBABILITIES = 10_000
"""Most probabilities of one event; a model with more classes has to name them in its settings."""
MILLISECONDS_FROM = 100_000_000_000
"""Times from here on are milliseconds since 1970, not seconds."""
TIME_END_US = 253_402_300_800_000_000
"""The end of the year 9999, in microseconds since 1970."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
NULL = msgspec.Raw(b"null")
"""What a field holds that is carried as JSON and was not given."""
_NUL = "\x00"
_BOM = b"\xef\xbb\xbf"
INTEGERS = range(-(2**63), 2**64)
"""The integers that can be a prediction."""
_SAFE_DIGITS = 300
_NOT_A_PROBABILITY = -1.0
# Also matches a text that never ends: without that, every quote in it would start a new search to the end.
_TEXTS = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_BRACKETS = b"[]{}"
_NO_BRACKETS = bytes(set(range(256)) - set(_BRACKETS))
_DETAIL_CHARACTERS = 500


class Event(msgspec.Struct, gc=False, omit_defaults=True):
    """One prediction of a model.

    Required: ``id`` (unique for each event), ``time`` (RFC 3339, or seconds or milliseconds since 1970),
    ``model``, and of classifiers and regressors ``prediction`` (a class, or a number). The rest is optional:
    ``probabilities`` by class, or as an array in the order of the configured classes; ``confidence`` from 0 to 1
    (default: the highest probability); ``log_probability``, of a text, instead of a confidence; ``uncertainty``
    (a standard deviation); ``objects`` (class, score and box of each that was detected); ``members``
    (probabilities of each member of an ensemble); ``features`` (numbers, texts, booleans, null);
    ``embedding``; ``tags`` (text to text); ``payload``: what a labeler is shown; ``shadow``: what another version
    predicts (prediction and version, or the prediction alone).
    """

    id: str
    time: datetime | float | int
    model: str
    prediction: str | float | int | bool | msgspec.UnsetType = msgspec.UNSET
    version: str | int | None = ""
    probabilities: dict[str, float] | list[float] | None = None
    confidence: float | None = None
    uncertainty: float | None = None
    members: msgspec.Raw = NULL
    features: msgspec.Raw = NULL
    embedding: msgspec.Raw = NULL
    tags: dict[str, str] | None = None
    payload: msgspec.Raw = NULL
    objects: msgspec.Raw = NULL
    log_probability: float | None = None
    shadow: msgspec.Raw = NULL


class Rejected(Exception):
    """The event cannot be used: a dead letter, with the reason (one word) and the detail (for people)."""

    def __init__(self, reason: str, detail: str) -> None:
        self.reason = reason
        self.detail = detail[:_DETAIL_CHARACTERS].replace(_NUL, "\\u0000")
        super().__init__(f"{reason}: {self.detail}")


Parse = Callable[[bytes], Event]


def read(parse: Parse, probabilities: Sequence[str | int], value: bytes) -> tuple[Event, bool]:
    """Return the event that ``parse`` finds in ``value``, and whether numbers that are not finite became missing.

    All that ``docs/events.md`` says of bad input holds, whatever ``parse`` makes of the JSON; it raises
    msgspec.DecodeError where it cannot. ``probabilities`` leads to where they stand in the record.

    Raises
    ------
    Rejected
        It is not JSON in UTF-8, or JSON of the wrong shape, or nested too deeply.
    """
    _check_text(value)
    try:
        return _checked(parse(value)), False
    except msgspec.ValidationError as error:
        if "out of range" not in str(error):
            raise Rejected(_shape_reason(error), str(error)) from error
        return _read_loosely(parse, probabilities, value, error), True
    except msgspec.DecodeError as error:
        return _read_loosely(parse, probabilities, value, error), True


parse: Parse = msgspec.json.Decoder(Event).decode
"""Read our own event without the checks that ``read`` adds."""
decode = partial(read, parse, ("probabilities",))
"""Read our own event: ``decode(value)`` is ``read`` of one that has our own names."""


def _check_text(value: bytes) -> None:
    """Check what the parser does not, where it only passes over: encoding and depth, payload included."""
    if not value.isascii():
        if value.startswith(_BOM):
            raise Rejected("not_json", "begins with a byte order mark: expected UTF-8 without one")
        try:
            value.decode()
        except UnicodeDecodeError as error:
            raise Rejected("not_utf8", f"{error.reason} at byte {error.start}") from error
    # By far the fastest way to count a rare byte: find and copy are vectorised, count is not.
    opened = 2 * len(value) - len(value.replace(b"{", b"")) - len(value.replace(b"[", b""))
    if opened > MAX_DEPTH and _depth(value) > MAX_DEPTH:
        raise Rejected("too_deep", f"nested more than {MAX_DEPTH} deep")


def _depth(value: bytes) -> int:
    brackets = np.frombuffer(_TEXTS.sub(b"", value).translate(None, _NO_BRACKETS), dtype=np.uint8)
    # "[" and "{" have bit 1 set and bit 2 clear: 0x5b and 0x7b; "]" and "}" are 0x5d and 0x7d.
    steps = np.where(brackets & 2, 1, -1)
    return int(np.cumsum(steps).max(initial=0))


def _read_loosely(parse: Parse, probabilities: Sequence[str | int], value: bytes, error: Exception) -> Event:
    """Read NaN, Infinity and numbers beyond double precision as null: many producers write them.

    Among probabilities they become a number that is none, so that only the probabilities are lost.
    """
    try:
        tree = json.loads(value.decode(), parse_int=_integer)
    except ValueError as not_json:
        wide = b"\x00" in value[:4]
        detail = "a zero byte at the start: UTF-16 or UTF-32? Expected UTF-8" if wide else str(error)
        raise Rejected("not_utf8" if wide else "not_json", detail) from not_json
    finite = _finite(tree, None, probabilities)
    if finite == tree:
        # What else Python's parser lets pass.
        raise Rejected("not_json", f"{error} (a text with half of a surrogate pair?)") from error
    try:
        return _checked(parse(json.dumps(finite, allow_nan=False).encode()))
    except msgspec.ValidationError as shape:
        detail = f"{shape} (NaN, infinities and numbers beyond double precision are read as null)"
        raise Rejected(_shape_reason(shape), detail) from error
    except msgspec.DecodeError as not_json:
        raise Rejected("not_json", str(not_json)) from error


def _integer(text: str) -> int | float:
    """Return an integer; one that no double can hold as infinity."""
    return int(text) if len(text) <= _SAFE_DIGITS else float(text)


def _finite(tree: Any, instead: float | None, probabilities: Sequence[str | int] | None = None) -> Any:
    """Replace what is not finite by ``instead``; below ``probabilities``, by what is none."""
    if probabilities is not None and not probabilities:
        return _finite(tree, _NOT_A_PROBABILITY)
    if isinstance(tree, float):
        return tree if math.isfinite(tree) else instead
    first, rest = (probabilities[0], probabilities[1:]) if probabilities else (None, None)
    if isinstance(tree, dict):
        return {key: _finite(value, instead, rest if key == first else None) for key, value in tree.items()}
    if isinstance(tree, list):
        return [_finite(value, instead, rest if at == first else None) for at, value in enumerate(tree)]
    return tree


def _shape_reason(error: msgspec.ValidationError) -> str:
    return "missing_field" if "missing required field" in str(error) else "wrong_shape"


def _checked(event: Event) -> Event:
    """Check what types do not say; the texts end up in PostgreSQL, which cannot hold U+0000."""
    if not 0 < len(event.id) <= MAX_ID or _NUL in event.id:
        raise _bad_text("id", event.id, MAX_ID)
    if not 0 < len(event.model) <= MAX_NAME or _NUL in event.model:
        raise _bad_text("model", event.model, MAX_NAME)
    version = event.version = "" if event.version is None else str(event.version)
    if len(version) > MAX_NAME or _NUL in version:
        raise _bad_text("version", version, MAX_NAME)
    prediction = event.prediction
    if isinstance(prediction, str):
        if not 0 < len(prediction) <= MAX_NAME or _NUL in prediction:
            raise _bad_text("prediction", prediction, MAX_NAME)
    elif isinstance(prediction, int) and prediction not in INTEGERS:
        try:
            event.prediction = float(prediction)
        except OverflowError as error:
            raise Rejected("wrong_shape", "Number out of range - at `$.prediction`") from error
    if event.features is not NULL:
        _check_raw("features", event.features, b"{", "object")
    if event.members is not NULL:
        _check_raw("members", event.members, b"[", "array")
    if event.embedding is not NULL:
        _check_raw("embedding", event.embedding, b"[", "array")
    if event.objects is not NULL:
        _check_raw("objects", event.objects, b"[", "array")
    return event


def _bad_text(field: str, text: str, most: int) -> Rejected:
    return Rejected("bad_text", f"{field}: expected 1 to {most} characters without U+0000, found {text[:50]!r}")


def _check_raw(field: str, raw: msgspec.Raw, first: bytes, kind: str) -> None:
    if bytes(memoryview(raw)[:1]) not in {first, b"n"}:
        raise Rejected("wrong_shape", f"Expected `{kind} | null` - at `$.{field}`")


def parse_time(time: datetime | float, place: str = "$.time") -> tuple[int, bool]:
    """Return a time in microseconds since 1970, and whether it said no time zone (then UTC is meant).

    ``place``: where it stands in the record, for people.

    Raises
    ------
    Rejected
        It lies before 1970 or after 9999.
    """
    without_zone = False
    microseconds = -1
    if isinstance(time, datetime):
        if time.tzinfo is None:
            time, without_zone = time.replace(tzinfo=UTC), True
        microseconds = (time - _EPOCH) // _MICROSECOND
    elif 0 <= time < MILLISECONDS_FROM:
        microseconds = round(time * 1_000_000)
    elif 0 <= time < TIME_END_US // 1000:
        microseconds = round(time * 1000)
    if not 0 <= microseconds < TIME_END_US:
        raise Rejected("bad_time", f"expected a time from 1970 to 9999, found {time} - at `{place}`")
    return microseconds, without_zone


def without_payload(value: bytes) -> bytes:
    """Return a valid event without what makes it large: payload, embedding, members and features."""
    event, _ = decode(value)
    small = msgspec.structs.replace(
        event,
        payload=msgspec.Raw(b"null"),
        embedding=msgspec.Raw(b"null"),
        members=msgspec.Raw(b"null"),
        features=msgspec.Raw(b"null"),
        objects=msgspec.Raw(b"null"),
    )
    return msgspec.json.encode(small)


def json_schema() -> dict[str, object]:
    """Return the JSON Schema (draft 2020-12) of the event: what is right, not all that is accepted."""
    name: dict[str, object] = {"type": "string", "maxLength": MAX_NAME, "pattern": "^[^\\u0000]*$"}
    required = {**name, "minLength": 1}
    share: dict[str, object] = {"type": "number", "minimum": 0, "maximum": 1}
    probabilities = [
        {"type": "object", "additionalProperties": share, "minProperties": 1, "maxProperties": MAX_PROBABILITIES},
        {"type": "array", "items": share, "minItems": 1, "maxItems": MAX_PROBABILITIES},
    ]
    properties: dict[str, dict[str, object]] = {
        "id": {**required, "maxLength": MAX_ID, "description": "Unique for each event; the same if sent again."},
        "time": {
            "anyOf": [
                {"type": "string", "format": "date-time"},
                {"type": "number", "minimum": 0, "exclusiveMaximum": TIME_END_US // 1000},
            ],
            "description": "When it was predicted: RFC 3339, or seconds since 1970, or (from 10¹¹ on) milliseconds.",
        },
        "model": {**required, "description": "Name of the model."},
        "prediction": {
            "anyOf": [required, {"type": "number"}, {"type": "boolean"}],
            "description": "The predicted class; the predicted number, if the model is a regressor. Detectors, text "
            "models and rankings may leave it out.",
        },
        "version": {
            "anyOf": [name, {"type": "integer"}, {"type": "null"}],
            "default": "",
            "description": "Version of the model.",
        },
        "probabilities": {
            "anyOf": [*probabilities, {"type": "null"}],
            "description": "By class, or as an array in the order of the configured classes; together 1.",
        },
        "confidence": {
            "anyOf": [share, {"type": "null"}],
            "description": "How sure the model is; without it, the highest probability.",
        },
        "uncertainty": {"type": ["number", "null"], "description": "Standard deviation of the predicted number."},
        "members": {
            "type": ["array", "null"],
            "items": {"anyOf": probabilities},
            "description": "Probabilities of each member of an ensemble.",
        },
        "features": {
            "type": ["object", "null"],
            "additionalProperties": {"type": ["number", "string", "boolean", "null"]},
            "description": "What the model was given.",
        },
        "embedding": {"type": ["array", "null"], "items": {"type": "number"}},
        "tags": {
            "type": ["object", "null"],
            "additionalProperties": {"type": "string"},
            "description": "Text to text; the configured ones make segments that are watched apart.",
        },
        "objects": {
            "type": ["array", "null"],
            "items": {
                "type": "object",
                "required": ["class", "score"],
                "properties": {
                    "class": required,
                    "score": share,
                    "box": {"type": "array", "items": {"type": "number"}},
                },
            },
            "description": "What a detector of objects found.",
        },
        "log_probability": {
            "type": ["number", "null"],
            "maximum": 0,
            "description": "Mean log-probability of a text's tokens; its exponential is the confidence.",
        },
        "payload": {"description": "Text, an image as data or URL, or any JSON: what a labeler is shown."},
    }
    properties["shadow"] = {
        "anyOf": [
            {
                "type": "object",
                "required": ["prediction"],
                "properties": {name: properties[name] for name in ("prediction", "version")},
            },
            *properties["prediction"]["anyOf"],  # type: ignore[misc] # a list
            {"type": "null"},
        ],
        "description": "What a shadow version of the model predicts.",
    }
    fields = {each.name: each for each in msgspec.structs.fields(Event)}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "https://strandline.example/event/1",
        "title": "Strandline event, version 1",
        "type": "object",
        "required": [key for key, each in fields.items() if each.required],
        "properties": {key: properties[key] for key in fields},
    }
