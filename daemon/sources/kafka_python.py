"""A Source on kafka-python, which is always there."""

import time
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress

from kafka import ConsumerRebalanceListener, KafkaConsumer, TopicPartition
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from kafka.coordinator.base import Generation
from kafka.coordinator.consumer import ConsumerCoordinator
from kafka.errors import KafkaError, NoOffsetForPartitionError, OffsetOutOfRangeError
from kafka.structs import OffsetAndMetadata

from daemon.kafka_clients import REQUEST_MS, KafkaUnavailable, heartbeat_ms, reaching
from daemon.records import Records
from daemon.settings import KafkaSettings
from daemon.source import Poll
from daemon.sources.fetched import FetchedRecords
from sinks.ledger import Partition

__all__ = ["KafkaPythonSource"]

_ASSIGNORS = {
    each.name: each for each in (RangePartitionAssignor, RoundRobinPartitionAssignor, CooperativeStickyAssignor)
}
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


class _Coordinator(ConsumerCoordinator):  # type: ignore[misc] # likewise
    """The client's own, but one that brings to an end the joining that it began.

    A topic that vanishes and is back while others are waited for looks as before to it (3.0.12): it forgot that it was
    joining, sent no heartbeats any more, and read on outside the group, against those who read its partitions there.

    What it was assigned between two polls it threw away, and joined again: all others had to as well, and as long as
    the answers fell between polls nobody came to read.
    """

    _assigned: tuple[Generation, bytes] | None = None
    """What a joining ended with that no poll has heard of yet, and as which member."""

    def need_rejoin(self) -> bool:
        return bool(self.rejoining or super().need_rejoin())

    async def _do_join_and_sync_async(self) -> bytes:
        if self._assigned is None or self._assigned[0] != self._generation:
            assignment = await super()._do_join_and_sync_async()
            self._assigned = self._generation, assignment
        return self._assigned[1]

    async def _on_join_complete_async(
        self, generation: int, member_id: str, protocol: str, member_assignment_bytes: bytes
    ) -> None:
        self._assigned = None
        await super()._on_join_complete_async(generation, member_id, protocol, member_assignment_bytes)


class KafkaPythonSource:
    """A Source on kafka-python, by its public interface but for three things.

    They are the ids of topics, how it joins, and how what was fetched is taken apart (``fetched``).
    """

    def __init__(self, settings: KafkaSettings, *, poll_records: int, max_event_bytes: int) -> None:
        self._servers = settings.bootstrap_servers
        self._topics = settings.topics
        self._static = settings.assignment == "static"
        self._flag = _Flag()
        self._reported: dict[TopicPartition, OffsetAndMetadata] = {}
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
                # No broker holds a fetch for long: a connection that is silent for so long is dead.
                request_timeout_ms=REQUEST_MS,
                max_poll_interval_ms=round(settings.max_poll_interval_seconds * 1000),
                partition_assignment_strategy=[_ASSIGNORS[settings.partition.assignment.strategy]],
                heartbeat_interval_ms=heartbeat_ms(settings),
                metadata_max_age_ms=30_000,
                reconnect_backoff_max_ms=_RECONNECT_MS,
            )
            self._consumer._fetcher.PartitionRecords = FetchedRecords  # noqa: SLF001
            if not self._static:
                self._consumer._coordinator.__class__ = _Coordinator  # noqa: SLF001
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
        return Poll({(tp.topic, tp.partition): Records.joined(pieces) for tp, pieces in found.items()})

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

    def topic_ids(self) -> dict[str, str]:
        """See Source."""
        client = self._consumer
        # Not heard of in time: what is in hand is committed even while Kafka is away.
        with suppress(KafkaError):
            client._net.run(client._manager.wait_for, client._cluster.request_update(), _PROBE_MS)  # noqa: SLF001
        # None, or zero: the broker has no ids.
        found = {topic: client._cluster.topic_id(topic) for topic in self._topics}  # noqa: SLF001
        return {topic: str(each) for topic, each in found.items() if each and each.int}

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
            self._reported = {
                TopicPartition(*each): OffsetAndMetadata(offset, "", -1) for each, offset in offsets.items()
            }
            self._consumer.commit_async(self._reported)

    def confirmed(self) -> bool:
        """See Source.

        The client keeps what was assigned for as long as it waits to join again, which on a connection that is
        dead can be minutes; but it commits offsets, here those it has reported, for members only.
        """
        if self._static:
            return True
        assignment = self._consumer.assignment()
        offsets = {tp: offset for tp, offset in self._reported.items() if tp in assignment}
        try:
            self._consumer.commit(offsets, timeout_ms=_PROBE_MS)
        except KafkaError:
            return False
        return True

    def close(self) -> None:
        """See Source."""
        self._consumer.close(autocommit=False, timeout_ms=_CLOSE_MS)

    def _ours(self, partitions: Iterable[Partition]) -> list[TopicPartition]:
        # What is no longer assigned can be neither paused nor resumed; a rebalance has seen to it.
        return [TopicPartition(*each) for each in partitions if TopicPartition(*each) in self._consumer.assignment()]
