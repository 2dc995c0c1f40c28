"""The outbox: messages wait here until their route has them."""

from dataclasses import dataclass

from sinks.database import Connection
from sinks.routes.route import Message
from sinks.statements import statement

__all__ = ["Letter", "claim", "delivered", "failed", "put_back"]

_ERROR_LENGTH = 500


@dataclass(frozen=True, slots=True)
class Letter:
    """A message claimed for delivery. ``attempts``: this one included."""

    id: int
    key: str
    body: Message
    attempts: int


def claim(connection: Connection, route: str, *, limit: int, lease_seconds: float) -> list[Letter]:
    """Take messages that are due on ``route``, of each incident only the first one that is undelivered."""
    values = {"route": route, "limit": limit, "seconds": lease_seconds}
    rows = connection.execute(statement("outbox", "claim"), values).fetchall()
    return sorted((Letter(*row) for row in rows), key=lambda letter: letter.id)


def delivered(connection: Connection, letter: Letter) -> None:
    """Note that the route has it."""
    connection.execute(statement("outbox", "delivered"), [letter.id])


def failed(connection: Connection, letter: Letter, *, error: str, retry_seconds: float) -> None:
    """Note why it was not delivered and when to try again."""
    # PostgreSQL's text holds no NUL, and a receiver may answer anything.
    told = error.replace("\0", "")[:_ERROR_LENGTH]
    values = {"id": letter.id, "seconds": retry_seconds, "error": told}
    connection.execute(statement("outbox", "failed"), values)


def put_back(connection: Connection, letter: Letter, *, retry_seconds: float) -> None:
    """Note that no attempt was made after all."""
    connection.execute(statement("outbox", "put_back"), {"id": letter.id, "seconds": retry_seconds})
