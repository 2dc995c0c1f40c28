"""What the command line knows of names and labels: those there are, and the nearest to what was typed."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from daemon.cli.main import app
from detectors.classes import ClassesBlock
from detectors.layout import BlockSpec
from detectors.registry import unlearnt_layout
from sinks.controls import ALWAYS, publish
from sinks.database import Connection, connect
from sinks.errors import BadData
from tests.rows import add_candidates, add_items, add_model

Run = Callable[..., Result]


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    with connect(database, name="test") as opened:
        yield opened


@pytest.fixture
def config(tmp_path: Path, database: str) -> Path:
    file = tmp_path / "config.toml"
    file.write_text(f'[postgres]\nurl = "{database}"\n')
    return file


@pytest.fixture
def run(config: Path) -> Run:
    return lambda *words: CliRunner().invoke(app, ["--config", str(config), *words])


def answer(run: Run, *words: str) -> Any:
    found = run(*words, "--json")
    assert found.exit_code == 0, found.output
    return json.loads(found.stdout)


def refused(run: Run, *words: str) -> str:
    found = run(*words)
    assert isinstance(found.exception, BadData), found.output
    assert found.stdout == ""
    return str(found.exception)


def learnt(connection: Connection, *classes: str) -> None:
    """Register the model "digits", with these classes in its layout."""
    cohort_id = add_model(connection)
    layout = unlearnt_layout().with_block(BlockSpec(ClassesBlock.kind, classes))
    body = layout.to_json().encode()
    publish(connection, kind="layout", model="digits", cohort_id=cohort_id, effective_from=ALWAYS, body=body)


@pytest.mark.parametrize("source", ["configured", "learnt"])
def test_a_label_is_a_class_of_the_model_unless_a_new_one_is_meant(
    run: Run, connection: Connection, config: Path, source: str
) -> None:
    learnt(connection, *(("cat", "dog", "bird") if source == "learnt" else ("eel", "ant")))
    if source == "configured":
        config.write_text(config.read_text() + '[model.digits]\nclasses = ["cat", "dog", "bird"]\n')
    add_candidates(connection, 4, prediction="fish")
    add_items(connection, 4)
    tokens = [answer(run, "queue", "next")["token"] for _ in range(4)]
    told = refused(run, "queue", "label", tokens[0], "Cat")
    assert "'Cat': digits has 3 classes, and not this one; the nearest: 'cat'. Meant: --new-class" in told
    refused(run, "queue", "label", tokens[0], "cow")
    for token, words in zip(tokens, (["cat"], ["fish"], ["cow", "--new-class"], ["cow"]), strict=True):
        answer(run, "queue", "label", token, *words)
    assert sorted(row["label"] for row in answer(run, "queue", "list")) == ["cat", "cow", "cow", "fish"]


def test_any_label_is_taken_where_the_classes_are_not_known(run: Run, connection: Connection, config: Path) -> None:
    learnt(connection, "cat")
    add_candidates(connection, 2, prediction=None)
    add_items(connection, 2)
    tokens = [answer(run, "queue", "next")["token"] for _ in range(2)]
    refused(run, "queue", "label", tokens[0], "cow")
    before = config.read_text()
    for token, more in zip(tokens, ('[model.digits]\nkind = "text"\n', "[detection]\nclasses_cap = 1\n"), strict=True):
        config.write_text(before + more)
        answer(run, "queue", "label", token, f"cow {more[1]}")


def test_probabilities_in_an_array_are_shown_with_their_classes(run: Run, connection: Connection, config: Path) -> None:
    config.write_text(config.read_text() + '[model.digits]\nclasses = ["cat", "dog"]\n')
    add_candidates(connection, 2)
    events = [b'{"probabilities": [0.25, 0.75]}', b'{"probabilities": [0.25, 0.5, 0.25]}']
    for number, event in enumerate(events, start=1):
        connection.execute(
            "INSERT INTO payload (candidate_id, event, truncated) SELECT id, %s, false FROM candidate"
            " WHERE event_id = %s",
            [event, f"event-{number - 1}"],
        )
    add_items(connection, 2, order_draw=[0.1, 0.2])
    assert '"cat": 0.25,' in run("queue", "next").stdout
    # Another number of them is another model's; to programs the event is as it came.
    assert "cat" not in run("queue", "next").stdout
    assert answer(run, "queue", "show", "1")["event"] == {"probabilities": [0.25, 0.75]}


def test_names_that_nobody_knows_are_told_with_the_nearest(run: Run, connection: Connection, config: Path) -> None:
    assert "--model digits: there is none yet" in refused(run, "queue", "next", "--model", "digits")
    add_model(connection)
    config.write_text(config.read_text() + '[model.prices]\nkind = "regressor"\n[model."fraud-*"]\nowner = "me"\n')
    for model in ("digits", "prices"):
        assert "Nothing waits" in run("queue", "next", "--model", model).stdout
    for arguments, told in (
        (("queue", "next", "--model", "digit"), "--model digit: expected one of digits, prices; did you mean digits?"),
        (("queue", "list", "--model", "fraud-*"), "--model fraud-*: expected one of digits, prices"),
        (("queue", "stats", "--model", "none"), "--model none: expected one of digits, prices"),
        (("alerts", "list", "--model", "none"), "--model none: expected one of digits, prices"),
        (("queue", "list", "--reason", "random"), "--reason random: expected one of never_seen, uncertainty, uniform"),
        (("deadletters", "list", "--reason", "nojson"), "; did you mean not_json?"),
        (("deadletters", "resend", "--reason", "nope"), "--reason nope: expected one of bad_text, bad_time, "),
        (("deadletters", "list", "--topic", "prediction"), "expected one of predictions; did you mean predictions?"),
        (("deadletters", "resend", "--topic", "none"), "--topic none: expected one of predictions"),
    ):
        assert told in refused(run, *arguments)
