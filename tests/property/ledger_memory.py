"""Kafka in memory, for the ledger's state machine: logs with gaps in their offsets, a clock, and a Source."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from hypothesis import strategies as st

from daemon.buffer import Cohort
from daemon.cohorts import CohortDirectory
from daemon.records import Records
from daemon.settings import MICROSECONDS
from daemon.source import Poll
from sinks.ledger import Partition

START_SECONDS = 1_760_000_000
PARTITIONS = 3
"""At first: one more may come."""
POISON = "poison"
"""A model whose events kill the process that looks at them."""


class Died(BaseException):
    """The process was killed at this point."""


@dataclass(slots=True)
class Clock:
    """Stands for the module ``time``; event time goes with it."""

    now: float = 0.0

    def monotonic(self) -> float:
        return self.now


@dataclass(slots=True)
class MemoryRecord:
    offset: int
    timestamp: int
    value: bytes | None
    poison: bool = False


@dataclass(slots=True)
class Broker:
    """Logs whose offsets have gaps, as those of transactions and compaction have, and who is to read which."""

    logs: dict[Partition, list[MemoryRecord]] = field(default_factory=dict)
    ends: dict[Partition, int] = field(default_factory=dict)
    assignment: dict[Partition, int] = field(default_factory=dict)

    def append(self, partition: Partition, gap: int, timestamp: int, value: bytes | None, *, poison: bool) -> None:
        offset = self.ends[partition] + gap
        self.logs[partition].append(MemoryRecord(offset, timestamp, value, poison))
        self.ends[partition] = offset + 1

    def since(self, partition: Partition, offset: int | None) -> list[MemoryRecord]:
        return [each for each in self.logs[partition] if offset is None or each.offset >= offset]


class MemorySource:
    """A Source over the broker. ``most`` bounds the records of a poll; ``assigned`` may be out of date: a zombie."""

    def __init__(self, broker: Broker, clock: Clock, slot: int) -> None:
        self._broker, self._clock, self._slot = broker, clock, slot
        self._assigned: set[Partition] = set()
        self._at: dict[Partition, int] = {}
        self._paused: set[Partition] = set()
        self._rebalanced = True
        self.most = 0

    def rebalance(self) -> None:
        self._assigned = {each for each, slot in self._broker.assignment.items() if slot == self._slot}
        self._at = {each: at for each, at in self._at.items() if each in self._assigned}
        self._rebalanced = True

    def poll(self, seconds: float, most: int) -> Poll:
        if most == 1:  # after a fence: by then even a zombie has heard that it was left out
            self.rebalance()
        if self._rebalanced:
            self._rebalanced = False
            self._clock.now += seconds
            return Poll(rebalanced=True)
        found: dict[Partition, Records] = {}
        for partition in sorted(self._assigned - self._paused):
            records = self._broker.since(partition, self._at[partition])[: min(most, self.most)]
            if records:
                found[partition] = Records.of(records)
                self._at[partition] = records[-1].offset + 1
        if not found:
            self._clock.now += seconds
        return Poll(found)

    def partitions(self) -> set[Partition]:
        return set(self._broker.logs)

    def assigned(self) -> set[Partition]:
        return set(self._assigned)

    def seek(self, partition: Partition, offset: int) -> None:
        self._at[partition] = offset
        self._paused.discard(partition)

    def pause(self, partitions: Collection[Partition]) -> None:
        self._paused.update(partitions)

    def first_offset(self, partition: Partition) -> int:
        return min((each.offset for each in self._broker.logs[partition]), default=self._broker.ends[partition])

    def last_offset(self, partition: Partition) -> int:
        return self._broker.ends[partition]

    def end(self, partition: Partition) -> int | None:
        at = self._at.get(partition)
        if at is None or partition in self._paused or self._broker.since(partition, at):
            return None
        return max(at, self._broker.ends[partition])

    def high_water(self, partition: Partition) -> int | None:
        return self._broker.ends[partition]

    def probe(self) -> None:
        pass

    def report(self, offsets: Mapping[Partition, int]) -> None:
        pass

    def close(self) -> None:
        pass


CLASSES = ("cat", "dog", "emu", "fox", "gnu")


@dataclass(frozen=True)
class Spec:
    """Events to be produced: ``times`` of them, a second apart, the last one ``ago`` seconds before the present."""

    partition: int
    gap: int
    kind: str
    times: int
    ago: int
    predicted: int
    stream: tuple[str, str]
    confidence: float


# Most of what comes is as it should be; a poison costs five workers, so it is rare.
KINDS = ("again", "again", "tombstone", "marker", "garbage", "garbage", "large", "ahead", "ancient", POISON)
specs = st.builds(
    Spec,
    partition=st.integers(0, PARTITIONS),
    gap=st.sampled_from([0, 0, 0, 1, 7]),
    kind=st.sampled_from(("event",) * 25 + KINDS),
    times=st.integers(1, 8),
    ago=st.sampled_from([0, 0, 0, 2, 9, 14, 30, 60, -10]),
    predicted=st.sampled_from([0, 0, 1, 2, 2, 3, 4]),
    stream=st.sampled_from([("pets", "1"), ("pets", "1"), ("pets", "1"), ("pets", "2"), ("toys", "1")]),
    confidence=st.sampled_from([0.4, 0.6, 0.9, 0.99]),
)


@dataclass(slots=True)
class Producer:
    """Makes the bytes of events, and of what is none."""

    produced: int = 0
    last: bytes = b"null"

    def value(self, spec: Spec, seconds: float, ago: int) -> bytes | None:
        """Return the value of a record that is produced at ``seconds``."""
        if spec.kind == "tombstone":
            return None
        if spec.kind == "again":
            return self.last
        if spec.kind == "garbage":
            return b"{" * (1 + spec.ago % 30)
        self.produced += 1
        model, version = (POISON, "1") if spec.kind == POISON else spec.stream
        rest = (1 - spec.confidence) / 2
        event = {
            "id": f"event-{self.produced}",
            "time": START_SECONDS + seconds - {"ahead": -60, "ancient": 120}.get(spec.kind, ago),
            "model": model,
            "version": version,
            "prediction": CLASSES[spec.predicted],
            "probabilities": {"cat": spec.confidence, "dog": rest, "emu": rest},
            "tags": {"region": "eu" if self.produced % 2 else "us"},
            "payload": "x" * {"large": 3000}.get(spec.kind, 500 if spec.gap == 7 else 3),
        }
        value = json.dumps(event).encode()
        if spec.kind == "event":
            self.last = value
        return value


class PoisonedDirectory(CohortDirectory):
    """Kills the process for events of one model, as a fault in native code would."""

    def of(self, model: str, version: str) -> Cohort | None:
        if model == POISON:
            raise Died
        return super().of(model, version)


def event_us(seconds: float) -> int:
    """Return the event time that belongs to a time of the clock."""
    return round((START_SECONDS + seconds) * MICROSECONDS)
