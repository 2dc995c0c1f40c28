"""What the records of each topic look like."""

from collections.abc import Mapping
from difflib import get_close_matches
from importlib.metadata import entry_points
from typing import Annotated

from pydantic import Field, ValidationInfo, field_validator

from daemon.decoders.fields import BadFields, parse_fields
from daemon.settings.inside import inside
from daemon.settings.section import Section

__all__ = ["DECODERS", "EventSettings", "TopicEventSettings"]

DECODERS = "strandline.decoders"
"""The entry points among which a decoder is looked up by its name."""


class EventSettings(Section):
    """Which decoder reads the records, and its settings: ``fields`` by paths, ``options`` of a decoder of others."""

    decoder: Annotated[str, Field(min_length=1)] = "strandline"
    fields: Annotated[Mapping[str, object], Field(validate_default=True)] = {}
    options: Mapping[str, object] = {}

    @field_validator("decoder")
    @classmethod
    def _decoder_is_installed(cls, name: str) -> str:
        known = sorted(entry_points(group=DECODERS).names)
        if name not in known:
            near = get_close_matches(name, known, 1)
            message = f"expected one of {', '.join(known)}" + (f"; did you mean {near[0]}?" if near else "")
            raise ValueError(message)
        return name

    @field_validator("fields")
    @classmethod
    def _fields_fit_the_decoder(cls, fields: Mapping[str, object], others: ValidationInfo) -> Mapping[str, object]:
        decoder = others.data.get("decoder")
        if decoder == "strandline" and fields:
            message = 'expected decoder = "json" beside them: our own event has its own names'
            raise ValueError(message)
        if decoder == "json":
            try:
                parse_fields(fields)
            except BadFields as error:
                raise inside("fields", error.faults) from error
        return fields


class TopicEventSettings(EventSettings):
    """The same for all topics, but for those that have a table of their own."""

    topic: Mapping[str, EventSettings] = {}

    def of(self, topic: str) -> EventSettings:
        """Return what holds for a topic."""
        return self.topic.get(topic, self)
