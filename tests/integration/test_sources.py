"""What every Kafka client has to do alike, on a real Apache Kafka: where it reads on, and what it tells."""

import gc
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress

import pytest
from kafka import KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient

from daemon.kafka_clients import KafkaUnavailable
from daemon.settings import KafkaSettings
from daemon.source import Poll, Source
from daemon.sources.registry import source_of
from sinks.ledger import Partition
from tests.conftest import CLIENTS
from tests.harness import new_topic, send, wait_for
from tests.services import ApacheKafka

pytestmark = pytest.mark.consuming
Read = dict[Partition, list[tuple[int, bytes | None]]]


@contextmanager
def opened(
    kafka: ApacheKafka, topic: str, client: str, assignment: str = "static", strategy: str = "range"
) -> Iterator[Source]:
    settings = KafkaSettings.model_validate(
        {
            "bootstrap_servers": [kafka.bootstrap],
            "topics": [topic],
            "group": topic,
            "assignment": assignment,
            "client": client,
            "partition": {"assignment": {"strategy": strategy}},
            "session_timeout_seconds": 6,
        }
    )
    with closing(source_of(settings)(settings, poll_records=50, max_event_bytes=1000)) as source:
        source.partitions()
        yield source


def begin(source: Source, *, partitions: int = 1, at: int = 0) -> None:
    """Wait until so many partitions are assigned, and read them from an offset on."""
    wait_for(lambda: source.poll(0.1, 50).rebalanced and len(source.assigned()) == partitions)
    for partition in source.assigned():
        source.seek(partition, at)


def read(source: Source, enough: Callable[[Read], bool]) -> Read:
    """Poll until that is ``enough``."""
    found: Read = {}

    def more() -> bool:
        for partition, records in source.poll(0.1, 50).records.items():
            assert len(records.timestamps_ms) == len(records)
            found.setdefault(partition, []).extend(zip(records.offsets, records.values, strict=True))
        return enough(found)

    wait_for(more)
    return found


def count(found: Read) -> int:
    return sum(map(len, found.values()))


def told(source: Source, what: Callable[[Poll], bool]) -> Poll:
    """Poll until ``what`` comes."""
    polls: list[Poll] = []

    def once_more() -> bool:
        polls.append(source.poll(0.1, 50))
        return what(polls[-1])

    wait_for(once_more)
    return polls[-1]


def test_of_transactions_what_is_committed_is_read_and_the_end_lies_behind_the_marker(
    kafka: ApacheKafka, client: str
) -> None:
    topic = new_topic(kafka, 1)
    with closing(KafkaProducer(bootstrap_servers=kafka.bootstrap, transactional_id=topic)) as producer:
        producer.init_transactions()

        def produce(count: int) -> None:
            producer.begin_transaction()
            for number in range(count):
                producer.send(topic, b"%d" % number, partition=0)
            producer.flush()

        produce(3)
        producer.commit_transaction()
        produce(2)
        producer.abort_transaction()
        produce(1)
        with opened(kafka, topic, client) as source:
            begin(source)
            assert source.end((topic, 0)) is None
            assert [offset for offset, _ in read(source, lambda found: count(found) == 3)[topic, 0]] == [0, 1, 2]
            # Somebody is still writing: what comes after may be older than what is there.
            wait_for(lambda: not source.poll(0.1, 50).records and source.high_water((topic, 0)) == 8)
            assert source.end((topic, 0)) is None
            producer.commit_transaction()
            assert read(source, lambda found: count(found) == 1) == {(topic, 0): [(7, b"0")]}
            wait_for(lambda: not source.poll(0.1, 50).records and source.end((topic, 0)) == 9)
            assert source.last_offset((topic, 0)) == source.high_water((topic, 0)) == 9


def test_reading_goes_on_where_it_was_sought_and_not_where_it_is_paused(kafka: ApacheKafka, client: str) -> None:
    topic = new_topic(kafka, 2)
    send(kafka, topic, [(b"%d" % number, number / 100) for number in range(4000)], [0, 1])
    first, second = (topic, 0), (topic, 1)
    with opened(kafka, topic, client) as source:
        begin(source, partitions=2)
        read(source, lambda found: count(found) >= 300)
        # Whatever the client has fetched beyond is void.
        source.seek(first, 7)
        source.seek(second, 1000)
        found = read(source, lambda found: min(len(found.get(first, ())), len(found.get(second, ()))) >= 200)
        assert found[first][:200] == [(offset, b"%d" % (2 * offset)) for offset in range(7, 207)]
        assert found[second][:200] == [(offset, b"%d" % (2 * offset + 1)) for offset in range(1000, 1200)]
        at = found[first][-1][0] + 1
        source.seek(second, 0)
        between = read(source, lambda found: len(found.get(second, ())) >= 50)
        source.pause([second])
        at += len(between.get(first, ()))
        found = read(source, lambda found: at + count(found) == 2000)
        assert found.get(first, []) == [(offset, b"%d" % (2 * offset)) for offset in range(at, 2000)]
        assert source.end(second) is None
        source.seek(second, 1990)
        found = read(source, lambda found: count(found) == 10)
        assert found == {second: [(offset, b"%d" % (2 * offset + 1)) for offset in range(1990, 2000)]}
        wait_for(lambda: not source.poll(0.1, 50).records and source.end(first) == source.end(second) == 2000)


