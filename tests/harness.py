"""How integration tests run the real parts: settings, a worker in a thread, events into a topic."""

import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from kafka import KafkaProducer

from daemon.settings import Settings
from daemon.sources.registry import source_of
from daemon.worker import Worker
from sinks.database import connect
from tests.services import ApacheKafka

__all__ = ["START_SECONDS", "event", "new_topic", "query", "send", "settings_for", "wait_for", "working"]

START_SECONDS = 1_760_000_000 - 1_760_000_000 % 300
"""The beginning of a window of five minutes."""


def settings_for(broker: ApacheKafka, database: str, topic: str, /, **sections: dict[str, Any]) -> Settings:
    """Return settings for one topic; ``sections`` are laid over what is set here."""
    defaults: dict[str, dict[str, Any]] = {
        "kafka": {
            "bootstrap_servers": [broker.bootstrap],
            "topics": [topic],
            "group": topic,
            "session_timeout_seconds": 6,
            "client": os.environ.get("STRANDLINE_KAFKA__CLIENT", "kafka-python"),
        },
        "postgres": {"url": database},
        "ingest": {"idle_seconds": 1},
        "ops": {"port": 0},
        "model": {"*": {"segments": ["region"], "labels_per_day": 1000, "expected_events_per_day": 10_000}},
    }
    return Settings.model_validate(
        {name: {**defaults.get(name, {}), **sections.get(name, {})} for name in {*defaults, *sections}}
    )


@contextmanager
def working(settings: Settings, owner: str = "test") -> Iterator[Worker]:
    """Run a worker in a thread, as its process would, and see it end in good order."""
    stop = threading.Event()
    source = source_of(settings.kafka)(
        settings.kafka,
        poll_records=settings.ingest.poll_records,
        max_event_bytes=settings.ingest.max_event_bytes,
    )
    worker = Worker(settings, source, lambda: connect(settings.postgres.conninfo, name="test"), owner, stop)
    faults: list[BaseException] = []

    def run() -> None:
        try:
            worker.run()
        except BaseException as fault:  # noqa: BLE001 - told where the test looks
            faults.append(fault)
            # A process that dies gives these back; a thread does not.
            source.close()
            worker._ledger.connection.close()

    thread = threading.Thread(target=run, name="worker-under-test")
    thread.start()
    try:
        yield worker
    finally:
        stop.set()
        thread.join(30)
        assert not thread.is_alive(), "the worker did not stop"
        if faults:
            raise faults[0]


def wait_for(what: Callable[[], bool], seconds: float = 45) -> None:
    """Wait until ``what`` is true; fail after ``seconds``, which is far more than it takes."""
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until, "waited too long"
        time.sleep(0.1)


def event(number: int, *, second: float, **fields: object) -> bytes:
    """Return event ``number`` of the model "pets", ``second`` seconds after START_SECONDS."""
    plain = {
        "id": f"event-{number}",
        "time": START_SECONDS + second,
        "model": "pets",
        "version": "1",
        "prediction": "cat",
        "confidence": 0.9,
        "tags": {"region": "eu" if number % 2 else "us"},
        "payload": f"picture {number}",
    }
    return json.dumps({**plain, **fields}).encode()


def new_topic(kafka: ApacheKafka, partitions: int = 3) -> str:
    """Create a topic whose old timestamps do not make the broker delete its records."""
    name = f"events-{time.time_ns()}"
    kafka.create_topic(name, partitions, {"retention.ms": "-1"})
    return name


def send(
    kafka: ApacheKafka, topic: str, values: Sequence[tuple[bytes | None, float]], partitions: Sequence[int] = (0, 1, 2)
) -> None:
    """Send (value, seconds after START_SECONDS), round robin over ``partitions``."""
    producer = KafkaProducer(bootstrap_servers=kafka.bootstrap, max_request_size=32_000_000)
    for position, (value, second) in enumerate(values):
        producer.send(
            topic,
            value,
            partition=partitions[position % len(partitions)],
            timestamp_ms=round((START_SECONDS + second) * 1000),
        )
    producer.flush()
    producer.close()


def query(database: str, text: str) -> list[tuple[Any, ...]]:
    """Return the rows of a query."""
    with psycopg.connect(database) as connection:
        return connection.execute(text.encode()).fetchall()
