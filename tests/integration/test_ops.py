"""A supervised daemon on real services: what it tells of itself, and that nobody has to restart anything."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from daemon.demo.processes import free_port
from sinks.database import connect, upgrade
from sinks.metrics import told
from tests.harness import event, new_topic, query, send, wait_for
from tests.services import ROOT, ApacheKafka, Postgres

STRANDLINE = [sys.executable, "-c", "from daemon.cli.main import main; main()"]
CONFIG = """
[kafka]
bootstrap_servers = ["{bootstrap}"]
topics = ["{topic}"]
group = "{topic}"
session_timeout_seconds = 6
[postgres]
url = "{url}"
[ingest]
idle_seconds = 1
[ops]
port = {port}
[[monitor]]
name = "drifting"
kind = "river.ADWIN"
on = "confidence"
"""


@dataclass
class Daemon:
    """A running `strandline run`, and how to ask it."""

    process: subprocess.Popen[bytes]
    config: Path
    log: Path
    topic: str
    postgres: Postgres
    url: str
    port: int

    def get(self, path: str) -> httpx.Response:
        return httpx.get(f"http://127.0.0.1:{self.port}{path}", timeout=20, trust_env=False)

    def ready(self) -> bool:
        try:
            return self.get("/readyz").status_code == 200
        except httpx.ConnectError:
            assert self.process.poll() is None, self.log.read_text()[-3000:]
            return False

    def failing(self) -> list[str]:
        answer = self.get("/readyz")
        return [] if answer.status_code == 200 else [json.loads(line)["check"] for line in answer.text.splitlines()]

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*STRANDLINE, "--config", str(self.config), *arguments],
            cwd=ROOT,
            env={**os.environ, "COLUMNS": "300"},
            capture_output=True,
            text=True,
            check=False,
        )

    def problems(self) -> list[dict[str, str]]:
        found: list[dict[str, str]] = json.loads(self.run("status", "--json").stdout)["problems"]
        return found

    def metrics(self) -> dict[str, dict[tuple[str, ...], float]]:
        found: dict[str, dict[tuple[str, ...], float]] = {}
        for family in text_string_to_metric_families(self.get("/metrics").text):
            for sample in family.samples:
                labels = tuple(value for _, value in sorted(sample.labels.items()))
                found.setdefault(sample.name, {})[labels] = sample.value
        return found

    def children(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def workers(self) -> list[psutil.Process]:
        return [each for each in self.children() if "spawn_main" in " ".join(each.cmdline())]


@contextmanager
def running(place: Path, kafka: str, topic: str, postgres: Postgres, *arguments: str) -> Iterator[Daemon]:
    """Run the daemon as anybody would; kill it if the test has not ended it."""
    config, log, port, url = place / "config.toml", place / "log", free_port(), postgres.new_database()
    config.write_text(CONFIG.format(bootstrap=kafka, topic=topic, url=url, port=port))
    command = [*STRANDLINE, "--config", str(config), "run", *arguments]
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=ROOT, stderr=output, stdout=output)
        try:
            yield Daemon(process, config, log, topic, postgres, url, port)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()


@pytest.fixture(scope="module")
def daemon(kafka: ApacheKafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    place = tmp_path_factory.mktemp("ops")
    with (
        Postgres(place / "postgres", upgrade) as postgres,
        running(place, kafka.bootstrap, new_topic(kafka, 2), postgres) as started,
    ):
        wait_for(started.ready)
        yield started


def test_ready_and_well(daemon: Daemon) -> None:
    assert daemon.get("/livez").text == "alive\n"
    assert daemon.get("/readyz").text == "ready\n"
    assert daemon.get("/nonsense").status_code == 404
    assert (daemon.run("status", "--ready").returncode, daemon.run("status", "--ready").stdout) == (0, "")
    wait_for(lambda: daemon.run("status").returncode == 0)
    told_lines = daemon.run("status").stdout
    assert "1 ingest, 1 jobs" in told_lines
    assert "all is well" in told_lines
    assert len(told_lines.splitlines()) <= 12


def test_every_documented_metric_is_told_and_no_other(daemon: Daemon, kafka: ApacheKafka) -> None:
    values = [(event(n, second=n / 10), n / 10) for n in range(300)]
    send(kafka, daemon.topic, [*values, (b"not json", 30.0)], [0, 1])
    wait_for(lambda: daemon.metrics().get("strandline_events_total", {}).get(()) == 300)
    lag = {("0", daemon.topic): 0.0, ("1", daemon.topic): 0.0}
    wait_for(lambda: daemon.metrics()["strandline_partition_lag_records"] == lag)
    found = daemon.metrics()
    assert found["strandline_dead_letters_total"] == {("not_json",): 1}
    assert found["strandline_queue_items"][("pending",)] >= 0
    assert found["strandline_process_up"] == {("ingest-0",): 1, ("jobs",): 1}
    names = {
        family.name + ("_total" if family.type == "counter" else "")
        for family in text_string_to_metric_families(daemon.get("/metrics").text)
    }
    assert names == {each.name for each in told()}


def test_kafka_away_and_back(daemon: Daemon, kafka: ApacheKafka) -> None:
    kafka.kill()
    try:
        wait_for(lambda: "kafka" in daemon.failing())
        (line,) = [json.loads(line) for line in daemon.get("/readyz").text.splitlines()]
        assert (line["check"], line["process"]) == ("kafka", "ingest-0")
        assert kafka.bootstrap in line["problem"]
        assert line["since"]
        assert daemon.run("status", "--ready").returncode == 1
        wait_for(lambda: "kafka" in [each["kind"] for each in daemon.problems()])
        shown = daemon.run("status")
        assert shown.returncode == 1
        assert f"Kafka does not answer ({kafka.bootstrap}" in shown.stdout
    finally:
        kafka.start()
    wait_for(daemon.ready)
    wait_for(lambda: daemon.run("status").returncode == 0)
    assert daemon.metrics()["strandline_process_restarts_total"] == {("ingest-0",): 0, ("jobs",): 0}


def test_the_database_away_and_back(daemon: Daemon) -> None:
    daemon.postgres.kill()
    try:
        wait_for(lambda: daemon.failing().count("database") == 3)
        began = time.monotonic()
        daemon.metrics()
        assert time.monotonic() - began < 10
        wait_for(lambda: daemon.metrics()["strandline_database_up"] == {(): 0})
        found = daemon.metrics()
        assert found["strandline_events_total"][()] > 0
        assert "strandline_queue_items" not in found
        assert daemon.run("status").returncode == 6
    finally:
        daemon.postgres.start()
    wait_for(daemon.ready)
    wait_for(lambda: daemon.metrics()["strandline_database_up"] == {(): 1})


def test_a_child_that_is_killed_is_started_again_and_counts_on(daemon: Daemon) -> None:
    before = daemon.metrics()["strandline_events_total"][()]
    for victim in daemon.workers():
        victim.kill()
    wait_for(lambda: "process" in daemon.failing())
    wait_for(daemon.ready)
    after = daemon.metrics()
    assert after["strandline_process_restarts_total"] == {("ingest-0",): 1, ("jobs",): 1}
    assert after["strandline_events_total"][()] == before
    wait_for(lambda: daemon.run("status").returncode == 0)


def test_a_port_in_use_is_told(daemon: Daemon) -> None:
    told_error = daemon.run("run")
    assert told_error.returncode == 2
    assert f"ops.port = {daemon.port}" in told_error.stderr
    assert "in use" in told_error.stderr


def test_every_line_of_the_log_says_who(daemon: Daemon) -> None:
    lines = [json.loads(line) for line in daemon.log.read_text().splitlines()]
    assert lines[0]["event"] == "run.started"
    assert lines[0]["ops"] == f"http://127.0.0.1:{daemon.port}"
    assert {line["process"] for line in lines} == {"supervisor", "ingest-0", "jobs"}
    assert {line["role"] for line in lines} == {"supervisor", "ingest", "jobs"}


def test_sigterm_to_all_processes_ends_all_in_good_order(daemon: Daemon) -> None:
    """As a service manager or Ctrl-C in a terminal tells them; the supervisor then tells its children again."""
    below = daemon.children()
    for process in (daemon.process.pid, *(each.pid for each in below)):
        os.kill(process, signal.SIGTERM)
    assert daemon.process.wait(10) == 0, daemon.log.read_text()[-3000:]
    assert "jobs.stopped" in daemon.log.read_text()
    assert psutil.wait_procs(below, timeout=5)[1] == []
    assert query(daemon.url, "SELECT DISTINCT state FROM process WHERE seen_at > now() - interval '5 seconds'") == [
        ("stopped",)
    ]
    assert "no ingest process runs" in daemon.run("status").stdout


def test_kafka_away_at_the_start_and_a_supervisor_that_is_killed(tmp_path: Path, postgres: Postgres) -> None:
    with running(tmp_path, f"127.0.0.1:{free_port()}", "events", postgres) as daemon:
        wait_for(lambda: "run.started" in daemon.log.read_text())
        wait_for(lambda: daemon.failing() == ["kafka"])
        below = daemon.children()
        daemon.process.kill()
        daemon.process.wait()
        assert psutil.wait_procs(below, timeout=20)[1] == []


def test_one_role_serves_itself(tmp_path: Path, postgres: Postgres) -> None:
    with running(tmp_path, f"127.0.0.1:{free_port()}", "events", postgres, "--role", "jobs") as daemon:
        wait_for(daemon.ready)
        wait_for(lambda: ("reduce",) in daemon.metrics().get("strandline_job_last_success_timestamp_seconds", {}))
        with connect(daemon.url, name="test") as connection:
            connection.execute("UPDATE alembic_version SET version_num = '9999'")
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'strandline ops' AND datname = current_database()"
            )
        wait_for(lambda: "schema" in daemon.failing())
        daemon.process.send_signal(signal.SIGTERM)
        assert daemon.process.wait(10) == 0
