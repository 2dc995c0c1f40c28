"""What the records of each topic look like."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from daemon.settings.section import Section

__all__ = ["EventSettings", "TopicEventSettings"]


class EventSettings(Section):
    """Which decoder reads the records, and its settings: ``fields`` by paths, ``options`` of a decoder of others."""

    decoder: Annotated[str, Field(min_length=1)] = "strandline"
    fields: Mapping[str, object] = {}
    options: Mapping[str, object] = {}


class TopicEventSettings(EventSettings):
    """The same for all topics, but for those that have a table of their own."""

    topic: Mapping[str, EventSettings] = {}

    def of(self, topic: str) -> EventSettings:
        """Return what holds for a topic."""
        return self.topic.get(topic, self)
