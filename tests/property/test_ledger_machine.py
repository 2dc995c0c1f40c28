"""A state machine over the ledger: whatever happens to the workers, every event has its effects exactly once.

Real workers with the real PostgreSQL read partitions that are kept in memory, and are fenced, killed, cut off
and overtaken. ``LEDGER_MACHINE=<examples>x<steps>`` runs that many, new ones each time; with
``LEDGER_SHRINK=1`` a failure is made smaller, which takes minutes.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from threading import Event as Signal
from typing import Any, ClassVar

import psycopg
import pytest
import structlog
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from daemon.jobs.reduce import ReduceJob
from daemon.settings import Settings
from daemon.worker import Worker
from detectors.layout import WHOLE, Layout
from detectors.registry import unlearnt_layout
from detectors.selection import Pace
from sinks import cohorts
from sinks.controls import lock_exclusive, next_free_window, publish
from sinks.database import connect, faults_as_ours
from sinks.errors import DatabaseUnavailable, Fenced
from tests.property.ledger_checks import KEPT, LETTER_BYTES, check_all
from tests.property.ledger_memory import (
    CLASSES,
    PARTITIONS,
    POISON,
    START_SECONDS,
    Broker,
    Clock,
    Died,
    MemorySource,
    PoisonedDirectory,
    Producer,
    Spec,
    specs,
)
from tests.property.ledger_model import Model, ModelLedger, Oracle, StoreConnection
from tests.services import Postgres

TOPIC = "events"
SLOTS = 3
PACES = (Pace(0.01, 0.0, 1.0), Pace(0.05, 0.1, 0.3), Pace(0.2, 0.05, 0.1))
TEMPLATE = {"window_seconds": 5, "lateness_seconds": 3, "segments": ["region"], "labels_per_day": 100}
SETTINGS = Settings.model_validate(
    {
        "kafka": {"topics": [TOPIC]},
        "ingest": {
            "commit_seconds": 1,
            "buffer_events": 4,
            "poll_records": 50,
            "idle_seconds": 6,
            "max_event_bytes": 2000,
            "max_payload_bytes": 400,
            "max_ahead_seconds": 20,
            "max_behind_seconds": 90,
        },
        "dead_letters": {"kept": KEPT, "bytes": LETTER_BYTES},
        "model": {"*": {**TEMPLATE, "expected_events_per_day": 400}},
    }
)


batches = st.lists(specs, min_size=2, max_size=6)
pauses = st.sampled_from([0, 2, 8, 8, 15, 30])
slots = st.integers(0, SLOTS - 1)
turns = st.lists(st.tuples(slots, st.sampled_from([1, 3, 50, 50]), st.booleans()), min_size=3, max_size=8)
# After how many statements or commits the connection is lost, or else the process dies.
faults = st.none() | st.tuples(st.integers(0, 18), st.booleans())
records = st.sampled_from(PACES) | st.tuples(st.sampled_from(["1", "2"]), st.sampled_from(CLASSES))
moves = st.lists(st.tuples(st.integers(0, PARTITIONS), slots), min_size=1, max_size=2)
# Each action: how often, and with what.
ACTIONS: dict[str, tuple[int, tuple[st.SearchStrategy[Any], ...]]] = {
    "produce": (4, (batches, pauses)),
    "work": (6, (turns, faults)),
    "rebalance": (1, (moves, st.booleans())),
    "overtake": (2, (moves, turns)),
    "crash": (1, (slots,)),
    "publish_control": (2, (records, st.integers(0, 1))),
    # Nobody can commit while it reads the watermarks: its first three statements.
    "reduce": (2, (slots, st.integers(4, 21))),
    "new_partition": (1, (st.just(3),)),
}


def _with_arguments(name: str) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.tuples(st.just(name), *ACTIONS[name][1])


# One rule for all: Hypothesis would leave out whole rules for an example, and most would then do nothing.
actions = st.sampled_from([name for name, (times, _) in ACTIONS.items() for _ in range(times)]).flatmap(_with_arguments)


class LedgerMachine(RuleBasedStateMachine):
    """Two workers at first, and a third that comes, goes, or takes over."""

    server: ClassVar[Postgres]
    clock: ClassVar[Clock]

    def __init__(self) -> None:
        super().__init__()
        self.clock.now = 0.0
        self.url = self.server.new_database()
        self.connection = connect(self.url, name="machine")
        self.broker = Broker()
        self.model = Model(self.broker, Oracle(SETTINGS, self.connection))
        self.workers: dict[int, Worker] = {}
        self.producer = Producer()
        self.whole = True

    @initialize(learnt=st.sampled_from([True, True, False]), batch=batches)
    def begin(self, *, learnt: bool, batch: list[Spec]) -> None:
        layout = unlearnt_layout()
        if learnt:
            layout = _with_classes(replace(layout, sample_size=0), CLASSES[:2])
        cohorts.register(self.connection, "pets", "1", window_seconds=5, layout=layout, cap=10)
        for number in range(PARTITIONS):
            self.new_partition(first=number * 5)
        self.rebalance([(0, 0), (1, 0), (2, 1)], True)
        self.produce(batch, 0)
        self.work([(0, 0, True), (1, 0, True), (0, 3, False), (1, 3, False), (0, 0, True), (1, 0, True)], None)

    @rule(action=actions)
    def step(self, action: tuple[Any, ...]) -> None:
        getattr(self, action[0])(*action[1:])

    # Kafka

    def new_partition(self, first: int) -> None:
        if len(self.broker.logs) <= PARTITIONS:
            partition = (TOPIC, len(self.broker.logs))
            self.broker.logs[partition], self.broker.ends[partition] = [], first
            self.rebalance([(partition[1], partition[1] % SLOTS)], told=True)

    def produce(self, batch: list[Spec], seconds: int) -> None:
        self.clock.now += seconds
        steady = [Spec(number, 0, "event", 1, 0, 0, ("pets", "1"), 0.9) for number in range(len(self.broker.logs))]
        for spec in [*batch, *steady]:
            partition = (TOPIC, spec.partition % len(self.broker.logs))
            if spec.kind == "marker":  # what ends a transaction has an offset, too
                self.broker.ends[partition] += spec.times
                continue
            for step in reversed(range(1 if spec.kind in {"again", "ancient", POISON} else spec.times)):
                value = self.producer.value(spec, self.clock.now, spec.ago + step)
                stamp = round((START_SECONDS + self.clock.now) * 1000)
                self.broker.append(partition, spec.gap, stamp, value, poison=spec.kind == POISON)

    def rebalance(self, moved: list[tuple[int, int]], told: bool) -> None:
        """Move partitions; who only loses some, and is not told, goes on as a zombie."""
        for number, slot in moved:
            self.broker.assignment[TOPIC, number % len(self.broker.logs)] = slot
        for slot, worker in self.workers.items():
            if told or any(slot == to for _, to in moved):
                _source(worker).rebalance()

    def overtake(self, moved: list[tuple[int, int]], turns: list[tuple[int, int, bool]]) -> None:
        """Let others claim partitions whose owners hold events of them, and have not heard of it."""
        owners = [self.broker.assignment.get((TOPIC, number), 0) for number, _ in moved]
        self.work([(slot, 50, False) for slot in owners], None)
        self.rebalance(moved, told=False)
        self.work([(slot, 0, False) for _, slot in moved], None)
        self.work([*turns, *((slot, 3, True) for slot in owners)], None)

    # Workers

    def work(self, turns: list[tuple[int, int, bool]], fault: tuple[int, bool] | None) -> None:
        """Let workers poll; where there was time since, they commit. The last one may meet with a fault."""
        for position, (slot, most, waited) in enumerate(turns):
            self.clock.now += 2 * waited
            self._turn(slot, most, fault if position == len(turns) - 1 else None)

    def crash(self, slot: int) -> None:
        self._bury(slot)

    # Control data and reduce

    def publish_control(self, record: Pace | tuple[str, str], margin: int) -> None:
        """Publish rates, or a layout that has grown, or as it was."""
        if isinstance(record, Pace):
            self._publish("selection", None, margin, record.to_json().encode())
            return
        version, name = record
        known = [each for each in cohorts.list_all(self.connection) if each[1:] == ("pets", version)]
        for cohort_id, _, _ in known:
            latest = self.model.oracle.controls.latest("layout", cohort_id)
            assert latest is not None
            layout = Layout.from_json(latest.body.decode())
            labels = layout.block("classes").labels
            layout = _with_classes(layout, labels if name in labels else (*labels, name))
            layout = replace(layout, segments=(WHOLE, "region=eu"), sample_size=0)
            self._publish("layout", cohort_id, margin, layout.to_json().encode())

    def reduce(self, slot: int, after: int) -> None:
        """Close what is due; somewhere in the middle of it a worker commits."""
        connection = self._connect()
        left = after

        def between(query: str) -> None:
            nonlocal left
            left -= 1
            if "lock(hashtext('strandline control'" in query:
                left = -1  # from here on commits wait
            if left == 0:
                self.clock.now += 1
                self._turn(slot, 50, None, nested=True)

        connection.between = between
        with self._step():
            try:
                ReduceJob(SETTINGS).run_once(connection)
            finally:
                connection.close()

    # What every step comes to

    def teardown(self) -> None:
        try:
            if self.whole:
                self._drain()
                again = Oracle(SETTINGS, self.connection)
                self.model.replay_all(again)
                check_all(self.connection, self.model, again)
        finally:
            for slot in list(self.workers):
                self._bury(slot)
            self.connection.close()
            with psycopg.connect(self.server.database_url("postgres"), autocommit=True) as admin:
                admin.execute(f"DROP DATABASE {self.url.split('@/')[1].split('?')[0]} WITH (FORCE)".encode())

    def _drain(self) -> None:
        """One worker is left, and reads everything; what kills it is the poison alone."""
        for slot in list(self.workers):
            self._bury(slot)
        self.rebalance([(number, 0) for number in range(len(self.broker.logs))], True)
        for _ in range(200):
            self.clock.now += 1
            self._turn(0, 50, None)
            if all(row.next is not None and not self.broker.since(at, row.next) for at, row in self.model.rows.items()):
                break
        else:
            raise AssertionError("not drained")
        assert self.model.rows.keys() == self.broker.logs.keys()
        self.clock.now += 100
        self._turn(0, 50, None)
        self._turn(0, 50, None)
        self.reduce(0, 100)

    def _connect(self) -> StoreConnection:
        connection = StoreConnection.connect(self.url, autocommit=True)
        connection.model = self.model
        return connection

    def _start(self, slot: int) -> None:
        source = MemorySource(self.broker, self.clock, slot)
        worker = self.workers[slot] = Worker(SETTINGS, source, self._connect, f"worker-{slot}", Signal())
        with self._step():
            worker._insist(worker._start_over)
        source.rebalance()

    def _turn(self, slot: int, most: int, fault: tuple[int, bool] | None, *, nested: bool = False) -> None:
        """Let a worker do one turn of its loop, as Worker.run does, with a fault on the way."""
        if slot not in self.workers:
            if nested:
                return
            self._start(slot)
        worker = self.workers[slot]
        connection, ledger = worker._ledger.connection, worker._ledger
        assert isinstance(connection, StoreConnection)
        assert isinstance(ledger, ModelLedger)
        if fault is not None:
            connection.left, connection.lost = fault
        _source(worker).most = most
        with self._step(nested=nested):
            try:
                try:
                    with faults_as_ours():
                        worker._turn()
                except Fenced:
                    worker._after_fence()
                except DatabaseUnavailable as gone:
                    worker._wait_for_database(gone)
            except Died:
                ledger.given_up()
                self._bury(slot)
            finally:
                connection.left = None

    def _bury(self, slot: int) -> None:
        worker = self.workers.pop(slot, None)
        if worker is not None:
            worker._ledger.connection.close()

    def _publish(self, kind: str, cohort_id: int | None, margin: int, body: bytes) -> None:
        with self._step(), self.connection.transaction():
            lock_exclusive(self.connection)
            window = next_free_window(self.connection, "pets") + margin
            publish(self.connection, kind=kind, model="pets", cohort_id=cohort_id, effective_from=window, body=body)

    @contextmanager
    def _step(self, *, nested: bool = False) -> Iterator[None]:
        self.whole = False
        yield
        if not nested:
            self.model.oracle.refresh()
            check_all(self.connection, self.model, self.model.oracle)
            self.whole = True


def _source(worker: Worker) -> MemorySource:
    source = worker._source
    assert isinstance(source, MemorySource)
    return source


def _with_classes(layout: Layout, labels: tuple[str, ...]) -> Layout:
    return layout.with_block(replace(layout.block("classes"), labels=labels))


def test_every_event_has_its_effects_exactly_once(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    machine = type("Machine", (LedgerMachine,), {"server": postgres, "clock": clock})
    monkeypatch.setattr("daemon.worker.time", clock)
    monkeypatch.setattr("daemon.positions.time", clock)
    monkeypatch.setattr("daemon.worker.Ledger", ModelLedger)
    monkeypatch.setattr("daemon.worker.CohortDirectory", PoisonedDirectory)
    examples, _, steps = os.environ.get("LEDGER_MACHINE", "12x25").partition("x")
    wanted = settings(
        max_examples=int(examples),
        stateful_step_count=int(steps or 25),
        deadline=None,
        derandomize="LEDGER_MACHINE" not in os.environ,
        database=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
        phases=list(Phase) if "LEDGER_SHRINK" in os.environ else [Phase.generate],
    )
    with structlog.testing.capture_logs():
        run_state_machine_as_test(machine, settings=wanted)
