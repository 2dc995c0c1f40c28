"""Every command teaches: what it does, how it is typed; and at 80 columns, with or without colours."""

import pytest
import typer
from typer.testing import CliRunner

from daemon.cli.main import app
from sinks.errors import BadData, BadSettings


def commands(group: typer.Typer = app, words: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Return the words of every command and group of commands."""
    found = [words]
    for command in group.registered_commands:
        assert command.callback is not None
        found.append((*words, command.name or command.callback.__name__))
    for inner in group.registered_groups:
        assert inner.typer_instance is not None
        found += commands(inner.typer_instance, (*words, str(inner.name)))
    return found


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_help_fits_and_has_an_example(words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("typer.rich_utils.MAX_WIDTH", 80)
    shown = CliRunner(env={"COLUMNS": "80", "NO_COLOR": "1"}).invoke(app, [*words, "--help"])
    assert shown.exit_code == 0
    assert "\x1b" not in shown.stdout
    assert all(len(line) <= 80 for line in shown.stdout.splitlines())
    assert "…" not in shown.stdout.replace("17-0d9f…", ""), "something was cut off"
    told = " ".join(shown.stdout.split())
    if "COMMAND [ARGS]" not in told:
        # One that does something: with an example, which names it.
        assert "Example: strandline " in told
        assert f" {words[-1]}" in told.partition("Example: ")[2].partition(" ╭")[0]


def test_the_shell_completes_commands() -> None:
    typed = {"_STRANDLINE_COMPLETE": "complete_bash", "COMP_WORDS": "strandline dead", "COMP_CWORD": "1"}
    assert CliRunner(env=typed).invoke(app, prog_name="strandline").stdout.split() == ["deadletters"]


def test_init_tells_before_it_asks_kafka_that_it_cannot_write() -> None:
    command = ["init", "--topic", "predictions", "--bootstrap-servers", "localhost:1", "--output", "/nowhere/my.toml"]
    refused = CliRunner().invoke(app, command)
    assert isinstance(refused.exception, BadSettings)
    assert "/nowhere: there is no such directory" in str(refused.exception)


@pytest.mark.parametrize("command", [["init", "--topic", "a", "--output", "b.toml"], ["events", "tail"]], ids=" ".join)
def test_a_broker_without_a_port_is_told(command: list[str]) -> None:
    refused = CliRunner().invoke(app, [*command, "--bootstrap-servers", "a:1,localhost"])
    assert isinstance(refused.exception, BadData)
    assert "--bootstrap-servers: expected host:port, such as \"localhost:9092\", found 'localhost'" in str(
        refused.exception
    )
