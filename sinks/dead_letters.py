"""Dead letters, for the operator: what could not be used, where it lies, and whether it was sent again."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from sinks.database import Connection, transaction
from sinks.errors import BadData
from sinks.statements import statement

__all__ = ["Letter", "at", "list_all", "parse_place", "sending", "topics"]

_LARGEST = 2**63


@dataclass(frozen=True, slots=True)
class Letter:
    """One event that could not be used or, where ``count`` is greater than one, those in a range of offsets.

    ``size``: bytes of them all; ``value``: the first bytes, only where one is asked for and if they were kept.
    """

    topic: str
    partition: int
    first: int
    last: int
    count: int
    reason: str
    detail: str
    size: int
    created_at: datetime
    resent_at: datetime | None
    value: bytes | None

    @property
    def place(self) -> str:
        """Where it lies, as commands take it."""
        return f"{self.topic}/{self.partition}/{self.first}" + ("" if self.first == self.last else f"-{self.last}")

    @property
    def dense(self) -> bool:
        """Whether every offset of the range may be one of these."""
        return self.count == self.last - self.first + 1


def parse_place(place: str) -> tuple[str, int, int]:
    """Return topic, partition and offset of TOPIC/PARTITION/OFFSET; of a range its first offset.

    Raises
    ------
    BadData
        It is none.
    """
    topic, *rest = place.rsplit("/", 2)
    numbers = [each.partition("-")[0] for each in rest]
    if len(numbers) != 2 or not topic or not all(each.isdecimal() and int(each) < _LARGEST for each in numbers):
        raise BadData(f"{place!r}: expected TOPIC/PARTITION/OFFSET, for example predictions/0/1234")
    if int(numbers[0]) >= 2**31:
        raise BadData(f"{place!r}: there is no such partition")
    return topic, int(numbers[0]), int(numbers[1])


def topics(connection: Connection) -> list[str]:
    """Return the topics that dead letters are from."""
    return [row[0] for row in connection.execute(statement("dead_letters", "topics"))]


def list_all(
    connection: Connection,
    *,
    topic: str | None = None,
    reason: str | None = None,
    waiting: bool = False,
    limit: int | None = None,
) -> list[Letter]:
    """Return dead letters, the newest first; ``waiting``: only those that were not sent again."""
    values = {"topic": topic, "reason": reason, "waiting": waiting, "limit": limit}
    return [Letter(*row) for row in connection.execute(statement("dead_letters", "list"), values)]


def at(connection: Connection, topic: str, partition: int, offset: int) -> list[Letter]:
    """Return what is known of an offset: the dead letter there, and ranges that it lies in."""
    return [
        Letter(*row) for row in connection.execute(statement("dead_letters", "at"), [topic, partition, offset, offset])
    ]


@contextmanager
def sending(connection: Connection, letter: Letter) -> Iterator[bool]:
    """Mark a dead letter as sent again, unless the block fails; yields whether it is ours to send.

    Somebody else who sends the same one waits for the end of this block, and then does not.
    """
    with transaction(connection):
        key = [letter.topic, letter.partition, letter.first, letter.reason, letter.resent_at]
        yield connection.execute(statement("dead_letters", "mark"), key).rowcount == 1
