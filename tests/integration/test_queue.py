from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from sinks import queue
from sinks.database import Connection, connect
from sinks.errors import BadData, LeaseLost
from tests.rows import add_candidates, add_items


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    with connect(database, name="test") as opened:
        yield opened


def claim_one(connection: Connection, who: str = "ada", seconds: float = 60) -> str:
    (item,) = queue.claim(connection, n=1, who=who, lease_seconds=seconds)
    assert item.token is not None
    return item.token


def run_out(connection: Connection) -> None:
    connection.execute("UPDATE queue_item SET lease_until = now() - interval '1 second' WHERE state = 'leased'")


def test_every_item_has_exactly_one_owner(database: str, connection: Connection) -> None:
    add_items(connection, 500)

    def drain(who: str) -> list[int]:
        mine = []
        with connect(database, name=who) as own:
            while items := queue.claim(own, n=3, who=who, lease_seconds=60):
                for item in items:
                    assert item.token is not None
                    queue.label(own, item.token, value=who, who=who)
                    mine.append(item.id)
        return mine

    with ThreadPoolExecutor(8) as pool:
        served = Counter(item for mine in pool.map(drain, "abcdefgh") for item in mine)
    assert len(served) == 500
    assert set(served.values()) == {1}
    assert connection.execute("SELECT count(*) FROM label").fetchone() == (500,)
    states = connection.execute("SELECT to_state, count(*) FROM queue_audit GROUP BY 1 ORDER BY 1").fetchall()
    assert states == [("labelled", 500), ("leased", 500)]


def test_nobody_is_told_empty_while_somebody_else_only_looks(database: str, connection: Connection) -> None:
    add_items(connection, 1)
    with psycopg.connect(database) as other:
        other.execute("SELECT FROM queue_item FOR UPDATE")
        with ThreadPoolExecutor(1) as pool:
            claiming = pool.submit(queue.claim, connection, n=1, who="ada", lease_seconds=60)
            with pytest.raises(TimeoutError):
                claiming.result(0.1)
            other.rollback()
            assert len(claiming.result(5)) == 1


def test_urgent_first_then_by_day_then_by_draw(connection: Connection) -> None:
    add_items(
        connection,
        4,
        urgent=[False, False, False, True],
        day=["2024-10-05", "2024-10-04", "2024-10-04", "2024-10-06"],
        order_draw=[0.1, 0.9, 0.2, 0.5],
    )
    items = queue.claim(connection, n=4, who="ada", lease_seconds=60)
    assert [item.event_id for item in items] == ["event-3", "event-2", "event-1", "event-0"]


def test_a_lapsed_lease_takes_its_place_among_the_pending(connection: Connection) -> None:
    add_items(connection, 3, order_draw=[0.1, 0.5, 0.9])
    first = queue.claim(connection, n=1, who="ada", lease_seconds=60)[0]
    assert queue.claim(connection, n=1, who="bob", lease_seconds=60)[0].event_id == "event-1"
    connection.execute("UPDATE queue_item SET lease_until = now() - interval '1 s' WHERE id = %s", [first.id])
    again = queue.claim(connection, n=2, who="bob", lease_seconds=60)
    assert [item.event_id for item in again] == ["event-0", "event-2"]
    assert again[0].token != first.token


def test_a_claim_shows_what_the_labeler_needs(connection: Connection) -> None:
    add_candidates(connection, 1)
    connection.execute("INSERT INTO payload (candidate_id, event, truncated) SELECT id, 'body', true FROM candidate")
    add_items(connection, 1)
    (item,) = queue.claim(connection, n=5, who="ada", lease_seconds=60)
    assert (item.event, item.truncated, item.prediction, item.confidence) == (b"body", True, "8", 0.31)
    assert (item.propensity, item.leased_by, item.state) == (0.1, "ada", "leased")


def test_a_token_is_good_until_somebody_else_claims(connection: Connection) -> None:
    add_items(connection, 2)
    late, lost = claim_one(connection), claim_one(connection)
    run_out(connection)
    assert queue.label(connection, late, value="8", who="ada").value == "8"
    claim_one(connection, "bob")
    for attempt in (
        lambda: queue.label(connection, lost, value="8", who="ada"),
        lambda: queue.skip(connection, lost, who="ada"),
        lambda: queue.renew(connection, lost, lease_seconds=60),
        lambda: queue.release(connection, lost, who="ada"),
    ):
        with pytest.raises(LeaseLost):
            attempt()
    assert connection.execute("SELECT count(*) FROM label").fetchone() == (1,)


