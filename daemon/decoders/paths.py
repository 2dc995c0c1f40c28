"""Paths into a JSON document: ``request.items[0]."user.name"``; ``$`` is the whole of it."""

import json
import re
from collections.abc import Sequence

__all__ = ["WHOLE", "Step", "find", "parse_path", "show_path"]

Step = str | int
WHOLE = "$"
"""The path of the whole record."""
MAX_INDEX = 9999
_BARE = r"[^.\[\]\"\s]+"
_KEY = re.compile(rf'(?P<bare>{_BARE})|(?P<quoted>"(?:[^"\\]|\\.)*")')
_INDEX = re.compile(r"\[(\d+)\]")
_PLAIN = re.compile(_BARE)


def parse_path(text: str) -> tuple[Step, ...]:
    """Return the steps of a path: texts are keys, integers are positions in arrays.

    Keys are parted by dots; one with a dot, a bracket, a blank or a quote in it is quoted as in JSON.

    Raises
    ------
    ValueError
        It is none; the message says where, and what was expected.
    """
    if text == WHOLE:
        return ()
    steps: list[Step] = []
    position = 0
    while position < len(text) or not steps:
        key = None
        if not steps or text[position] == ".":
            position += bool(steps)
            key = _KEY.match(text, position)
        found = key or (_INDEX.match(text, position) if steps else None)
        if found is None:
            raise ValueError(_fault(text, position))
        if key is None:
            steps.append(int(found[1]))
        else:
            steps.append(key["bare"] or _unquoted(text, key["quoted"]))
        position = found.end()
    if any(isinstance(step, int) and step > MAX_INDEX for step in steps):
        raise ValueError(f"the path {text!r}: positions go from 0 to {MAX_INDEX}")
    return tuple(steps)


def _unquoted(text: str, quoted: str) -> str:
    try:
        return str(json.loads(quoted))
    except ValueError as error:
        raise ValueError(f"the path {text!r}: {quoted} is no text as JSON has it") from error


def _fault(text: str, position: int) -> str:
    found = f"{text[position:][:20]!r} at character {position + 1}" if position < len(text) else "its end"
    return f'the path {text!r}: expected keys such as request.items[0]."user.name", found {found}'


def show_path(steps: Sequence[Step]) -> str:
    """Return the text of a path."""
    shown = ""
    for step in steps:
        if isinstance(step, int):
            shown += f"[{step}]"
        else:
            plain = _PLAIN.fullmatch(step) and step != WHOLE
            shown += ("." if shown else "") + (step if plain else json.dumps(step, ensure_ascii=False))
    return shown or WHOLE


def find(tree: object, steps: Sequence[Step]) -> object:
    """Return what a path leads to in a decoded document; None if it leads nowhere."""
    for step in steps:
        if isinstance(step, str):
            tree = tree.get(step) if isinstance(tree, dict) else None
        else:
            tree = tree[step] if isinstance(tree, list) and step < len(tree) else None
    return tree
