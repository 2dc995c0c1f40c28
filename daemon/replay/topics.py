"""Histories in Kafka: a partition of a topic, from its oldest record to the end that it has when the replay begins."""

from collections.abc import Iterator
from pathlib import Path

from daemon.records import Record
from daemon.replay.chunks import CHUNK_BYTES, Chunk, first_us, write_records
from daemon.rereading import RecordReader
from daemon.settings import Settings
from sinks.errors import NotFound

__all__ = ["TopicStream", "partitions_of"]


def partitions_of(settings: Settings, topic: str) -> list[tuple[int, int, int]]:
    """Return number, oldest offset and end of each partition that holds anything.

    Raises
    ------
    KafkaUnavailable
        It does not answer.
    NotFound
        There is no such topic.
    """
    found = []
    with RecordReader(settings) as reader:
        number = 0
        while (bounds := reader.bounds((topic, number))) is not None:
            found.append((number, *bounds))
            number += 1
    if not found:
        raise NotFound(f"the topic {topic!r}")
    return [each for each in found if each[1] < each[2]]


class TopicStream:
    """The records of a partition before the offset ``end``; ``spool``: where they are laid out to be folded."""

    def __init__(self, number: int, settings: Settings, topic: str, partition: int, end: int, spool: Path) -> None:
        self.number = number
        self.name = f"{topic}/{partition}"
        self.size: int | None = end
        self._settings = settings
        self._place = topic, partition
        self._spool = spool

    def first_us(self) -> int:
        """Return the event time of its first event; NEVER if none of the first records is one."""
        return first_us(self._settings, self.chunks(0))

    def chunks(self, at: int) -> Iterator[Chunk]:
        """Yield what lies from the offset ``at`` on, in order; raises KafkaUnavailable."""
        some: list[Record] = []
        held = 0
        with RecordReader(self._settings) as reader:
            for record in reader.read(self._place, at, (self.size or 0) - 1):
                some.append(record)
                held += len(record.value or b"")
                if held >= CHUNK_BYTES:
                    yield self._laid_out(some)
                    some, held = [], 0
        if some:
            yield self._laid_out(some)

    def _laid_out(self, records: list[Record]) -> Chunk:
        first, after = records[0].offset, records[-1].offset + 1
        path = self._spool / f"{self.number}-{first}.records"
        write_records(path, records)
        return Chunk(self.number, self._place[0], path, 0, path.stat().st_size, first, after)
