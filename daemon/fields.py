"""The fields of events as columns: features, tags, and what an event says in numbers.

Only what a layout counts is read, straight into the slots of a class made for it; so an event costs the same
however much else is in it. In a few events, chosen by their hashes, all fields are looked at, so that new ones
are noticed.
"""

import math
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import msgspec
import numpy as np
from numpy.typing import NDArray

from daemon.buffer import Batch
from daemon.events import MAX_NAME
from daemon.kinds import OWN_FIELDS, Own
from detectors.categories import CategoryBlock
from detectors.columns import DRAWS, Categories, Columns, Sightings
from detectors.layout import Layout
from detectors.numbers import NumberBlock

__all__ = ["FEATURES", "TAGS", "FieldReader", "Fields"]

FEATURES, TAGS = "features.", "tags."
_CHUNK = 500
"""Events whose objects fit into the processor's cache together."""
_LABELS_KEPT = 10_000
_LOOK_MASK, _LEARN_MASK = np.uint64(63), np.uint64(3)
"""One event in 64 is looked at as a whole, one in four while the fields are being learnt."""
_SAMPLE = DRAWS.index("sample")
_NAN = math.nan
_NOTHING = msgspec.Raw(b"{}")
_TYPES = {**dict.fromkeys(b"-0123456789", "number"), ord('"'): "text", ord("t"): "boolean", ord("f"): "boolean"}
_NULL = ord("n")
_AS_RAW = msgspec.json.Decoder(dict[str, msgspec.Raw])
_NUMBER = msgspec.json.Decoder(float)
_TEXT = msgspec.json.Decoder(str | bool)

_Values = tuple[float | str | bool | None, ...]
Fields = tuple[dict[str, NDArray[np.float64]], dict[str, Categories], dict[str, NDArray[np.bool_]], Sightings]
"""Numbers, texts, wrong and sightings, as in Columns."""


class FieldReader:
    """Reads the fields that ``layout`` counts. ``ignored``: paths that are never looked at, with all below them.

    ``everything``: look at all events as a whole.
    """

    def __init__(self, layout: Layout, *, ignored: frozenset[str] = frozenset(), everything: bool = False) -> None:
        self._ignored = ignored
        numbers = [spec.field for spec in layout.blocks_of(NumberBlock.kind) if self._may_be_seen(spec.field)]
        texts = [spec.field for spec in layout.blocks_of(CategoryBlock.kind) if self._may_be_seen(spec.field)]
        self._numbers = [path for path in numbers if path.startswith(FEATURES)]
        self._texts = [path for path in texts if path.startswith(FEATURES)]
        self._own = [path for path in numbers if path in OWN_FIELDS]
        self._tags = [path for path in texts if path.startswith(TAGS)]
        self._mask = np.uint64(0) if everything else _LEARN_MASK if layout.sample_size else _LOOK_MASK
        self._decoder = msgspec.json.Decoder(_slots(self._numbers, self._texts))
        # Features come again and again, with values that begin with one of a dozen bytes.
        self._feature_labels: dict[tuple[str, int], str] = {}
        self._pack = struct.Struct(f"{len(self._numbers)}d").pack

    def columns(self, batch: Batch, rows: NDArray[np.intp]) -> Columns:
        """Return the events at ``rows`` of ``batch``, in ascending order, with their fields."""
        if len(rows) == len(batch.ids):
            # Nearly always it is all of them.
            columns, features, tags, own = batch.columns, batch.features, batch.tags, batch.own
        else:
            wanted = rows.tolist()
            columns = batch.columns.take(rows)
            features, tags, own = ([each[row] for row in wanted] for each in (batch.features, batch.tags, batch.own))
        numbers, texts, wrong, sightings = self.read(features, tags, own, columns.hashes)
        return replace(columns, numbers=numbers, texts=texts, wrong=wrong, sightings=sightings)

    def read(
        self,
        features: Sequence[msgspec.Raw | None],
        tags: Sequence[Mapping[str, str] | None],
        own: Sequence[Own | None],
        hashes: NDArray[np.uint64],
    ) -> Fields:
        """Return the fields of n events, each given by its features as JSON, its tags, its numbers, and its draws."""
        numbers, texts, wrong = self._read_features(features)
        for path in self._own:
            at = OWN_FIELDS.index(path)
            numbers[path] = np.array([_NAN if each is None else each[at] for each in own], dtype=np.float64)
        for path in self._tags:
            key = path.removeprefix(TAGS)
            texts[path] = _categories([None if each is None else each.get(key) for each in tags])
        return numbers, texts, wrong, self._look(features, tags, own, hashes)

    def _read_features(
        self, features: Sequence[msgspec.Raw | None]
    ) -> tuple[dict[str, NDArray[np.float64]], dict[str, Categories], dict[str, NDArray[np.bool_]]]:
        count, split = len(features), len(self._numbers)
        if not split and not self._texts:
            return {}, {}, {}
        packed: list[bytes] = []
        columns: list[list[str | bool | None]] = [[] for _ in self._texts]
        faults: dict[str, list[int]] = {}
        for start in range(0, count, _CHUNK):
            chunk = features[start : start + _CHUNK]
            rows = self._rows(chunk, start, faults)
            try:
                packed += [self._pack(*row[:split]) for row in rows] if columns else [self._pack(*row) for row in rows]
            except struct.error:
                # Somewhere there is a null.
                del packed[start:]
                packed += [self._pack(*(_NAN if each is None else each for each in row[:split])) for row in rows]
            for position, column in enumerate(columns, start=split):
                column += [row[position] for row in rows]  # type: ignore[misc] # a slot of text holds no number
        matrix = np.frombuffer(b"".join(packed), dtype=np.float64).reshape(count, split)
        wrong = {path: np.zeros(count, dtype=np.bool_) for path in faults}
        for path, found in faults.items():
            wrong[path][found] = True
        return (
            {path: np.ascontiguousarray(matrix[:, position]) for position, path in enumerate(self._numbers)},
            {path: _categories(column) for path, column in zip(self._texts, columns, strict=True)},
            wrong,
        )

    def _rows(self, chunk: Sequence[msgspec.Raw | None], start: int, faults: dict[str, list[int]]) -> list[_Values]:
        decode, astuple = self._decoder.decode, msgspec.structs.astuple
        try:
            return [astuple(decode(_NOTHING if raw is None else raw)) for raw in chunk]
        except msgspec.MsgspecError:
            # Somewhere there is a value of another type.
            return [self._carefully(raw, at, faults) for at, raw in enumerate(chunk, start)]

    def _carefully(self, raw: msgspec.Raw | None, at: int, faults: dict[str, list[int]]) -> _Values:
        """Return the values of one event, whatever is in it."""
        fields = _fields_of(raw)
        values: list[float | str | bool | None] = []
        for paths, decoder, types in ((self._numbers, _NUMBER, ("number",)), (self._texts, _TEXT, ("text", "boolean"))):
            for path in paths:
                found = fields.get(path.removeprefix(FEATURES))
                value: float | str | bool | None = None
                if found is not None and (first := memoryview(found)[0]) != _NULL:
                    if _TYPES.get(first) in types:
                        value = _value(decoder.decode, found)
                    else:
                        faults.setdefault(path, []).append(at)
                values.append(value)
        return tuple(values)

    def _label_of(self, name: str, first: int) -> str:
        """Return the label of a feature by its name and the first byte of its value; none if it is not watched."""
        label = "" if first == _NULL else self._watched(_TYPES.get(first, "other"), f"{FEATURES}{name}")
        if len(self._feature_labels) >= _LABELS_KEPT:
            self._feature_labels.clear()
        if len(name) <= MAX_NAME:
            self._feature_labels[name, first] = label
        return label

    def _watched(self, type_: str, path: str) -> str:
        return f"{type_} {path}" if self._may_be_seen(path) and _can_be_watched(path) else ""

    def _may_be_seen(self, path: str) -> bool:
        return path not in self._ignored and path.partition(".")[0] not in self._ignored

    def _look(
        self,
        features: Sequence[msgspec.Raw | None],
        tags: Sequence[Mapping[str, str] | None],
        own: Sequence[Own | None],
        hashes: NDArray[np.uint64],
    ) -> Sightings:
        """Return which fields there are in the events whose lowest bits choose them; the highest choose the sample."""
        looked = hashes[:, _SAMPLE] & self._mask == 0
        rows: list[int] = []
        codes: list[int] = []
        labels: dict[str, int] = {}
        for row in np.flatnonzero(looked).tolist():
            found = [
                self._feature_labels.get((name, memoryview(raw)[0])) or self._label_of(name, memoryview(raw)[0])
                for name, raw in _fields_of(features[row]).items()
            ]
            found += [self._watched("text", f"{TAGS}{name}") for name in tags[row] or ()]
            numbers = own[row]
            if numbers is not None:
                found += [
                    self._watched("number", path)
                    for path, value in zip(OWN_FIELDS, numbers, strict=False)
                    if not math.isnan(value)
                ]
            for label in found:
                if label:
                    rows.append(row)
                    codes.append(labels.setdefault(label, len(labels)))
        return Sightings(
            looked, np.array(rows, dtype=np.intp), Categories(np.array(codes, dtype=np.int64), tuple(labels))
        )


