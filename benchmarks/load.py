"""A steady load: events of many models and segments at a fixed rate, from a process of its own."""

import itertools
import multiprocessing
import os
import random
import threading
import time
from multiprocessing.synchronize import Event as Signal
from types import TracebackType
from typing import TYPE_CHECKING, Self

import msgspec
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaError

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess

__all__ = ["SEGMENTS", "SEGMENT_TAG", "Load", "end_offsets"]

SEGMENT_TAG, SEGMENTS = "region", 20
_MODELS = 50
_SHAPES = 40
"""Different events of each model and segment; only id and time are new in each."""
_TURN_SECONDS = 0.05
_CLASSES = ("ant", "bee", "cat", "dog", "elk")


class Load:
    """Sends ``rate`` events a second to ``topic`` between ``__enter__`` and ``__exit__``, also after an outage.

    ``held``: while it is set, nothing is sent.
    """

    def __init__(self, bootstrap: str, topic: str, partitions: int, rate: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._stop: Signal = context.Event()
        self.held: Signal = context.Event()
        self._process: BaseProcess = context.Process(
            target=_produce, args=(bootstrap, topic, partitions, rate, self._stop, self.held), name="load"
        )

    def __enter__(self) -> Self:
        self._process.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._process.join(60)
        self._process.kill()


def end_offsets(bootstrap: str, topic: str, partitions: int) -> int:
    """Return how many records the topic ever got."""
    consumer = KafkaConsumer(bootstrap_servers=bootstrap)
    try:
        return sum(consumer.end_offsets([TopicPartition(topic, number) for number in range(partitions)]).values())
    finally:
        consumer.close()


def _shapes() -> list[bytes]:
    """Return everything of events but their beginning, in an order that mixes models and segments."""
    chance = random.Random(1)
    shapes = []
    for model, segment, _ in itertools.product(range(_MODELS), range(SEGMENTS), range(_SHAPES)):
        weights = [chance.random() ** 3 + 0.001 for _ in _CLASSES]
        chances = [round(weight / sum(weights), 4) for weight in weights]
        event = {
            "model": f"model-{model:02}",
            "version": "1",
            "prediction": _CLASSES[chances.index(max(chances))],
            "probabilities": dict(zip(_CLASSES, chances, strict=True)),
            "features": {
                **{f"number_{index}": round(chance.gauss(index, 1), 3) for index in range(6)},
                "colour": chance.choice(("red", "green", "blue")),
                "mobile": chance.random() < 0.3,
            },
            "tags": {SEGMENT_TAG: f"r{segment:02}", "app": chance.choice(("web", "phone"))},
        }
        shapes.append(msgspec.json.encode(event)[1:])
    chance.shuffle(shapes)
    return shapes


def _produce(bootstrap: str, topic: str, partitions: int, rate: int, stop: Signal, held: Signal) -> None:
    _end_with(os.getppid())
    # One request at a time: what is sent again after a failure must not overtake.
    producer = KafkaProducer(
        bootstrap_servers=bootstrap,
        linger_ms=20,
        batch_size=128_000,
        max_in_flight_requests_per_connection=1,
        reconnect_backoff_max_ms=1000,
        max_block_ms=1000,
    )
    shapes = itertools.cycle(_shapes())
    due, number = time.time(), 0
    while not stop.is_set():
        # After an outage it goes on at its rate: what was not sent then is not sent now.
        due = max(due + _TURN_SECONDS, time.time() - 1)
        time.sleep(max(0.0, due - time.time()))
        if held.is_set():
            continue
        now = time.time()
        try:
            for shape in itertools.islice(shapes, round(rate * _TURN_SECONDS)):
                number += 1
                value = b'{"id":"%d","time":%.3f,%b' % (number, now, shape)
                producer.send(topic, value, partition=number % partitions, timestamp_ms=round(now * 1000))
        except KafkaError:
            time.sleep(_TURN_SECONDS)
    producer.close(timeout=30)


def _end_with(parent: int) -> None:
    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