def test_repeating_an_answer_gets_the_first_one(connection: Connection) -> None:
    add_items(connection, 2)
    token = claim_one(connection)
    first = queue.label(connection, token, value="8", who="ada", note="smudged")
    assert queue.label(connection, token, value="8", who="ada") == first
    with pytest.raises(LeaseLost):
        queue.label(connection, token, value="3", who="ada")
    with pytest.raises(LeaseLost):
        queue.skip(connection, token, who="ada")
    skipped = claim_one(connection)
    assert queue.skip(connection, skipped, who="ada") == queue.skip(connection, skipped, who="ada")
    with pytest.raises(LeaseLost):
        queue.label(connection, skipped, value="8", who="ada")
    assert connection.execute("SELECT value, labelled_by, note FROM label").fetchall() == [("8", "ada", "smudged")]
    assert connection.execute("SELECT count(*) FROM queue_audit").fetchone() == (4,)
    assert queue.claim(connection, n=2, who="bob", lease_seconds=60) == []


def test_a_renewed_lease_is_not_served(connection: Connection) -> None:
    add_items(connection, 1)
    token = claim_one(connection)
    run_out(connection)
    end = queue.renew(connection, token, lease_seconds=60)
    assert queue.claim(connection, n=1, who="bob", lease_seconds=60) == []
    row = connection.execute("SELECT lease_until, lease_until > now() FROM queue_item").fetchone()
    assert row == (end, True)


def test_a_released_item_is_served_at_once(connection: Connection) -> None:
    add_items(connection, 1)
    token = claim_one(connection)
    queue.release(connection, token, who="ada")
    assert claim_one(connection, "bob") != token
    with pytest.raises(LeaseLost):
        queue.label(connection, token, value="8", who="ada")


@pytest.mark.parametrize("token", ["", "7", "7-", "x-" + "0" * 32, f"{2**70}-" + "0" * 32, "-1-" + "0" * 32])
def test_what_is_no_token_is_told(connection: Connection, token: str) -> None:
    with pytest.raises(BadData, match="not a lease token"):
        queue.label(connection, token, value="8", who="ada")


def test_a_forged_token_is_refused(connection: Connection) -> None:
    add_items(connection, 1)
    claim_one(connection)
    with pytest.raises(LeaseLost):
        queue.label(connection, "1-" + "0" * 32, value="8", who="eve")


@pytest.mark.parametrize("value", ["", "  ", "a\0b"])
def test_a_label_that_is_none_is_refused(connection: Connection, value: str) -> None:
    add_items(connection, 1)
    with pytest.raises(BadData):
        queue.label(connection, claim_one(connection), value=value, who="ada")


def test_listing_and_figures(connection: Connection) -> None:
    add_items(connection, 5, model=["digits"] * 3 + ["other"] * 2)
    (mine,) = queue.claim(connection, n=1, who="ada", lease_seconds=60, model="other")
    assert mine.token is not None
    queue.label(connection, mine.token, value="8", who="ada")
    assert [item.id for item in queue.list_items(connection, model="digits")] == [3, 2, 1]
    assert [item.id for item in queue.list_items(connection, before=3, limit=1)] == [2]
    assert [item.id for item in queue.list_items(connection, state="labelled")] == [mine.id]
    assert queue.list_items(connection, reason="never_seen") == []
    assert queue.labels_of(connection, [1, mine.id]) == {mine.id: "8"}
    found = {(row.model, row.state): (row.count, row.settled_last_day) for row in queue.stats(connection)}
    assert found == {("digits", "pending"): (3, 0), ("other", "pending"): (1, 0), ("other", "labelled"): (1, 1)}


def test_a_claim_does_not_scan_a_large_table(connection: Connection) -> None:
    connection.execute(
        "INSERT INTO queue_item (candidate_id, model, version, event_id, reason, urgent, day, order_draw, state)"
        " SELECT i, 'digits', '1', i::text, 'uniform', false, '2024-10-04', random(),"
        " CASE WHEN i %% 20 = 0 THEN 'pending' ELSE 'labelled' END FROM generate_series(1, %s) i",
        [50_000],
    )
    connection.execute("ANALYZE queue_item")
    connection.execute("SET plan_cache_mode = force_generic_plan")
    from sinks.statements import statement  # noqa: PLC0415

    values = {"n": 5, "who": "ada", "seconds": 60.0, "model": None}
    plan = connection.execute(b"EXPLAIN " + statement("queue", "claim"), values, prepare=True).fetchall()
    assert "Seq Scan on queue_item" not in "\n".join(row[0] for row in plan)
