"""A Source on confluent-kafka, Confluent's binding of librdkafka: less CPU for each record."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import groupby
from threading import Thread
from typing import cast

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient

from daemon.kafka_clients import REQUEST_MS, KafkaUnavailable, heartbeat_ms
from daemon.records import Records
from daemon.settings import KafkaSettings
from daemon.source import Poll
from daemon.sources.confluent_client import LOG, client_options, reach, unavailable
from sinks.ledger import Partition

__all__ = ["ConfluentSource"]

_REQUEST_SECONDS = REQUEST_MS / 1000
_PROBE_SECONDS = 3.0
# Short of what a stopping process has.
_CLOSE_SECONDS = 3.0
_QUEUED_KIB = 32 << 10
"""Records that wait here to be polled, of all partitions together; a fetch may come on top."""
_FETCHED_BYTES = 16 << 20
# What the package calls the errors that are its own.
_END, _OUT_OF_RANGE = KafkaError._PARTITION_EOF, KafkaError._AUTO_OFFSET_RESET  # noqa: SLF001
_STOPPED = {_OUT_OF_RANGE, KafkaError._BAD_MSG, KafkaError._BAD_COMPRESSION}  # noqa: SLF001
"""After these the library reads nothing more of a partition, or goes on behind what it cannot read."""


class ConfluentSource:
    """A Source on confluent-kafka.

    Which partitions are ours, Kafka's group or a static assignment says; what the library has assigned is only what
    is to be read now, and each time from an offset of ours: the library can seek only where it reads already. So a
    paused partition is one that it has not, and it never asks for offsets that the group has committed. Under a
    cooperative assignor the group tells what comes and goes, and so do we tell the library, instead of all at once.

    Rebalances are told within ``poll``, on the caller's thread.
    """

    def __init__(self, settings: KafkaSettings, *, poll_records: int, max_event_bytes: int) -> None:
        self._settings = settings
        self._static = settings.assignment == "static"
        self._incremental = not self._static and settings.partition.assignment.strategy == "cooperative-sticky"
        self._ours: set[Partition] = set()
        self._next: dict[Partition, int] = {}
        """What is to be read, and where it goes on."""
        self._reading: set[Partition] = set()
        """What the library has assigned."""
        self._moved: set[Partition] = set()
        """What the library has to read from elsewhere than it does."""
        self._ends: dict[Partition, int] = {}
        """Where a fetch found nothing more."""
        self._rebalanced = False
        self._failure: KafkaUnavailable | None = None
        session_ms = round(settings.session_timeout_seconds * 1000)
        largest = max(1 << 20, max_event_bytes)
        self._consumer = reach(
            settings,
            {
                "group.id": settings.group,
                "partition.assignment.strategy": settings.partition.assignment.strategy,
                "session.timeout.ms": session_ms,
                "heartbeat.interval.ms": heartbeat_ms(settings),
                "max.poll.interval.ms": max(round(settings.max_poll_interval_seconds * 1000), session_ms),
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "auto.offset.reset": "error",
                "isolation.level": "read_committed",
                "enable.partition.eof": True,
                "check.crcs": True,
                "fetch.wait.max.ms": round(settings.fetch_wait_seconds * 1000),
                "fetch.message.max.bytes": largest,
                "fetch.max.bytes": max(_FETCHED_BYTES, largest),
                # A record that is larger than all limits comes nevertheless, alone, and has to be taken.
                "receive.message.max.bytes": 2**31 - 1,
                "queued.max.messages.kbytes": _QUEUED_KIB,
                # By default a full queue is looked at again after a second, in which it has long run empty.
                "fetch.queue.backoff.ms": 10,
            },
        )
        self._admin = AdminClient(client_options(settings), logger=LOG)
        if not self._static:
            self._consumer.subscribe(
                list(settings.topics), on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_revoke
            )

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        came = {(each.topic, each.partition) for each in partitions}
        if self._incremental:
            self._own(self._ours | came)
            consumer.incremental_assign([])
        else:
            self._own(came)
            consumer.assign([])
            self._reading.clear()

    def _on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        if self._incremental:
            went = {(each.topic, each.partition) for each in partitions}
            self._own(self._ours - went)
            consumer.incremental_unassign([TopicPartition(*each) for each in went & self._reading])
            self._reading -= went
        else:
            self._own(set())
            consumer.unassign()
            self._reading.clear()

    def _own(self, partitions: set[Partition]) -> None:
        self._ours = partitions
        self._rebalanced = True
        self.pause(list(self._next))

    def poll(self, seconds: float, most: int) -> Poll:
        """See Source."""
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure
        try:
            self._assign()
            messages = self._consumer.consume(most, seconds)
        except KafkaException as error:
            # What it took out of its queue, and did not give us, has to be read again.
            self._moved.update(self._next)
            raise self._unavailable(error) from error
        if self._rebalanced:
            self._rebalanced = False
            return Poll(rebalanced=True)
        return self._told_by(messages)

    def _assign(self) -> None:
        """Let the library read what is to be read, from where it goes on."""
        if not self._moved and self._reading == self._next.keys():
            return
        if self._incremental:
            self._consumer.incremental_unassign(
                [TopicPartition(*each) for each in self._reading if each in self._moved or each not in self._next]
            )
            self._reading -= self._moved
            self._reading &= self._next.keys()
            self._consumer.incremental_assign(
                [TopicPartition(*each, offset) for each, offset in self._next.items() if each not in self._reading]
            )
        else:
            self._consumer.assign([TopicPartition(*each, offset) for each, offset in self._next.items()])
        self._reading = set(self._next)
        self._moved.clear()

    def _told_by(self, messages: list[Message]) -> Poll:
        out_of_range: dict[Partition, int] = {}
        # An error is a message, too.
        if any(map(Message.error, messages)):
            messages = self._without_errors(messages, out_of_range)
        records = {place: _columns(each) for place, each in _by_partition(messages).items()}
        for place, each in records.items():
            self._next[place] = max(self._next[place], each.offsets[-1] + 1)
        return Poll(records, out_of_range=out_of_range)

    def _without_errors(self, messages: list[Message], out_of_range: dict[Partition, int]) -> list[Message]:
        """Return the records before the first error of their partition; note what the errors tell."""
        records = []
        for message in messages:
            place = _place(message)
            error = message.error()
            if error is None:
                if place not in self._moved:
                    records.append(message)
                    self._next[place] = cast("int", message.offset()) + 1
            elif error.code() == _END and place in self._next:
                self._ends[place] = self._next[place] = cast("int", message.offset())
            else:
                self._failed(place, error, message.offset(), out_of_range)
        return records

    def _failed(
        self, place: Partition, error: KafkaError, offset: int | None, out_of_range: dict[Partition, int]
    ) -> None:
        if place[1] >= 0 and (place not in self._next or place in self._moved):
            return
        if error.code() in _STOPPED:
            self._moved.add(place)
        if error.code() == _OUT_OF_RANGE:
            # It may tell of where it was before it was last moved: then it will tell again, or read.
            if offset == self._next[place]:
                out_of_range[place] = offset
        elif not (self._static and error.code() == KafkaError.GROUP_AUTHORIZATION_FAILED):
            # Raised by the next poll: what came before it in this one is not lost.
            self._failure = unavailable(self._settings, error)

    def partitions(self) -> set[Partition]:
        """See Source."""
        found: set[Partition] = set()
        for topic in self._settings.topics:
            try:
                metadata = self._consumer.list_topics(topic, timeout=_REQUEST_SECONDS)
            except KafkaException as error:
                raise self._unavailable(error) from error
            found.update((topic, number) for number in metadata.topics[topic].partitions)
        if self._static and found != self._ours:
            self._own(found)
        return found

    def assigned(self) -> set[Partition]:
        """See Source."""
        return set(self._ours)

    def topic_ids(self) -> dict[str, str]:
        """See Source."""
        asked = self._admin.describe_topics(TopicCollection(list(self._settings.topics)))
        found = {}
        for topic, answer in asked.items():
            # Not allowed to, or not in time: what is in hand is committed even while Kafka is away.
            with suppress(KafkaException, TimeoutError):
                found[topic] = str(answer.result(_PROBE_SECONDS).topic_id)
        return found

    def seek(self, partition: Partition, offset: int) -> None:
        """See Source."""
        self._next[partition] = offset
        self._moved.add(partition)
        self._ends.pop(partition, None)

    def pause(self, partitions: Collection[Partition]) -> None:
        """See Source."""
        for each in partitions:
            self._next.pop(each, None)
            self._moved.discard(each)
            self._ends.pop(each, None)

    def first_offset(self, partition: Partition) -> int:
        """See Source."""
        return self._bounds(partition, _REQUEST_SECONDS)[0]

    def last_offset(self, partition: Partition) -> int:
        """See Source."""
        return self._bounds(partition, _REQUEST_SECONDS)[1]

    def _bounds(self, partition: Partition, seconds: float) -> tuple[int, int]:
        try:
            return self._consumer.get_watermark_offsets(TopicPartition(*partition), timeout=seconds)
        except KafkaException as error:
            raise self._unavailable(error) from error

    def end(self, partition: Partition) -> int | None:
        """See Source."""
        end, high = self._ends.get(partition), self.high_water(partition)
        at_the_end = end is not None and high is not None and end >= high and end == self._next[partition]
        return end if at_the_end else None

    def high_water(self, partition: Partition) -> int | None:
        """See Source."""
        if partition not in self._ours:
            return None
        try:
            _, high = self._consumer.get_watermark_offsets(TopicPartition(*partition), cached=True)
        except KafkaException:
            return None
        return high if high >= 0 else None

    def probe(self) -> None:
        """See Source.

        A poll cannot tell: the library reconnects by itself, and returns nothing meanwhile.
        """
        some = next(iter(sorted(self._ours or self.partitions())), None)
        if some is not None:
            self._bounds(some, _PROBE_SECONDS)

    def _unavailable(self, error: KafkaException) -> KafkaUnavailable:
        return unavailable(self._settings, error.args[0])

    def report(self, offsets: Mapping[Partition, int]) -> None:
        """See Source."""
        if not self._static and offsets:
            # Only for others to look at: whether it succeeds makes no difference here.
            with suppress(KafkaException):
                self._consumer.commit(offsets=[TopicPartition(*each, offset) for each, offset in offsets.items()])

    def confirmed(self) -> bool:
        """See Source: the library takes back what it assigned when it has not heard of the group for a session."""
        return True

    def close(self) -> None:
        """See Source."""
        # It waits for brokers that may be away, and takes no time to wait at most.
        closing = Thread(target=self._consumer.close, name="kafka-close", daemon=True)
        closing.start()
        closing.join(_CLOSE_SECONDS)


def _place(message: Message) -> Partition:
    # Errors of no partition have none, errors of no topic not even that.
    partition = message.partition()
    return message.topic() or "", -1 if partition is None else partition


def _by_partition(messages: Iterable[Message]) -> dict[Partition, list[Message]]:
    """Return records by their partition: they come in runs."""
    found: dict[Partition, list[Message]] = {}
    for topic, same_topic in groupby(messages, Message.topic):
        for number, run in groupby(same_topic, Message.partition):
            found.setdefault(cast("Partition", (topic, number)), []).extend(run)
    return found


def _columns(messages: Sequence[Message]) -> Records:
    # A method in C for each column: no Python of ours runs for a record but to take a time out of its pair.
    offsets = cast("list[int]", list(map(Message.offset, messages)))
    return Records(offsets, [ms for _, ms in map(Message.timestamp, messages)], list(map(Message.value, messages)))
