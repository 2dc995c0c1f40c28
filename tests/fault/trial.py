"""One scenario's trial: a topic with an oracle's events, a database, and the processes that run on them."""

import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psycopg
from psycopg.conninfo import conninfo_to_dict

from daemon import references
from daemon.jobs.dispatch import DispatchJob
from daemon.jobs.reduce import ReduceJob
from daemon.jobs.select import SelectJob
from daemon.settings import Settings, load
from sinks.database import connect
from tests.fault.feed import Feed
from tests.fault.oracle import Oracle
from tests.fault.proxy import Proxy
from tests.fault.receiver import Receiver
from tests.fault.services import Services
from tests.services import ROOT

__all__ = ["RECEIVERS", "NotHeld", "Process", "Trial", "finish"]

RECEIVERS = ("on-call", "archive")
PATIENCE_SECONDS = 180.0
"""How long anything may take before it counts as never: far more than it does."""
_LEAVE_SECONDS = 30

CONFIG = """
[kafka]
bootstrap_servers = ["{bootstrap}"]
topics = ["{topic}"]
group = "{group}"
session_timeout_seconds = 6
{kafka}
[postgres]
url = "{url}"
[ingest]
idle_seconds = 1000
commit_seconds = 0.2
[ops]
port = 0
[model."*"]
window_seconds = 60
lateness_seconds = 20
segments = ["region"]
labels_per_day = 20000
expected_events_per_day = 200000
{routes}
"""
ROUTE = """
[[alerts.routes]]
name = "{name}"
type = "webhook"
url = "{url}"
"""


class NotHeld(AssertionError):
    """What a scenario demands did not hold."""


@dataclass(eq=False)
class Process:
    """One part of the daemon, as its own process; ``expected`` are the exit codes that are no fault."""

    name: str
    log: Path
    popen: "subprocess.Popen[bytes]"
    expected: set[int] = field(default_factory=lambda: {0})

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.popen.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self.popen.poll() is None

    def kill(self) -> None:
        """End it at once, on purpose."""
        self.expected.add(-signal.SIGKILL)
        self.popen.kill()
        self.popen.wait()

    def terminate(self) -> float:
        """Ask it to leave; return after how many seconds it has."""
        began = time.monotonic()
        self.popen.send_signal(signal.SIGTERM)
        self.popen.wait(_LEAVE_SECONDS)
        return time.monotonic() - began

    def says(self, text: str) -> bool:
        """Tell whether its log holds this."""
        return text in self.log.read_text(errors="replace")


