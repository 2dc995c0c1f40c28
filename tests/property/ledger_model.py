"""What the ledger's state machine is checked against: partitions in memory, a model of the rows, and an oracle.

The oracle counts the committed events one at a time, in offset order, under the control log as it is. It shares
the counting code with the workers, so what it can find is what commits, claims, crashes and timing do to it.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import psycopg
from psycopg.rows import TupleRow

from daemon.accumulate import Accumulation
from daemon.buffer import NEVER, Cohort
from daemon.records import Records
from daemon.settings import Settings
from detectors.summary import Summary
from sinks.cohorts import list_all
from sinks.controls import Controls
from sinks.database import Connection
from sinks.effects import NEVER_SEEN, Candidate, Effects
from sinks.errors import Fenced
from sinks.ledger import Claim, Ledger, Move, Partition
from sinks.windows import Layouts, uncompress
from tests.property.ledger_memory import Broker, Died, MemoryRecord


class StoreConnection(psycopg.Connection[TupleRow]):
    """A connection that fails at a point: before a statement, or after a COMMIT whose answer is then lost.

    ``left``: points until then. ``lost``: only the connection is gone, else the process dies. ``between`` is
    called before each statement.
    """

    model: "Model"
    left: int | None = None
    lost = False
    commits = 0
    between: Callable[[str], None] | None = None

    def execute(self, query: Any, params: Any = None, **options: Any) -> psycopg.Cursor[TupleRow]:
        self._point()
        if self.between is not None:
            self.between(query.decode() if isinstance(query, bytes) else str(query))
        return super().execute(query, params, **options)

    @contextmanager
    def transaction(
        self, savepoint_name: str | None = None, force_rollback: bool = False
    ) -> Iterator[psycopg.Transaction]:
        with super().transaction(savepoint_name, force_rollback) as transaction:
            yield transaction
        self.commits += 1
        self._point()

    def _point(self) -> None:
        if self.left is None:
            return
        self.left -= 1
        if self.left < 0:
            self.left = None
            self.close()
            raise psycopg.OperationalError("the connection is lost") if self.lost else Died


class Oracle:
    """What the events it was given must have led to, counted one at a time."""

    def __init__(self, settings: Settings, connection: Connection) -> None:
        self._connection = connection
        self.controls = Controls()
        self._cohorts: dict[tuple[str, str], Cohort] = {}
        self._by_id: dict[int, Cohort] = {}
        self._settings = settings
        self._layouts = Layouts(connection)
        self._one = Accumulation(
            settings, self.controls, lambda model, version: self._cohorts[model, version], lambda id_: self._by_id[id_]
        )
        self.summaries: dict[tuple[int, int], tuple[int, Summary]] = {}
        self.variants: dict[tuple[str, str], list[Candidate]] = defaultdict(list)
        self.drawn: set[tuple[str, str]] = set()
        self.novel: dict[tuple[str, str], list[str]] = defaultdict(list)
        self.seen: Counter[tuple[str, str]] = Counter()
        self.dead: dict[tuple[int, str], list[MemoryRecord]] = defaultdict(list)
        self.tombstones: Counter[int] = Counter()
        self.newest: dict[str, int] = {}

    def refresh(self) -> None:
        for cohort_id, model, version in list_all(self._connection):
            cohort = Cohort(cohort_id, model, version, self._settings.of(model))
            self._cohorts[model, version] = self._by_id[cohort_id] = cohort
        for record in self.controls.refresh(self._connection):
            if record.kind != "reference" and record.effective_from > NEVER:
                newest = self.newest.get(record.model, NEVER)
                assert record.effective_from > newest, f"published too late for {newest}: {record}"

    def take(self, partition: Partition, record: MemoryRecord, high: int, *, quarantined: bool) -> int:
        """Take in the next event of a partition; return its greatest event time then."""
        if quarantined:
            self.dead[partition[1], "quarantined"].append(record)
            return high
        self._one.clear()
        high = self._one.add(*partition, Records.of([record]), high)
        effects = self._one.effects()
        for letter in effects.dead_letters:
            self.dead[partition[1], letter.reason].append(record)
        self.tombstones[partition[1]] += sum(effects.tombstones.values())
        for part in effects.parts:
            summary = Summary.from_bytes(self._layouts[part.layout_id], uncompress(part.body))
            layout_id, whole = self.summaries.setdefault(
                (part.cohort_id, part.window), (part.layout_id, Summary.empty(summary.layout))
            )
            assert layout_id == part.layout_id, "the layout of a window has changed"
            whole.add(summary)
            self._used(self._by_id[part.cohort_id].model, part.window)
        for candidate in effects.candidates:
            self._nominated(candidate)
        return high

    def _nominated(self, candidate: Candidate) -> None:
        key = (candidate.model, candidate.event_id)
        self._used(candidate.model, candidate.window)
        self.seen[key] += 1
        if candidate.nominated is not None:
            self.drawn.add(key)
            self.variants[key].append(replace(candidate, novel=None))
        if candidate.novel is not None:
            # Which five of a value it is depends on who commits first.
            self.novel[candidate.model, candidate.novel].append(candidate.event_id)
            self.variants[key].append(replace(candidate, novel=None, reason=NEVER_SEEN))

    def _used(self, model: str, window: int) -> None:
        self.newest[model] = max(self.newest.get(model, NEVER), window)


@dataclass(slots=True)
class Row:
    """A partition's row, and how its watermark came about: the high it began with, and where it was raised."""

    high: int | None
    began: int | None
    epoch: int = 0
    next: int | None = None
    raised: list[tuple[int, int]] = field(default_factory=list)


