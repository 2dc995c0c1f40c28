"""Which of our fields stands where in a foreign record: ``[events.fields]`` of the configuration, checked."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches

import msgspec

from daemon.decoders.paths import Step, parse_path
from daemon.decoders.shape import overlap
from daemon.events import Event

__all__ = ["BadFields", "Fields", "parse_fields"]

_NAMES = tuple(each.name for each in msgspec.structs.fields(Event))
_COMPOSED = ("features", "tags")
_SAID = {"prediction", "probabilities", "objects", "confidence", "log_probability"}
_CONSTANT = ("model", "version")
# The parser's own limit: it compares keys as they stand in the record, escaped.
_NO_KEY = re.compile(r'["\\\x00-\x1f]')
_EXAMPLE = 'a path such as "request.id"'
Path = tuple[Step, ...]
Keys = tuple[str, ...]


@dataclass(slots=True)
class Fields:
    """Where our fields stand. ``features`` and ``tags`` hold single ones, from elsewhere than the whole object."""

    paths: dict[str, Path] = field(default_factory=dict)
    constants: dict[str, str] = field(default_factory=dict)
    features: dict[str, Path] = field(default_factory=dict)
    tags: dict[str, Path] = field(default_factory=dict)
    fixed_tags: dict[str, str] = field(default_factory=dict)


class BadFields(ValueError):
    """What is wrong with a table of fields, all of it.

    ``faults``: of each the keys that lead to it in the table, and what was expected there.
    """

    def __init__(self, faults: Sequence[tuple[Keys, str]]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(f"{'.'.join(keys)}: {text}" for keys, text in faults))


def parse_fields(table: Mapping[str, object]) -> Fields:
    """Return what the table says.

    Raises
    ------
    BadFields
        It cannot be meant so.
    """
    fields = Fields()
    faults: list[tuple[Keys, str]] = []
    placed: list[tuple[Keys, Path]] = []
    for keys, value in _flat(table):
        try:
            path = _add(fields, ".".join(keys), value)
            if path is not None:
                _check_shape(placed, path)
                placed.append((keys, path))
        except ValueError as error:
            faults.append((keys, str(error)))
    faults += (((name,), f"missing; expected {wanted}") for name, wanted in _missing(table))
    if faults:
        raise BadFields(faults)
    return fields


def _flat(table: Mapping[str, object]) -> list[tuple[Keys, object]]:
    """Return the fields; what TOML reads as a table of tags or features is as if each stood there by its full name."""
    found: list[tuple[Keys, object]] = []
    for key, value in table.items():
        if key in _COMPOSED and isinstance(value, Mapping):
            found += (((key, name), each) for name, each in value.items())
        else:
            found.append(((key,), value))
    return found


def _add(fields: Fields, key: str, value: object) -> Path | None:
    """Add a field; return its path, if it has one."""
    name, dot, single = key.partition(".")
    if name not in _NAMES or (dot and (name not in _COMPOSED or not single)):
        near = get_close_matches(name, _NAMES, 1)
        hint = f"; did you mean {near[0]}?" if near and not dot else ""
        raise ValueError(f"expected one of {', '.join(_NAMES)}, features.NAME, tags.NAME{hint}")
    if not isinstance(value, str):
        _add_constant(fields, name, single, value)
        return None
    path = _path(key, value)
    if single:
        (fields.tags if name == "tags" else fields.features)[single] = path
    else:
        fields.paths[name] = path
    return path


def _path(key: str, text: str) -> Path:
    path = parse_path(text)
    if any(isinstance(step, str) and _NO_KEY.search(step) for step in path):
        raise ValueError("keys with quotes, backslashes or control characters cannot be mapped")
    if not path and key not in {"payload", "features"}:
        raise ValueError("the whole record can be the payload or the features, nothing else")
    return path


def _add_constant(fields: Fields, name: str, single: str, value: object) -> None:
    constant = value.get("value") if isinstance(value, Mapping) and set(value) == {"value"} else None
    may_be = name in _CONSTANT or (name == "tags" and single)
    if not may_be or not isinstance(constant, str) or (name == "model" and not constant):
        also = ' or { value = "text" }, the same for all records' if may_be else ""
        raise ValueError(f"expected {_EXAMPLE}{also}")
    if single:
        fields.fixed_tags[single] = constant
    else:
        fields.constants[name] = constant


def _missing(given: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Yield each field that has to be there and is not, and what was expected."""
    if "time" not in given:
        yield "time", _EXAMPLE
    if "model" not in given:
        yield "model", f'{_EXAMPLE}, or {{ value = "name" }} if all records are of one model'
    if not _SAID & given.keys():
        others = "objects, confidence or log_probability"
        yield "prediction", f"a path, or one for probabilities (the highest is then the prediction), {others}"


def _check_shape(placed: Sequence[tuple[Keys, Path]], one: Path) -> None:
    """Check that no place is an object to one path and an array to another."""
    for keys, other in placed:
        for at, (first, second) in enumerate(zip(one, other, strict=False)):
            if type(first) is not type(second) and overlap(one[:at], other[:at]):
                raise ValueError(
                    f"{first!r} here and {second!r} in {'.'.join(keys)} at the same place: "
                    "an object has keys, an array positions"
                )
