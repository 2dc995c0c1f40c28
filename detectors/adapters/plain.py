"""What an object of another library remembers, as plain values that JSON can hold; and back.

No pickle: what is read from a database must not be able to run anything, and must survive another Python.
"""

from collections import deque
from collections.abc import Mapping
from types import FunctionType, MethodType
from typing import Any

import numpy as np

__all__ = ["NotPlainError", "Tree", "overlay", "plain"]

Tree = Any
"""None, numbers, texts, and lists and dictionaries of them."""


# An object that can be called may be a state, too.
_METHODS = (FunctionType, MethodType)


class NotPlainError(TypeError):
    """An object holds something that is not made of plain values."""


def plain(value: object) -> Tree:
    """Return the state of an object as plain values: its attributes, without its methods.

    Raises
    ------
    NotPlainError
        Some of it is neither a plain value nor an object with attributes.
    """
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple | deque):
        return [plain(each) for each in value]
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if _is_generator(value):
        return plain(value.getstate())  # type: ignore[attr-defined] # as was just asked
    attributes = getattr(value, "__dict__", None)
    if attributes is None:
        raise NotPlainError(f"{type(value).__module__}.{type(value).__qualname__}")
    return {name: plain(each) for name, each in attributes.items() if not isinstance(each, _METHODS)}


def overlay(fresh: object, saved: Tree) -> Any:
    """Return ``fresh``, an object as it was made, with the state that :func:`plain` saved of one made alike."""
    if isinstance(fresh, list | tuple | deque):
        return deque(saved, fresh.maxlen) if isinstance(fresh, deque) else type(fresh)(saved)
    if _is_generator(fresh):
        version, words, rest = saved
        fresh.setstate((version, tuple(words), rest))  # type: ignore[attr-defined] # as was just asked
        return fresh
    if fresh is None or isinstance(fresh, bool | int | float | str | np.generic | Mapping):
        return saved
    for name, each in saved.items():
        setattr(fresh, name, overlay(getattr(fresh, name), each))
    return fresh


def _is_generator(value: object) -> bool:
    """Tell whether a value is a ``random.Random``."""
    return hasattr(value, "getstate") and hasattr(value, "setstate")
