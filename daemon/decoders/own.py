"""Our own event: ``decoder = "strandline"``."""

from collections.abc import Sequence

from daemon.decoders.many import read_many
from daemon.decoders.registry import ClassesOf
from daemon.events import Event, decode, parse
from daemon.settings import EventSettings

__all__ = ["Own", "make"]


class Own:
    """Reads our own event."""

    decode = staticmethod(decode)

    def decode_many(self, values: Sequence[bytes]) -> list[Event] | None:
        """See ManyDecoder."""
        return read_many(parse, values)

    def normal(self, value: bytes) -> bytes:
        """Return the record: it is kept as it came."""
        return value


def make(_settings: EventSettings, _classes_of: ClassesOf) -> Own:
    """Return the decoder; there is nothing to set."""
    return Own()
