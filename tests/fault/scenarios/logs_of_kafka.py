"""Topics that are not as they were left: deleted records, a topic made anew, transactions, compaction."""

import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient

from tests.fault.altering import also_read, alter, demand, event, strandline
from tests.fault.invariants import counted
from tests.fault.oracle import MODELS, PARTITIONS, START_SECONDS, WINDOW_SECONDS
from tests.fault.scenario import scenario
from tests.fault.trial import RECEIVERS, Trial

IDLE = ("idle_seconds = 1000", "idle_seconds = 2")


@scenario("10", "records deleted beyond the stored offset", must=(), quick=True)
def deleted_before_they_were_read(trial: Trial) -> None:
    """Delete what no worker has read yet, of all partitions but one, of which only what was read is deleted."""
    trial.start("jobs")
    reader = trial.start()
    trial.feed.up_to(0.3)
    trial.wait_for(lambda: trial.offsets() == trial.feed.ends, "all read")
    reader.kill()
    stored = trial.offsets()
    trial.feed.up_to(0.6)
    trial.feed.more(())
    firsts = {number: trial.chance.randint(stored[number] + 1, trial.feed.ends[number]) for number in stored}
    firsts[0] = stored[0] - 10
    with closing(KafkaAdminClient(bootstrap_servers=trial.services.kafka.bootstrap)) as admin:
        admin.delete_records({TopicPartition(trial.topic, number): first for number, first in firsts.items()})
    trial.start()
    trial.start()
    trial.feed.rest()
    trial.settle()

    ranges = {number: (stored[number], first - 1) for number, first in firsts.items() if number}
    lost = {
        offset * PARTITIONS + number for number, (first, last) in ranges.items() for offset in range(first, last + 1)
    }
    alerts = trial.query("""
        SELECT (labels->>'partition')::int, (evidence->>'first_lost')::int, (evidence->>'last_lost')::int
        FROM alert WHERE labels->>'alertname' = 'records_lost' AND state = 'firing' AND severity = 'page'""")
    demand({number: (first, last) for number, first, last in alerts}, ranges, "ranges that alerts tell")
    demand(told_of(trial, "records_lost"), {str(number) for number in ranges}, "partitions that receivers were told of")
    usable = sum(trial.feed.ends.values()) - len(lost) - len(set(trial.oracle.broken) - lost)
    demand(counted(trial.url).total(), usable, "events counted")
    expected = [each for each in trial.oracle.dead_letters if each[1] * PARTITIONS + each[0] not in lost]
    demand(
        trial.query("SELECT partition, first_offset, value FROM dead_letter ORDER BY 1, 2"), expected, "dead letters"
    )
    [(doubled,)] = trial.query("SELECT count(*) - count(DISTINCT (model, event_id)) FROM candidate")
    demand(doubled, 0, "doubled candidates")
    trial.told["lost, and told"] = str(len(lost))


def told_of(trial: Trial, name: str) -> set[str]:
    """Return the partitions of alerts of this name that every receiver was told of."""
    told = [
        {
            alert["labels"]["partition"]
            for delivery in trial.receiver.deliveries(receiver)
            for alert in delivery.body["alerts"]
            if alert["labels"]["alertname"] == name
        }
        for receiver in RECEIVERS
    ]
    return set.intersection(*told)