def _slots(numbers: Sequence[str], texts: Sequence[str]) -> type[msgspec.Struct]:
    """Return a class with a slot for each feature."""
    paths = [*numbers, *texts]
    names = {f"f{position}": path.removeprefix(FEATURES) for position, path in enumerate(paths)}
    slots: list[tuple[str, type, object]] = [
        *((f"f{position}", float | None, _NAN) for position in range(len(numbers))),  # type: ignore[list-item] # a union
        *((f"f{position}", str | bool | None, None) for position in range(len(numbers), len(paths))),  # type: ignore[list-item]
    ]
    return msgspec.defstruct("Features", slots, rename=names, gc=False)


def _fields_of(raw: msgspec.Raw | None) -> Mapping[str, msgspec.Raw]:
    if raw is None or memoryview(raw)[0] == _NULL:
        return {}
    return _AS_RAW.decode(raw)


def _value(decode: Callable[[msgspec.Raw], float | str | bool], raw: msgspec.Raw) -> float | str | bool | None:
    """Return a value of the right type; None for a number beyond double precision, as if it were missing."""
    try:
        return decode(raw)
    except msgspec.MsgspecError:
        return None


def _can_be_watched(path: str) -> bool:
    """Say whether a name can be one: the rest is noise, and would not pass through every table and class."""
    return len(path) <= MAX_NAME and path.isprintable() and '"' not in path and "\\" not in path


def _categories(values: Sequence[str | bool | None]) -> Categories:
    names: dict[str, int] = {}
    code_of: dict[str | bool | None, int] = {None: -1}
    for value in dict.fromkeys(values):
        if value is not None:
            code_of[value] = names.setdefault(value if isinstance(value, str) else _BOOLEANS[value], len(names))
    codes = np.array([code_of[value] for value in values], dtype=np.int64)
    return Categories(codes, tuple(map(_kept, names)))


_BOOLEANS = {True: "true", False: "false"}


def _kept(text: str) -> str:
    return text[:MAX_NAME].replace("\x00", "\ufffd")