@dataclass(slots=True)
class Model:
    """What the ledger must hold. ``deaths``: how often a worker did not get past an event that it had alone in hand."""

    broker: Broker
    oracle: Oracle
    rows: dict[Partition, Row] = field(default_factory=dict)
    deaths: Counter[tuple[Partition, int]] = field(default_factory=Counter)
    quarantined: set[tuple[Partition, int]] = field(default_factory=set)

    def added(self, partitions: Collection[Partition]) -> None:
        highs = [row.high for row in self.rows.values()]
        lowest = None if None in highs else min((each for each in highs if each is not None), default=None)
        for partition in partitions:
            self.rows.setdefault(partition, Row(lowest, lowest))

    def claimed(self, claims: Mapping[Partition, Claim]) -> None:
        for partition, claim in claims.items():
            row = self.rows[partition]
            row.epoch += 1
            assert (claim.epoch, claim.next_offset, claim.high_us) == (row.epoch, row.next, row.high)

    def in_place(self, moves: Mapping[Partition, Move]) -> bool:
        return all((move.epoch, move.start) == (self.rows[at].epoch, self.rows[at].next) for at, move in moves.items())

    def committed(self, moves: Mapping[Partition, Move], effects: Effects) -> None:
        assert self.in_place(moves), "a stale epoch committed"
        self.oracle.refresh()
        for letter in effects.dead_letters:
            if letter.reason == "quarantined":
                self.quarantined.add(((letter.topic, letter.partition), letter.offset))
        for partition, move in moves.items():
            row = self.rows[partition]
            high = self.replay(self.oracle, partition, row.next, move.next, NEVER if row.high is None else row.high)
            found = NEVER if move.high_us is None else move.high_us
            if found != high:
                assert found > high
                assert not self.broker.since(partition, move.next), "raised, but there is something to read"
                row.raised.append((move.next, found))
            row.next, row.high = move.next, move.high_us

    def replay(self, oracle: Oracle, partition: Partition, start: int | None, to: int, high: int) -> int:
        for record in self.broker.since(partition, start):
            if record.offset >= to:
                break
            quarantined = (partition, record.offset) in self.quarantined
            assert quarantined or not record.poison
            assert not quarantined or self.deaths[partition, record.offset] >= 2, "quarantined for nothing"
            high = oracle.take(partition, record, high, quarantined=quarantined)
        return high

    def replay_all(self, oracle: Oracle) -> None:
        """Give everything committed to a fresh oracle, that knows the control log as it is now."""
        oracle.refresh()
        for partition, row in self.rows.items():
            start, high = None, NEVER if row.began is None else row.began
            for offset, raised in row.raised:
                self.replay(oracle, partition, start, offset, high)
                start, high = offset, raised
            if row.next is not None:
                self.replay(oracle, partition, start, row.next, high)


class ModelLedger(Ledger):
    """The real ledger, each of whose answers is held against the model's."""

    connection: StoreConnection
    suspected: tuple[Partition, int] | None = None
    _known = 0

    def add_partitions(self, partitions: Collection[Partition], topics: Sequence[str]) -> None:
        with self._noted(lambda: self.connection.model.added(partitions)):
            super().add_partitions(partitions, topics)

    def claim(self, partitions: Collection[Partition], *, leased: bool) -> dict[Partition, Claim]:
        self.suspected = None
        claims = super().claim(partitions, leased=leased)
        self.connection.model.claimed(claims)
        return claims

    def suspect(self, partition: Partition, epoch: int, offset: int) -> None:
        super().suspect(partition, epoch, offset)
        self.suspected = (partition, offset)

    def commit(
        self,
        moves: Mapping[Partition, Move],
        effects: Effects,
        controls: Controls,
        still_in_force: Callable[[], bool],
        *,
        careful: bool = False,
    ) -> None:
        model, connection, before = self.connection.model, self.connection, self.connection.commits
        try:
            with self._noted(lambda: model.committed(moves, effects)):
                super().commit(moves, effects, controls, still_in_force, careful=careful)
        except Fenced:
            assert controls.last_id > self._known or not model.in_place(moves), "fenced for nothing"
            raise
        finally:
            self._known = controls.last_id
            if connection.commits == before:
                self.given_up()
            self.suspected = None

    def given_up(self) -> None:
        """Note that a suspect was not committed. Who claims it next cannot know that its worker lives on."""
        if self.suspected is not None:
            self.connection.model.deaths[self.suspected] += 1
            self.suspected = None

    @contextmanager
    def _noted(self, note: Callable[[], None]) -> Iterator[None]:
        """Tell the model what was committed, even if the worker does not learn of it."""
        connection, before = self.connection, self.connection.commits
        try:
            yield
        finally:
            if connection.commits > before:
                note()
