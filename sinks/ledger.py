"""The ledger: how far each partition has been read, moved by compare-and-set with everything it caused.

A commit moves each partition's row from the offset this worker started at to the offset it reached, under
the epoch of this worker's claim, in one transaction with the effects of the events in between. If a row is not
where the worker left it, the worker is *fenced*: nothing is written, and it reads again from the stored offset.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from sinks import effects as effects_of
from sinks.controls import Controls, lock_shared
from sinks.database import Connection, faults_as_ours, transaction
from sinks.effects import Effects, Partition
from sinks.errors import Fenced, Outdated
from sinks.statements import statement

__all__ = ["Claim", "Ledger", "Move", "Partition", "watermark"]


@dataclass(frozen=True, slots=True)
class Claim:
    """What a claim found. ``next_offset`` and ``high_us`` are None where nothing was read yet.

    ``claims``: how often it was taken over since there was progress, not counting who only claims it anew.
    """

    epoch: int
    next_offset: int | None
    high_us: int | None
    claims: int
    suspect_offset: int | None
    suspect_deaths: int


@dataclass(frozen=True, slots=True)
class Move:
    """A partition's step: from ``start`` (None: never read) to ``next``, under ``epoch``.

    ``high_water``: the offset that Kafka's next record will have, as far as fetches told; None if they have not yet.
    ``careful``: its events are being processed one by one, so this is not yet the progress that clears a suspicion.
    """

    epoch: int
    start: int | None
    next: int
    high_us: int | None
    high_water: int | None = None
    careful: bool = False


def watermark(connection: Connection, topics: Sequence[str]) -> int | None:
    """Return the greatest event time that every partition has reached; None if one has not begun."""
    with transaction(connection):
        connection.execute(statement("ledger", "lock_partitions_shared"))
        row = connection.execute(statement("ledger", "watermarks"), [list(topics)]).fetchone()
    if row is None or row[0] == 0 or row[1] < row[0]:
        return None
    return int(row[2])


class Ledger:
    """The stored positions, on one connection, in the name of one ``owner``.

    ``dead_letter_bytes`` returns what is kept of the bytes of an event that could not be used; None for nothing.
    """

    def __init__(
        self,
        connection: Connection,
        owner: str,
        *,
        lease_seconds: float,
        dead_letters_kept: int,
        dead_letter_bytes: Callable[[bytes], bytes | None],
    ) -> None:
        self.connection = connection
        self.owner = owner
        self._lease_seconds = lease_seconds
        self._dead_letters_kept = dead_letters_kept
        self._dead_letter_bytes = dead_letter_bytes
        self._claimed: dict[Partition, int] = {}
        self._tried: dict[Partition, int] = {}

    def transaction(self) -> AbstractContextManager[None]:
        """Return a transaction that lets go of its partitions with their lease, should this process stand still."""
        return transaction(self.connection, idle_seconds=self._lease_seconds)

    def add_partitions(self, partitions: Collection[Partition], topics: Sequence[str]) -> None:
        """Make sure every partition has a row before anybody reads the watermarks."""
        with faults_as_ours(), self.transaction():
            self.connection.execute(statement("ledger", "lock_partitions"))
            self.connection.execute(
                statement("ledger", "add_partitions"), {**_names(partitions), "all_topics": list(topics)}
            )

    def claim(self, partitions: Collection[Partition], *, leased: bool) -> dict[Partition, Claim]:
        """Take partitions over and return where each stands.

        ``leased``: leave out those whose present owner's lease has not run out (static assignment).
        Stopped partitions are left out.
        """
        with faults_as_ours():
            rows = self.connection.execute(
                statement("ledger", "claim"),
                {
                    **_names(partitions),
                    "claimed": [self._claimed.get(partition) for partition in partitions],
                    "tried": [self._tried.get(partition) for partition in partitions],
                    "owner": self.owner,
                    "leased": leased,
                    "lease_seconds": self._lease_seconds,
                },
            ).fetchall()
        claims = {(row[0], row[1]): Claim(*row[2:]) for row in rows}
        self._claimed |= {partition: claim.epoch for partition, claim in claims.items()}
        return claims

    def commit(
        self,
        moves: Mapping[Partition, Move],
        effects: Effects,
        controls: Controls,
        still_in_force: Callable[[], bool],
    ) -> None:
        """Move partitions and write what their events caused; all or nothing.

        ``still_in_force`` says whether each window was counted under the control records in force for it, once
        all that are published are known.

        Raises
        ------
        Fenced
            A partition is not where it was left.
        Outdated
            A control record changed what these events mean.
        DatabaseUnavailable
            No answer: whether it was committed is for the stored offsets to tell.
        """
        connection = self.connection
        with faults_as_ours(), self.transaction():
            lock_shared(connection)
            controls.refresh(connection)
            rows = connection.execute(statement("ledger", "positions"), _names(moves)).fetchall()
            stored = {(topic, number): (epoch, offset) for topic, number, epoch, offset in rows}
            for partition, move in moves.items():
                if stored.get(partition) != (move.epoch, move.start):
                    raise Fenced(f"{partition}: left at {(move.epoch, move.start)}, found {stored.get(partition)}")
            # Only now: who is outdated alone may go on at once, a zombie must not.
            if not still_in_force():
                raise Outdated("a control record for a window in hand was published")
            connection.execute(
                statement("ledger", "advance"),
                {
                    **_names(moves),
                    "next": [move.next for move in moves.values()],
                    "high": [move.high_us for move in moves.values()],
                    "high_water": [move.high_water for move in moves.values()],
                    "lease_seconds": self._lease_seconds,
                    "careful": [move.careful for move in moves.values()],
                },
            )
            effects_of.write(
                connection,
                effects,
                dead_letters_kept=self._dead_letters_kept,
                dead_letter_bytes=self._dead_letter_bytes,
            )

    def suspect(self, partition: Partition, epoch: int, offset: int) -> None:
        """Note that the event at ``offset`` is about to be processed alone: if we die, it is to blame."""
        with faults_as_ours():
            topic, number = partition
            self.connection.execute(
                statement("ledger", "suspect"), {"topic": topic, "partition": number, "epoch": epoch, "offset": offset}
            )
        self._tried[partition] = epoch

    def skip(self, partition: Partition, epoch: int, start: int | None, to: int) -> None:
        """Move a partition past records that Kafka no longer has; raises Fenced if it is not where it was left."""
        with faults_as_ours():
            moved = self.connection.execute(statement("ledger", "skip"), [to, *partition, epoch, start]).rowcount
        if not moved:
            raise Fenced(f"{partition}: not at {start} any more")

    def stop(self, partition: Partition, epoch: int, reason: str) -> None:
        """Leave a partition out of reading and of watermarks until somebody resumes it."""
        with faults_as_ours():
            self.connection.execute(statement("ledger", "stop"), [reason, *partition, epoch])

    def stop_recreated(self, ids: Mapping[str, str], reason: str) -> dict[Partition, int]:
        """Stop what was read of topics that have another id by now; return where each stood.

        ``ids``: Kafka's own ids of topics, by their names.
        """
        with faults_as_ours():
            rows = self.connection.execute(
                statement("ledger", "stop_recreated"), {**_ids(ids), "reason": reason}
            ).fetchall()
        return {(row[0], row[1]): row[2] for row in rows}

    def note_topics(self, ids: Mapping[str, str]) -> None:
        """Note which topics the offsets of partitions are of, where that was not known."""
        with faults_as_ours():
            self.connection.execute(statement("ledger", "note_topics"), _ids(ids))

    def highest(self, topics: Sequence[str]) -> int | None:
        """Return the greatest event time of all partitions."""
        with faults_as_ours():
            row = self.connection.execute(statement("ledger", "highest"), [list(topics)]).fetchone()
        return row[0] if row else None

    def release(self) -> None:
        """Let others claim at once what this owner holds."""
        with faults_as_ours():
            self.connection.execute(statement("ledger", "release"), [self.owner])


def _ids(ids: Mapping[str, str]) -> dict[str, object]:
    return {"topics": list(ids), "ids": list(ids.values())}


def _names(partitions: Iterable[Partition]) -> dict[str, object]:
    ordered = list(partitions)
    return {"topics": [topic for topic, _ in ordered], "partitions": [number for _, number in ordered]}
