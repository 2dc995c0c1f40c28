"""The event of an item, for a labeler: as it was stored, or read from Kafka if only its place was kept."""

from daemon.decoders.registry import Decoders
from daemon.events import Rejected
from daemon.kafka_clients import KafkaUnavailable
from daemon.keeping import Keeping
from daemon.rereading import RecordReader
from daemon.settings import Settings
from sinks.ledger import Partition
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
        event = _read(settings, keeping, item.model, (item.topic, item.partition), item.offset)
    except (_Gone, Rejected, KafkaUnavailable) as error:
        return None, _why(error, place, item)
    return event, "" if event is not None else _NOT_KEPT


def _why(error: Exception, place: str, item: Item) -> str:
    if isinstance(error, _Gone):
        return f"Kafka no longer has the event: {place} is gone"
    if isinstance(error, Rejected):
        return f"the record at {place} is no event under the present configuration: {error}"
    return f"{error} The event lies in {place}; try again with: strandline queue show {item.id}"


class _Gone(Exception):
    """There is no such record any more."""


def _read(settings: Settings, keeping: Keeping, model: str, partition: Partition, offset: int) -> bytes | None:
    """Return the event that lies there as it may be shown; None if it may not be."""
    with RecordReader(settings) as records:
        for record in records.read(partition, offset, offset):
            if record.value is None:
                return None
            return keeping.shown(model, Decoders(settings).of(partition[0]).normal(record.value))
    raise _Gone
