"""Where each partition of this worker stands: claimed, read, committed, idle."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

import structlog

from daemon.audiences import audience_of
from daemon.settings import MICROSECONDS, Settings
from daemon.source import Source
from sinks.alerts import pipeline_alert
from sinks.ledger import Claim, Ledger, Move, Partition

__all__ = ["Position", "Positions"]

log = structlog.get_logger()

_CAREFUL_AFTER_CLAIMS = 3
_DEATHS_TO_QUARANTINE = 2


@dataclass(slots=True)
class Position:
    """One partition. ``start``: the stored offset; ``next``: how far it has been read since.

    ``careful_until``: up to this offset events are processed one by one, since workers died here.
    """

    epoch: int
    start: int | None
    next: int
    high_us: int | None
    heard: float
    """Monotonic time of the last record, or of the claim."""
    heard_high_us: int | None
    careful_until: int | None = None
    quarantined: int | None = None

    def moved(self, next_offset: int, high_us: int | None, now: float) -> None:
        """Note that records were read."""
        self.next, self.high_us = next_offset, high_us
        self.heard, self.heard_high_us = now, high_us


class Positions:
    """The partitions this worker has claimed."""

    def __init__(self, settings: Settings, source: Source, ledger: Ledger) -> None:
        self._settings = settings
        self._source = source
        self._ledger = ledger
        self._held: dict[Partition, Position] = {}
        self._topic_ids: dict[str, str] = {}
        self._leased = settings.kafka.assignment == "static"

    def get(self, partition: Partition) -> Position | None:
        """Return a partition's position; None if it is not claimed."""
        return self._held.get(partition)

    def clear(self) -> None:
        """Forget all: they have to be claimed again."""
        self._held.clear()

    def claim(self) -> None:
        """Claim what is assigned, and read on from the stored offsets."""
        self.clear()
        self._source.pause(self._source.assigned())
        self._stop_recreated()
        self.claim_more()

    def claim_more(self) -> None:
        """Claim what is assigned but was not to be had: held by another process, or stopped."""
        wanted = sorted(self._source.assigned() - self._held.keys())
        if not wanted:
            return
        claims = self._ledger.claim(wanted, leased=self._leased)
        now = time.monotonic()
        for partition in wanted:
            if partition not in claims:
                # Without a position the client would refuse to poll at all.
                self._source.seek(partition, 0)
                self._source.pause([partition])
                continue
            claim = claims[partition]
            start = claim.next_offset
            first = self._first_offset(partition) if start is None else start
            position = Position(claim.epoch, start, first, claim.high_us, now, claim.high_us)
            self._held[partition] = position
            self._consider_deaths(partition, claim, position)
            self._source.seek(partition, position.next)
        if claims:
            self._ledger.note_topics(self._topic_ids)
            log.info("ingest.claimed", partitions=len(claims), wanted=len(wanted))

    def topics_changed(self) -> bool:
        """Say whether a topic was made anew since the last claim: what was read since may be of another topic."""
        return any(self._topic_ids.get(topic, each) != each for topic, each in self._source.topic_ids().items())

    def repair(self, partition: Partition, offset: int) -> None:
        """Deal with a position that Kafka does not have: records were deleted, or the topic was made anew."""
        position = self._held.get(partition)
        if position is None:
            return
        first = self._source.first_offset(partition)
        topic, number = partition
        labels = {"topic": topic, "partition": str(number)}
        if offset < first:
            # The exact range that was lost is told; never skipped in silence.
            title = f"{topic}/{number}: records {offset} to {first - 1} were deleted before they were read"
            evidence = {"first_lost": offset, "last_lost": first - 1, "lost": first - offset}
            with self._ledger.transaction():
                # Together: a worker that dies in between must not have skipped them in silence.
                self._ledger.skip(partition, position.epoch, position.start, first)
                self._tell("records_lost", {**labels, "first": str(offset)}, title, evidence)
            log.error("ingest.records_lost", topic=topic, partition=number, **evidence)
            position.start = position.next = first
            self._source.seek(partition, first)
            return
        reason = f"the stored offset {offset} lies beyond the end: the topic was recreated or truncated"
        with self._ledger.transaction():
            self._ledger.stop(partition, position.epoch, reason)
            self._tell_stopped(partition, reason, offset)
        del self._held[partition]
        self._source.pause([partition])

    def hear(self, now: float) -> None:
        """Note that Kafka is back: what it could not tell meanwhile does not make a partition idle."""
        for position in self._held.values():
            position.heard, position.heard_high_us = now, position.high_us

    def raise_idle(self, now: float) -> None:
        """Let partitions that have nothing to read no longer hold back the windows.

        Event time passes at least as fast as the clock, and the other partitions show how far it has come.
        """
        idle = {}
        for partition, position in self._held.items():
            if now - position.heard >= self._settings.ingest.idle_seconds:
                end = self._source.end(partition)
                if end is not None:
                    idle[partition] = end
        if not idle:
            return
        highest = self._ledger.highest(self._settings.kafka.topics)
        for partition, end in idle.items():
            position = self._held[partition]
            position.next = max(position.next, end)
            seen = [position.high_us, highest]
            if position.heard_high_us is not None:
                seen.append(position.heard_high_us + round((now - position.heard) * MICROSECONDS))
            position.high_us = max((each for each in seen if each is not None), default=None)

    def moves(self) -> dict[Partition, Move]:
        """Return the step of every partition: without events it is a sign of life."""
        return {
            partition: Move(
                position.epoch,
                position.start,
                position.next,
                position.high_us,
                self._source.high_water(partition),
                careful=position.careful_until is not None,
            )
            for partition, position in sorted(self._held.items())
        }

    def any_moved(self) -> bool:
        """Say whether anything was read that is not committed."""
        return any(position.start != position.next for position in self._held.values())

    def committed(self, moves: Mapping[Partition, Move]) -> None:
        """Note that these moves are stored."""
        for partition, move in moves.items():
            position = self._held[partition]
            position.start = position.next
            # At the end of a partition nothing is left of what its workers died of.
            at_end = move.high_water is not None and move.next >= move.high_water
            if position.careful_until is not None and (at_end or move.next >= position.careful_until):
                position.careful_until = None

    def _tell(self, name: str, labels: dict[str, str], title: str, evidence: dict[str, int]) -> None:
        audience = audience_of(self._settings, "*")
        pipeline_alert(self._ledger.connection, name, labels, title, evidence, "page", audience=audience)

    def _stop_recreated(self) -> None:
        """Stop what was read of topics that were made anew: the stored offset may lie within them all the same."""
        self._topic_ids |= self._source.topic_ids()
        reason = "the topic was recreated: the stored offset is one of the topic that was"
        with self._ledger.transaction():
            for partition, offset in self._ledger.stop_recreated(self._topic_ids, reason).items():
                self._tell_stopped(partition, reason, offset)

    def _tell_stopped(self, partition: Partition, reason: str, offset: int) -> None:
        topic, number = partition
        labels = {"topic": topic, "partition": str(number)}
        self._tell("partition_stopped", labels, f"{topic}/{number}: {reason}", {"offset": offset})
        log.error("ingest.partition_stopped", topic=topic, partition=number, why=reason)

    def _first_offset(self, partition: Partition) -> int:
        if self._settings.kafka.start == "latest":
            return self._source.last_offset(partition)
        return self._source.first_offset(partition)

    def _consider_deaths(self, partition: Partition, claim: Claim, position: Position) -> None:
        if claim.claims <= _CAREFUL_AFTER_CLAIMS:
            return
        log.warning("ingest.careful", partition=partition, claims=claim.claims, offset=position.next)
        position.careful_until = position.next + 2 * self._settings.ingest.poll_records
        if claim.suspect_deaths >= _DEATHS_TO_QUARANTINE:
            position.quarantined = claim.suspect_offset
