"""The test stand: a real Apache Kafka, a real PostgreSQL, and contenders in fresh processes, one after the other."""

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

from benchmarks.contenders.task import Answer, Task
from benchmarks.topics import Topic, fill
from sinks.database import upgrade
from tests.services import ApacheKafka, Postgres

__all__ = ["Contender", "Outcome", "Rates", "Stand", "stand"]

ROOT = Path(__file__).resolve().parent.parent
_PEERS = ROOT / ".cache" / "peers" / "bin" / "python"
_LONGEST_SECONDS = 1800


@dataclass(frozen=True, slots=True)
class Contender:
    """A module of benchmarks.contenders; ``peer``: it runs in the peers' environment."""

    module: str
    task: Task
    peer: bool = False

    def missing(self) -> str | None:
        """Return what is to be installed first; None if nothing is."""
        if self.peer:
            return None if _PEERS.exists() else "peers are not installed: make .cache/peers/.done"
        if self.task.client == "confluent" and find_spec("confluent_kafka") is None:
            return "confluent-kafka is not installed: pip install 'strandline[confluent]'"
        return None

    def start(self) -> "subprocess.Popen[str]":
        """Start it in a fresh process."""
        python = str(_PEERS) if self.peer else sys.executable
        command = [python, "-m", f"benchmarks.contenders.{self.module}", self.task.to_json()]
        return subprocess.Popen(  # noqa: S603
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def answer(self, process: "subprocess.Popen[str]") -> Answer:
        """Return what it answers; raises RuntimeError if it failed."""
        told, complaints = process.communicate(timeout=_LONGEST_SECONDS)
        if process.returncode:
            raise RuntimeError(f"{self.module} failed:\n{complaints}")
        return Answer(**json.loads(told.splitlines()[-1]))


@dataclass(frozen=True, slots=True)
class Rates:
    """Medians of a contender's rounds: events per second of wall, and of the process's own CPU."""

    wall: float
    cpu: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a part found. ``missing``: what could not be measured, and why."""

    figures: Mapping[str, float]
    missing: Mapping[str, str]


class Stand:
    """What every part needs; topics stay, each run of Strandline has a database of its own."""

    def __init__(self, kafka: ApacheKafka, postgres: Postgres) -> None:
        self._kafka = kafka
        self._postgres = postgres
        self._sizes: dict[str, int] = {}

    @property
    def bootstrap(self) -> str:
        """Where Kafka is."""
        return self._kafka.bootstrap

    def topic(self, topic: Topic) -> int:
        """Make a topic full of events, unless it is there; return their mean size."""
        if topic.name not in self._sizes:
            # Events are older than any retention.
            self._kafka.create_topic(topic.name, topic.partitions, {"retention.ms": "-1"})
            self._sizes[topic.name] = fill(self.bootstrap, topic) if topic.count else 0
        return self._sizes[topic.name]

    def database(self) -> str:
        """Return the URL of a new database."""
        return self._postgres.new_database()

    def forget(self, topic: Topic) -> None:
        """Delete a topic: millions of events are gigabytes."""
        self._kafka.delete_topic(topic.name)
        del self._sizes[topic.name]

    def run(self, contender: Contender) -> Answer:
        """Run it to its end; Strandline on a new database, unless it was given one."""
        if contender.module == "strandline" and not contender.task.database:
            contender = replace(contender, task=replace(contender.task, database=self.database()))
        return contender.answer(contender.start())

    def compare(self, contenders: Mapping[str, Contender], rounds: int) -> tuple[dict[str, Rates], dict[str, str]]:
        """Run all of them ``rounds`` times in turn; return their rates, and why others are missing."""
        missing = {name: why for name, each in contenders.items() if (why := each.missing())}
        present = {name: each for name, each in contenders.items() if name not in missing}
        answers: dict[str, list[Answer]] = {name: [] for name in present}
        for number in range(rounds):
            for name, each in present.items():
                print(f"round {number + 1} of {rounds}: {name}", file=sys.stderr)
                answers[name].append(self.run(each))
        return {name: _rates(each) for name, each in answers.items()}, missing


def _rates(answers: Sequence[Answer]) -> Rates:
    return Rates(
        statistics.median(each.events / each.wall for each in answers),
        statistics.median(each.events / each.cpu for each in answers),
    )


@contextmanager
def stand() -> Iterator[Stand]:
    """Start the services, and stop them at the end."""
    with tempfile.TemporaryDirectory() as folder:
        for name in ("kafka", "postgres"):
            (Path(folder) / name).mkdir()
        with ApacheKafka(Path(folder) / "kafka") as kafka, Postgres(Path(folder) / "postgres", upgrade) as postgres:
            yield Stand(kafka, postgres)
