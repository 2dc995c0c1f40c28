"""The ledger on real PostgreSQL: who may commit, and what is written once."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import psycopg
import pytest
from psycopg.rows import TupleRow

from sinks.controls import Controls
from sinks.database import connect
from sinks.effects import Candidate, DeadLetter, Effects, PartRow
from sinks.errors import DatabaseUnavailable, Fenced
from sinks.ledger import Ledger, Move, Partition
from tests.rows import add_model

TOPIC = "predictions"
ZERO, ONE = (TOPIC, 0), (TOPIC, 1)
LEASE_SECONDS = 0.5
KEPT = 2


class LosesTheReply(psycopg.Connection[TupleRow]):
    """A connection that breaks after a COMMIT was carried out, before the answer comes."""

    loses = False

    @contextmanager
    def transaction(
        self, savepoint_name: str | None = None, force_rollback: bool = False
    ) -> Iterator[psycopg.Transaction]:
        with super().transaction(savepoint_name, force_rollback) as transaction:
            yield transaction
        if self.loses:
            self.close()
            raise psycopg.OperationalError("server closed the connection unexpectedly")


@pytest.fixture
def open_ledger(database: str) -> Iterator[Callable[[str], Ledger]]:
    """Return a function that opens a ledger, with a connection of its own, in the name of an owner."""
    opened: list[Ledger] = []

    def open_one(owner: str) -> Ledger:
        connection = LosesTheReply.connect(database, autocommit=True)
        ledger = Ledger(
            connection,
            owner,
            lease_seconds=LEASE_SECONDS,
            dead_letters_kept=KEPT,
            dead_letter_bytes=lambda value: value[:4],
        )
        opened.append(ledger)
        return ledger

    yield open_one
    for ledger in opened:
        ledger.connection.close()


def commit(ledger: Ledger, moves: dict[Partition, Move], effects: Effects | None = None) -> None:
    ledger.commit(moves, effects or Effects(), Controls(), lambda: True)


def query(database: str, text: str) -> list[tuple[object, ...]]:
    with psycopg.connect(database) as connection:
        return connection.execute(text.encode()).fetchall()


def candidate(event_id: str, **given: object) -> Candidate:
    values: dict[str, object] = {
        "model": "digits", "version": "1", "event_id": event_id, "topic": TOPIC, "partition": 0, "offset": 1,
        "event_time_us": 0, "window": 0, "prediction": "8", "confidence": 0.5, "expected_error": 0.5,
        "reason": "uniform", "nominated": 0.5, "wanted": 0.1, "select_draw": 0.2, "order_draw": 0.3,
        "event": b"{}", "truncated": False, "novel": None,
    }  # fmt: skip
    return Candidate(**{**values, **given})  # type: ignore[arg-type]


def letter(offset: int, reason: str = "not_json") -> DeadLetter:
    return DeadLetter(TOPIC, 0, offset, reason, "bad", b"0123456789")


def test_who_stands_still_in_a_commit_loses_its_partitions_with_its_lease(
    database: str, open_ledger: Callable[[str], Ledger]
) -> None:
    still, other = open_ledger("still"), open_ledger("other")
    still.add_partitions([ZERO], [TOPIC])
    claim = still.claim([ZERO], leased=False)[ZERO]
    commit(still, {ZERO: Move(claim.epoch, None, 10, 5)})

    def stands_still() -> bool:
        time.sleep(LEASE_SECONDS + 0.1)
        claims = other.claim([ZERO], leased=True)
        assert claims[ZERO].next_offset == 10
        return True

    with pytest.raises(DatabaseUnavailable, match="idle-in-transaction"):
        still.commit({ZERO: Move(claim.epoch, 10, 20, 6)}, Effects(), Controls(), stands_still)
    assert query(database, "SELECT next_offset, owner FROM partition") == [(10, "other")]


def test_a_lost_reply_to_commit_doubles_nothing(database: str, open_ledger: Callable[[str], Ledger]) -> None:
    with connect(database, name="test") as connection:
        cohort = add_model(connection)
        layout = connection.execute(
            "INSERT INTO control (kind, cohort_id, model, effective_from, body)"
            " VALUES ('layout', %s, 'digits', 0, '') RETURNING id",
            [cohort],
        ).fetchall()[0][0]
    effects = Effects([PartRow(cohort, 0, layout, 3, b"part")], [candidate("a")], [letter(7)], {ZERO: 1})
    ledger = open_ledger("first")
    ledger.add_partitions([ZERO], [TOPIC])
    claim = ledger.claim([ZERO], leased=False)[ZERO]
    assert isinstance(ledger.connection, LosesTheReply)
    ledger.connection.loses = True
    with pytest.raises(DatabaseUnavailable):
        commit(ledger, {ZERO: Move(claim.epoch, None, 10, 5)}, effects)
    # What is stored tells that it was done; committing the same again is refused.
    again = open_ledger("first")
    with pytest.raises(Fenced):
        commit(again, {ZERO: Move(claim.epoch, None, 10, 5)}, effects)
    claim = again.claim([ZERO], leased=False)[ZERO]
    assert (claim.epoch, claim.next_offset, claim.high_us) == (2, 10, 5)
    counts = "SELECT " + ", ".join(
        f"(SELECT count(*) FROM {table})" for table in ("part", "candidate", "payload", "dead_letter")
    )
    assert query(database, counts) == [(1, 1, 1, 1)]
    assert query(database, "SELECT count FROM dead_letter_total") == [(1,)]
    assert query(database, "SELECT count FROM skipped_total") == [(1,)]


def test_of_two_that_race_for_the_same_partitions_one_commits(
    database: str, open_ledger: Callable[[str], Ledger]
) -> None:
    ledgers = [open_ledger("first"), open_ledger("second")]
    ledgers[0].add_partitions([ZERO, ONE], [TOPIC])
    for turn in range(20):
        epoch = turn + 1
        stored = ledgers[turn % 2].claim([ZERO, ONE], leased=False)
        start = stored[ZERO].next_offset
        together = threading.Barrier(2)

        def move(which: int, epoch: int, start: int | None, together: threading.Barrier) -> bool:
            effects = Effects(dead_letters=[letter(epoch, f"from_{which}")])
            order = [ZERO, ONE] if which else [ONE, ZERO]
            together.wait()
            try:
                commit(ledgers[which], {each: Move(epoch, start, epoch, 0) for each in order}, effects)
            except Fenced:
                return False
            return True

        with ThreadPoolExecutor(2) as pool:
            done = list(pool.map(move, range(2), [epoch] * 2, [start] * 2, [together] * 2))
        assert sorted(done) == [False, True]
    assert query(database, "SELECT sum(count)::int FROM dead_letter_total") == [(20,)]
    assert query(database, "SELECT next_offset, epoch FROM partition") == [(20, 20), (20, 20)]


def test_a_claim_while_the_other_commits_sees_what_it_committed(open_ledger: Callable[[str], Ledger]) -> None:
    first, second = open_ledger("first"), open_ledger("second")
    first.add_partitions([ZERO], [TOPIC])
    claim = first.claim([ZERO], leased=False)[ZERO]
    with ThreadPoolExecutor(1) as pool:
        with first.connection.transaction():
            commit(first, {ZERO: Move(claim.epoch, None, 42, 7)})
            later = pool.submit(second.claim, [ZERO], leased=False)
            time.sleep(0.3)
            assert not later.done()
        taken = later.result(10)[ZERO]
    assert (taken.epoch, taken.next_offset, taken.high_us) == (2, 42, 7)
    with pytest.raises(Fenced):
        commit(first, {ZERO: Move(claim.epoch, 42, 50, 7)})


def test_a_second_process_stands_by_until_the_lease_runs_out(open_ledger: Callable[[str], Ledger]) -> None:
    first, second = open_ledger("first"), open_ledger("second")
    first.add_partitions([ZERO], [TOPIC])
    epoch = first.claim([ZERO], leased=True)[ZERO].epoch
    assert second.claim([ZERO], leased=True) == {}
    time.sleep(LEASE_SECONDS * 0.7)
    commit(first, {ZERO: Move(epoch, None, 5, 0)})  # a sign of life
    time.sleep(LEASE_SECONDS * 0.7)
    assert second.claim([ZERO], leased=True) == {}
    time.sleep(LEASE_SECONDS)
    assert second.claim([ZERO], leased=True)[ZERO].next_offset == 5
    with pytest.raises(Fenced):
        commit(first, {ZERO: Move(epoch, 5, 6, 0)})
    assert first.claim([ZERO], leased=True) == {}
    second.release()
    time.sleep(0.01)
    assert first.claim([ZERO], leased=True)[ZERO].epoch == 3


def test_the_same_events_from_four_workers_do_not_deadlock(database: str, open_ledger: Callable[[str], Ledger]) -> None:
    ledgers = [open_ledger(f"worker-{number}") for number in range(4)]
    ledgers[0].add_partitions([(TOPIC, number) for number in range(4)], [TOPIC])
    epochs = [ledger.claim([(TOPIC, n)], leased=False)[TOPIC, n].epoch for n, ledger in enumerate(ledgers)]
    together = threading.Barrier(4)

    def work(number: int) -> None:
        at = (TOPIC, number)
        start = None
        for turn in range(10):
            ids = range(turn * 40, turn * 40 + 40)
            effects = Effects(
                candidates=[
                    candidate(f"event-{each}", partition=number, novel=f"class-{each % 3}", nominated=None, wanted=None)
                    if each % 4 == 0
                    else candidate(f"event-{each}", partition=number)
                    for each in (ids if number % 2 else reversed(ids))
                ]
            )
            together.wait(20)
            commit(ledgers[number], {at: Move(epochs[number], start, turn + 1, 0)}, effects)
            start = turn + 1

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert query(database, "SELECT count(*) FROM candidate WHERE nominated IS NOT NULL") == [(300,)]
    assert query(database, "SELECT count(*), sum(nominated)::int FROM novel_value") == [(3, 15)]
    assert query(database, "SELECT count(*) FROM candidate JOIN payload ON candidate_id = id") == query(
        database, "SELECT count(*) FROM candidate"
    )


def test_a_new_partition_starts_at_the_watermark_of_the_others(
    database: str, open_ledger: Callable[[str], Ledger]
) -> None:
    ledger = open_ledger("first")
    ledger.add_partitions([ZERO, ONE], [TOPIC])
    ledger.add_partitions([("another", 0)], ["another"])
    epoch = ledger.claim([ZERO], leased=False)[ZERO].epoch
    commit(ledger, {ZERO: Move(epoch, None, 5, 700)})
    ledger.add_partitions([(TOPIC, 2)], [TOPIC])  # while one has seen nothing yet, nothing is closed
    epoch = ledger.claim([ONE], leased=False)[ONE].epoch
    commit(ledger, {ONE: Move(epoch, None, 5, 300)})
    epoch = ledger.claim([(TOPIC, 2)], leased=False)[TOPIC, 2].epoch
    ledger.stop((TOPIC, 2), epoch, "gone")  # a stopped one holds nobody back
    ledger.add_partitions([(TOPIC, 3), ZERO], [TOPIC])
    assert query(database, "SELECT topic, partition, event_high_us FROM partition ORDER BY topic, partition") == [
        ("another", 0, None), (TOPIC, 0, 700), (TOPIC, 1, 300), (TOPIC, 2, None), (TOPIC, 3, 300),
    ]  # fmt: skip
    assert ledger.claim([(TOPIC, 2), (TOPIC, 3)], leased=False).keys() == {(TOPIC, 3)}


def test_dead_letters_beyond_the_cap_become_ranges(database: str, open_ledger: Callable[[str], Ledger]) -> None:
    ledger = open_ledger("first")
    ledger.add_partitions([ZERO], [TOPIC])
    epoch = ledger.claim([ZERO], leased=False)[ZERO].epoch
    commit(ledger, {ZERO: Move(epoch, None, 9, 0)}, Effects(dead_letters=[letter(8), letter(3), letter(7), letter(5)]))
    more = [letter(20), letter(11), letter(12, "too_deep")]
    commit(ledger, {ZERO: Move(epoch, 9, 30, 0)}, Effects(dead_letters=more))
    rows = "SELECT reason, first_offset, last_offset, count, size, value FROM dead_letter ORDER BY reason, first_offset"
    assert query(database, rows) == [
        ("not_json", 3, 3, 1, 10, b"0123"),
        ("not_json", 5, 5, 1, 10, b"0123"),
        ("not_json", 7, 8, 2, 20, None),
        ("not_json", 11, 20, 2, 20, None),
        ("too_deep", 12, 12, 1, 10, b"0123"),
    ]
    totals = "SELECT reason, count FROM dead_letter_total ORDER BY reason"
    assert query(database, totals) == [("not_json", 6), ("too_deep", 1)]


def test_a_suspicion_grows_with_every_death_and_ends_when_the_event_is_passed(
    open_ledger: Callable[[str], Ledger],
) -> None:
    open_ledger("first").add_partitions([ZERO, ONE], [TOPIC])
    for death in range(3):
        ledger = open_ledger(f"worker-{death}")
        claim = ledger.claim([ZERO], leased=False)[ZERO]
        assert (claim.claims, claim.suspect_deaths) == (death + 1, death)
        assert claim.suspect_offset == (40 if death else None)
        commit(ledger, {ZERO: Move(claim.epoch, claim.next_offset, 40, 0, careful=True)})
        ledger.suspect(ZERO, claim.epoch, 40)
    last = open_ledger("last")
    claims = last.claim([ZERO, ONE], leased=False)
    assert (claims[ZERO].suspect_offset, claims[ZERO].suspect_deaths) == (40, 3)
    # Progress in another partition, or a sign of life, says nothing about this one.
    commit(last, {ZERO: Move(claims[ZERO].epoch, 40, 40, 0), ONE: Move(claims[ONE].epoch, None, 9, 0)})
    claims = last.claim([ZERO, ONE], leased=False)
    assert (claims[ZERO].claims, claims[ZERO].suspect_offset, claims[ZERO].suspect_deaths) == (4, 40, 3)
    assert claims[ONE].claims == 0
    commit(last, {ZERO: Move(claims[ZERO].epoch, 40, 41, 0, careful=True)})
    claim = last.claim([ZERO], leased=False)[ZERO]
    assert (claim.claims, claim.suspect_offset, claim.suspect_deaths) == (4, None, 0)
    commit(last, {ZERO: Move(claim.epoch, 41, 42, 0)})
    assert open_ledger("next").claim([ZERO], leased=False)[ZERO].claims == 1


def test_who_was_at_the_end_of_a_partition_did_not_die_of_it(open_ledger: Callable[[str], Ledger]) -> None:
    open_ledger("first").add_partitions([ZERO, ONE], [TOPIC])
    for number in range(5):
        ledger = open_ledger(f"worker-{number}")
        claims = ledger.claim([ZERO, ONE], leased=False)
        assert [claims[each].claims for each in (ZERO, ONE)] == [1, number + 1]
        signs_of_life = {
            ZERO: Move(claims[ZERO].epoch, claims[ZERO].next_offset, 40, 0, high_water=40),
            ONE: Move(claims[ONE].epoch, claims[ONE].next_offset, 40, 0, high_water=41, careful=True),
        }
        commit(ledger, signs_of_life)


def test_who_was_cut_off_from_the_database_did_not_die(open_ledger: Callable[[str], Ledger]) -> None:
    ledger = open_ledger("first")
    ledger.add_partitions([ZERO], [TOPIC])
    for _ in range(5):
        claim = ledger.claim([ZERO], leased=False)[ZERO]
        assert (claim.claims, claim.suspect_deaths) == (1, 0)
        ledger.suspect(ZERO, claim.epoch, 3)
    # And who claims without trying it is not killed by it.
    for owner in ("second", "third", "fourth"):
        claim = open_ledger(owner).claim([ZERO], leased=False)[ZERO]
        assert (claim.suspect_offset, claim.suspect_deaths) == (3, 1)
    # A zombie's suspicion is not heard.
    ledger.suspect(ZERO, 5, 99)
    assert open_ledger("fifth").claim([ZERO], leased=False)[ZERO].suspect_offset == 3


def test_skipping_what_kafka_no_longer_has_is_fenced_as_a_commit_is(open_ledger: Callable[[str], Ledger]) -> None:
    ledger = open_ledger("first")
    ledger.add_partitions([ZERO], [TOPIC])
    epoch = ledger.claim([ZERO], leased=False)[ZERO].epoch
    ledger.skip(ZERO, epoch, None, 12)
    with pytest.raises(Fenced):
        ledger.skip(ZERO, epoch, None, 20)
    with pytest.raises(Fenced):
        ledger.skip(ZERO, epoch - 1, 12, 20)
    assert ledger.claim([ZERO], leased=False)[ZERO].next_offset == 12
