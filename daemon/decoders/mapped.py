"""Events of another shape: any JSON object, its fields found by paths. As fast as our own event.

What ``docs/events.md`` says of bad input holds here too; it is the same code. What differs: where a foreign
producer cannot be asked for our types, some more are taken (see ``Mapped``).
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import MAXYEAR, datetime
from functools import partial
from hashlib import blake2b
from typing import Any

import msgspec

from daemon.decoders.fields import Fields, parse_fields
from daemon.decoders.many import read_many
from daemon.decoders.paths import show_path
from daemon.decoders.registry import ClassesOf
from daemon.decoders.shape import Wanted, reader
from daemon.events import NULL, Event, Rejected, parse_time, read
from daemon.expected import Expected
from daemon.settings import EventSettings

__all__ = ["Mapped", "make"]

_Scalar = str | int | float | bool | None
# By field: type, default. What our own event wants as text, others also write as numbers.
_TYPES: Mapping[str, tuple[Any, object]] = {
    "id": (str | int, None),
    "time": (str | int | float, None),
    "model": (str, None),
    "prediction": (str | float | int | bool, None),
    "version": (str | int | None, ""),
    "probabilities": (dict[str, float] | list[float] | None, None),
    "confidence": (float | None, None),
    "uncertainty": (float | None, None),
    "members": (msgspec.Raw, NULL),
    "features": (msgspec.Raw, NULL),
    "embedding": (msgspec.Raw, NULL),
    "tags": (dict[str, _Scalar] | None, None),
    "payload": (msgspec.Raw, NULL),
    "objects": (msgspec.Raw, NULL),
    "log_probability": (float | None, None),
    "shadow": (msgspec.Raw, NULL),
}
_OWN = len(_TYPES)
_TEXT_ONLY = frozenset({str})
_REQUIRED = ("id", "time", "model", "prediction")
# 1973 in microseconds, and in nanoseconds; as milliseconds the year 5138.
_MICROSECONDS_FROM = 100_000_000_000_000
_NANOSECONDS_FROM = 1000 * _MICROSECONDS_FROM
_NANOSECONDS_END = 10**21
_NUMBER = re.compile(r"[0-9]{1,20}(\.[0-9]{1,20})?")
_FIRST_YEAR = 1970
_ID_BYTES = 16
_NOWHERE = (-1,)


class Mapped:
    """Makes events of records by ``fields``; ``classes_of`` returns the class names of a model, if it has some.

    An id or a tag may be a number, a time may be in quotes, and in micro- or nanoseconds too. Without a path for
    the id, it is a digest of the record. Without a prediction, it is the class with the highest probability.
    """

    def __init__(self, fields: Fields, classes_of: Callable[[str], tuple[str, ...]]) -> None:
        self._classes_of = classes_of
        self._features = tuple(msgspec.json.encode(name) + b":" for name in fields.features)
        self._tags = tuple(fields.tags)
        self._fixed_tags = fields.fixed_tags
        self._composes = bool(fields.features or fields.tags or fields.fixed_tags)
        self._fields = fields
        self._expected: Expected | None = None
        self._read = self._read_expected = self._reader(_TYPES)
        self._time_place = f"$.{show_path(fields.paths['time'])}"
        # Without a path for them no probabilities have to be looked after.
        self.decode: Callable[[bytes], tuple[Event, bool]]
        self.decode = partial(read, self._parse, fields.paths.get("probabilities", _NOWHERE))

    def decode_many(self, values: Sequence[bytes], expected: Expected | None) -> list[Event] | None:
        """See ManyDecoder."""
        # Slots hold what stands at one place.
        if expected is not None and self._fields.features:
            return None
        if expected is not None and expected is not self._expected:
            self._expected, self._read_expected = expected, self._reader({**_TYPES, **self._expected_types(expected)})
        try:
            return read_many(self._parse if expected is None else self._parse_expected, values, expected)
        except Rejected:
            return None

    def normal(self, value: bytes) -> bytes:
        """Return the record as our own event."""
        return msgspec.json.encode(self.decode(value)[0])

    def _reader(self, types: Mapping[str, tuple[Any, object]]) -> Callable[[bytes], tuple[Any, ...]]:
        fields = self._fields
        return reader(
            [
                *(_slot(fields, name, types[name]) for name in _TYPES),
                *(Wanted(path, msgspec.Raw, NULL) for path in fields.features.values()),
                *(Wanted(path, _Scalar) for path in fields.tags.values()),
            ]
        )

    def _expected_types(self, expected: Expected) -> dict[str, tuple[Any, object]]:
        # The prediction is the first of the most probable in the order of the record, which slots do not keep.
        derived = () if "prediction" in self._fields.paths else ("probabilities",)
        return {name: (type_, None) for name, type_ in expected.types.items() if name not in derived}

    def _parse(self, value: bytes) -> Event:
        return self._event(value, self._read(value))

    def _parse_expected(self, value: bytes) -> Event:
        return self._event(value, self._read_expected(value))

    def _event(self, value: bytes, found: tuple[Any, ...]) -> Event:
        name, time, prediction = found[0], found[1], found[3]
        event = Event(*found[:_OWN] if self._composes else found)
        if isinstance(time, str) or not 0 <= time < _MICROSECONDS_FROM:
            event.time = _time(time, self._time_place)
        if type(name) is not str:
            event.id = _digest(value) if name is None else str(name)
        if prediction is None:
            event.prediction = self._most_probable(event) if event.probabilities else msgspec.UNSET
        if self._composes:
            self._compose(event, found[_OWN:])
        tags: Mapping[str, _Scalar] | None = event.tags
        if tags and not _TEXT_ONLY.issuperset(map(type, tags.values())):
            event.tags = {name: _text(tag) for name, tag in tags.items() if tag is not None}
        return event

    def _most_probable(self, event: Event) -> str | int:
        shares = event.probabilities
        assert shares, "there are some"
        if isinstance(shares, dict):
            return max(shares, key=shares.__getitem__)
        best = max(range(len(shares)), key=shares.__getitem__)
        names = self._classes_of(event.model)
        if not names:
            return best
        if len(names) != len(shares):
            detail = f"there are {len(shares)} probabilities, and {len(names)} classes"
            raise msgspec.ValidationError(f"Object missing required field `prediction`, and {detail}")
        return names[best]

    def _compose(self, event: Event, singles: tuple[Any, ...]) -> None:
        """Lay single features and tags over what the whole objects hold."""
        count = len(self._features)
        parts = [name + raw for name, raw in zip(self._features, singles[:count], strict=True) if raw is not NULL]
        if parts:
            event.features = _with_members(event.features, parts)
        if self._tags or self._fixed_tags:
            event.tags = {
                **(event.tags or {}),
                **self._fixed_tags,
                **dict(zip(self._tags, singles[count:], strict=True)),
            }


def _slot(fields: Fields, name: str, typed: tuple[Any, object]) -> object:
    type_, default = typed
    if name not in fields.paths:
        return fields.constants.get(name, default)
    required = name in _REQUIRED and not (name == "prediction" and "probabilities" in fields.paths)
    optional = name in _REQUIRED and not required
    return Wanted(fields.paths[name], type_ | None if optional else type_, default, required)


def _time(time: str | float, place: str) -> float | datetime:
    """Return a time as our own event has it: digits are a number, and one too large for milliseconds is finer."""
    if isinstance(time, str):
        if not _NUMBER.fullmatch(time):
            return _date(time, place)
        time = float(time) if "." in time else int(time)
    if _NANOSECONDS_FROM <= time < _NANOSECONDS_END:
        return time / 1_000_000_000
    if _MICROSECONDS_FROM <= time < _NANOSECONDS_FROM:
        return time / 1_000_000
    # Whoever reads the event would refuse it, too, but not tell where it stands in this record.
    parse_time(time, place)
    return time


def _date(text: str, place: str) -> datetime:
    try:
        time = msgspec.convert(text, datetime)
    except msgspec.ValidationError as error:
        raise msgspec.ValidationError(f"{error} - at `{place}`") from error
    if not _FIRST_YEAR < time.year < MAXYEAR:
        parse_time(time, place)
    return time


def _digest(value: bytes) -> str:
    return blake2b(value, digest_size=_ID_BYTES).hexdigest()


def _text(tag: str | float) -> str:
    return tag if isinstance(tag, str) else msgspec.json.encode(tag).decode()


def _with_members(features: msgspec.Raw, members: list[bytes]) -> msgspec.Raw:
    """Return a JSON object with more members; the last of a name counts."""
    whole = bytes(features).strip()
    if whole == b"null":
        whole = b"{}"
    if not whole.startswith(b"{"):
        raise msgspec.ValidationError("Expected `object | null` - at `$.features`")
    before = whole[:-1].rstrip()
    return msgspec.Raw(before + (b"" if before == b"{" else b",") + b",".join(members) + b"}")


def make(settings: EventSettings, classes_of: ClassesOf) -> Mapped:
    """Return the decoder of ``decoder = "json"``, by its fields."""
    return Mapped(parse_fields(settings.fields), classes_of)
