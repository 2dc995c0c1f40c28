"""Which Kafka client reads the events."""

from typing import Protocol

from daemon.settings import KafkaSettings
from daemon.source import Source
from daemon.sources.kafka_python import KafkaPythonSource
from sinks.errors import BadSettings

__all__ = ["OpenSource", "source_of"]


class OpenSource(Protocol):
    """Makes a Source.

    Raises
    ------
    BadSettings
        A certificate or key cannot be read.
    KafkaUnavailable
        No broker answered in time, or none let us in.
    """

    def __call__(self, settings: KafkaSettings, *, poll_records: int, max_event_bytes: int) -> Source:
        """``poll_records``: at most so many a poll; ``max_event_bytes``: records up to this size are no hindrance."""
        ...


def source_of(settings: KafkaSettings) -> OpenSource:
    """Return what makes a Source with the client of these settings.

    Raises
    ------
    BadSettings
        Its package is not installed.
    """
    if settings.client == "kafka-python":
        return KafkaPythonSource
    try:
        from daemon.sources.confluent import ConfluentSource  # noqa: PLC0415 - an extra: it need not be there
    except ModuleNotFoundError as error:
        needs = "the package confluent-kafka, which is not installed: pip install 'strandline[confluent]'"
        raise BadSettings(f"kafka.client = {settings.client!r} needs {needs}") from error
    return ConfluentSource
