"""Redaction: an event's JSON without the fields that must not be kept."""

import json
from collections.abc import Callable, Iterable
from hashlib import blake2b
from typing import Any

__all__ = ["Redaction", "derived_key", "keyed_hash"]

_SAFE_DIGITS = 300
"""Longer integers are beyond double precision, and Python would refuse the longest of them."""
_MISSING = object()


def derived_key(secret: str, purpose: str) -> bytes:
    """Return the key for one purpose: what one of them shows says nothing about the others."""
    return blake2b(purpose.encode(), key=secret.encode()[:64], digest_size=32).digest()


def keyed_hash(key: bytes, value: object) -> str:
    """Return 32 hexadecimal digits: the same for equal JSON values, and for nobody else to compute."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return blake2b(text.encode(), key=key, digest_size=16).hexdigest()


class Redaction:
    """Removes the fields at some paths from an event, and puts a keyed hash in the place of others.

    ``anywhere``: the paths may begin at any object in it, not only at the event itself. For what is not of the
    shape that was expected.
    """

    def __init__(self, drop: Iterable[str], hashed: Iterable[str], key: bytes, *, anywhere: bool = False) -> None:
        self._paths: dict[str, Callable[[Any], object]] = {
            path: lambda value: keyed_hash(key, value) for path in hashed
        }
        # What is to be dropped and to be hashed is dropped.
        self._paths.update(dict.fromkeys(drop, lambda _: _MISSING))
        self._anywhere = anywhere

    def redacted(self, value: bytes) -> bytes | None:
        """Return the event in ``value`` with nothing in it that must not be kept; None if it is no JSON object."""
        if not self._paths:
            return value
        try:
            tree = json.loads(value, parse_int=_integer)
        except (ValueError, RecursionError):
            return None
        if not isinstance(tree, dict):
            return None
        self._walk(tree, self._paths)
        return json.dumps(tree, separators=(",", ":")).encode()

    def _walk(self, tree: Any, paths: dict[str, Callable[[Any], object]]) -> None:
        if isinstance(tree, list):
            for each in tree:
                self._walk(each, paths)
        elif isinstance(tree, dict):
            for name in list(tree):
                replace = paths.get(name)
                if replace is not None and tree[name] is not None:
                    tree[name] = replace(tree[name])
                    if tree[name] is _MISSING:
                        del tree[name]
                    continue
                # Names may have dots in them, so a path is not cut into names beforehand.
                inner = {path[len(name) + 1 :]: how for path, how in paths.items() if path.startswith(f"{name}.")}
                if self._anywhere:
                    inner.update(self._paths)
                if inner:
                    self._walk(tree[name], inner)


def _integer(text: str) -> int | float:
    return int(text) if len(text) <= _SAFE_DIGITS else float(text)
