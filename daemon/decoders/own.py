"""Our own event: ``decoder = "strandline"``."""

from daemon.decoders.registry import ClassesOf
from daemon.events import decode
from daemon.settings import EventSettings

__all__ = ["Own", "make"]


class Own:
    """Reads our own event."""

    decode = staticmethod(decode)

    def normal(self, value: bytes) -> bytes:
        """Return the record: it is kept as it came."""
        return value


def make(settings: EventSettings, _classes_of: ClassesOf) -> Own:
    """Return the decoder; there is nothing to set."""
    if settings.fields:
        raise ValueError('fields are for decoder = "json"; our own event has its own names')
    return Own()
