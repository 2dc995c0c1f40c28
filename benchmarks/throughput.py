"""Ingest speed: Strandline, with exactly-once commits, beside what people write today with the same client.

One process each, on the same topic of a real Apache Kafka: bare consume; consume and decode with msgspec into
dict fields; Strandline into PostgreSQL with its default monitors, on a layout that was learnt before: the steady
state. An event of about 400 bytes has 10 probabilities, 10 features and 2 tags. The clock of each starts when it has
polled its first records, so that starting is not measured, and stops when all is read, or committed. CPU time is that
of the process, all threads; PostgreSQL's and Kafka's own is not in it. Rounds are interleaved; medians are shown.

Then Strandline reads ten times as many, and its memory at the end is compared with that after a sixth of them.
"""

import argparse
import multiprocessing
import os
import random
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import msgspec
import numpy as np
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from benchmarks.report import Goal, print_json, print_table
from daemon.buffer import NEVER, Buffer, Cohort
from daemon.fields import FieldReader
from daemon.logs import configure
from daemon.processes import collect_rarely
from daemon.records import Records
from daemon.settings import Settings
from daemon.source import Poll
from daemon.sources.kafka_python import KafkaPythonSource
from daemon.worker import Worker
from detectors import growth
from detectors.layout import Layout
from detectors.registry import unlearnt_layout
from detectors.summary import Summary, fold
from sinks.cohorts import register
from sinks.database import connect, upgrade
from tests.services import ApacheKafka, Postgres

TOPIC, LONG_TOPIC = "throughput", "memory"
MODEL = "bench"
START = 1_760_000_000
MEMORY_AT = (500_000, 3_000_000)
GOALS = (Goal("ratio_cpu_kafka_python", 0.75), Goal("rss_growth_ratio", 1.1, at_most=True))


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


def events(count: int) -> Iterator[bytes]:
    """Yield events, one each millisecond."""
    chance = random.Random(1)
    for number in range(count):
        weights = [chance.random() ** 4 for _ in range(10)]
        total = sum(weights)
        event = {
            "id": f"{number:012x}",
            "time": START + number / 1000,
            "model": MODEL,
            "version": "1",
            "prediction": str(max(range(10), key=weights.__getitem__)),
            "probabilities": {f"{index}": round(weight / total, 5) for index, weight in enumerate(weights)},
            "features": {f"f{index}": round(chance.gauss(0, 1), 4) for index in range(10)},
            "tags": {"region": chance.choice(("eu", "us")), "app": "web"},
        }
        yield msgspec.json.encode(event)


def produce(bootstrap: str, topic: str, count: int) -> int:
    """Fill the topic with events; return their mean size."""
    producer = KafkaProducer(bootstrap_servers=bootstrap, linger_ms=50, batch_size=500_000)
    size = 0
    for number, value in enumerate(events(count)):
        if number % 100_000 == 0:
            print(f"producing {topic}: {number:,} of {count:,}", file=sys.stderr)
        size += len(value)
        producer.send(topic, value, timestamp_ms=START * 1000 + number)
    producer.flush()
    producer.close()
    return size // count


def learnt_layout(settings: Settings) -> Layout:
    """Return the layout that the first events make: their fields, edges and values."""
    cohort = Cohort(0, MODEL, "1", settings.of(MODEL))
    buffer = Buffer(settings, lambda _model, _version: cohort)
    buffer.add(TOPIC, 0, Records(range(10_000), [START * 1000] * 10_000, list(events(10_000))), NEVER)
    batch = buffer.batch()

    def counted(layout: Layout) -> Summary:
        return fold(layout, FieldReader(layout, everything=True).columns(batch, np.arange(len(buffer))))

    with_fields = growth.with_fields(counted(unlearnt_layout()), fields_cap=settings.detection.fields_cap)
    return growth.finished(counted(with_fields), classes_cap=settings.detection.classes_cap)


class Clock:
    """What was taken of time and CPU since the first records; and the memory at some number of events."""

    def __init__(self) -> None:
        self._began: tuple[float, float] | None = None
        self.memory: list[int] = []

    def start(self) -> None:
        """Begin, unless it has begun."""
        self._began = self._began or (time.perf_counter(), time.process_time())

    def taken(self) -> tuple[float, float]:
        """Return seconds of wall and of CPU."""
        assert self._began, "there were records"
        return time.perf_counter() - self._began[0], time.process_time() - self._began[1]


@dataclass(frozen=True, slots=True)
class Task:
    """What to read, and where results go. ``memory_at``: numbers of events at which the memory is noted."""

    bootstrap: str
    database: str
    topic: str
    count: int
    memory_at: tuple[int, ...] = ()


def bare_consume(task: Task, clock: Clock) -> None:
    """Read everything and do nothing with it."""
    _consume(task, clock, None)


def consume_and_decode(task: Task, clock: Clock) -> None:
    """Read everything and decode it."""
    _consume(task, clock, msgspec.json.Decoder(DictEvent).decode)


def _consume(task: Task, clock: Clock, use: Callable[[bytes], object] | None) -> None:
    consumer = KafkaConsumer(
        bootstrap_servers=task.bootstrap, group_id=None, auto_offset_reset="earliest", fetch_max_wait_ms=50
    )
    consumer.assign([TopicPartition(task.topic, 0)])
    seen = 0
    while seen < task.count:
        for records in consumer.poll(timeout_ms=500).values():
            clock.start()
            if use is not None:
                for record in records:
                    use(record.value)
            seen += len(records)
    consumer.close()


