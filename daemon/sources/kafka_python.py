"""A Source on kafka-python, which is always there."""

import time
from collections.abc import Collection, Iterable, Mapping

from kafka import ConsumerRebalanceListener, KafkaConsumer, TopicPartition
from kafka.errors import KafkaError, NoOffsetForPartitionError, OffsetOutOfRangeError
from kafka.structs import OffsetAndMetadata

from daemon.kafka_clients import REQUEST_MS, KafkaUnavailable, reaching
from daemon.records import Records
from daemon.settings import KafkaSettings
from daemon.source import Poll
from sinks.ledger import Partition

__all__ = ["KafkaPythonSource"]

_PROBE_MS = 3000
# The client's own pauses grow to 30 s: too long to wait for a broker that is back.
_RECONNECT_MS = 2000
# Short of what a stopping process has.
_CLOSE_MS = 3000
_NO_OFFSET_SECONDS = 0.05


class _Flag(ConsumerRebalanceListener):  # type: ignore[misc] # kafka-python is not typed
    """Only notes that partitions came or went: it is called on the client's own thread, which must not block."""

    def __init__(self) -> None:
        self.raised = False

    def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        self.raised = True

    def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        self.raised = True


class KafkaPythonSource:
    """A Source on kafka-python, by its public interface only."""

    def __init__(self, settings: KafkaSettings, *, poll_records: int, max_event_bytes: int) -> None:
        self._servers = settings.bootstrap_servers
        self._topics = settings.topics
        self._static = settings.assignment == "static"
        self._flag = _Flag()
        with reaching(settings) as options:
            self._consumer = KafkaConsumer(
                **options,
                group_id=None if self._static else settings.group,
                enable_auto_commit=False,
                auto_offset_reset="none",
                isolation_level="read_committed",
                allow_auto_create_topics=False,
                max_poll_records=poll_records,
                max_partition_fetch_bytes=max(1_048_576, max_event_bytes),
                fetch_max_wait_ms=round(settings.fetch_wait_seconds * 1000),
                session_timeout_ms=round(settings.session_timeout_seconds * 1000),
                heartbeat_interval_ms=max(1, round(settings.session_timeout_seconds * 1000 / 4)),
                metadata_max_age_ms=30_000,
                reconnect_backoff_max_ms=_RECONNECT_MS,
            )
            if not self._static:
                self._consumer.subscribe(topics=list(self._topics), listener=self._flag)

    def poll(self, seconds: float, most: int) -> Poll:
        """See Source."""
        try:
            found = self._consumer.poll(timeout_ms=round(seconds * 1000), max_records=most)
        except OffsetOutOfRangeError as error:
            lost: Mapping[TopicPartition, int] = error.args[0]
            return Poll(out_of_range={(tp.topic, tp.partition): offset for tp, offset in lost.items()})
        except NoOffsetForPartitionError:
            # Partitions that were never read: they are new to us, and have to be claimed and sought.
            self._flag.raised = False
            time.sleep(_NO_OFFSET_SECONDS)
            return Poll(rebalanced=True)
        except KafkaError as error:
            raise self._unavailable(error) from error
        if self._flag.raised:
            self._flag.raised = False
            return Poll(rebalanced=True)
        return Poll({(tp.topic, tp.partition): Records.of(records) for tp, records in found.items()})

    def partitions(self) -> set[Partition]:
        """See Source."""
        found: set[Partition] = set()
        for topic in self._topics:
            found.update((topic, number) for number in self._consumer.partitions_for_topic(topic) or ())
        if self._static and found != self.assigned():
            self._consumer.assign([TopicPartition(*each) for each in sorted(found)])
            self._flag.raised = True
        return found

    def assigned(self) -> set[Partition]:
        """See Source."""
        return {(tp.topic, tp.partition) for tp in self._consumer.assignment()}

    def seek(self, partition: Partition, offset: int) -> None:
        """See Source."""
        self._consumer.seek(TopicPartition(*partition), offset)
        self._consumer.resume(TopicPartition(*partition))

    def pause(self, partitions: Collection[Partition]) -> None:
        """See Source."""
        self._consumer.pause(*self._ours(partitions))

    def first_offset(self, partition: Partition) -> int:
        """See Source."""
        tp = TopicPartition(*partition)
        try:
            return int(self._consumer.beginning_offsets([tp], timeout_ms=REQUEST_MS)[tp])
        except KafkaError as error:
            raise self._unavailable(error) from error

    def last_offset(self, partition: Partition) -> int:
        """See Source."""
        tp = TopicPartition(*partition)
        try:
            return int(self._consumer.end_offsets([tp], timeout_ms=REQUEST_MS)[tp])
        except KafkaError as error:
            raise self._unavailable(error) from error

    def end(self, partition: Partition) -> int | None:
        """See Source."""
        tp = TopicPartition(*partition)
        if tp not in self._consumer.assignment() or tp in self._consumer.paused():
            return None
        # From fetches, not from ListOffsets: some brokers answer that one wrongly.
        highwater = self._consumer.highwater(tp)
        position = self._consumer.position(tp, timeout_ms=REQUEST_MS)
        return position if highwater is not None and position is not None and position >= highwater else None

    def high_water(self, partition: Partition) -> int | None:
        """See Source."""
        tp = TopicPartition(*partition)
        if tp not in self._consumer.assignment():
            return None
        found: int | None = self._consumer.highwater(tp)
        return found

    def probe(self) -> None:
        """See Source.

        A poll cannot tell: the client reconnects by itself, and returns nothing meanwhile.
        """
        some = next(iter(sorted(self.assigned() or self.partitions())), None)
        try:
            if some is not None:
                self._consumer.beginning_offsets([TopicPartition(*some)], timeout_ms=_PROBE_MS)
        except KafkaError as error:
            raise self._unavailable(error) from error

    def _unavailable(self, error: KafkaError) -> KafkaUnavailable:
        return KafkaUnavailable(f"{', '.join(self._servers)}: {error or type(error).__name__}")

    def report(self, offsets: Mapping[Partition, int]) -> None:
        """See Source."""
        if not self._static:
            self._consumer.commit_async(
                {TopicPartition(*each): OffsetAndMetadata(offset, "", -1) for each, offset in offsets.items()}
            )

    def close(self) -> None:
        """See Source."""
        self._consumer.close(autocommit=False, timeout_ms=_CLOSE_MS)

    def _ours(self, partitions: Iterable[Partition]) -> list[TopicPartition]:
        # What is no longer assigned can be neither paused nor resumed; a rebalance has seen to it.
        return [TopicPartition(*each) for each in partitions if TopicPartition(*each) in self._consumer.assignment()]
