from collections.abc import Iterator

import pytest

from daemon.jobs import retention
from daemon.jobs.retention import RetentionJob
from daemon.settings import RetentionSettings
from sinks import controls, queue
from sinks.controls import Controls, publish
from sinks.database import Connection, connect
from tests.harness import event, new_topic, query, send, settings_for, wait_for, working
from tests.rows import add_candidates, add_items, add_model, close_windows
from tests.services import ApacheKafka

SETTINGS = RetentionSettings(
    windows_days=9, candidates_days=3, payloads_days=2, dead_letters_days=4, outbox_days=5, queue_days=6
)


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    with connect(database, name="test") as opened:
        yield opened


def age(connection: Connection, table: str, days: float, where: str = "true", column: str = "created_at") -> None:
    connection.execute(f"UPDATE {table} SET {column} = now() - interval '{days} days' WHERE {where}".encode())


def ids(connection: Connection, table: str, column: str = "id") -> list[int]:
    return [row[0] for row in connection.execute(f"SELECT {column} FROM {table} ORDER BY 1".encode())]


def test_what_is_open_outlives_its_age(connection: Connection) -> None:
    add_candidates(connection, 6)
    connection.execute("UPDATE candidate SET decision = 'passed' WHERE id <> 1")
    connection.execute("INSERT INTO payload (candidate_id, event, truncated) SELECT id, 'body', false FROM candidate")
    # 1 undecided, 2 pending, 3 leased, 4 labelled, 5 passed, 6 too young.
    add_items(connection, 3, candidate_id=[2, 3, 4])
    connection.execute("UPDATE queue_item SET state = 'leased' WHERE candidate_id = 3")
    connection.execute("UPDATE queue_item SET state = 'labelled', settled_at = now() WHERE candidate_id = 4")
    age(connection, "candidate", 3.1, "id <> 6")
    assert RetentionJob(SETTINGS).run_once(connection) == 2
    assert ids(connection, "candidate") == [1, 2, 3, 6]
    assert ids(connection, "payload", "candidate_id") == [1, 2, 3, 6]
    assert ids(connection, "queue_item", "candidate_id") == [2, 3, 4]


def test_payloads_go_by_their_own_age(connection: Connection) -> None:
    add_candidates(connection, 2)
    connection.execute("INSERT INTO payload (candidate_id, event, truncated) SELECT id, 'body', false FROM candidate")
    age(connection, "payload", 2.1, "candidate_id = 1")
    RetentionJob(SETTINGS).run_once(connection)
    assert ids(connection, "payload", "candidate_id") == [2]
    assert ids(connection, "candidate") == [1, 2]


def test_days_may_be_parts_of_one(connection: Connection) -> None:
    add_candidates(connection, 2)
    connection.execute("INSERT INTO payload (candidate_id, event, truncated) SELECT id, 'body', false FROM candidate")
    age(connection, "payload", 0.3, "candidate_id = 1")
    age(connection, "payload", 0.2, "candidate_id = 2")
    RetentionJob(SETTINGS.model_copy(update={"payloads_days": 0.25})).run_once(connection)
    assert ids(connection, "payload", "candidate_id") == [2]


def test_settled_items_go_with_labels_and_audit(connection: Connection) -> None:
    add_items(connection, 3)
    for _ in range(2):
        (item,) = queue.claim(connection, n=1, who="ada", lease_seconds=60)
        assert item.token is not None
        queue.label(connection, item.token, value="8", who="ada")
    first = ids(connection, "label", "item_id")[0]
    age(connection, "queue_item", 6.1, f"id = {first}", "settled_at")
    age(connection, "queue_item", 100)
    RetentionJob(SETTINGS).run_once(connection)
    kept = ids(connection, "queue_item")
    assert first not in kept
    assert len(kept) == 2
    assert len(ids(connection, "label")) == 1
    assert first not in ids(connection, "queue_audit", "item_id")


def test_only_what_was_delivered_leaves_the_outbox(connection: Connection) -> None:
    for key, delivered in (("a", "2024-10-04"), ("b", None), ("c", "2024-10-04")):
        connection.execute(
            "INSERT INTO outbox (key, route, model, body, delivered_at) VALUES (%s, 'log', '', '{}', %s)",
            [key, delivered],
        )
    age(connection, "outbox", 5.1, "key <> 'c'")
    RetentionJob(SETTINGS).run_once(connection)
    assert ids(connection, "outbox") == [2, 3]


def test_windows_and_dead_letters(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "_BATCH", 3)
    close_windows(connection, add_model(connection), range(10), events=1, weight=0.1)
    age(connection, "closed_window", 9.1, '"window" < 8')
    for first in range(5):
        connection.execute(
            "INSERT INTO dead_letter (topic, partition, first_offset, reason, last_offset, count, detail, size)"
            " VALUES ('predictions', 0, %s, 'json', 0, 1, '', 1)",
            [first],
        )
    age(connection, "dead_letter", 4.1, "first_offset < 4")
    assert RetentionJob(SETTINGS).run_once(connection) == 12
    assert ids(connection, "closed_window", '"window"') == [8, 9]
    assert ids(connection, "dead_letter", "first_offset") == [4]