class ClockedSource(KafkaPythonSource):
    """Starts the clock with the first records."""

    clock: Clock

    def poll(self, seconds: float, most: int) -> Poll:
        """See Source."""
        found = super().poll(seconds, most)
        if found.records:
            self.clock.start()
        return found


def strandline(task: Task, clock: Clock) -> None:
    """Read everything into summaries, candidates and offsets in PostgreSQL."""
    settings = Settings.model_validate(
        {
            "kafka": {"bootstrap_servers": [task.bootstrap], "topics": [task.topic], "assignment": "static"},
            "postgres": {"url": task.database},
        }
    )
    with connect(task.database, name="benchmark") as connection:
        window_seconds, cap = settings.of(MODEL).window_seconds, settings.detection.models_cap
        register(connection, MODEL, "1", window_seconds=window_seconds, layout=learnt_layout(settings), cap=cap)
    # As the process of an ingest worker does.
    collect_rarely()
    stop = threading.Event()
    ingest = settings.ingest
    source = ClockedSource(settings.kafka, poll_records=ingest.poll_records, max_event_bytes=ingest.max_event_bytes)
    source.clock = clock
    worker = Worker(settings, source, lambda: connect(task.database, name="benchmark"), "benchmark", stop)

    def watch() -> None:
        for events_read in (*task.memory_at, task.count):
            while worker.committed_events < events_read:
                time.sleep(0.02)
            clock.memory.append(_memory())
        stop.set()

    threading.Thread(target=watch, daemon=True).start()
    worker.run()


def _memory() -> int:
    """Return the bytes of memory that this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


CONTENDERS: dict[str, Callable[[Task, Clock], None]] = {
    "bare consume": bare_consume,
    "consume + decode": consume_and_decode,
    "strandline": strandline,
}


def measure(name: str, task: Task) -> tuple[float, float, list[int]]:
    """Return events per second of wall and of the process's own CPU, and its memory, in a fresh process."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_measured, args=(name, task, there))
    process.start()
    there.close()
    wall, cpu, memory = here.recv()
    process.join()
    return task.count / wall, task.count / cpu, memory


def _measured(name: str, task: Task, answer: Connection) -> None:
    configure("error", process=name, role="benchmark")
    clock = Clock()
    CONTENDERS[name](task, clock)
    answer.send((*clock.taken(), clock.memory))


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    parser.add_argument("--quick", action="store_true", help="less than a minute; the memory is not looked at")
    arguments = parser.parse_args()
    count, rounds = (60_000, 3) if arguments.quick else (300_000, 5)
    with tempfile.TemporaryDirectory() as folder:
        for name in ("kafka", "postgres"):
            (Path(folder) / name).mkdir()
        with ApacheKafka(Path(folder) / "kafka") as kafka, Postgres(Path(folder) / "postgres", upgrade) as postgres:

            def task(topic: str, count: int, memory_at: tuple[int, ...] = ()) -> Task:
                return Task(kafka.bootstrap, postgres.new_database(), topic, count, memory_at)

            kafka.create_topic(TOPIC, 1, {"retention.ms": "-1"})
            size = produce(kafka.bootstrap, TOPIC, count)
            results: dict[str, list[tuple[float, float]]] = {name: [] for name in CONTENDERS}
            for number in range(rounds):
                for name in CONTENDERS:
                    print(f"round {number + 1} of {rounds}: {name}", file=sys.stderr)
                    wall, cpu, _ = measure(name, task(TOPIC, count))
                    results[name].append((wall, cpu))
            memory: list[int] = []
            if not arguments.quick:
                kafka.create_topic(LONG_TOPIC, 1, {"retention.ms": "-1"})
                produce(kafka.bootstrap, LONG_TOPIC, MEMORY_AT[-1])
                print(f"memory: {MEMORY_AT[-1]:,} events", file=sys.stderr)
                _, _, memory = measure("strandline", task(LONG_TOPIC, MEMORY_AT[-1], MEMORY_AT[:-1]))
    _report(results, memory, f"{count:,} events of {size} bytes, median of {rounds}", as_json=arguments.json)


def _report(results: dict[str, list[tuple[float, float]]], memory: list[int], title: str, *, as_json: bool) -> None:
    medians = {
        name: (statistics.median(wall for wall, _ in each), statistics.median(cpu for _, cpu in each))
        for name, each in results.items()
    }
    base, ours = medians["consume + decode"], medians["strandline"]
    rows = [[name, f"{wall:,.0f}", f"{cpu:,.0f}", f"{cpu / base[1]:.2f}"] for name, (wall, cpu) in medians.items()]
    print_table(title, ["", "events/s (wall)", "events/CPU-s", "to consume + decode"], rows)
    figures = {
        "ratio_cpu_kafka_python": ours[1] / base[1],
        "ratio_wall_kafka_python": ours[0] / base[0],
        "events_per_second_kafka_python": ours[0],
        "events_per_cpu_second_kafka_python": ours[1],
    }
    if memory:
        figures["rss_growth_ratio"] = memory[-1] / memory[0]
        rows = [[f"{at:,}", f"{held / 2**20:.1f}"] for at, held in zip(MEMORY_AT, memory, strict=True)]
        print_table(f"memory grows by {figures['rss_growth_ratio']:.3f}", ["events", "MiB"], rows)
    if as_json:
        print_json("throughput", figures, [goal for goal in GOALS if goal.figure in figures])


if __name__ == "__main__":
    main()