@scenario("11", "topics deleted and recreated", must=())
def topics_made_anew(trial: Trial) -> None:
    """Make two of three topics anew, one of them shorter and one longer than what was read of it."""
    kafka, (shorter, longer) = trial.services.kafka, (f"{trial.topic}-{name}" for name in ("shorter", "longer"))
    for topic in (shorter, longer):
        kafka.create_topic(topic, 2, {"retention.ms": "-1"})
    also_read(trial, (shorter, longer))
    for role in ("jobs", "ingest", "ingest"):
        trial.start(role)
    trial.feed.up_to(0.3)
    trial.feed.more(())
    for topic in (shorter, longer):
        send(trial, topic, (event(f"old-{n}", START_SECONDS + n / 10, topic) for n in range(600)))
    old = {shorter: {0: 300, 1: 300}, longer: {0: 300, 1: 300}}
    trial.wait_for(lambda: offsets(trial, old) == old and trial.offsets() == trial.feed.ends, "all read")

    with trial.feed.spread_over(10):
        for topic, count in ((shorter, 100), (longer, 1200)):
            kafka.delete_topic(topic)
            kafka.create_topic(topic, 2, {"retention.ms": "-1"})
            send(trial, topic, (event(f"new-{n}", START_SECONDS + n / 10, topic) for n in range(count)))
        places = [(topic, number) for topic in old for number in (0, 1)]
        stopped = "SELECT topic, partition FROM partition WHERE stopped_reason LIKE '%%recreated%%' ORDER BY 1 DESC, 2"
        took = trial.wait_for(lambda: trial.query(stopped) == places, "four partitions stopped")
        trial.told["stopped after"] = f"{took:.1f} s"
    # Though they stand far behind, the others' windows close; and nothing is read of them that might be missed.
    newest = START_SECONDS // WINDOW_SECONDS + trial.oracle.windows - 1
    closed = 'SELECT max("window") FROM closed_window JOIN cohort ON cohort.id = cohort_id WHERE model = %s'
    trial.wait_for(lambda: trial.query(closed, MODELS[0]) >= [(newest,)], "the other topic's windows closed")
    demand(offsets(trial, old), old, "offsets of what is stopped")
    trial.wait_for(lambda: told_of(trial, "partition_stopped") == {"0", "1"}, "receivers told of what is stopped")

    for topic, number in places:
        strandline(trial, "partitions", "resume", f"{topic}/{number}", "--yes")
    new = {shorter: {0: 50, 1: 50}, longer: {0: 600, 1: 600}}
    trial.wait_for(lambda: offsets(trial, new) == new, "all read of what was made anew")
    states = "SELECT DISTINCT state FROM alert WHERE labels->>'alertname' = 'partition_stopped'"
    demand(trial.query(states), [("resolved",)], "states of the alerts")
    trial.settle()
    found, usable = counted(trial.url), sum(trial.feed.ends.values()) - len(trial.oracle.broken)
    demand((found.pop(shorter), found.pop(longer), found.total()), (700, 1800, usable), "events counted")


def send(trial: Trial, topic: str, values: Iterable[bytes]) -> None:
    """Send values to two partitions, in turn."""
    with closing(KafkaProducer(bootstrap_servers=trial.services.kafka.bootstrap)) as producer:
        for number, value in enumerate(values):
            producer.send(topic, value, partition=number % 2, timestamp_ms=START_SECONDS * 1000)
        producer.flush()


def offsets(trial: Trial, topics: Iterable[str]) -> dict[str, dict[int, int]]:
    """Return how far each partition of these topics has been read."""
    rows = trial.query("SELECT topic, partition, coalesce(next_offset, 0) FROM partition")
    return {topic: {number: offset for each, number, offset in rows if each == topic} for topic in topics}


@scenario("15a", "transactions, some aborted", must=())
def transactions(trial: Trial) -> None:
    """Commit and abort transactions while workers are killed; end with one that stays open for long."""
    topic, rounds = f"{trial.topic}-transactions", 120 if trial.full else 40
    trial.services.kafka.create_topic(topic, 2, {"retention.ms": "-1"})
    alter(trial, IDLE)
    also_read(trial, [topic])
    reader, kept = trial.start(), 0
    with transactional(trial, "first") as first, transactional(trial, "second") as second:
        for number in range(rounds):
            aborted, count = trial.chance.random() < 0.4, trial.chance.randint(1, 60)
            first.begin_transaction()
            write(trial, first, topic, f"{'aborted' if aborted else 'kept'}-{number}", count)
            first.flush()
            if aborted:
                first.abort_transaction()
            else:
                first.commit_transaction()
                kept += count
            if number % 20 == 10:
                reader.kill()
                reader = trial.start()
        trial.wait_for(lambda: counted(trial.url)["paid"] == kept, "what was committed is counted")
        second.begin_transaction()
        write(trial, second, topic, "open", 10)
        second.flush()
        first.begin_transaction()
        write(trial, first, topic, "behind", 10)
        first.commit_transaction()
        time.sleep(5)
        demand(counted(trial.url)["paid"], kept, "events counted while a transaction is open before them")
        second.commit_transaction()
    kept += 20
    trial.wait_for(lambda: counted(trial.url)["paid"] == kept, "what was open is counted")
    # What ends a transaction has an offset, too.
    trial.wait_for(lambda: offsets(trial, [topic])[topic] == ends(trial, topic), "the stored offsets at the end")
    trial.settle()
    demand(counted(trial.url)["paid"], kept, "events counted")
    demand(trial.query("SELECT event_id FROM candidate WHERE event_id LIKE 'aborted%%'"), [], "aborted candidates")
    trial.told["committed"] = str(kept)


