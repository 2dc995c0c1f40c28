"""SQL kept in one place: ``queries/*.sql``, each statement under a line ``-- name: …``."""

import re
from functools import cache
from importlib import resources

__all__ = ["statement"]

_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


def statement(file: str, name: str) -> bytes:
    """Return the statement ``name`` of ``queries/<file>.sql``; raises KeyError if there is none."""
    return _load(file)[name]


@cache
def _load(file: str) -> dict[str, bytes]:
    text = resources.files("sinks").joinpath("queries", f"{file}.sql").read_text(encoding="utf-8")
    pieces = _NAME.split(text)[1:]
    return {name: body.strip().encode() for name, body in zip(pieces[::2], pieces[1::2], strict=True)}
