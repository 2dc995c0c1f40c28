"""What is wrong with settings, told to a person: where it stands, what was found and what was expected."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import get_origin

from pydantic import SecretStr, ValidationError

from daemon.settings.inside import INSIDE
from daemon.settings.schema import KeyPath, dotted, expected, find, keys_of, names_in, section_in, value_at
from daemon.settings.secret import FILE
from daemon.settings.section import Section
from daemon.settings.sources import Sources

__all__ = ["faults_of"]

_OURS = "Value error, "


def faults_of(error: ValidationError, root: type[Section], sources: Sources) -> list[str]:
    """Return a line for every key that is wrong; secrets are in none of them."""
    found = [_describe(fault["loc"], fault["type"], fault["msg"], root, sources) for fault in error.errors()]
    return list(dict.fromkeys(found))


def _describe(where: KeyPath, kind: str, message: str, root: type[Section], sources: Sources) -> str:
    if not where:
        return message.removeprefix(_OURS)
    path, section, field = find(root, where)
    if field is None:
        return _line(sources, path, f": there is no such key{_hint(root, section, path)}")
    if kind == "missing":
        return _line(sources, path, ": missing")
    wanted = message.removeprefix(_OURS) if message.startswith(_OURS) else f"expected {expected(path, field)}"
    if kind == INSIDE:
        path, wanted = where, message
    if field.annotation is SecretStr:
        return _secret(sources, path, wanted)
    if section_in(field) is not None:
        # A value where a table has to be could be a secret that was put in the wrong place.
        return _line(sources, path, f": {wanted}")
    value = value_at(sources.table, path)
    return _line(sources, path, f": {wanted}" if value is None else f" = {_shown(value)}: {wanted}")


def _secret(sources: Sources, path: KeyPath, wanted: str) -> str:
    """Return the line for a secret: with the path of its file, if it is in one, and never with its value."""
    in_file = (*path[:-1], f"{path[-1]}{FILE}")
    file = value_at(sources.table, in_file)
    if file is None:
        return _line(sources, path, f": {wanted}")
    return _line(sources, in_file, f" = {_shown(file)}: {wanted}")


def _line(sources: Sources, path: KeyPath, text: str) -> str:
    place = sources.place(path)
    return f"{place}: {dotted(path)}{text}" if place else f"{dotted(path)}{text}"


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return "{…}"
    return repr(value)


def _hint(root: type[Section], section: type[Section], path: KeyPath) -> str:
    """Return what was meant perhaps: a key of the same table, or one of that name in another."""
    name = str(path[-1])
    near = [dotted((*path[:-1], each)) for each in get_close_matches(name, names_in(section), 1)]
    elsewhere = [dotted(each) for each in _everywhere(root) if each[-1] == name]
    found = (near + elsewhere)[:1]
    return f"; did you mean {found[0]}?" if found else ""


def _everywhere(root: type[Section]) -> Iterator[KeyPath]:
    """Yield every key, those of tables by name under "*"."""
    for path, field in keys_of(root):
        yield path
        inner = section_in(field)
        if inner is not None and get_origin(field.annotation) is Mapping:
            yield from ((*path, "*", *inside) for inside, _ in keys_of(inner))