@contextmanager
def transactional(trial: Trial, name: str) -> Iterator[KafkaProducer]:
    """Yield a producer of transactions."""
    bootstrap, own = trial.services.kafka.bootstrap, f"{trial.topic}-{name}"
    with closing(KafkaProducer(bootstrap_servers=bootstrap, transactional_id=own)) as producer:
        producer.init_transactions()
        yield producer


def write(trial: Trial, producer: KafkaProducer, topic: str, name: str, count: int) -> None:
    """Send events of a transaction to either partition."""
    for number in range(count):
        value = event(f"{name}-{number}", START_SECONDS + number / 10, "paid")
        producer.send(topic, value, partition=trial.chance.randrange(2), timestamp_ms=START_SECONDS * 1000)


def ends(trial: Trial, topic: str) -> dict[int, int]:
    """Return the offsets that the next records of two partitions will have."""
    partitions = [TopicPartition(topic, number) for number in (0, 1)]
    with closing(KafkaConsumer(bootstrap_servers=trial.services.kafka.bootstrap)) as consumer:
        return {each.partition: offset for each, offset in consumer.end_offsets(partitions).items()}


@scenario("15b", "a compacted topic", must=())
def compacted(trial: Trial) -> None:
    """Let Kafka compact what a worker has not read yet, and see that it reads what is left, and only that."""
    topic, count = f"{trial.topic}-compacted", 4000
    config = {"cleanup.policy": "compact", "segment.ms": "100000", "min.cleanable.dirty.ratio": "0.001"}
    trial.services.kafka.create_topic(topic, 1, config)
    also_read(trial, [topic])
    reader = trial.start()
    write_keyed(trial, topic, range(count))
    trial.wait_for(lambda: offsets(trial, [topic]) == {topic: {0: count}}, "the first half read")
    reader.kill()
    first = counted(trial.url)["keyed"]
    write_keyed(trial, topic, range(count, 2 * count))
    left: list[int] = []

    def settled() -> bool:
        before, left[:] = list(left), remaining(trial, topic, count, 2 * count)
        time.sleep(2)
        return left == before and len(left) < count / 2

    trial.wait_for(settled, "compacted")
    trial.start()
    trial.wait_for(lambda: offsets(trial, [topic]) == {topic: {0: 2 * count}}, "all read")
    trial.settle()
    demand(counted(trial.url)["keyed"], first + len(left), "events counted")
    trial.told["left of the second half"] = f"{len(left)} of {count}"


def write_keyed(trial: Trial, topic: str, numbers: Iterable[int]) -> None:
    """Send events of 40 keys, a second of Kafka's time apart."""
    with closing(KafkaProducer(bootstrap_servers=trial.services.kafka.bootstrap)) as producer:
        for number in numbers:
            value, when = event(f"keyed-{number}", START_SECONDS + number, "keyed"), START_SECONDS + number
            producer.send(topic, value, key=b"%d" % (number % 40), partition=0, timestamp_ms=when * 1000)
        producer.flush()


def remaining(trial: Trial, topic: str, start: int, end: int) -> list[int]:
    """Return the offsets that Kafka still has."""
    partition, found = TopicPartition(topic, 0), [start - 1]
    with closing(KafkaConsumer(bootstrap_servers=trial.services.kafka.bootstrap)) as consumer:
        consumer.assign([partition])
        consumer.seek(partition, start)
        while found[-1] < end - 1:
            found += [each.offset for each in consumer.poll(1000).get(partition, ())]
    return found[1:]
