"""The interface of a route."""

from collections.abc import Mapping
from typing import Any, ClassVar, Protocol

from sinks.errors import StrandlineError

__all__ = ["DeliveryFailed", "Message", "Route"]

Message = Mapping[str, Any]
"""What :func:`sinks.messages.message` makes."""


class DeliveryFailed(StrandlineError):
    """The message was not delivered."""

    retryable: ClassVar[bool] = True


class Route(Protocol):
    """Delivers messages, one at a time; used by one thread at a time."""

    name: str

    def send(self, message: Message, *, key: str) -> None:
        """Deliver ``message``; ``key`` is the same when it is sent again, so the receiver can fold it.

        Raises
        ------
        DeliveryFailed
            It did not arrive, or there is no telling whether it did.
        """
        ...

    def close(self) -> None:
        """Give up connections."""
        ...
