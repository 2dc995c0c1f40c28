"""Strandline as docker/compose.yaml runs it: the first process of its namespace, on a root it cannot write to.

There is no image here. Its programs are those of the environment that the tests run in; Bubblewrap makes the
namespaces; Kafka is the tests' own, with the variables of the compose file, and so is PostgreSQL.
"""

import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from psycopg.conninfo import conninfo_to_dict

from daemon.demo.processes import GuardedProcess, free_port
from tests.containers import DOCKER, SECRETS, arguments, compose, environment, exec_form
from tests.harness import query, wait_for
from tests.more_databases import need
from tests.services import ROOT, ApacheKafka, Postgres

PROGRAMS = Path(sys.executable).parent
LEAVES_WITHIN_SECONDS = 10
PLACE, SOCKETS = "/run/strandline", "/run/postgresql"
"""Where a container finds its configuration, and the database server of the tests."""


class ComposeKafka(ApacheKafka):
    """Apache Kafka with the variables of the compose file, which its image turns into properties; on free ports."""

    def _launch(self) -> GuardedProcess:
        variables = dict(compose()["services"]["kafka"]["environment"])
        cluster = variables.pop("CLUSTER_ID")
        data = self.directory / "data"
        variables["KAFKA_LOG_DIRS"] = data
        lines = []
        for name, value in variables.items():
            # Our network is this host, and its port the one that the tests ask.
            text = str(value).replace("kafka:19092", self.bootstrap).replace("//:", "//127.0.0.1:")
            text = text.replace("127.0.0.1:19092", self.bootstrap).replace(":29093", f":{self._controller_port}")
            lines.append(f"{name.removeprefix('KAFKA_').replace('_', '.').lower()}={text.replace(':9092', ':0')}")
        properties = self.directory / "server.properties"
        properties.write_text("\n".join(lines))
        tool = self._run("StorageTool", "kafka.tools.StorageTool", ["format", "-t", cluster, "-c", str(properties)])
        if tool.wait(60) != 0:
            raise tool.failure("failed")
        return self._run("Apache Kafka", "kafka.Kafka", [str(properties)])


@dataclass
class Host:
    """Where the services' containers run."""

    directory: Path
    kafka: ComposeKafka
    url: str

    def __post_init__(self) -> None:
        self.port = free_port()
        self._numbers = itertools.count(1)

    def command(self, service: str, words: list[str]) -> list[str]:
        """Return what runs ``words`` in a container of the service."""
        said = compose()["services"][service]
        sockets, database = (str(conninfo_to_dict(self.url)[key]) for key in ("host", "dbname"))
        replaced = {
            "kafka:19092": self.kafka.bootstrap,
            "postgresql://strandline@postgres/strandline": f"postgresql://postgres@/{database}?host={SOCKETS}",
            "0.0.0.0": "127.0.0.1",
        }
        variables = environment(service, replaced) | {"PATH": f"{PROGRAMS}:{os.defpath}"}
        # One of the daemon's tests may hold the port that is published.
        variables["STRANDLINE_OPS__PORT"] = str(self.port)
        (temporary,) = said["tmpfs"]
        size = int(temporary.partition("size=")[2].partition("m")[0]) << 20
        mounts = {f"{SECRETS}/{name}": self.directory / name for name in said["secrets"]}
        mounts |= {f"{PLACE}/config.toml": DOCKER / "strandline.toml", SOCKETS: sockets}
        user = arguments("USER")[-1][0].partition(":")[0]
        return [
            *("bwrap", "--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/run"),
            *(word for inside, outside in mounts.items() for word in ("--ro-bind", str(outside), inside)),
            *("--remount-ro", "/run"),
            *("--size", str(size), "--tmpfs", temporary.partition(":")[0], "--ro-bind", str(ROOT), str(ROOT)),
            *("--unshare-user", "--uid", user, "--gid", user, "--cap-drop", "ALL", "--unshare-ipc"),
            *("--unshare-uts", "--hostname", f"container-{next(self._numbers)}"),
            *("--unshare-pid", "--as-pid-1", "--die-with-parent", "--chdir", PLACE, "--clearenv"),
            *(word for name, value in variables.items() for word in ("--setenv", name, value)),
            *words,
        ]

    def run(self, service: str, words: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self.command(service, words), capture_output=True, text=True, check=False)

    @contextmanager
    def running(self, service: str, words: list[str]) -> Iterator["Container"]:
        log = self.directory / f"{service}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(self.command(service, words), stdout=output, stderr=output)
        try:
            yield Container(process, log)
        finally:
            process.kill()
            process.wait()


