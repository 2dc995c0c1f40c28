"""What the demo plays on: a directory, PostgreSQL, a broker, and the daemon; all gone when it is over."""

import contextlib
import json
import os
import re
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path

import platformdirs
from kafka.admin import KafkaAdminClient

from daemon.demo.interruption import Interruption
from daemon.demo.processes import GuardedProcess
from daemon.demo.services import EmbeddedBroker, EmbeddedPostgres
from daemon.demo.story import WINDOW_SECONDS
from daemon.demo.traffic import EVENTS_PER_WINDOW, MODEL, PARTITIONS
from daemon.settings import PREFIX, Settings, load
from sinks.database import Connection, connect, upgrade

__all__ = ["TOPIC", "Stage", "directory", "working_directory"]

TOPIC = "predictions"
_DAY_SECONDS = 86_400
_LABELS_PER_DAY = 2000
_START_PATIENCE = 60.0
_REMOVE_ATTEMPTS = 20
_OURS = re.compile(r"^demo-(\d+)$")

_CONFIG = """\
# The demo's configuration. What is not here has its default.

[kafka]
bootstrap_servers = [{bootstrap}]
topics = [{topic}]
assignment = "static"    # the demo's broker takes long to let a consumer group form

[postgres]
url = {url}

[ingest]
commit_seconds = 0.1     # event time runs over three hundred times as fast as the clock

[selection]
secret = {secret}

[ops]
port = 0                 # the demo shows its own figures

[model.{model}]
window_seconds = {window_seconds}
segments = ["camera"]
labels_per_day = {labels_per_day}
expected_events_per_day = {events_per_day}
owner = "you"
"""


class Stage:
    """A directory with everything in it; :meth:`services` and :meth:`daemon` are used one inside the other."""

    def __init__(self, place: Path, interruption: Interruption) -> None:
        self.directory = place
        self.config = place / "config.toml"
        self._interruption = interruption

    @contextmanager
    def services(self, seed: int) -> Iterator[tuple[Settings, str]]:
        """Start PostgreSQL and the broker; yield the settings, and where the broker is."""
        with ExitStack() as stack:
            postgres = stack.enter_context(EmbeddedPostgres(self.directory / "postgres"))
            self._interruption.check()
            broker = stack.enter_context(EmbeddedBroker(self.directory / "broker"))
            self._interruption.check()
            upgrade(postgres.url)
            _create_topic(broker.bootstrap)
            text = _CONFIG.format(
                bootstrap=json.dumps(broker.bootstrap),
                topic=json.dumps(TOPIC),
                url=json.dumps(postgres.url),
                secret=json.dumps(f"demo {seed}"),
                model=MODEL,
                window_seconds=WINDOW_SECONDS,
                labels_per_day=_LABELS_PER_DAY,
                events_per_day=EVENTS_PER_WINDOW * _DAY_SECONDS // WINDOW_SECONDS,
            )
            self.config.write_text(text, encoding="utf-8")
            self._interruption.check()
            # What the environment says is for a daemon in earnest, and so is its database.
            yield load(self.config, {}), broker.bootstrap

    @contextmanager
    def daemon(self) -> Iterator[GuardedProcess]:
        """Start the daemon as anybody would: ``strandline run``."""
        command = [sys.executable, "-m", "daemon", "--config", str(self.config), "run"]
        environment = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
        process = GuardedProcess("the daemon", command, self.directory / "daemon.log", environment=environment)
        try:
            yield process
        finally:
            process.stop()

    def wait_for_daemon(self, process: GuardedProcess, url: str) -> Connection:
        """Return a connection to the database once the daemon reads every partition.

        Raises
        ------
        ServiceError
            It ended, or does not get that far.
        """
        connection = connect(url, name="demo")
        until = time.monotonic() + _START_PATIENCE
        while True:
            row = connection.execute("SELECT count(*) FROM partition WHERE owner IS NOT NULL").fetchone()
            if row is not None and row[0] == PARTITIONS:
                return connection
            if not process.running or time.monotonic() > until:
                connection.close()
                raise process.failure("does not read its partitions")
            self._interruption.sleep(0.1)


def directory(*, keep: bool) -> Path:
    """Return where this run's files go: in the XDG state directory."""
    name = f"demo-kept-{datetime.now().astimezone():%Y%m%d-%H%M%S}" if keep else f"demo-{os.getpid()}"
    return platformdirs.user_state_path("strandline") / name


@contextmanager
def working_directory(place: Path, *, keep: bool) -> Iterator[None]:
    """Make the directory, and remove it at the end unless ``keep``; with it what killed demos left."""
    parent = place.parent
    there_before = parent.exists()
    place.mkdir(parents=True)
    for other in parent.iterdir():
        match = _OURS.match(other.name)
        if match is not None and not _alive(int(match[1])):
            _remove(other)
    try:
        yield
    finally:
        if not keep:
            _remove(place)
            if not there_before:
                with contextlib.suppress(OSError):
                    parent.rmdir()


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _remove(place: Path) -> None:
    # A process that is still ending may write a last file in between.
    for _ in range(_REMOVE_ATTEMPTS):
        shutil.rmtree(place, ignore_errors=True)
        if not place.exists():
            return
        time.sleep(0.1)


def _create_topic(bootstrap: str) -> None:
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        admin.create_topics({TOPIC: {"num_partitions": PARTITIONS, "replication_factor": 1}}, wait_for_metadata=True)
    finally:
        admin.close()