class Trial:
    """What a scenario works with.

    Parameters
    ----------
    services
        Kafka and PostgreSQL.
    directory
        Where configuration and logs go.
    oracle
        What events there are.
    client
        ``kafka.client`` of the configuration; the default's if empty.
    full
        Whether it runs in full, as in the matrix, or as short as shows the promise, among the tests.
    """

    def __init__(self, services: Services, directory: Path, oracle: Oracle, *, client: str = "", full: bool) -> None:
        self.services = services
        self.directory = directory
        self.oracle = oracle
        self.full = full
        self.chance = random.Random(oracle.seed)
        self.told: dict[str, str] = {}
        """Figures for people, by name; a scenario adds its own."""
        self.letters: list[tuple[int, int, bytes]] = []
        """Dead letters besides the oracle's: partition, offset, and what is kept of the value."""
        self.minutes = 15.0
        """How long a soak takes."""
        self.deadly = ""
        """A failpoint of whoever reads this topic, the replay included; whom it kills is started again."""
        self.processes: list[Process] = []
        self.topic = f"fault-{time.time_ns()}"
        self.url = services.postgres.new_database()
        self.receiver = Receiver()
        self._client = client
        self._bootstrap, self._proxied_url = services.kafka.bootstrap, self.url
        self._kafka_keys = ""
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._stack.enter_context(self.receiver)
        self.feed = Feed(self.services.kafka, self.topic, self.oracle)
        self._stack.callback(self.feed.close)
        self.configure()
        reference = self.directory / "reference.jsonl"
        reference.write_text("\n".join(self.oracle.reference_rows(20_000)))
        with connect(self.url, name="test") as connection:
            references.build(self.settings, connection, reference, "alpha", "1")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self.processes:
            if process.running:
                process.popen.send_signal(signal.SIGCONT)
                process.kill()
        self._stack.close()

    # The configuration

    @property
    def config(self) -> Path:
        """The configuration of the processes that are started."""
        return self.directory / "strandline.toml"

    @property
    def settings(self) -> Settings:
        """The settings in force, but on PostgreSQL itself: what the trial does is behind no proxy."""
        return load(self.directory / "direct.toml")

    def configure(self, kafka: str = "") -> None:
        """Write the configuration; ``kafka`` are lines that its section [kafka] has from now on."""
        self._kafka_keys = kafka
        keys = f'client = "{self._client}"\n{kafka}' if self._client else kafka
        routes = "".join(ROUTE.format(name=each, url=self.receiver.url(each)) for each in RECEIVERS)
        for path, url in ((self.config, self._proxied_url), (self.directory / "direct.toml", self.url)):
            self._write(path, self._bootstrap, group=self.topic, url=url, kafka=keys, routes=routes)

    def replay_config(self, url: str) -> Path:
        """Write the configuration of a reader by itself: in a group of its own, to another database, without alerts."""
        path, group = self.directory / "replay.toml", f"{self.topic}-replay"
        self._write(path, self.services.kafka.bootstrap, group=group, url=url, kafka="", routes="")
        return path

    def _write(self, path: Path, bootstrap: str, **values: str) -> None:
        path.write_text(CONFIG.format(topic=self.topic, bootstrap=bootstrap, **values))

    def kafka_proxy(self) -> Proxy:
        """Put a proxy before Kafka, for the processes that are started from here on."""
        proxy = self._stack.enter_context(self.services.kafka.proxy())
        self._bootstrap = self.services.kafka.proxied
        self.configure(self._kafka_keys)
        return proxy

    def postgres_proxy(self) -> Proxy:
        """Put a proxy before PostgreSQL, for the processes that are started from here on."""
        place = {key: str(value) for key, value in conninfo_to_dict(self.url).items()}
        proxy = self._stack.enter_context(Proxy(f"{place['host']}/.s.PGSQL.{place['port']}"))
        self._proxied_url = f"postgresql://{place['user']}@127.0.0.1:{proxy.port}/{place['dbname']}"
        self.configure(self._kafka_keys)
        return proxy

    # The processes

    def start(
        self, role: str = "ingest", *, failpoint: str = "", clock: bool = False, config: Path | None = None
    ) -> Process:
        """Start one part of the daemon, with a failpoint of tests.fault.launch, or the clock of tests.fault.clock."""
        name = f"{role}-{len(self.processes)}"
        log = self.directory / f"{name}.log"
        launcher = ["tests.fault.launch", "--failpoint", failpoint] if failpoint else ["daemon"]
        launcher = ["tests.fault.clock"] if clock else launcher
        command = [sys.executable, "-m", *launcher, "--config", str(config or self.config), "run", "--role", role]
        with log.open("ab") as output:
            popen = subprocess.Popen(command, stdout=output, stderr=output, cwd=ROOT)
        process = Process(name, log, popen)
        if "=die" in failpoint:
            process.expected.add(-signal.SIGKILL)
        self.processes.append(process)
        return process

    def start_usual(self) -> None:
        """Start the jobs and two workers, each of which has its partitions."""
        self.start("jobs")
        for _ in range(2):
            self.wait_until_claimed(self.start())

    def stop(self) -> None:
        """Ask all processes to leave; whoever has not ended, or not as expected, is a fault."""
        running = [process for process in self.processes if process.running]
        for process in running:
            process.popen.send_signal(signal.SIGTERM)
        for process in running:
            process.popen.wait(_LEAVE_SECONDS)
        self._see_all_alive()

    def _see_all_alive(self) -> None:
        """See that no process has ended by itself, or not in good order."""
        codes = {process: process.popen.poll() for process in self.processes}
        ended = [
            f"{process.name} with {code}"
            for process, code in codes.items()
            if code is not None and code not in process.expected
        ]
        if ended:
            raise NotHeld(f"ended by themselves: {', '.join(ended)}")

    # What the database holds

    def query(self, text: str, *values: object) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        with psycopg.connect(self.url) as connection:
            return connection.execute(text.encode(), values).fetchall()

    def offsets(self) -> dict[int, int]:
        """Return how far each partition has been read."""
        return dict(
            self.query(
                "SELECT partition, coalesce(next_offset, 0) FROM partition WHERE topic = %s ORDER BY 1", self.topic
            )
        )

    def read_share(self) -> float:
        """Return which share of the oracle's stream has been read."""
        return sum(self.offsets().values()) / self.oracle.count

    def wait_for(self, what: Callable[[], bool], told: str, seconds: float = PATIENCE_SECONDS) -> float:
        """Wait until ``what`` is true, and return the seconds that took; timing decides nothing but in excess."""
        began = time.monotonic()
        while not what():
            self._see_all_alive()
            if time.monotonic() - began > seconds:
                raise NotHeld(f"not within {seconds:.0f} s: {told}")
            time.sleep(0.1)
        return time.monotonic() - began

    def wait_for_end(self, process: Process) -> None:
        """Wait until a process has ended by itself."""
        self.wait_for(lambda: not process.running, f"{process.name} at its end")

    def wait_until_claimed(self, process: Process) -> None:
        """Wait until a worker has partitions to read."""
        self.wait_for(lambda: process.says("ingest.claimed"), f"{process.name} with partitions")

    def wait_until_read(self, share: float) -> None:
        """Wait until this share of the stream has been read."""
        self.wait_for(lambda: self.read_share() >= share, f"{share:.0%} of the stream read")

    def wait_until_caught_up(self) -> float:
        """Wait until all has been read that was sent before, and return the seconds that took."""
        sent = dict(self.feed.ends)
        return self.wait_for(
            lambda: all(offset >= sent[partition] for partition, offset in self.offsets().items()),
            f"every partition read up to {sent}",
        )

    # The end

    def settle(self) -> None:
        """After the fault: see all read, and a fresh event; stop the processes, and close and decide what is left."""
        self.told["all read after"] = f"{self.wait_until_caught_up():.1f} s"
        self.feed.fresh("fresh", 1)
        seconds = self.wait_for(lambda: self.offsets() == self.feed.ends, f"all read, that is {self.feed.ends}")
        self.told["fresh event"] = f"{seconds:.1f} s"
        self.stop()
        finish(self.settings, publishing=True)
        self._deliver()

    def _deliver(self) -> None:
        """Send what waits in the outbox. Who held it may have been killed: their leases run out here and now."""
        self.query("UPDATE outbox SET next_attempt_at = now() WHERE delivered_at IS NULL RETURNING id")
        dispatch = DispatchJob(self.settings)
        with connect(self.url, name="test") as connection:
            self.wait_for(lambda: dispatch.run_once(connection) == 0, "the outbox empty")
        dispatch.close()


def finish(settings: Settings, *, publishing: bool) -> None:
    """Close and decide whatever is left."""
    with connect(settings.postgres.conninfo, name="test") as connection:
        while ReduceJob(settings, publishing=publishing).run_once(connection):
            pass
        while SelectJob(settings, publish=publishing).run_once(connection):
            pass