@dataclass
class Container:
    """A container that runs."""

    process: subprocess.Popen[bytes]
    log: Path

    def first(self) -> psutil.Process:
        """Return its first process, number 1 in there."""
        (found,) = psutil.Process(self.process.pid).children()
        return found

    def stop(self) -> int:
        """End it as `docker stop` does, and return the exit code."""
        began = time.monotonic()
        self.first().send_signal(signal.SIGTERM)
        code = self.process.wait(60)
        assert time.monotonic() - began < LEAVES_WITHIN_SECONDS, self.log.read_text()
        return code


@pytest.fixture(scope="module")
def host(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    need("bwrap", "apt-get install bubblewrap")
    directory = tmp_path_factory.mktemp("compose")
    for name in compose()["secrets"]:
        (directory / name).write_text("a secret\n")
    url = postgres.new_database(empty=True)
    # Without capabilities even root must be let in.
    Path(str(conninfo_to_dict(url)["host"])).chmod(0o755)
    with ComposeKafka(directory / "kafka") as kafka:
        yield Host(directory, kafka, url)


def test_the_services_of_the_compose_file_work_together(host: Host) -> None:
    said = compose()["services"]
    words = said["topic"]["command"].split()
    topic = words[words.index("--topic") + 1]
    host.kafka.create_topic(topic, int(words[words.index("--partitions") + 1]))
    entry, started = exec_form("ENTRYPOINT"), exec_form("CMD")
    migrated = host.run("migrate", [*entry, *said["migrate"]["command"]])
    assert migrated.returncode == 0, migrated.stderr
    with (
        host.running("strandline", [*entry, *started]) as strandline,
        host.running("producer", [*said["producer"]["entrypoint"], *said["producer"]["command"]]) as producer,
    ):

        def well() -> bool:
            assert strandline.process.poll() is None, strandline.log.read_text()
            assert producer.process.poll() is None, producer.log.read_text()
            return host.run("strandline", exec_form("HEALTHCHECK")).returncode == 0

        wait_for(well)
        wait_for(lambda: query(host.url, "SELECT count(*) FROM closed_window") != [(0,)])
        assert query(host.url, "SELECT count(*) FROM dead_letter") == [(0,)]
        # What dies is started again, and no zombie is left behind by the first process.
        worker = strandline.first().children()[-1]
        worker.kill()
        wait_for(lambda: not psutil.pid_exists(worker.pid))
        wait_for(lambda: "run.child_died" in strandline.log.read_text())
        wait_for(well)
        assert [each.status() for each in strandline.first().children(recursive=True)].count("zombie") == 0
        assert producer.stop() == 0
        assert strandline.stop() == 0, strandline.log.read_text()
    assert host.run("strandline", exec_form("HEALTHCHECK")).returncode == 1


def test_the_first_process_of_a_container_can_be_ended_while_it_loads(host: Host) -> None:
    program = (
        "import os, signal, sys, time, types; loading = types.ModuleType('daemon.cli.main');"
        "loading.main = lambda: (os.kill(1, signal.SIGTERM), time.sleep(5));"
        "sys.modules['daemon.cli.main'] = loading; from daemon.__main__ import main; main()"
    )
    assert host.run("strandline", ["python", "-c", program]).returncode == 128 + signal.SIGTERM
