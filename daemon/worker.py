"""The ingest worker: poll, decode, count, commit; and what it does when something is not as it was left.

It keeps no state that matters: whatever it holds can be dropped and read again from the stored offsets.
"""

import time
from collections.abc import Callable
from functools import partial
from threading import Event as Signal

import structlog

from daemon.accumulate import Accumulation
from daemon.buffer import NEVER
from daemon.careful import process_one_by_one
from daemon.cohorts import CohortDirectory
from daemon.kafka_clients import KafkaUnavailable
from daemon.keeping import Keeping
from daemon.ops import occurrences
from daemon.ops.health import Health
from daemon.positions import Positions
from daemon.settings import Settings
from daemon.source import Poll, Source
from sinks import metrics
from sinks.controls import Controls
from sinks.database import Connection, faults_as_ours
from sinks.errors import DatabaseUnavailable, Fenced, Outdated
from sinks.ledger import Ledger

__all__ = ["Worker"]

log = structlog.get_logger()

_POLL_SECONDS = 0.1
_FENCED_SECONDS = 2.0
_RETRY_SECONDS = 1.0
_NEW_PARTITIONS_SECONDS = 30.0
_HEARTBEAT_SECONDS = 5.0
_STANDBY_SECONDS = 2.0
_COMMITTING = 0.25
"""Commits are to take at most this part of the time: what they cost hangs on the number of streams, not of events."""
_LONGEST_WAIT_SECONDS = 2.0
"""However long a commit took: a lease or a reader waits for the next one."""
_SILENCE_SECONDS = 5.0
"""Kafka is asked whether it is there when it has told nothing for so long."""


