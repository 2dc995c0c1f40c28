"""What is shown on a terminal while something takes long; nothing where nobody looks."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn

__all__ = ["working"]

_T = TypeVar("_T")


@contextmanager
def working(what: str, total: int) -> Iterator[Callable[[_T], _T]]:
    """Show a bar on standard error; yields a function that moves it by one and returns what it is given."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(what, total=total)

        def advance(value: _T) -> _T:
            progress.advance(task)
            return value

        yield advance
