"""Fields straight into slots: a class made for the features that are wanted, and what it reads as columns.

So an event costs the same however much else is in it.
"""

import math
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from daemon.events import MAX_NAME
from daemon.repeated import distinct
from detectors.columns import Categories

__all__ = [
    "FIRST_BYTES",
    "NULL_BYTE",
    "FieldColumns",
    "Slots",
    "Tags",
    "can_have_slot",
    "is_given",
    "joined",
    "members",
]

FIRST_BYTES = {**dict.fromkeys(b"-0123456789", "number"), ord('"'): "text", ord("t"): "boolean", ord("f"): "boolean"}
"""The type of a value of JSON by its first byte; others are neither of them."""
NULL_BYTE = ord("n")
_CHUNK = 500
"""Events whose objects fit into the processor's cache together."""
_NAN = math.nan
_AS_RAW = msgspec.json.Decoder(dict[str, msgspec.Raw])
_NUMBER = msgspec.json.Decoder(float)
_TEXT = msgspec.json.Decoder(str | bool)
_BOOLEANS = {True: "true", False: "false"}

Tags = Mapping[str, str] | None
_Value = float | str | bool | None
_Row = tuple[_Value, ...]


@dataclass(frozen=True, slots=True)
class FieldColumns:
    """Some fields of n events. ``numbers``: float64 [n, numbers], NaN where there is none.

    ``texts``, ``tags``: a column each. ``wrong``: by the feature's name, bool [n], where its value is of another type.
    """

    numbers: NDArray[np.float64]
    texts: Sequence[Categories]
    tags: Sequence[Categories]
    wrong: Mapping[str, NDArray[np.bool_]]

    def __len__(self) -> int:
        return len(self.numbers)

    def take(self, rows: NDArray[np.intp]) -> "FieldColumns":
        """Return those of some events."""
        return FieldColumns(
            self.numbers[rows],
            [each.take(rows) for each in self.texts],
            [each.take(rows) for each in self.tags],
            {name: wrong[rows] for name, wrong in self.wrong.items()},
        )


class Slots:
    """A slot for each feature by its name, ``numbers`` and then ``texts``, which may be booleans, too; and ``tags``.

    ``type``: the class with a slot for each feature. What an event does not have is NaN or None in it.
    """

    def __init__(self, numbers: Sequence[str], texts: Sequence[str], tags: Sequence[str]) -> None:
        self.numbers, self.texts, self.tags = tuple(numbers), tuple(texts), tuple(tags)
        names = (*numbers, *texts)
        slots: list[tuple[str, object, object]] = [
            *((f"f{at}", float | None, _NAN) for at in range(len(numbers))),
            *((f"f{at}", str | bool | None, None) for at in range(len(numbers), len(names))),
        ]
        rename = {f"f{at}": name for at, name in enumerate(names)}
        self.type: type[msgspec.Struct] = msgspec.defstruct("Features", slots, rename=rename, gc=False)
        self._none: _Row = msgspec.structs.astuple(self.type())
        self._decode = msgspec.json.Decoder(self.type | None).decode
        self._pack = struct.Struct(f"{len(numbers)}d").pack

    @property
    def features(self) -> int:
        """How many features have a slot."""
        return len(self.numbers) + len(self.texts)

    def columns(self, found: Sequence[msgspec.Struct | None], tags: Sequence[Tags]) -> FieldColumns:
        """Return the fields of events: features as an instance of ``type``, or None, and tags."""
        return self._columns(self._rows(found), tags, {})

    def read(self, features: Sequence[msgspec.Raw | None], tags: Sequence[Tags]) -> FieldColumns:
        """Return the fields of events: features as a JSON object, null or None, and tags."""
        pieces = [
            self._read(features[start : start + _CHUNK], tags[start : start + _CHUNK])
            for start in range(0, len(features), _CHUNK)
        ]
        return joined(pieces) if pieces else self._columns([], [], {})

    def pick(self, columns: FieldColumns, wanted: "Slots") -> FieldColumns | None:
        """Return of ``columns``, which are of these slots, those that ``wanted`` has; None if not all are there."""
        if (wanted.numbers, wanted.texts, wanted.tags) == (self.numbers, self.texts, self.tags):
            # Nearly always: nothing has to be copied.
            return columns
        if not self.covers(wanted):
            return None
        return FieldColumns(
            columns.numbers[:, [self.numbers.index(name) for name in wanted.numbers]],
            [columns.texts[self.texts.index(name)] for name in wanted.texts],
            [columns.tags[self.tags.index(name)] for name in wanted.tags],
            {name: wrong for name, wrong in columns.wrong.items() if name in wanted.numbers or name in wanted.texts},
        )

    def covers(self, wanted: "Slots") -> bool:
        """Say whether these have all that ``wanted`` has."""
        return (
            set(wanted.numbers) <= set(self.numbers)
            and set(wanted.texts) <= set(self.texts)
            and set(wanted.tags) <= set(self.tags)
        )

    def _read(self, features: Sequence[msgspec.Raw | None], tags: Sequence[Tags]) -> FieldColumns:
        if not self.features:
            return self._columns([()] * len(features), tags, {})
        decode = self._decode
        try:
            return self._columns(self._rows([None if raw is None else decode(raw) for raw in features]), tags, {})
        except msgspec.MsgspecError:
            # Somewhere there is a value of another type.
            faults: dict[str, list[int]] = {}
            return self._columns([self._carefully(raw, at, faults) for at, raw in enumerate(features)], tags, faults)

    def _rows(self, found: Sequence[msgspec.Struct | None]) -> list[_Row]:
        astuple, none = msgspec.structs.astuple, self._none
        return [none if each is None else astuple(each) for each in found]

    def _columns(self, rows: Sequence[_Row], tags: Sequence[Tags], faults: Mapping[str, Sequence[int]]) -> FieldColumns:
        split, pack = len(self.numbers), self._pack
        try:
            packed = [pack(*row[:split]) for row in rows] if self.texts else [pack(*row) for row in rows]
        except struct.error:
            # Somewhere there is a null.
            packed = [pack(*(_NAN if each is None else each for each in row[:split])) for row in rows]
        return FieldColumns(
            np.frombuffer(b"".join(packed), dtype=np.float64).reshape(len(rows), split),
            [_categories([row[at] for row in rows]) for at in range(split, self.features)],  # type: ignore[misc] # no numbers
            [_categories([None if each is None else each.get(name) for each in tags]) for name in self.tags],
            {name: np.isin(np.arange(len(rows)), found) for name, found in faults.items()},
        )

    def _carefully(self, raw: msgspec.Raw | None, at: int, faults: dict[str, list[int]]) -> _Row:
        """Return the values of one event, whatever is in it."""
        found = members(raw)
        values: list[_Value] = []
        for names, decode, types, missing in (
            (self.numbers, _NUMBER.decode, ("number",), _NAN),
            (self.texts, _TEXT.decode, ("text", "boolean"), None),
        ):
            for name in names:
                value: _Value = missing
                text = found.get(name)
                if text is not None and (first := memoryview(text)[0]) != NULL_BYTE:
                    if FIRST_BYTES.get(first) in types:
                        value = _value(decode, text, missing)
                    else:
                        faults.setdefault(name, []).append(at)
                values.append(value)
        return tuple(values)


