"""What is shown on a terminal while something takes long; nothing where nobody looks."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn

__all__ = ["waiting", "working"]

_T = TypeVar("_T")


def waiting(what: str) -> AbstractContextManager[object]:
    """Show on standard error that something is being done, for as long as the block lasts."""
    return Console(stderr=True).status(what)


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
