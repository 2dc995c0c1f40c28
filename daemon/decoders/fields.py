"""Which of our fields stands where in a foreign record: ``[events.fields]`` of the configuration, checked."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from daemon.decoders.paths import Step, parse_path
from daemon.decoders.shape import overlap
from daemon.events import Event

__all__ = ["Fields", "parse_fields"]

_NAMES = tuple(each.name for each in msgspec.structs.fields(Event))
_COMPOSED = ("features", "tags")
_SAID = {"prediction", "probabilities", "objects", "confidence", "log_probability"}
_CONSTANT = ("model", "version")
# The parser's own limit: it compares keys as they stand in the record, escaped.
_NO_KEY = re.compile(r'["\\\x00-\x1f]')
_EXAMPLE = 'a path such as "request.id"'
Path = tuple[Step, ...]


@dataclass(slots=True)
class Fields:
    """Where our fields stand. ``features`` and ``tags`` hold single ones, from elsewhere than the whole object."""

    paths: dict[str, Path] = field(default_factory=dict)
    constants: dict[str, str] = field(default_factory=dict)
    features: dict[str, Path] = field(default_factory=dict)
    tags: dict[str, Path] = field(default_factory=dict)
    fixed_tags: dict[str, str] = field(default_factory=dict)


def parse_fields(table: Mapping[str, object]) -> Fields:
    """Return what the table says.

    Raises
    ------
    ValueError
        It cannot be meant so; the message names the field and what was expected.
    """
    fields = Fields()
    for key, value in _flat(table):
        name, dot, single = key.partition(".")
        if name not in _NAMES or (dot and (name not in _COMPOSED or not single)):
            raise ValueError(f"{key}: expected one of {', '.join(_NAMES)}, features.NAME, tags.NAME")
        if isinstance(value, str):
            _add_path(fields, name, single, _path(key, value))
        else:
            _add_constant(fields, key, name, single, value)
    _check(fields)
    return fields


def _flat(table: Mapping[str, object]) -> list[tuple[str, object]]:
    """Return the fields; what TOML reads as a table of tags or features is as if each stood there by its full name."""
    found: list[tuple[str, object]] = []
    for key, value in table.items():
        if key in _COMPOSED and isinstance(value, Mapping):
            found += ((f"{key}.{name}", each) for name, each in value.items())
        else:
            found.append((key, value))
    return found


def _path(key: str, text: str) -> Path:
    try:
        path = parse_path(text)
    except ValueError as error:
        raise ValueError(f"{key}: {error}") from error
    if any(isinstance(step, str) and _NO_KEY.search(step) for step in path):
        raise ValueError(f"{key}: keys with quotes, backslashes or control characters cannot be mapped: {text!r}")
    if not path and key not in {"payload", "features"}:
        raise ValueError(f"{key}: the whole record can be the payload or the features, nothing else")
    return path


def _add_path(fields: Fields, name: str, single: str, path: Path) -> None:
    if single:
        (fields.tags if name == "tags" else fields.features)[single] = path
    else:
        fields.paths[name] = path


def _add_constant(fields: Fields, key: str, name: str, single: str, value: object) -> None:
    constant = value.get("value") if isinstance(value, Mapping) and set(value) == {"value"} else None
    may_be = name in _CONSTANT or (name == "tags" and single)
    if not may_be or not isinstance(constant, str) or (name == "model" and not constant):
        also = ' or { value = "text" }, the same for all records' if may_be else ""
        raise ValueError(f"{key} = {value!r}: expected {_EXAMPLE}{also}")
    if single:
        fields.fixed_tags[single] = constant
    else:
        fields.constants[name] = constant


def _check(fields: Fields) -> None:
    given = {**fields.paths, **fields.constants}
    if "time" not in given:
        raise ValueError(f"time: expected {_EXAMPLE}")
    if "model" not in given:
        raise ValueError(f'model: expected {_EXAMPLE}, or {{ value = "name" }} if all records are of one model')
    if not _SAID & given.keys():
        raise ValueError(
            "prediction: expected a path, or one for probabilities (the highest is then the prediction), objects, "
            "confidence or log_probability"
        )
    _check_shape([*fields.paths.values(), *fields.features.values(), *fields.tags.values()])


def _check_shape(paths: Sequence[Path]) -> None:
    """Check that no place is an object to one path and an array to another."""
    for one in paths:
        for other in paths:
            for at, (first, second) in enumerate(zip(one, other, strict=False)):
                if type(first) is not type(second) and overlap(one[:at], other[:at]):
                    raise ValueError(
                        f"{first!r} and {second!r} at the same place: an object has keys, an array positions"
                    )