def joined(pieces: Sequence[FieldColumns]) -> FieldColumns:
    """Return the events of several, one after the other. There must be one; all are of the same slots."""
    if len(pieces) == 1:
        return pieces[0]
    wrong = {
        name: np.concatenate([each.wrong.get(name, np.zeros(len(each), dtype=np.bool_)) for each in pieces])
        for name in {name for each in pieces for name in each.wrong}
    }
    return FieldColumns(
        np.concatenate([each.numbers for each in pieces]),
        [_joined(parts) for parts in zip(*(each.texts for each in pieces), strict=True)],
        [_joined(parts) for parts in zip(*(each.tags for each in pieces), strict=True)],
        wrong,
    )


def is_given(raw: msgspec.Raw) -> bool:
    """Say whether something was given: it is not null."""
    return memoryview(raw)[0] != NULL_BYTE


def members(raw: msgspec.Raw | None) -> Mapping[str, msgspec.Raw]:
    """Return the members of a JSON object, each as JSON; none of null and None."""
    if raw is None or not is_given(raw):
        return {}
    return _AS_RAW.decode(raw)


def _value(decode: Callable[[msgspec.Raw], float | str | bool], raw: msgspec.Raw, missing: float | None) -> _Value:
    """Return a value of the right type; a number beyond double precision as if it were missing."""
    try:
        return decode(raw)
    except msgspec.MsgspecError:
        return missing


def _categories(values: Sequence[str | bool | None]) -> Categories:
    names: dict[str, int] = {}
    code_of: dict[str | bool | None, int] = {None: -1}
    for value in distinct(values):
        if value is not None:
            name = _kept(value) if isinstance(value, str) else _BOOLEANS[value]
            code_of[value] = names.setdefault(name, len(names))
    return Categories(np.fromiter(map(code_of.__getitem__, values), np.int64, len(values)), tuple(names))


def _kept(text: str) -> str:
    return text[:MAX_NAME].replace("\x00", "\ufffd")


def _joined(parts: Sequence[Categories]) -> Categories:
    names: dict[str, int] = {}
    codes = []
    for part in parts:
        table = np.array([*(names.setdefault(name, len(names)) for name in part.names), -1], dtype=np.int64)
        codes.append(table[part.codes])
    return Categories(np.concatenate(codes), tuple(names))


def can_have_slot(name: str) -> bool:
    """Say whether msgspec takes ``name`` for a key: it refuses what JSON has to escape."""
    return name.isprintable() and '"' not in name and "\\" not in name
