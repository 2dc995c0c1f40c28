import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from daemon.demo import guard
from daemon.demo.processes import ServiceError
from daemon.demo.services import EmbeddedBroker, EmbeddedPostgres, package_file
from tests.services import ROOT, ApacheKafka, Postgres

HOLDER = """
import sys, time
from pathlib import Path
from daemon.demo.services import EmbeddedBroker, EmbeddedPostgres
with EmbeddedPostgres(Path(sys.argv[1], "pg")), EmbeddedBroker(Path(sys.argv[1], "broker")):
    print("up", flush=True)
    if sys.argv[2] == "raise":
        raise ValueError
    time.sleep(60)
"""


def read_all(bootstrap: str, topic: str, count: int) -> list[bytes]:
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, max_partition_fetch_bytes=32 << 20)
    try:
        consumer.assign([TopicPartition(topic, 0)])
        consumer.seek(TopicPartition(topic, 0), 0)
        values: list[bytes] = []
        deadline = time.monotonic() + 20
        while len(values) < count and time.monotonic() < deadline:
            for records in consumer.poll(500).values():
                values += [record.value for record in records]
        return values
    finally:
        consumer.close()


def send(bootstrap: str, topic: str, *values: bytes) -> None:
    producer = KafkaProducer(bootstrap_servers=bootstrap, max_request_size=32 << 20)
    try:
        for value in values:
            producer.send(topic, value, partition=0).get(20)
    finally:
        producer.close()


def test_kafka_keeps_records_through_a_kill(kafka: ApacheKafka) -> None:
    large = os.urandom(20_000_000)
    kafka.create_topic("services", partitions=2, config={"cleanup.policy": "delete"})
    send(kafka.bootstrap, "services", b"small", large)
    kafka.kill()
    assert not kafka.running
    kafka.start()
    assert read_all(kafka.bootstrap, "services", 2) == [b"small", large]
    kafka.delete_topic("services")


def test_kafka_says_why_it_does_not_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.services.PROPERTIES", "process.roles=nonsense\n")
    with pytest.raises(ServiceError, match="nonsense"):
        ApacheKafka(tmp_path).start()


def test_databases_are_separate(postgres: Postgres, database: str) -> None:
    other = postgres.new_database(empty=True)
    with psycopg.connect(database) as first, psycopg.connect(other) as second:
        first.execute("CREATE TABLE only_here ()")
        first.commit()
        found = second.execute("SELECT to_regclass('only_here')").fetchone()
    assert found == (None,)


def test_postgres_recovers_from_a_kill(tmp_path: Path) -> None:
    with EmbeddedPostgres(tmp_path) as server:
        with psycopg.connect(server.url) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 1 AS n")
        server.kill()
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(server.url)
        server.start()
        with psycopg.connect(server.url) as connection:
            assert connection.execute("SELECT n FROM kept").fetchone() == (1,)


def test_migrated_databases_are_copies(tmp_path: Path) -> None:
    calls = []

    def migrate(url: str) -> None:
        calls.append(url)
        with psycopg.connect(url) as connection:
            connection.execute("CREATE TABLE migrated ()")

    with Postgres(tmp_path, migrate) as server:
        for url in (server.new_database(), server.new_database()):
            with psycopg.connect(url) as connection:
                assert connection.execute("SELECT count(*) FROM migrated").fetchone() == (0,)
    assert len(calls) == 1


def test_a_long_path_is_no_hindrance(tmp_path: Path) -> None:
    directory = tmp_path / ("long" * 30)
    with EmbeddedPostgres(directory) as server, psycopg.connect(server.url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_embedded_broker_takes_and_gives_records(tmp_path: Path) -> None:
    from kafka.admin import KafkaAdminClient  # noqa: PLC0415

    with EmbeddedBroker(tmp_path) as broker:
        admin = KafkaAdminClient(bootstrap_servers=broker.bootstrap)
        admin.create_topics({"demo": {"num_partitions": 1, "replication_factor": 1}})
        admin.close()
        send(broker.bootstrap, "demo", b"one", b"two")
        assert read_all(broker.bootstrap, "demo", 2) == [b"one", b"two"]


def test_a_missing_wheel_is_named() -> None:
    with pytest.raises(ServiceError, match=r"pip install 'strandline\[demo\]'"):
        package_file("no_such_package", "bin")


def started_below(directory: Path) -> list[psutil.Process]:
    """Every process whose command line tells of this directory, or that works in it."""
    found = []
    for process in psutil.process_iter(["cmdline", "cwd", "name"]):
        told = " ".join(process.info["cmdline"] or []) + str(process.info["cwd"])
        if str(directory) in told and process.pid != os.getpid():
            found.append(process)
    return found


@pytest.fixture
def holder(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[subprocess.Popen[str]]:
    """A process that holds both services, in a process group of its own like a terminal's."""
    command = [sys.executable, "-c", HOLDER, str(tmp_path), request.param]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        yield process
        process.kill()


def descendants(process: subprocess.Popen[Any]) -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


@pytest.mark.parametrize(
    ("holder", "number"),
    [
        ("sleep", signal.SIGINT),
        ("sleep", signal.SIGTERM),
        ("sleep", signal.SIGKILL),
        ("sleep", signal.SIGHUP),
    ],
    indirect=["holder"],
)
def test_nothing_is_left_after_a_signal(holder: subprocess.Popen[str], number: signal.Signals) -> None:
    below = descendants(holder)
    assert {"postgres", "tansu"} <= {process.name() for process in below}
    # As the terminal does it: to the whole group.
    os.killpg(holder.pid, number)
    holder.wait(20)
    _gone, alive = psutil.wait_procs(below, timeout=15)
    assert alive == []


@pytest.mark.parametrize("holder", ["raise"], indirect=True)
def test_nothing_is_left_after_an_exception(holder: subprocess.Popen[str], tmp_path: Path) -> None:
    assert holder.wait(20) == 1
    assert started_below(tmp_path) == []


def test_nothing_is_left_when_the_guard_is_killed(tmp_path: Path) -> None:
    # The services that other tests share have guards, too, and must keep them.
    before = psutil.Process().children(recursive=True)
    broker = EmbeddedBroker(tmp_path)
    broker.start()
    children = [child for child in psutil.Process().children(recursive=True) if child not in before]
    watcher = next(process for process in children if guard.__file__ in process.cmdline())
    below = watcher.children()
    watcher.kill()
    _gone, alive = psutil.wait_procs(below, timeout=5)
    broker.stop()
    assert alive == []
