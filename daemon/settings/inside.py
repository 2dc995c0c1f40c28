"""Faults inside a table that is open to any name: each is told with its own place."""

from collections.abc import Iterable

from pydantic import ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

__all__ = ["INSIDE", "inside"]

INSIDE = "inside_of_a_table"
"""The type of a fault that lies below a key whose table is open to any name."""


def inside(key: str, faults: Iterable[tuple[tuple[str, ...], str]]) -> ValidationError:
    """Return what is wrong below ``key`` as pydantic tells it: of each fault the names that lead to it, and a text."""
    details = [
        InitErrorDetails(type=PydanticCustomError(INSIDE, "{text}", {"text": text}), loc=names, input=None)
        for names, text in faults
    ]
    return ValidationError.from_exception_data(key, details)