def test_rows_in_use_are_left_for_the_next_run(database: str, connection: Connection) -> None:
    add_candidates(connection, 2)
    connection.execute("UPDATE candidate SET decision = 'passed'")
    age(connection, "candidate", 4)
    with connect(database, name="other") as other, other.transaction():
        other.execute("SELECT FROM candidate WHERE id = 1 FOR UPDATE")
        assert RetentionJob(SETTINGS).run_once(connection) == 1
    assert RetentionJob(SETTINGS).run_once(connection) == 1


def test_alerts_that_are_over_go_from_the_transition_to_the_incident(connection: Connection) -> None:
    add_model(connection)
    connection.execute(
        "INSERT INTO incident (model, state, severity, title) VALUES ('digits', 'firing', 'ticket', 'a')"
    )
    connection.execute(
        "INSERT INTO incident (model, state, severity, title, resolved_at)"
        " VALUES ('digits', 'resolved', 'ticket', 'b', now() - interval '9 days')"
    )
    for number in (1, 2):
        state = "firing" if number == 1 else "resolved"
        connection.execute(
            "INSERT INTO alert (fingerprint, incident_id, model, labels, state, severity, evidence)"
            " VALUES (%s, %s, 'digits', '{}', %s, 'ticket', '{}')",
            [str(number), number, state],
        )
        connection.execute(
            'INSERT INTO alert_transition (fingerprint, incident_id, "window", state, evidence)'
            " VALUES (%s, %s, 1, %s, '{}')",
            [str(number), number, state],
        )
    age(connection, "alert_transition", 8)
    age(connection, "alert", 8, column="updated_at")
    job = RetentionJob(SETTINGS.model_copy(update={"alerts_days": 7}))
    assert job.run_once(connection) == 3
    assert ids(connection, "incident") == [1]
    assert ids(connection, "alert", "incident_id") == [1]
    assert ids(connection, "alert_transition", "incident_id") == [1]


def test_what_was_deleted_is_forgotten_by_processes_that_live_on(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    cohort = add_model(connection)
    for window in (1, 2, 3):
        publish(connection, kind="selection", model="digits", cohort_id=None, effective_from=window, body=b"{}")
    publish(connection, kind="layout", model="digits", cohort_id=cohort, effective_from=1, body=b"{}")
    log = Controls(("layout", "selection"))
    log.refresh(connection)
    age(connection, "control", 3.1)
    RetentionJob(SETTINGS).run_once(connection)
    log.refresh(connection)
    assert log.in_force("selection", "digits", 1) is not None
    monkeypatch.setattr(controls, "_PRUNE_SECONDS", 0)
    log.refresh(connection)
    assert log.in_force("selection", "digits", 2) is None
    assert log.in_force("selection", "digits", 3) is not None
    assert log.in_force("layout", cohort, 1) is not None
    with pytest.raises(KeyError):
        log.body(1)


def test_superseded_rates_go_and_those_in_force_stay(connection: Connection) -> None:
    cohort = add_model(connection)
    for window in (1, 2, 3):
        publish(connection, kind="selection", model="digits", cohort_id=None, effective_from=window, body=b"{}")
    publish(connection, kind="layout", model="digits", cohort_id=cohort, effective_from=1, body=b"{}")
    publish(connection, kind="layout", model="digits", cohort_id=cohort, effective_from=2, body=b"{}")
    age(connection, "control", 3.1, "id <> 3")
    RetentionJob(SETTINGS).run_once(connection)
    # The second was in force until the third, which is too young for that to be forgotten.
    assert ids(connection, "control") == [2, 3, 4, 5]


def test_a_version_goes_when_it_was_replaced_and_nothing_is_left_of_it(database: str, connection: Connection) -> None:
    cohort = add_model(connection)
    for version in ("2", "3", "4"):
        connection.execute("INSERT INTO cohort (model, version) VALUES ('digits', %s)", [version])
    close_windows(connection, cohort, range(3), events=1, weight=0.1)
    publish(connection, kind="layout", model="digits", cohort_id=cohort + 1, effective_from=1, body=b"{}")
    age(connection, "cohort", 370, "version <> '3'")
    RetentionJob(SETTINGS).run_once(connection)
    # The first has windows, the third is too young, the fourth is the newest.
    assert query(database, "SELECT version FROM cohort ORDER BY 1") == [("1",), ("3",), ("4",)]
    assert ids(connection, "control", "cohort_id") == [cohort]


def test_a_version_that_comes_back_after_it_went_is_registered_anew(
    kafka: ApacheKafka, database: str, connection: Connection
) -> None:
    topic = new_topic(kafka)
    settings = settings_for(kafka, database, topic)
    with working(settings):
        for number in (1, 2):
            send(kafka, topic, [(event(number, second=number, version=str(number)), number)], partitions=[0])
        wait_for(lambda: query(database, "SELECT count(*) FROM part") == [(2,)])
        connection.execute("DELETE FROM part")
        age(connection, "cohort", 370)
        RetentionJob(SETTINGS).run_once(connection)
        assert query(database, "SELECT version FROM cohort") == [("2",)]
        send(kafka, topic, [(event(3, second=3, version="1"), 3)], partitions=[0])
        wait_for(lambda: query(database, "SELECT max(next_offset) FROM partition") == [(3,)])
    rows = query(database, "SELECT version, events FROM part JOIN cohort ON cohort.id = cohort_id")
    assert rows == [("1", 1)]