class Worker:
    """One consumer. ``connect`` opens a connection to the store; ``owner`` names this process in the ledger."""

    def __init__(
        self,
        settings: Settings,
        source: Source,
        connect: Callable[[], Connection],
        owner: str,
        stop: Signal,
        health: Health | None = None,
    ) -> None:
        self._settings = settings
        self._health = health or Health(owner, "ingest")
        self._source = source
        self._connect = connect
        self._stop = stop
        ingest = settings.ingest
        self._ledger = Ledger(
            connect(),
            owner,
            lease_seconds=ingest.lease_seconds,
            dead_letters_kept=settings.dead_letters.kept,
            dead_letter_bytes=Keeping(settings).dead_letter,
        )
        self._controls = Controls(("layout", "selection"))
        self._directory = CohortDirectory(settings, self._controls, lambda: self._ledger.connection)
        self._accumulation = Accumulation(settings, self._controls, self._directory.of, self._directory.by_id)
        self._positions = Positions(settings, source, self._ledger)
        self._last_commit = self._last_discovery = self._last_claim = time.monotonic()
        self._commit_took = 0.0
        self._kafka_heard = -_SILENCE_SECONDS
        self._kafka_away = False
        self.committed_events = 0

    def run(self) -> None:
        """Work until the stop signal; then commit what is in hand and leave."""
        self._insist(self._start_over)
        while not self._stop.is_set():
            try:
                with faults_as_ours():
                    self._turn()
            except Outdated as outdated:
                occurrences.fenced(outdated.detail)
                self._insist(self._claim)
            except Fenced as fenced:
                occurrences.fenced(fenced.detail)
                self._after_fence()
            except DatabaseUnavailable as gone:
                self._wait_for_database(gone)
            except KafkaUnavailable as gone:
                self._wait_for_kafka(gone)
        self._leave()

    def _turn(self) -> None:
        self._health.beat()
        poll = self._source.poll(_POLL_SECONDS, self._settings.ingest.poll_records)
        if poll.rebalanced:
            # The records of this poll may be of partitions that are no longer ours, or from the wrong offset.
            self._claim()
            return
        if poll.out_of_range:
            # Repairing moves or drops positions: what is in hand must not hang on them any more.
            self._commit()
        for partition, offset in poll.out_of_range.items():
            self._positions.repair(partition, offset)
        self._take(poll)
        now = time.monotonic()
        if self._due(now):
            # Only here, where every record of the poll was taken: the client's position is then ours.
            if not self._kafka_away:
                self._positions.raise_idle(now)
            self._commit()
            # Only now: a database may let itself be read, but have no room to write.
            occurrences.service_back(self._health, "database")
        if now - self._last_discovery > _NEW_PARTITIONS_SECONDS:
            self._discover()
        if now - self._last_claim > _STANDBY_SECONDS:
            self._last_claim = now
            self._positions.claim_more()
        # Last: what is in hand is committed even while Kafka is away.
        self._hear_of_kafka(poll, now)

    def _hear_of_kafka(self, poll: Poll, now: float) -> None:
        if poll.records:
            self._kafka_heard = now
        elif now - self._kafka_heard >= _SILENCE_SECONDS:
            self._source.probe()
            self._kafka_heard = time.monotonic()
        if self._kafka_away:
            self._kafka_away = False
            self._positions.hear(time.monotonic())
        occurrences.service_back(self._health, "kafka")
        self._health.running()

    def _take(self, poll: Poll) -> None:
        for partition, records in poll.records.items():
            position = self._positions.get(partition)
            metrics.RECORDS.inc(len(records))
            if position is None or not records:
                continue
            if position.careful_until is not None:
                self._commit()
                commit = partial(self._commit, alone=True)
                process_one_by_one(position, partition, records, self._ledger, self._accumulation, commit)
                continue
            high = position.high_us if position.high_us is not None else NEVER
            high = self._accumulation.add(*partition, records, high)
            position.moved(records.offsets[-1] + 1, None if high == NEVER else high, time.monotonic())

    def _due(self, now: float) -> bool:
        ingest = self._settings.ingest
        if self._accumulation.events >= ingest.commit_events:
            return True
        waited = now - self._last_commit
        if self._positions.any_moved():
            # Commits that take long are to grow, not to follow each other with one poll in each.
            rest = self._commit_took * (1 - _COMMITTING) / _COMMITTING
            return waited >= max(ingest.commit_seconds, min(rest, _LONGEST_WAIT_SECONDS, ingest.lease_seconds / 3))
        return waited >= min(_HEARTBEAT_SECONDS, ingest.lease_seconds / 3)

    def _commit(self, *, alone: bool = False) -> None:
        """Write what is in hand; between events also a sign of life, and the watermarks of idle partitions."""
        self._health.beat()
        moves = self._positions.moves()
        began = self._last_commit = time.monotonic()
        if not moves:
            return
        # It may take 0.1 s to ask again so soon: too long after each event that is processed alone.
        if not alone and self._positions.any_moved() and self._positions.topics_changed():
            raise Fenced("a topic was made anew: what was read since may be of the new one")
        effects = self._accumulation.effects()
        self._ledger.commit(moves, effects, self._controls, self._accumulation.still_in_force)
        self._last_commit = time.monotonic()
        self._commit_took = self._last_commit - began
        occurrences.committed(effects, self._accumulation.traffic(), self._commit_took)
        self.committed_events += self._accumulation.events
        self._positions.committed(moves)
        self._accumulation.clear()
        self._source.report({partition: move.next for partition, move in moves.items()})

    def _insist(self, action: Callable[[], None]) -> None:
        """Do ``action``, again and again until it was done in one piece, or until told to stop."""
        while not self._stop.is_set():
            self._health.beat()
            try:
                with faults_as_ours():
                    action()
            except Fenced as fenced:
                occurrences.fenced(fenced.detail)
            except DatabaseUnavailable as gone:
                self._reconnect(gone)
            except KafkaUnavailable as gone:
                self._wait_for_kafka(gone)
            else:
                return

    def _start_over(self) -> None:
        self._directory.refresh()
        self._discover()

    def _discover(self) -> None:
        """Give every partition a row before anyone could read its watermark."""
        self._last_discovery = time.monotonic()
        self._ledger.add_partitions(sorted(self._source.partitions()), self._settings.kafka.topics)

    def _claim(self) -> None:
        """Drop what is in hand and read on from the stored offsets of what is ours now."""
        self._accumulation.clear()
        self._directory.refresh()
        self._discover()
        self._positions.claim()
        self._last_commit = self._last_claim = time.monotonic()

    def _after_fence(self) -> None:
        """Let the group settle, then claim what is still ours: a zombie must not steal partitions back."""
        self._accumulation.clear()
        self._positions.clear()
        self._source.pause(self._source.assigned())
        until = time.monotonic() + _FENCED_SECONDS
        while not self._stop.is_set() and (time.monotonic() < until or not self._source.confirmed()):
            self._health.beat()
            self._source.poll(_POLL_SECONDS, 1)
        self._insist(self._claim)

    def _wait_for_database(self, gone: DatabaseUnavailable) -> None:
        """Pause and keep the membership of the group until the database is back, then start from the stored offsets."""
        self._accumulation.clear()
        self._positions.clear()
        self._source.pause(self._source.assigned())
        self._reconnect(gone)
        self._insist(self._claim)

    def _reconnect(self, gone: DatabaseUnavailable) -> None:
        while not self._stop.is_set():
            occurrences.service_unavailable(self._health, "database", gone.detail)
            self._health.beat()
            until = time.monotonic() + _RETRY_SECONDS
            while time.monotonic() < until and not self._stop.is_set():
                self._source.poll(_POLL_SECONDS, 1)
            # A rebalance meanwhile may have brought partitions that are not paused yet.
            self._source.pause(self._source.assigned())
            try:
                with faults_as_ours():
                    self._ledger.connection.close()
                    self._ledger.connection = self._connect()
                    self._directory.refresh()
            except DatabaseUnavailable:
                continue
            return

    def _wait_for_kafka(self, gone: KafkaUnavailable) -> None:
        self._kafka_away = True
        occurrences.service_unavailable(self._health, "kafka", gone.detail)
        self._stop.wait(_RETRY_SECONDS)

    def _leave(self) -> None:
        try:
            with faults_as_ours():
                self._commit()
                self._ledger.release()
        except (Fenced, DatabaseUnavailable) as error:
            # Nothing is lost: it was not committed, so whoever comes next reads it again.
            log.info("ingest.left_uncommitted", why=error.detail)
        self._source.close()
        self._ledger.connection.close()
        log.info("ingest.stopped", events=self.committed_events)
