"""What a worker does when something is not as it was left: nobody has to restart anything."""

import pickle
import subprocess
import sys
import threading
import time

import psycopg
import pytest
from kafka import TopicPartition
from kafka.admin import KafkaAdminClient

from daemon import positions
from daemon.settings import Settings
from tests.harness import event, new_topic, query, send, settings_for, wait_for, working
from tests.services import ApacheKafka, Postgres


def read(database: str) -> int:
    return int(query(database, "SELECT coalesce(sum(next_offset), 0) FROM partition")[0][0])


def counted(database: str) -> int:
    return int(query(database, "SELECT coalesce(sum(events), 0) FROM part")[0][0])


@pytest.mark.consuming
def test_postgresql_away_and_back(kafka: ApacheKafka, postgres: Postgres) -> None:
    database, topic = postgres.new_database(), new_topic(kafka)
    settings = settings_for(kafka, database, topic)
    send(kafka, topic, [(event(n, second=n / 100), n / 100) for n in range(3000)])
    with working(settings):
        wait_for(lambda: read(database) == 3000)
        postgres.kill()
        send(kafka, topic, [(event(3000 + n, second=31 + n / 100), 31 + n / 100) for n in range(3000)])
        time.sleep(8)  # longer than the session timeout: the membership of the group has to be kept
        assert members(kafka, topic) == 1
        postgres.start()
        wait_for(lambda: read(database) == 6000)
        assert counted(database) == 6000


def test_a_slow_database_gets_larger_commits_instead_of_more(kafka: ApacheKafka, database: str) -> None:
    topic = new_topic(kafka, 1)
    settings = settings_for(kafka, database, topic, ingest={"poll_records": 10, "commit_seconds": 0.02})
    with psycopg.connect(database) as connection:
        connection.execute(
            "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN PERFORM pg_sleep(0.2); RETURN NULL; END $$"
        )
        connection.execute("CREATE TRIGGER slow AFTER INSERT ON part FOR EACH STATEMENT EXECUTE FUNCTION slow()")
    send(kafka, topic, [(event(n, second=n / 100), n / 100) for n in range(1500)], [0])
    with working(settings):
        wait_for(lambda: read(database) == 1500)
    assert query(database, "SELECT count(*) < 50 FROM part") == [(True,)]


def members(kafka: ApacheKafka, group: str) -> int:
    admin = KafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    try:
        return len(admin.describe_groups([group])[group]["members"])
    finally:
        admin.close()


@pytest.mark.consuming
def test_records_deleted_before_they_were_read_are_told_exactly(kafka: ApacheKafka, database: str) -> None:
    topic = new_topic(kafka, 1)
    settings = settings_for(kafka, database, topic)
    send(kafka, topic, [(event(n, second=n), float(n)) for n in range(100)], [0])
    with working(settings):
        wait_for(lambda: read(database) == 100)
    send(kafka, topic, [(event(n, second=n), float(n)) for n in range(100, 200)], [0])
    admin = KafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    admin.delete_records({TopicPartition(topic, 0): 150})
    admin.close()
    with working(settings):
        wait_for(lambda: read(database) == 200)
    assert counted(database) == 150
    [(state, severity, first, last)] = query(
        database,
        "SELECT state, severity, evidence->>'first_lost', evidence->>'last_lost' FROM alert"
        " WHERE labels->>'alertname' = 'records_lost'",
    )
    assert (state, severity, first, last) == ("firing", "page", "100", "149")


