"""Our own event: ``decoder = "strandline"``."""

from collections.abc import Mapping, Sequence

import msgspec

from daemon.decoders.many import read_many
from daemon.decoders.registry import ClassesOf
from daemon.events import Event, decode, parse
from daemon.expected import Expected
from daemon.settings import EventSettings

__all__ = ["Own", "make"]


class Own:
    """Reads our own event."""

    decode = staticmethod(decode)

    def __init__(self) -> None:
        self._expected: Expected | None = None
        self._parse = parse

    def decode_many(self, values: Sequence[bytes], expected: Expected | None) -> list[Event] | None:
        """See ManyDecoder."""
        if expected is None:
            return read_many(parse, values)
        if expected is not self._expected:
            self._expected, self._parse = expected, msgspec.json.Decoder(_with_types(expected.types)).decode
        return read_many(self._parse, values, expected)

    def normal(self, value: bytes) -> bytes:
        """Return the record: it is kept as it came."""
        return value


def _with_types(types: Mapping[str, object]) -> type[Event]:
    """Return the class of events whose fields have these types."""
    made: type[Event] = msgspec.defstruct(  # type: ignore[assignment] # its base tells what it is
        "ExpectedEvent", [(name, type_, None) for name, type_ in types.items()], bases=(Event,), gc=False
    )
    return made


def make(_settings: EventSettings, _classes_of: ClassesOf) -> Own:
    """Return the decoder; there is nothing to set."""
    return Own()
