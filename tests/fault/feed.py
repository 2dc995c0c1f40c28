"""Sends an oracle's events into a topic: at once, or spread over the time of a fault."""

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from kafka import KafkaProducer

from tests.fault.oracle import PARTITIONS, Oracle, Sent
from tests.services import RECORD_MAX, ApacheKafka

__all__ = ["Feed"]

_TICK_SECONDS = 0.05
_PATIENCE_MS = 600_000
"""However long a broker is away: what was sent arrives, once and in order."""


class Feed:
    """Fills a topic of its own, in the order of the oracle's stream."""

    def __init__(self, kafka: ApacheKafka, topic: str, oracle: Oracle) -> None:
        self.topic = topic
        self.ends = dict.fromkeys(range(PARTITIONS), 0)
        self._oracle = oracle
        self._next = 0
        kafka.create_topic(topic, PARTITIONS, {"retention.ms": "-1"})
        self._producer = KafkaProducer(
            bootstrap_servers=kafka.bootstrap,
            linger_ms=20,
            batch_size=262_144,
            enable_idempotence=True,
            delivery_timeout_ms=_PATIENCE_MS,
            max_block_ms=_PATIENCE_MS,
            # Else it looks for a broker that was away for long every half a minute only.
            reconnect_backoff_max_ms=1000,
            max_request_size=RECORD_MAX,
        )

    def up_to(self, share: float) -> None:
        """Send the stream up to this share of it."""
        until = round(min(1.0, share) * self._oracle.count)
        self._send(self._oracle.stream[self._next : until])
        self._next = max(self._next, until)

    def rest(self) -> None:
        """Send what is left of the stream, and what closes its windows; wait until all has arrived."""
        self.up_to(1.0)
        self._send(self._oracle.last())
        self._producer.flush()

    def fresh(self, name: str, second: float) -> None:
        """Send a fresh event to each partition; wait until all have arrived."""
        self._send(self._oracle.fresh(name, second))
        self._producer.flush()

    def more(self, events: Iterable[Sent]) -> None:
        """Send events that are none of the oracle's: after its stream, whose places it would move."""
        self._send(events)
        self._producer.flush()

    @contextmanager
    def spread_over(self, seconds: float, share: float = 1.0) -> Iterator[None]:
        """Send the stream up to this share of it, evenly for so long, whatever happens meanwhile; in the end, at once.

        At the end of the whole stream, what closes its windows is sent, too.
        """
        over, began, first = threading.Event(), time.monotonic(), self._next / self._oracle.count

        def run() -> None:
            while not over.wait(_TICK_SECONDS) and self._next < self._oracle.count:
                self.up_to(min(share, first + (share - first) * (time.monotonic() - began) / seconds))

        thread = threading.Thread(target=run, name="feed")
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
        if share < 1:
            self.up_to(share)
        else:
            self.rest()

    def close(self) -> None:
        """Close the connections."""
        self._producer.close(timeout=5)

    def _send(self, events: Iterable[Sent]) -> None:
        for partition, when, value in events:
            self._producer.send(self.topic, value, partition=partition, timestamp_ms=round(when * 1000))
            self.ends[partition] += 1
