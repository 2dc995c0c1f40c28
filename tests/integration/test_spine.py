"""The thin path end to end: events through real Kafka into windows, readings, candidates and the queue."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
import pytest
from kafka import KafkaProducer

from daemon.jobs.reduce import ReduceJob
from daemon.jobs.select import SelectJob
from daemon.settings import Settings
from daemon.source import KafkaSource
from daemon.worker import Worker
from sinks.database import connect
from tests.services import ApacheKafka

START_SECONDS = 1_760_000_000 - 1_760_000_000 % 300
WINDOW = START_SECONDS // 300


def settings_for(kafka: ApacheKafka, database: str, topic: str, **ingest: object) -> Settings:
    return Settings.model_validate(
        {
            "kafka": {
                "bootstrap_servers": [kafka.bootstrap],
                "topics": [topic],
                "group": topic,
                "session_timeout_seconds": 6,
            },
            "postgres": {"url": database},
            "ingest": {"idle_seconds": 1, **ingest},
            "model": {"*": {"segments": ["region"], "labels_per_day": 1000, "expected_events_per_day": 10_000}},
        }
    )


@contextmanager
def working(settings: Settings) -> Iterator[Worker]:
    """Run a worker in a thread, as its process would."""
    stop = threading.Event()
    source = KafkaSource(settings.kafka, poll_records=500, max_event_bytes=settings.ingest.max_event_bytes)
    worker = Worker(settings, source, lambda: connect(settings.postgres.url, name="test"), "test", stop)
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        yield worker
    finally:
        stop.set()
        thread.join(20)
        assert not thread.is_alive()


def wait_for(what: Callable[[], bool], seconds: float = 30) -> None:
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until, "waited too long"
        time.sleep(0.1)


def event(number: int, *, second: float, confidence: float = 0.9, predicted: str = "cat") -> bytes:
    rest = (1 - confidence) / 2
    return json.dumps(
        {
            "id": f"event-{number}",
            "time": START_SECONDS + second,
            "model": "pets",
            "version": "1",
            "prediction": predicted,
            "probabilities": {"cat": confidence, "dog": rest, "bird": rest},
            "tags": {"region": "eu" if number % 2 else "us"},
            "payload": f"picture {number}",
        }
    ).encode()


@pytest.fixture
def topic(kafka: ApacheKafka, request: pytest.FixtureRequest) -> str:
    name = f"{request.node.name[:40]}-{time.time_ns()}"
    kafka.create_topic(name, 3, {"retention.ms": "-1"})
    return name


def send(kafka: ApacheKafka, topic: str, values: list[tuple[bytes | None, float]], partitions: int = 3) -> None:
    """Send (value, seconds after START) round robin."""
    producer = KafkaProducer(bootstrap_servers=kafka.bootstrap, max_request_size=32_000_000)
    for position, (value, second) in enumerate(values):
        producer.send(topic, value, partition=position % partitions, timestamp_ms=int((START_SECONDS + second) * 1000))
    producer.flush()
    producer.close()


def one(database: str, query: str) -> tuple[object, ...]:
    with psycopg.connect(database) as connection:
        row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return row


def test_events_become_windows_candidates_and_queue_items(kafka: ApacheKafka, database: str, topic: str) -> None:
    count = 6000
    seconds = [number * 0.5 for number in range(count)]
    send(
        kafka,
        topic,
        [(event(n, second=s, predicted="cat" if n % 5 else "dog"), s) for n, s in enumerate(seconds)],
    )
    settings = settings_for(kafka, database, topic)
    with working(settings) as worker:
        wait_for(lambda: worker.committed_events == count)
        # All partitions are idle at their end: event time goes on with the clock, the last window stays open.
        connection = connect(database, name="test")
        reduce, select = ReduceJob(settings), SelectJob(settings)
        wait_for(lambda: reduce.run_once(connection) >= 0 and closed_events(database) == 9 * 600)
        select.run_once(connection)
    stored = one(database, "SELECT sum(next_offset)::int, count(*) FROM partition")
    assert stored == (count, 3)
    assert closed_events(database) == 9 * 600
    candidates, undecided = one(database, "SELECT count(*), count(*) FILTER (WHERE decision IS NULL) FROM candidate")
    assert candidates > 0
    assert undecided == 0
    queued = one(database, "SELECT count(*), min(propensity) FROM queue_item")
    assert 0 < int(str(queued[0])) <= int(str(candidates))


def closed_events(database: str) -> int:
    return int(str(one(database, "SELECT coalesce(sum(events), 0) FROM closed_window")[0]))
