"""Ingest speed: Strandline, with exactly-once commits, beside what people write today with the same client.

One process each, on the same topic of a real Apache Kafka: bare consume; consume and decode with msgspec into
dict fields; Strandline into PostgreSQL with its default monitors. Rounds are interleaved; medians are shown.
"""

import argparse
import json
import multiprocessing
import random
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import msgspec
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from benchmarks.report import Goal, print_json, print_table
from daemon.logs import configure
from daemon.settings import Settings
from daemon.source import KafkaSource
from daemon.worker import Worker
from sinks.database import connect, upgrade
from tests.services import ApacheKafka, Postgres

TOPIC = "throughput"
START = 1_760_000_000
GOALS = (Goal("ratio_cpu_kafka_python", 0.75),)


class DictEvent(msgspec.Struct):
    """The event as most people would decode it: with dict fields."""

    id: str
    time: float
    model: str
    version: str
    prediction: str
    probabilities: dict[str, float]
    features: dict[str, float]
    tags: dict[str, str]


def produce(bootstrap: str, count: int) -> int:
    """Fill the topic with events of about 435 bytes; return their mean size."""
    chance = random.Random(1)
    producer = KafkaProducer(bootstrap_servers=bootstrap, linger_ms=50, batch_size=500_000)
    size = 0
    for number in range(count):
        weights = [chance.random() ** 4 for _ in range(10)]
        total = sum(weights)
        event = {
            "id": f"{number:012x}",
            "time": START + number / 1000,
            "model": "bench",
            "version": "1",
            "prediction": str(max(range(10), key=weights.__getitem__)),
            "probabilities": {f"{index}": round(weight / total, 5) for index, weight in enumerate(weights)},
            "features": {f"f{index}": round(chance.gauss(0, 1), 4) for index in range(10)},
            "tags": {"region": chance.choice(("eu", "us")), "app": "web"},
        }
        value = json.dumps(event, separators=(",", ":")).encode()
        size += len(value)
        producer.send(TOPIC, value, timestamp_ms=START * 1000 + number)
    producer.flush()
    producer.close()
    return size // count


def bare_consume(bootstrap: str, _: str, count: int) -> None:
    """Read everything and do nothing with it."""
    _consume(bootstrap, count, lambda _value: None)


def consume_and_decode(bootstrap: str, _: str, count: int) -> None:
    """Read everything and decode it."""
    _consume(bootstrap, count, msgspec.json.Decoder(DictEvent).decode)


def _consume(bootstrap: str, count: int, use: Callable[[bytes], object]) -> None:
    consumer = KafkaConsumer(
        bootstrap_servers=bootstrap, group_id=None, auto_offset_reset="earliest", fetch_max_wait_ms=50
    )
    consumer.assign([TopicPartition(TOPIC, 0)])
    seen = 0
    while seen < count:
        for records in consumer.poll(timeout_ms=500).values():
            for record in records:
                use(record.value)
            seen += len(records)
    consumer.close()


def strandline(bootstrap: str, database: str, count: int) -> None:
    """Read everything into summaries, candidates and offsets in PostgreSQL."""
    settings = Settings.model_validate(
        {
            "kafka": {"bootstrap_servers": [bootstrap], "topics": [TOPIC], "assignment": "static"},
            "postgres": {"url": database},
        }
    )
    stop = threading.Event()
    source = KafkaSource(settings.kafka, poll_records=500, max_event_bytes=settings.ingest.max_event_bytes)
    worker = Worker(settings, source, lambda: connect(database, name="benchmark"), "benchmark", stop)

    def watch() -> None:
        while worker.committed_events < count:
            time.sleep(0.02)
        stop.set()

    threading.Thread(target=watch, daemon=True).start()
    worker.run()


CONTENDERS: dict[str, Callable[[str, str, int], None]] = {
    "bare consume": bare_consume,
    "consume + decode": consume_and_decode,
    "strandline": strandline,
}


def measure(name: str, bootstrap: str, database: str, count: int) -> tuple[float, float]:
    """Return events per second of wall and of the process's own CPU, all threads, in a fresh process."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_measured, args=(name, bootstrap, database, count, there))
    process.start()
    there.close()
    wall, cpu = here.recv()
    process.join()
    return count / wall, count / cpu


def _measured(name: str, bootstrap: str, database: str, count: int, answer: Connection) -> None:
    configure("error", process=name, role="benchmark")
    wall, cpu = time.perf_counter(), time.process_time()
    CONTENDERS[name](bootstrap, database, count)
    answer.send((time.perf_counter() - wall, time.process_time() - cpu))


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    parser.add_argument("--quick", action="store_true", help="less than a minute")
    arguments = parser.parse_args()
    count, rounds = (60_000, 1) if arguments.quick else (300_000, 3)
    with tempfile.TemporaryDirectory() as folder:
        for name in ("kafka", "postgres"):
            (Path(folder) / name).mkdir()
        with ApacheKafka(Path(folder) / "kafka") as kafka, Postgres(Path(folder) / "postgres", upgrade) as postgres:
            kafka.create_topic(TOPIC, 1, {"retention.ms": "-1"})
            print(f"producing {count:,} events", file=sys.stderr)
            size = produce(kafka.bootstrap, count)
            results: dict[str, list[tuple[float, float]]] = {name: [] for name in CONTENDERS}
            for number in range(rounds):
                for name in CONTENDERS:
                    print(f"round {number + 1} of {rounds}: {name}", file=sys.stderr)
                    results[name].append(measure(name, kafka.bootstrap, postgres.new_database(), count))
    medians = {
        name: (statistics.median(wall for wall, _ in each), statistics.median(cpu for _, cpu in each))
        for name, each in results.items()
    }
    base = medians["consume + decode"]
    rows = [[name, f"{wall:,.0f}", f"{cpu:,.0f}", f"{cpu / base[1]:.2f}"] for name, (wall, cpu) in medians.items()]
    columns = ["", "events/s (wall)", "events/CPU-s", "to consume + decode"]
    print_table(f"{count:,} events of {size} bytes, median of {rounds}", columns, rows)
    ours = medians["strandline"]
    figures = {
        "ratio_cpu_kafka_python": ours[1] / base[1],
        "ratio_wall_kafka_python": ours[0] / base[0],
        "events_per_second_kafka_python": ours[0],
        "events_per_cpu_second_kafka_python": ours[1],
    }
    if arguments.json:
        print_json("throughput", figures, GOALS)


if __name__ == "__main__":
    main()
