"""The event of an item, for a labeler: as it was stored, or read from Kafka if only its place was kept."""

from daemon.kafka_clients import KafkaUnavailable
from daemon.keeping import Keeping
from daemon.records import Records
from daemon.settings import Settings
from sinks.queue import Item

__all__ = ["event_of"]

_NOT_KEPT = "the event itself was not kept"


def event_of(settings: Settings, item: Item) -> tuple[bytes | None, str]:
    """Return the item's event, or None and why there is none to show."""
    if item.event is not None:
        return item.event, ""
    keeping = Keeping(settings)
    if not keeping.by_reference(item.model):
        return None, _NOT_KEPT
    if item.topic is None or item.partition is None or item.offset is None:
        return None, "nobody knows any more where the event lies in Kafka: its candidate is gone (retention, or forget)"
    place = f"{item.topic}/{item.partition} at offset {item.offset}"
    try:
        with Records(settings) as records:
            for record in records.read((item.topic, item.partition), item.offset, item.offset):
                event = None if record.value is None else keeping.shown(item.model, record.value)
                return event, "" if event is not None else _NOT_KEPT
    except KafkaUnavailable as error:
        return None, f"{error} The event lies in {place}; try again with: strandline queue show {item.id}"
    return None, f"Kafka no longer has the event: {place} is gone"
