"""The last records of a topic, as a person wants to see them: no consumer group, no offsets kept, a bounded time."""

import time
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from daemon.kafka_clients import REQUEST_MS, KafkaUnavailable, reaching
from daemon.settings import KafkaSettings
from sinks.errors import NotFound

__all__ = ["Sampled", "follow", "sample"]

_POLL_MS = 200


@dataclass(frozen=True, slots=True)
class Sampled:
    """A record and where it lies. ``timestamp``: Kafka's, in milliseconds; -1 if there is none."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    value: bytes | None

    @property
    def source(self) -> TopicPartition:
        """The partition it lies in."""
        return TopicPartition(self.topic, self.partition)


class _Reader:
    """A consumer of all partitions of some topics, to be closed by ``with``."""

    def __init__(self, settings: KafkaSettings) -> None:
        with reaching(settings) as options:
            self.consumer = KafkaConsumer(
                **options,
                group_id=None,
                enable_auto_commit=False,
                auto_offset_reset="latest",
                isolation_level="read_committed",
                allow_auto_create_topics=False,
            )
        try:
            self.partitions = self._all_partitions(settings)
            self.consumer.assign(self.partitions)
        except BaseException:
            self.close()
            raise

    def _all_partitions(self, settings: KafkaSettings) -> list[TopicPartition]:
        found: list[TopicPartition] = []
        for topic in settings.topics:
            numbers = self.consumer.partitions_for_topic(topic)
            if not numbers:
                raise NotFound(f"the topic {topic!r}: {_others(self.consumer)}")
            found += (TopicPartition(topic, number) for number in sorted(numbers))
        return found

    def seek_back(self, most: int) -> dict[TopicPartition, int]:
        """Go to the last ``most`` records of each partition; return the end of each that has some."""
        begins = self.consumer.beginning_offsets(self.partitions, timeout_ms=REQUEST_MS)
        ends = self.consumer.end_offsets(self.partitions, timeout_ms=REQUEST_MS)
        for each in self.partitions:
            self.consumer.seek(each, max(begins[each], ends[each] - most))
        return {each: ends[each] for each in self.partitions if ends[each] > begins[each]}

    def before(self, ends: Mapping[TopicPartition, int]) -> bool:
        """Say whether any partition has more to read before its end."""
        return any(self.consumer.position(each) < end for each, end in ends.items())

    def poll(self) -> Iterator[Sampled]:
        for each, found in self.consumer.poll(timeout_ms=_POLL_MS).items():
            for record in found:
                yield Sampled(each.topic, each.partition, record.offset, record.timestamp, record.value)

    def close(self) -> None:
        self.consumer.close(autocommit=False, timeout_ms=REQUEST_MS)


def _others(consumer: KafkaConsumer) -> str:
    names = sorted(name for name in consumer.topics() if not name.startswith("_"))
    return f"the topics there are: {', '.join(names[:20])}" if names else "there are no topics"


def sample(
    settings: KafkaSettings, most: int, *, seconds: float = 20, progress: Callable[[int], None] = lambda _: None
) -> list[Sampled]:
    """Return up to ``most`` of the last records of the topics, evenly from their partitions.

    It ends after ``seconds`` with what came until then. ``progress`` is called with the number of records so far.

    Raises
    ------
    KafkaUnavailable
        It does not answer.
    NotFound
        There is no such topic.
    """
    reader = _Reader(settings)
    try:
        share = -(-most // len(reader.partitions))
        ends = reader.seek_back(share)
        # Some brokers answer wrongly where the end is; what comes with the records is right.
        unsure = set(ends)
        until = time.monotonic() + seconds
        found: list[Sampled] = []
        while reader.before(ends) and len(found) < 2 * most and time.monotonic() < until:
            records = list(reader.poll())
            for each in [each for each in unsure if reader.consumer.highwater(each)]:
                ends[each] = max(ends[each], reader.consumer.highwater(each))
                unsure.remove(each)
            found += (record for record in records if record.offset < ends.get(record.source, 0))
            progress(len(found))
    except KafkaError as error:
        raise KafkaUnavailable(f"{', '.join(settings.bootstrap_servers)}: {error}") from error
    else:
        found.sort(key=lambda record: (record.timestamp, record.partition, record.offset))
        return found[-most:]
    finally:
        reader.close()


def follow(settings: KafkaSettings, back: int) -> Generator[Sampled, None, None]:
    """Yield the last ``back`` records of each partition, then those that come, for ever; raises as ``sample``."""
    reader = _Reader(settings)
    try:
        reader.seek_back(back)
        while True:
            yield from reader.poll()
    except KafkaError as error:
        raise KafkaUnavailable(f"{', '.join(settings.bootstrap_servers)}: {error}") from error
    finally:
        reader.close()
