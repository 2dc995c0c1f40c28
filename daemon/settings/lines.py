"""Where in a TOML text each key stands; tomllib does not tell."""

import tomllib
from collections import Counter
from collections.abc import Iterator

from daemon.settings.schema import KeyPath

__all__ = ["lines_of"]


def lines_of(text: str) -> dict[KeyPath, int]:
    """Return the line (from 1) of each key and table header of ``text``, which has to be valid TOML.

    Every statement of TOML begins on a line of its own, and no beginning of one is valid by itself: so the text
    falls into statements by reading lines until tomllib takes them.
    """
    found: dict[KeyPath, int] = {}
    table: KeyPath = ()
    elements: Counter[KeyPath] = Counter()
    for line, statement in _statements(text):
        keys = list(_keys(tomllib.loads(statement)))
        if statement.lstrip().startswith("["):
            table = _place(keys[-1], elements)
            if statement.lstrip().startswith("[["):
                found.setdefault(table, line)
                elements[table] += 1
                table = (*table, elements[table] - 1)
            found.setdefault(table, line)
        else:
            found.update({(*table, *key): line for key in keys})
    return found


def _statements(text: str) -> Iterator[tuple[int, str]]:
    pending = ""
    start = 1
    for number, line in enumerate(text.splitlines(keepends=True), start=1):
        pending += line
        try:
            holds_something = bool(tomllib.loads(pending))
        except tomllib.TOMLDecodeError:
            continue
        if holds_something:
            yield start, pending
        pending = ""
        start = number + 1


def _keys(value: object) -> Iterator[KeyPath]:
    """Return the path of everything inside ``value``; what is deepest comes last."""
    inside: list[tuple[str | int, object]] = []
    if isinstance(value, dict):
        inside = list(value.items())
    elif isinstance(value, list):
        inside = [(at, each) for at, each in enumerate(value) if isinstance(each, dict)]
    for key, each in inside:
        yield (key,)
        yield from ((key, *rest) for rest in _keys(each))


def _place(header: KeyPath, elements: Counter[KeyPath]) -> KeyPath:
    """Return where a table of this header goes: inside the newest element of each list of tables on the way."""
    names = [name for name in header if isinstance(name, str)]
    place: KeyPath = ()
    for at, name in enumerate(names):
        place = (*place, name)
        if at < len(names) - 1 and elements[place]:
            place = (*place, elements[place] - 1)
    return place
