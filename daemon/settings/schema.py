"""What the sections say of their keys: which there are, and what each expects."""

import re
from collections.abc import Iterator, Mapping, Sequence
from types import NoneType, UnionType
from typing import Annotated, Literal, Union, get_args, get_origin

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from daemon.settings.secret import FILE
from daemon.settings.section import Section

__all__ = [
    "KeyPath",
    "dotted",
    "expected",
    "find",
    "is_text",
    "keys_of",
    "names_in",
    "section_in",
    "table_of",
    "value_at",
]

KeyPath = tuple[str | int, ...]
"""The way to a key: names of tables, positions in lists."""

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_UNITS = ("seconds", "hours", "days", "bytes", "windows", "events", "records")
_KINDS = {
    str: "a text",
    SecretStr: "a text",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    tuple[str, ...]: "a list of texts",
    tuple[tuple[float, ...], ...]: "a list of points",
    Mapping[str, object]: "a table",
}


def section_in(field: FieldInfo) -> type[Section] | None:
    """Return the section that a key holds, be it by itself, in a list or by name; None if it holds plain values."""
    for each in (field.annotation, *get_args(field.annotation)):
        if isinstance(each, type) and issubclass(each, Section):
            return each
    return None


def is_text(field: FieldInfo) -> bool:
    """Tell whether the values of a key are texts, so that one may stand without quotes."""
    return field.annotation in {str, SecretStr} or get_origin(field.annotation) is Literal


def keys_of(section: type[Section], path: KeyPath = ()) -> Iterator[tuple[KeyPath, FieldInfo]]:
    """Return every key in ``section`` and in the tables in it; lists of tables and tables by name are one key."""
    for name, field in section.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            yield from keys_of(field.annotation, (*path, name))
        else:
            yield (*path, name), field


def names_in(section: type[Section]) -> list[str]:
    """Return the names that may stand in a table, those of files with secrets among them."""
    return [*section.model_fields, *(name + FILE for name in section.secrets())]


def find(root: type[Section], path: KeyPath) -> tuple[KeyPath, type[Section], FieldInfo | None]:
    """Return as much of ``path`` as is a key, the section it is in, and its field; None if there is no such key."""
    section = root
    at = 0
    while True:
        field = section.model_fields.get(str(path[at]))
        at += 1
        inner = None if field is None else section_in(field)
        if field is None or inner is None:
            return path[:at], section, field
        if get_origin(field.annotation) is not None:
            at += 1  # the position in a list, or the name
        if at >= len(path):
            return path, section, field
        section = inner


def expected(path: KeyPath, field: FieldInfo) -> str:
    """Return what the key at ``path`` takes, in words: kind, unit, bounds."""
    origin = get_origin(field.annotation)
    if section_in(field) is not None:
        if origin is None:
            return "a table"
        if origin is tuple:
            return f"a list of tables, [[{dotted([step for step in path if isinstance(step, str)])}]]"
        if path[0] == "model":
            return 'a table: keys stand under a name, [model.NAME], or under [model."*"] for all'
        return f"a table: keys stand under a name, [{dotted(path[:2])}.NAME]"
    unit = str(path[-1]).rpartition("_")[2]
    return _kind(field.annotation, field.metadata, f" of {unit}" if unit in _UNITS else "")


def _kind(annotation: object, bounds: Sequence[object], unit: str) -> str:
    """Return a type in words; an alternative is made of several."""
    if get_origin(annotation) is Annotated:
        plain, *more = get_args(annotation)
        return _kind(plain, [*bounds, *more], unit)
    if get_origin(annotation) is Literal:
        return " or ".join(f'"{choice}"' for choice in get_args(annotation))
    if get_origin(annotation) in {Union, UnionType}:
        # None is for a key that is left out; TOML cannot say it.
        return " or ".join(_kind(each, bounds, unit) for each in get_args(annotation) if each is not NoneType)
    return next(words for each, words in _KINDS.items() if each == annotation) + unit + "".join(_bounds(bounds))


def _bounds(metadata: Sequence[object]) -> Iterator[str]:
    words = {"ge": ", at least {:,}", "gt": ", more than {:,}", "le": ", at most {:,}", "min_length": ", not empty"}
    for each in (part for given in metadata for part in getattr(given, "metadata", [given])):
        for name, text in words.items():
            if hasattr(each, name):
                yield text.format(getattr(each, name))


def dotted(path: Sequence[str | int]) -> str:
    """Return a path as TOML writes it; positions in brackets."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += ("." if text else "") + (step if _BARE.fullmatch(step) else f'"{step}"')
    return text


def table_of(path: KeyPath) -> KeyPath:
    """Return the table under whose header a key is shown: its section, its model, its place in a list of tables."""
    last = max((at for at, step in enumerate(path) if isinstance(step, int)), default=0)
    return path[:2] if path[0] == "model" else path[: last + 1]


def value_at(table: object, path: KeyPath) -> object:
    """Return what lies at ``path`` inside ``table``; None if nothing does."""
    for step in path:
        if isinstance(table, dict):
            table = table.get(step)
        elif isinstance(table, list | tuple) and isinstance(step, int) and step < len(table):
            table = table[step]
        else:
            return None
    return table
