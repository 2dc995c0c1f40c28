"""What people write today: a plain consumer. ``use``: "" reads and does nothing, "decode" decodes with msgspec.

An event becomes an object with dict fields, which is what most people would do.
"""

import os
from collections.abc import Callable, Iterator

import msgspec
from kafka import KafkaConsumer, TopicPartition

from benchmarks.contenders.task import Clock, Task, main

_AT_ONCE = 500


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


def run(task: Task, clock: Clock) -> None:
    """Read everything, and decode it if that is asked for."""
    use: Callable[[bytes], object] | None = msgspec.json.Decoder(DictEvent).decode if task.use == "decode" else None
    batches = {"kafka-python": _kafka_python, "confluent": _confluent}[task.client](task)
    seen = 0
    for values in batches:
        clock.start()
        if use is not None:
            for value in values:
                use(value)
        seen += len(values)
        if seen >= task.count:
            break
    clock.stop(seen)


def _kafka_python(task: Task) -> Iterator[list[bytes]]:
    consumer = KafkaConsumer(
        bootstrap_servers=task.bootstrap, group_id=None, auto_offset_reset="earliest", fetch_max_wait_ms=50
    )
    consumer.assign([TopicPartition(task.topic, number) for number in range(task.partitions)])
    while True:
        for records in consumer.poll(timeout_ms=500, max_records=_AT_ONCE).values():
            yield [record.value for record in records]


def _confluent(task: Task) -> Iterator[list[bytes]]:
    import confluent_kafka  # noqa: PLC0415 - an optional part

    consumer = confluent_kafka.Consumer(
        {
            "bootstrap.servers": task.bootstrap,
            "group.id": f"consume-{os.getpid()}",
            "enable.auto.commit": False,
            "fetch.wait.max.ms": 50,
            # By default it rests a second after each full queue: a third of the rate.
            "fetch.queue.backoff.ms": 10,
        }
    )
    consumer.assign([confluent_kafka.TopicPartition(task.topic, number, 0) for number in range(task.partitions)])
    while True:
        if messages := consumer.consume(_AT_ONCE, 0.5):
            yield [message.value() or b"" for message in messages]


if __name__ == "__main__":
    main(run)
