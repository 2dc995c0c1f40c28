"""Events for the speed benchmarks, and topics full of them.

An event of the usual kind has about 400 bytes: 10 probabilities, 10 features, 2 tags. Each is one of some thousand
shapes with an id and a time of its own: so millions are made in seconds, and are as much work to read as any.
"""

import itertools
import json
import random
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec

from kafka import KafkaProducer

__all__ = ["SEGMENT_TAG", "START", "Topic", "events", "fill", "model_names", "segment_names"]

START = 1_760_000_000
SEGMENT_TAG = "region"
_SHAPES_BYTES = 32_000_000
_SHAPES = 4096
_IN_A_ROW = 1000
"""Events that go to one partition before the next one gets some."""


@dataclass(frozen=True, slots=True)
class Topic:
    """What a topic holds: ``count`` events, one a millisecond; ``segments`` of each model by the tag "region"."""

    name: str
    count: int
    partitions: int = 1
    models: int = 1
    segments: int = 0
    features: int = 10


def model_names(count: int) -> list[str]:
    """Return the names of models."""
    return [f"model-{number:04}" for number in range(count)]


def segment_names(count: int) -> list[str]:
    """Return the values of the tag that makes segments."""
    return [f"r{number:04}" for number in range(count)]


def events(topic: Topic) -> Iterator[bytes]:
    """Yield its events."""
    for number, shape in zip(range(topic.count), itertools.cycle(_shapes(topic)), strict=False):
        yield b'{"id":"%012x","time":%d.%03d,%b' % (number, START + number // 1000, number % 1000, shape)


def _shapes(topic: Topic) -> list[bytes]:
    """Return everything of events but their beginning, models and segments mixed."""
    chance = random.Random(1)
    streams = list(itertools.product(model_names(topic.models), segment_names(topic.segments) or ["eu", "us"]))
    wanted = max(min(_SHAPES, _SHAPES_BYTES // (200 + 20 * topic.features)), len(streams))
    shapes = []
    for model, region in itertools.islice(itertools.cycle(streams), wanted):
        weights = [chance.random() ** 4 for _ in range(10)]
        total = sum(weights)
        event = {
            "model": model,
            "version": "1",
            "prediction": str(max(range(10), key=weights.__getitem__)),
            "probabilities": {f"{index}": round(weight / total, 5) for index, weight in enumerate(weights)},
            "features": {f"f{index}": round(chance.gauss(0, 1), 4) for index in range(topic.features)},
            "tags": {SEGMENT_TAG: region, "app": "web"},
        }
        shapes.append(json.dumps(event, separators=(",", ":")).encode()[1:])
    chance.shuffle(shapes)
    return shapes


def fill(bootstrap: str, topic: Topic) -> int:
    """Send all events to the topic, which must be there; return their mean size."""
    send, flush = (_confluent if find_spec("confluent_kafka") else _kafka_python)(bootstrap, topic.name)
    size = 0
    for number, value in enumerate(events(topic)):
        if number % 500_000 == 0:
            print(f"filling {topic.name}: {number:,} of {topic.count:,}", file=sys.stderr)
        size += len(value)
        send(value, number // _IN_A_ROW % topic.partitions, START * 1000 + number)
    flush()
    return size // topic.count


_Send = Callable[[bytes, int, int], None]
_Flush = Callable[[], object]


def _kafka_python(bootstrap: str, topic: str) -> tuple[_Send, _Flush]:
    producer = KafkaProducer(bootstrap_servers=bootstrap, linger_ms=50, batch_size=500_000)

    def send(value: bytes, partition: int, milliseconds: int) -> None:
        producer.send(topic, value, partition=partition, timestamp_ms=milliseconds)

    return send, producer.close


def _confluent(bootstrap: str, topic: str) -> tuple[_Send, _Flush]:
    """Return the same on confluent-kafka, which is many times as fast."""
    import confluent_kafka  # noqa: PLC0415 - an optional part

    producer = confluent_kafka.Producer(
        {
            "bootstrap.servers": bootstrap,
            "linger.ms": 50,
            "batch.size": 900_000,
            "queue.buffering.max.messages": 200_000,
        }
    )

    def send(value: bytes, partition: int, milliseconds: int) -> None:
        while True:
            try:
                producer.produce(topic, value, partition=partition, timestamp=milliseconds)
            except BufferError:
                producer.poll(0.1)
            else:
                return

    return send, producer.flush
