"""Plays the traffic into the broker, in accelerated event time."""

from collections.abc import Callable
from types import TracebackType
from typing import Self

from kafka import KafkaProducer

from daemon.demo.story import Change
from daemon.demo.traffic import Message, Traffic

__all__ = ["Player"]

_CLOSE_SECONDS = 2.0


class Player:
    """Sends each event when its time has come; a record's Kafka timestamp is its event time."""

    def __init__(
        self,
        bootstrap: str,
        topic: str,
        traffic: Traffic,
        wrong: Callable[[int], Change | None],
    ) -> None:
        self._topic = topic
        self._traffic = traffic
        self._wrong = wrong
        self._made = 0
        self._waiting: list[Message] = []
        self._producer = KafkaProducer(bootstrap_servers=bootstrap, client_id="strandline-demo", linger_ms=20)

    def play_until(self, position: float) -> None:
        """Send everything up to ``position``, in windows since the beginning."""
        while self._made < position:
            self._waiting += self._traffic.window(self._made, self._wrong(self._made))
            self._made += 1
        until = self._traffic.time_ms(position)
        sent = 0
        for message in self._waiting:
            if message.time_ms >= until:
                break
            self._producer.send(self._topic, message.value, partition=message.partition, timestamp_ms=message.time_ms)
            sent += 1
        del self._waiting[:sent]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._producer.close(timeout=_CLOSE_SECONDS)