@pytest.mark.parametrize("other", CLIENTS)
@pytest.mark.parametrize("strategy", ["range", "cooperative-sticky"])
def test_partitions_are_shared_within_a_group_and_rebalances_are_told(
    kafka: ApacheKafka, client: str, other: str, strategy: str
) -> None:
    topic = new_topic(kafka, 4)
    send(kafka, topic, [(b"%d" % number, number / 100) for number in range(400)], range(4))
    with opened(kafka, topic, client, "group", strategy) as source:
        begin(source, partitions=4)
        read(source, lambda found: count(found) == 400)
        source.report({(topic, number): 50 + number for number in range(4)})
        with opened(kafka, topic, other, "group", strategy) as newcomer:

            def shared() -> bool:
                polls = [source.poll(0.1, 50), newcomer.poll(0.1, 50)]
                for poll, one in zip(polls, (source, newcomer), strict=True):
                    # Nothing comes before it is said from where on: not even from offsets that the group committed.
                    assert not poll.records
                    one.pause(one.assigned() if poll.rebalanced else ())
                return len(source.assigned()) == len(newcomer.assigned()) == 2

            wait_for(shared)
            assert not source.assigned() & newcomer.assigned()
            for _ in range(10):
                assert shared()
            for partition in newcomer.assigned():
                newcomer.seek(partition, 90)
            assert [len(each) for each in read(newcomer, lambda found: count(found) == 20).values()] == [10, 10]
        begin(source, partitions=4, at=95)
        assert [len(each) for each in read(source, lambda found: count(found) == 20).values()] == [5] * 4
    with closing(KafkaAdminClient(bootstrap_servers=kafka.bootstrap)) as admin:
        committed = admin.list_group_offsets([topic])[topic]
    assert {tp.partition: each.offset for tp, each in committed.items()} == {0: 50, 1: 51, 2: 52, 3: 53}


@pytest.mark.parametrize("other", CLIENTS)
def test_a_group_is_joined_by_members_that_poll_seldom(kafka: ApacheKafka, client: str, other: str) -> None:
    topic = new_topic(kafka, 4)
    with opened(kafka, topic, client, "group") as source:
        begin(source, partitions=4)
        with opened(kafka, topic, other, "group") as newcomer:

            def shared() -> bool:
                source.poll(0.01, 50)
                newcomer.poll(0.01, 50)
                # Answers of the group come while nobody polls.
                time.sleep(0.5)
                return len(source.assigned()) == len(newcomer.assigned()) == 2

            wait_for(shared)


def test_an_offset_that_is_not_there_is_told_until_another_is_sought(kafka: ApacheKafka, client: str) -> None:
    topic = new_topic(kafka, 2)
    send(kafka, topic, [(b"%d" % number, number / 100) for number in range(200)], [0, 1])
    with closing(KafkaAdminClient(bootstrap_servers=kafka.bootstrap)) as admin:
        admin.delete_records({TopicPartition(topic, 0): 30})
    with opened(kafka, topic, client) as source:
        begin(source, partitions=2)
        assert told(source, lambda poll: bool(poll.out_of_range)).out_of_range == {(topic, 0): 0}
        source.seek((topic, 1), 5000)
        missing = {(topic, 0): 0, (topic, 1): 5000}
        for partition, offset in missing.items():
            again = told(source, lambda poll, partition=partition: partition in poll.out_of_range)  # type: ignore[misc]
            assert again.out_of_range[partition] == offset
        assert source.first_offset((topic, 0)) == 30
        source.seek((topic, 0), 30)
        source.pause([(topic, 1)])
        found = read(source, lambda found: count(found) == 70)
        assert [offset for offset, _ in found[topic, 0]] == list(range(30, 100))


def test_records_larger_than_a_fetch_and_tombstones_are_no_hindrance(kafka: ApacheKafka, client: str) -> None:
    topic = new_topic(kafka, 1)
    values = [b"small", b"x" * 20_000_000, None, b"", b"last"]
    with closing(KafkaProducer(bootstrap_servers=kafka.bootstrap, max_request_size=32_000_000)) as producer:
        for value in values:
            producer.send(topic, value, key=b"key", partition=0)
    with opened(kafka, topic, client) as source:
        begin(source)
        assert read(source, lambda found: count(found) == 5) == {(topic, 0): list(enumerate(values))}