def test_a_worker_that_dies_before_it_could_tell_has_not_skipped_the_lost_range(
    kafka: ApacheKafka, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = new_topic(kafka, 1)
    settings = settings_for(kafka, database, topic)
    send(kafka, topic, [(event(n, second=n), float(n)) for n in range(100)], [0])
    with working(settings):
        wait_for(lambda: read(database) == 100)
    send(kafka, topic, [(event(n, second=n), float(n)) for n in range(100, 200)], [0])
    admin = KafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    admin.delete_records({TopicPartition(topic, 0): 150})
    admin.close()
    tried = threading.Event()

    def die(*_: object, **__: object) -> None:
        tried.set()
        raise ArithmeticError

    monkeypatch.setattr(positions, "pipeline_alert", die)
    with pytest.raises(ArithmeticError), working(settings):
        wait_for(tried.is_set)
    assert read(database) == 100


@pytest.mark.consuming
def test_a_partition_shorter_than_what_was_read_is_stopped_and_the_others_go_on(
    kafka: ApacheKafka, database: str
) -> None:
    topic = new_topic(kafka, 2)
    settings = settings_for(kafka, database, topic)
    send(kafka, topic, [(event(n, second=n), float(n)) for n in range(200)], [0, 1])
    with working(settings):
        wait_for(lambda: read(database) == 200)
    # As a topic made anew looks: the stored offset lies beyond the end.
    query(database, "UPDATE partition SET next_offset = 5000 WHERE partition = 1 RETURNING 1")
    send(kafka, topic, [(event(n, second=n), float(n)) for n in range(200, 300)], [0])
    with working(settings):
        wait_for(lambda: query(database, "SELECT next_offset FROM partition WHERE partition = 0") == [(200,)])
        wait_for(lambda: bool(query(database, "SELECT 1 FROM partition WHERE stopped_reason LIKE '%recreated%'")))
    alerts = query(database, "SELECT labels->>'partition', state FROM alert")
    assert alerts == [("1", "firing")]


def test_of_two_processes_with_one_static_assignment_one_stands_by(kafka: ApacheKafka, database: str) -> None:
    topic = new_topic(kafka, 2)
    settings = settings_for(
        kafka, database, topic, kafka={"assignment": "static"}, ingest={"lease_seconds": 3, "idle_seconds": 1}
    )
    second_stop = threading.Event()
    with working(settings, "first") as first:
        send(kafka, topic, [(event(n, second=n), float(n)) for n in range(200)], [0, 1])
        wait_for(lambda: read(database) == 200)
        other = threading.Thread(target=work_until, args=(settings, second_stop))
        other.start()
        send(kafka, topic, [(event(n, second=n), float(n)) for n in range(200, 400)], [0, 1])
        wait_for(lambda: read(database) == 400)
        assert first.committed_events == 400
        time.sleep(4)  # longer than the lease: it is being renewed
        assert query(database, "SELECT DISTINCT owner FROM partition") == [("first",)]
    try:
        wait_for(lambda: query(database, "SELECT DISTINCT owner FROM partition") == [("second",)])
        send(kafka, topic, [(event(n, second=n), float(n)) for n in range(400, 600)], [0, 1])
        wait_for(lambda: read(database) == 600)
    finally:
        second_stop.set()
        other.join(30)
    assert counted(database) == 600


def work_until(settings: Settings, stop: threading.Event) -> None:
    with working(settings, "second"):
        stop.wait(120)


DEADLY = """
import os, pickle, sys
from daemon.accumulate import Accumulation
from daemon.processes import alone
from daemon import positions

add = Accumulation.add

def deadly(self, topic, partition, records, high_us):
    if any(b"deadly" in value for value in records.values):
        os._exit(9)
    return add(self, topic, partition, records, high_us)

Accumulation.add = deadly
alone("ingest", pickle.loads(bytes.fromhex(sys.argv[1])), "info")
"""


def test_an_event_that_kills_its_worker_is_quarantined_and_only_that(kafka: ApacheKafka, database: str) -> None:
    topic = new_topic(kafka, 1)
    settings = settings_for(
        kafka, database, topic, kafka={"assignment": "static"}, ingest={"lease_seconds": 0.5, "idle_seconds": 1}
    )
    values = [(event(n, second=n), float(n)) for n in range(100)]
    values[40] = (event(40, second=40, prediction="deadly"), 40.0)
    send(kafka, topic, values, [0])
    deaths = 0
    while deaths < 10:
        worker = subprocess.Popen([sys.executable, "-c", DEADLY, pickle.dumps(settings).hex()])
        try:
            wait_for(lambda worker=worker: worker.poll() is not None or read(database) == 100)  # type: ignore[misc]
        finally:
            if worker.poll() is None:
                worker.terminate()
        if worker.wait() == 0:
            break
        deaths += 1
    assert query(database, "SELECT first_offset, reason, count FROM dead_letter") == [(40, "quarantined", 1)]
    assert counted(database) == 99
    # Three claims without progress, then two deaths on the event alone.
    assert deaths == 5
