import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sinks.alerts import Audience, record
from sinks.database import Connection, connect
from tests.harness import new_topic
from tests.rows import add_candidates, add_items, add_model, transition
from tests.services import ROOT, ApacheKafka, Postgres

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    with connect(database, name="test") as opened:
        yield opened


def environment(home: Path) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("STRANDLINE", "XDG"))}
    return {**kept, "XDG_CONFIG_HOME": str(home), "HOME": str(home), "PYTHONPATH": str(ROOT), "COLUMNS": "200"}


def strandline(home: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from daemon.cli.main import main; main()", *arguments]
    return subprocess.run(
        command, cwd=home, env={**environment(home), **variables}, capture_output=True, text=True, check=False
    )


@pytest.fixture
def run(tmp_path: Path, database: str) -> Run:
    (tmp_path / "config.toml").write_text(f'[postgres]\nurl = "{database}"\n')
    return lambda *arguments: strandline(tmp_path, *arguments)


def answer(run: Run, *arguments: str) -> Any:
    found = run(*arguments, "--json")
    assert found.returncode == 0, found.stderr
    return json.loads(found.stdout)


def test_a_labeler_works_through_the_queue(run: Run, connection: Connection) -> None:
    add_candidates(connection, 2, prediction="an 8")
    connection.execute(
        "INSERT INTO payload (candidate_id, event, truncated) SELECT id, %s, false FROM candidate",
        [b'{"id": "event-0", "text": "\\u00e9t\\u00e9"}'],
    )
    add_items(connection, 2, reason="uncertainty", order_draw=[0.1, 0.2])
    shown = run("queue", "next", "--as", "Ada L")
    assert shown.returncode == 0
    for told in ("event-0", "an 8, with a confidence of 0.31", "drawn with a probability of 0.1", "unsure", '"été"'):
        assert told in shown.stdout
    commands = [line.strip() for line in shown.stdout.splitlines() if line.strip().startswith("strandline queue")]
    label, skip = commands
    assert label.split("#")[0].split() == [
        "strandline",
        "queue",
        "label",
        skip.split()[3],
        "'an",
        "8'",
        "--as",
        "'Ada",
        "L'",
    ]
    token = skip.split()[3]
    for _ in range(2):
        done = run("queue", "label", token, "a 3", "--as", "Ada L", "--note", "smudged")
        assert (done.returncode, done.stdout) == (0, "item 1: a 3, by Ada L\n")
    other = answer(run, "queue", "next")
    assert other["event"] == {"id": "event-0", "text": "été"}
    assert answer(run, "queue", "skip", other["token"])["state"] == "skipped"
    assert "Nothing waits" in run("queue", "next").stdout
    assert answer(run, "queue", "next") is None
    items = answer(run, "queue", "list")
    assert [(item["event_id"], item["state"], item["label"]) for item in items] == [
        ("event-1", "skipped", None),
        ("event-0", "labelled", "a 3"),
    ]
    assert [(row["state"], row["count"]) for row in answer(run, "queue", "stats")] == [("labelled", 1), ("skipped", 1)]
    rows = run("queue", "list", "--state", "labelled").stdout.splitlines()
    assert [len(row.split("\t")) for row in rows] == [11, 11]


def test_errors_tell_what_to_do(run: Run, connection: Connection) -> None:
    add_items(connection, 1)
    token = answer(run, "queue", "next")["token"]
    connection.execute("UPDATE queue_item SET lease_token = gen_random_uuid()")
    lost = run("queue", "label", token, "8")
    assert (lost.returncode, lost.stdout) == (4, "")
    assert lost.stderr.startswith("strandline: The lease is no longer yours")
    for code, arguments in (
        (2, ("queue", "label", "nonsense", "8")),
        (2, ("queue", "label", token, " ")),
        (2, ("queue", "list", "--state", "nonsense")),
        (2, ("alerts", "list", "--state", "nonsense")),
        (2, ("queue", "nonsense")),
        (2, ("--config", "missing.toml", "queue", "stats")),
        (3, ("alerts", "show", "99")),
    ):
        found = run(*arguments)
        assert found.returncode == code, found
        assert found.stdout == ""
        assert "Traceback" not in found.stderr


def test_payloads_do_not_steer_the_terminal(run: Run, connection: Connection) -> None:
    add_candidates(connection, 1, prediction="\x1b]0;owned\x07", event_id="\x1b[2J[bold]")
    connection.execute(
        "INSERT INTO payload (candidate_id, event, truncated) SELECT id, '\x1b[31m', true FROM candidate"
    )
    add_items(connection, 1, event_id="\x1b[2J[bold]")
    listed = run("queue", "list").stdout
    shown = run("queue", "next").stdout
    assert "\x1b" not in listed + shown
    assert "\x07" not in shown
    assert "[bold]" in listed
    assert "[bold]" in shown


def test_alerts_are_shown(run: Run, connection: Connection) -> None:
    add_model(connection)
    assert run("alerts", "list").stdout.splitlines()[1:] == []
    with connection.transaction():
        audience = Audience(("log",), "vision", "", "")
        told = [transition(), transition(to="resolved", window=1005)]
        record(connection, model="digits", version="1", window_us=300_000_000, transitions=told, audience=audience)
    (incident,) = answer(run, "alerts", "list")
    assert (incident["state"], incident["title"]) == ("resolved", "digits: mean confidence fell from 0.93 to 0.71")
    shown = run("alerts", "show", str(incident["id"])).stdout
    for wanted in ("fell from 0.93 to 0.71", "since 1970-01-04T11:10:00Z", "by chance less than once", "log: waiting"):
        assert wanted in shown
    story = answer(run, "alerts", "show", str(incident["id"]))
    assert [each["state"] for each in story["transitions"]] == ["firing", "resolved"]


def test_the_database_must_be_there_and_of_this_version(tmp_path: Path, postgres: Postgres) -> None:
    (tmp_path / "config.toml").write_text('[postgres]\nurl = "postgresql://127.0.0.1:1/none"\n')
    gone = strandline(tmp_path, "queue", "stats")
    assert gone.returncode == 6
    assert gone.stderr.startswith("strandline: The database does not answer.")
    (tmp_path / "config.toml").write_text(f'[postgres]\nurl = "{postgres.new_database(empty=True)}"\n')
    empty = strandline(tmp_path, "queue", "stats")
    assert empty.returncode == 5
    assert "strandline db upgrade" in empty.stderr


NO_COPIES = "PostgreSQL has no archive and no standby; labels cannot be computed again: see docs/operations.md"
NO_SECRET = "selection.secret is the default: a producer could choose which of its events are labelled"


def test_check_tells_what_is_in_force_and_whether_it_works(
    tmp_path: Path, database: str, connection: Connection, kafka: ApacheKafka
) -> None:
    add_model(connection)
    (tmp_path / "url").write_text(database + "\n")
    (tmp_path / "config.toml").write_text(
        f"[postgres]\nurl_file = '{tmp_path}/url'\n"
        f"[kafka]\ntopics = ['{new_topic(kafka, 1)}']\nbootstrap_servers = ['{kafka.bootstrap}']\n"
        "[model.digit]\nowner = '[me]'\n[model.'digi*']\nrunbook = 'https://wiki'\n"
    )
    variables = {"STRANDLINE_INGEST__WORKERS": "2", "STRANDLINE_SELECTION__SECRET": "hunter2"}
    shown = strandline(tmp_path, "check", **variables)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert [line for line in shown.stdout.splitlines() if line and not line.endswith("# default")][4:] == [
        "[postgres]",
        f'url = "**********"  # config.toml:2, url_file = "{tmp_path}/url"',
        "[events]",
        "[ingest]",
        "workers = 2                    # STRANDLINE_INGEST__WORKERS",
        "[detection]",
        "[selection]",
        'secret = "**********"  # STRANDLINE_SELECTION__SECRET',
        "[privacy]",
        "[dead_letters]",
        "[alerts]",
        "[[alerts.routes]]",
        "[retention]",
        "[ops]",
        '[model."*"]',
        '[model."digi*"]',
        'runbook = "https://wiki"  # config.toml:9',
        "[model.digit]",
        'owner = "[me]"  # config.toml:7',
        "✓ PostgreSQL",
        "✓ Kafka",
        '! model."digit": no such model has sent events yet; did you mean digits?',
        f"! {NO_COPIES}",
    ]
    found = strandline(tmp_path, "check", "--json", **variables)
    answer = json.loads(found.stdout)
    assert answer["ok"]
    assert len(answer["warnings"]) == 2
    assert {"key": "ingest.workers", "value": 2, "origin": "STRANDLINE_INGEST__WORKERS"} in answer["settings"]
    for secret in (database, "hunter2"):
        assert secret not in shown.stdout + found.stdout


def test_check_tells_what_does_not_work(tmp_path: Path, postgres: Postgres, kafka: ApacheKafka) -> None:
    def checks(database: str, broker: str) -> list[str]:
        (tmp_path / "config.toml").write_text(
            f"[postgres]\nurl = '{database}'\n[kafka]\ntopics = ['none']\nbootstrap_servers = ['{broker}']\n"
        )
        found = strandline(tmp_path, "check", "--json")
        assert (found.returncode, found.stderr) == (1, "")
        answer = json.loads(found.stdout)
        assert NO_SECRET in answer["warnings"]
        return [f"{each['name']}: {each['error']}".splitlines()[0] for each in answer["checks"]]

    with connect(postgres.new_database(), name="test") as opened:
        (wanted,) = opened.execute("SELECT version_num FROM alembic_version").fetchone() or ("",)
    assert checks(postgres.new_database(empty=True), kafka.bootstrap) == [
        (
            "PostgreSQL: The database's schema is not the one this version works with. It has no tables of ours yet "
            f"(wanted: {wanted}). Make them with: strandline db upgrade"
        ),
        "Kafka: The configuration is not valid. kafka.topics: there is no topic none",
    ]
    assert checks("postgresql://me:hunter2@127.0.0.1:1/none", "127.0.0.1:1") == [
        (
            'PostgreSQL: The database does not answer. connection failed: connection to server at "127.0.0.1", port 1 '
            "failed: Connection refused"
        ),
        "Kafka: Kafka does not answer, or does not let us in. 127.0.0.1:1: KafkaConnectionError: 111 ECONNREFUSED",
    ]


def test_a_wrong_configuration_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("[ingest]\nworkers = 0\n")
    for command in (("check",), ("check", "--json"), ("queue", "stats")):
        found = strandline(tmp_path, *command, STRANDLINE_KAFKA__GROUPS="a")
        assert (found.returncode, found.stdout) == (2, "")
        assert [line.rstrip() for line in found.stderr.splitlines()] == [
            "strandline: The configuration is not valid.",
            "  STRANDLINE_KAFKA__GROUPS: there is no such setting; did you mean STRANDLINE_KAFKA__GROUP?",
            "  config.toml:2: ingest.workers = 0: expected a whole number, at least 1, at most 1,000",
        ]


def test_where_the_configuration_is_found(tmp_path: Path) -> None:
    def told(*arguments: str, **variables: str) -> str:
        return strandline(tmp_path, *arguments, "queue", "stats", **variables).stderr

    (tmp_path / "strandline").mkdir()
    for place in ("strandline/config.toml", "config.toml", "named.toml", "given.toml"):
        (tmp_path / place).write_text("nonsense = 1\n")
    assert "given.toml:1: nonsense" in told("--config", "given.toml", STRANDLINE_CONFIG="named.toml")
    assert "named.toml:1: nonsense" in told(STRANDLINE_CONFIG="named.toml")
    assert "\n  config.toml:1: nonsense" in told()
    (tmp_path / "config.toml").unlink()
    assert "strandline/config.toml:1: nonsense" in told()


def test_help_and_version(tmp_path: Path) -> None:
    shown = strandline(tmp_path, "--help")
    assert shown.returncode == 0
    for told in ("queue next", "alerts list", "STRANDLINE_CONFIG", "db upgrade"):
        assert told in shown.stdout
    assert strandline(tmp_path, "--version").stdout == "strandline 0.1.0\n"


def test_ctrl_c_ends_quietly(tmp_path: Path, database: str) -> None:
    (tmp_path / "config.toml").write_text(f'[postgres]\nurl = "{database}"\n')
    command = [sys.executable, "-c", "from daemon.cli.main import main; main()", "queue", "list"]
    with connect(database, name="test") as connection, connection.transaction():
        connection.execute("LOCK TABLE queue_item")
        process = subprocess.Popen(
            command, cwd=tmp_path, env=environment(tmp_path), stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        waiting = (
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        with connect(database, name="watch") as watch:
            for _ in range(200):
                if watch.execute(waiting.encode()).fetchone() == (1,):
                    break
                time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=20)
    assert (process.returncode, error) == (130, "")