def alter(kafka: ApacheKafka, topic: str, old: bytes, new: bytes) -> None:
    """Change what lies on the broker's disk."""
    assert len(old) == len(new)
    [log] = (kafka.directory / "data" / f"{topic}-0").glob("*.log")
    with log.open("r+b") as file:
        file.seek(log.read_bytes().index(old))
        file.write(new)


def test_a_batch_that_is_damaged_is_told_until_it_is_whole_again(kafka: ApacheKafka, client: str) -> None:
    topic = new_topic(kafka, 1)
    with closing(KafkaProducer(bootstrap_servers=kafka.bootstrap, linger_ms=1000)) as producer:
        for number in range(30):
            producer.send(topic, b"number %d" % number, partition=0)
            if number % 10 == 9:
                producer.flush()
    alter(kafka, topic, b"number 15", b"numb\0r 15")
    with opened(kafka, topic, client) as source:
        begin(source)
        assert [offset for offset, _ in read(source, lambda found: count(found) >= 10)[topic, 0]] == list(range(10))
        for _ in range(2):
            with pytest.raises(KafkaUnavailable, match=r"(?i)crc"):
                told(source, lambda poll: bool(poll.records))
        alter(kafka, topic, b"numb\0r 15", b"number 15")
        left = [(number, b"number %d" % number) for number in range(10, 30)]

        def rest() -> list[tuple[int, bytes | None]]:
            # What was fetched before is told once more.
            with suppress(KafkaUnavailable):
                return read(source, lambda found: count(found) == 20)[topic, 0]
            return []

        wait_for(lambda: rest() == left)


def test_beside_a_damaged_batch_others_are_read_and_what_is_deleted_up_to_its_end_is_told(
    kafka: ApacheKafka, client: str
) -> None:
    topic = new_topic(kafka, 2)
    with closing(KafkaProducer(bootstrap_servers=kafka.bootstrap, linger_ms=1000)) as producer:
        for number in range(20):
            producer.send(topic, b"number %d" % number, partition=0)
            producer.send(topic, b"other %d" % number, partition=1)
            if number % 10 == 9:
                producer.flush()
    alter(kafka, topic, b"number 5", b"numb\0r 5")
    damaged, other = (topic, 0), (topic, 1)
    found: list[int] = []
    told_of: set[str] = set()

    def others_are_read() -> bool:
        try:
            poll = source.poll(0.1, 50)
        except KafkaUnavailable as error:
            told_of.add(str(error))
            return False
        assert damaged not in poll.records
        found.extend(poll.records[other].offsets if other in poll.records else [])
        return len(found) == 20 and bool(told_of)

    with opened(kafka, topic, client) as source:
        begin(source, partitions=2)
        wait_for(others_are_read)
        assert found == list(range(20))
        with closing(KafkaAdminClient(bootstrap_servers=kafka.bootstrap)) as admin:
            admin.delete_records({TopicPartition(*damaged): 10})

        def loss_is_told() -> bool:
            with suppress(KafkaUnavailable):
                return source.poll(0.1, 50).out_of_range == {damaged: 0}
            return False

        wait_for(loss_is_told)
        assert source.first_offset(damaged) == 10


# kafka-python leaves the sockets of refused connections to the garbage collector.
@pytest.mark.filterwarnings("ignore:unclosed <socket.socket:ResourceWarning")
def test_kafka_away_is_found_by_asking_and_reading_goes_on_when_it_is_back(kafka: ApacheKafka, client: str) -> None:
    topic = new_topic(kafka, 1)
    send(kafka, topic, [(b"%d" % number, number / 100) for number in range(100)], [0])
    with opened(kafka, topic, client) as source, ExitStack() as others:
        leaving = others.enter_context(opened(kafka, topic, client, "group"))
        begin(leaving)
        begin(source)
        read(source, lambda found: count(found) == 100)
        source.probe()
        kafka.kill()
        with pytest.raises(KafkaUnavailable):
            source.probe()
        assert not source.poll(0.1, 50).records
        began = time.monotonic()
        others.close()
        assert time.monotonic() - began < 10, "leaving took longer than a stopping process has"
        kafka.start()
        send(kafka, topic, [(b"%d" % number, number / 100) for number in range(100, 200)], [0])
        found = read(source, lambda found: count(found) == 100)
        assert [offset for offset, _ in found[topic, 0]] == list(range(100, 200))
        source.probe()
    gc.collect()
