"""What can go wrong. One root; each class's docstring is its message; ``retryable`` says whether a retry can help."""

from typing import ClassVar

__all__ = [
    "BadData",
    "BadSettings",
    "DatabaseUnavailable",
    "Fenced",
    "LeaseLost",
    "NotFound",
    "NotPermitted",
    "Outdated",
    "StrandlineError",
    "TablesInUse",
    "WrongDatabaseVersion",
]


class StrandlineError(Exception):
    """Something went wrong in Strandline."""

    retryable: ClassVar[bool] = False
    exit_code: ClassVar[int] = 1

    def __init__(self, detail: str = "") -> None:
        self.detail = detail
        summary = (type(self).__doc__ or "").strip().splitlines()[0]
        super().__init__(f"{summary} {detail}".strip())


class BadSettings(StrandlineError):
    """The configuration is not valid."""

    exit_code = 2


class BadData(StrandlineError):
    """The data given cannot be used."""

    exit_code = 2


class NotFound(StrandlineError):
    """There is no such thing."""

    exit_code = 3


class LeaseLost(StrandlineError):
    """The lease is no longer yours: the item was claimed by somebody else or is settled."""

    exit_code = 4


class WrongDatabaseVersion(StrandlineError):
    """The database's schema is not the one this version works with."""

    exit_code = 5


class DatabaseUnavailable(StrandlineError):
    """The database does not answer."""

    retryable = True
    exit_code = 6


class NotPermitted(StrandlineError):
    """The database's role may not do this; `strandline db grants ROLE` tells the grants it needs."""

    exit_code = 6


class TablesInUse(StrandlineError):
    """The tables are in use, and nothing was changed. Stop what uses them, and try again."""

    retryable = True
    exit_code = 6


class Fenced(StrandlineError):
    """The stored position is not where this worker left it: drop what is in memory and read again from there."""

    retryable = True


class Outdated(Fenced):
    """A control record changed what the events in hand mean: drop them and read them again under it."""
