"""The decoders there are, by name, and the one of each topic."""

from collections.abc import Callable, Sequence
from importlib.metadata import entry_points
from typing import Protocol, runtime_checkable

from daemon.events import Event
from daemon.expected import Expected
from daemon.settings import EventSettings, Settings
from daemon.settings.events import DECODERS
from sinks.errors import BadSettings

__all__ = ["ClassesOf", "Decoder", "Decoders", "Make", "ManyDecoder", "decoder_of"]


class Decoder(Protocol):
    """Makes our own event of a record's bytes."""

    decode: Callable[[bytes], tuple[Event, bool]]
    """Return the event, and whether numbers that are not finite were read as missing; raises events.Rejected.

    Made with ``events.read``, what is checked of our own event is checked of this one, too.
    """

    def normal(self, value: bytes) -> bytes:
        """Return a record that ``decode`` takes as JSON of our own event: what is stored of it."""
        ...


@runtime_checkable
class ManyDecoder(Decoder, Protocol):
    """A decoder that is faster with many records at a time."""

    def decode_many(self, values: Sequence[bytes], expected: Expected | None) -> list[Event] | None:
        """Return what ``decode`` returns of each, or None if it accepts one not at all, or only loosely.

        With ``expected`` each event's features, and its probabilities, are in slots of these types; the answer is
        None, too, if one event has others, or if the decoder does not read into slots.
        """
        ...


ClassesOf = Callable[[str], tuple[str, ...]]
"""Returns the configured class names of a model."""
Make = Callable[[EventSettings, ClassesOf], Decoder]
"""Makes a decoder from its settings, as ``name = "module:make"`` of an entry point. Raises ValueError where they are
wrong."""


class Decoders:
    """The decoder of each topic, made when its first record comes."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._made: dict[str, Decoder] = {}

    def check(self) -> None:
        """Make the decoder of every topic; raises as ``of``."""
        for topic in self._settings.kafka.topics:
            self.of(topic)

    def of(self, topic: str) -> Decoder:
        """Return the decoder of a topic.

        Raises
        ------
        BadSettings
            It does not like its settings.
        """
        made = self._made.get(topic)
        if made is None:
            made = self._made[topic] = decoder_of(self._settings.events.of(topic), self._settings)
        return made


def decoder_of(events: EventSettings, settings: Settings) -> Decoder:
    """Return a decoder with these settings; raises as ``Decoders.of``."""
    make: Make = entry_points(group=DECODERS)[events.decoder].load()
    try:
        return make(events, lambda model: settings.of(model).classes)
    except ValueError as error:
        raise BadSettings(f"events: {error}") from error
