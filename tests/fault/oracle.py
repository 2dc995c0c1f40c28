"""Events with known ids and content: what they are, where they lie, and which of them are broken."""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

__all__ = ["MODELS", "PARTITIONS", "REGIONS", "START_SECONDS", "WINDOW_SECONDS", "Oracle", "Sent"]

Sent = tuple[int, float, bytes]
"""Partition, time in seconds, value."""
PARTITIONS = 6
MODELS = ("alpha", "beta", "gamma", "delta")
REGIONS = ("eu", "us", "asia", "africa")
CLASSES = tuple("abcdefgh")
WINDOW_SECONDS = 60
START_SECONDS = 1_760_000_040 - 1_760_000_040 % WINDOW_SECONDS
BROKEN = (b"{", b'{"id": "x"}', b"\xff\xfe", b'{"id": "n", "time": 1e999, "model": "alpha", "prediction": "a"}')


@dataclass(frozen=True)
class Oracle:
    """``count`` events of ``windows`` windows, in order of time; from two thirds of them on things drift.

    Event n is the record n // PARTITIONS of partition n % PARTITIONS; one in a thousand is broken.
    """

    count: int
    windows: int
    seed: int

    @cached_property
    def stream(self) -> list[Sent]:
        """All of them."""
        return list(self._events())

    @property
    def broken(self) -> list[int]:
        """The numbers of those that cannot be used."""
        return list(range(777, self.count, 1000))

    @property
    def dead_letters(self) -> list[tuple[int, int, bytes]]:
        """Partition, offset and value of those that cannot be used, in order."""
        return sorted((n % PARTITIONS, n // PARTITIONS, _broken(n)) for n in self.broken)

    def last(self) -> Iterator[Sent]:
        """Yield an event for each partition that closes all windows before it."""
        yield from self.fresh("last", 0)

    def fresh(self, name: str, second: float) -> Iterator[Sent]:
        """Yield an event of this name for each partition, ``second`` seconds after those that close all windows."""
        after = START_SECONDS + (self.windows + 10) * WINDOW_SECONDS + second
        for partition in range(PARTITIONS):
            event = {
                "id": f"{name}-{partition}",
                "time": after,
                "model": "alpha",
                "version": "1",
                "prediction": "a",
            }
            yield partition, after, json.dumps(event).encode()

    def reference_rows(self, count: int) -> Iterator[str]:
        """Yield the rows of a reference file of the model alpha."""
        chance = random.Random(self.seed)
        for number in range(count):
            yield _event(number * len(MODELS), START_SECONDS, chance, drifted=False).decode()

    def _events(self) -> Iterator[Sent]:
        chance = random.Random(self.seed)
        for number in range(self.count):
            time = START_SECONDS + number * self.windows * WINDOW_SECONDS / self.count
            if number % 1000 == 777:
                yield number % PARTITIONS, time, _broken(number)
                continue
            drifted = (time - START_SECONDS) // WINDOW_SECONDS >= self.windows * 2 // 3
            yield number % PARTITIONS, time, _event(number, time, chance, drifted=drifted)


def _broken(number: int) -> bytes:
    return BROKEN[number // 1000 % len(BROKEN)]


def _event(number: int, time: float, chance: random.Random, *, drifted: bool) -> bytes:
    model = MODELS[number % len(MODELS)]
    sure = chance.betavariate(9, 2) if not (drifted and model == "alpha") else chance.betavariate(4, 4)
    confidence = 0.2 + 0.8 * sure
    predicted = chance.choice(CLASSES)
    if drifted and model == "beta" and chance.random() < 0.2:
        predicted = "h"
    if drifted and model == "gamma" and chance.random() < 0.02:
        predicted = f"new-{chance.randrange(3)}"
    # Some events come late, some so late that their window is closed in their partition.
    when = time - (chance.random() * 90 if number % 50 == 0 else 0)
    event = {
        "id": f"event-{number}",
        "time": when,
        "model": model,
        "version": "1",
        "prediction": predicted,
        "confidence": round(confidence, 6),
        "tags": {"region": REGIONS[number // 7 % len(REGIONS)]},
    }
    return json.dumps(event).encode()
