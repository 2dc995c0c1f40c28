"""The command as a person or a program types it."""

import json
import random
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from daemon.cli.main import app
from sinks.errors import BadData, BadSettings, StrandlineError
from tests.harness import wait_for
from tests.services import ROOT

START = 1_760_000_000 - 1_760_000_000 % 300


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Events of two hundred minutes, in a directory without a configuration."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    chance = random.Random(1)
    lines = [
        json.dumps(
            {
                "id": f"{number}",
                "time": START + number * 5,
                "model": "pets",
                "prediction": chance.choice(("cat", "dog")),
                "confidence": round(chance.betavariate(9, 1), 4),
            }
        )
        for number in range(40 * 60)
    ]
    path = tmp_path / "events.jsonl"
    path.write_text("\n".join([*lines[:100], "{", *lines[100:]]))
    return path


def typed(*words: object) -> Result:
    return CliRunner().invoke(app, ["replay", *map(str, words)])


def refused(*words: object) -> StrandlineError:
    found = typed(*words).exception
    assert isinstance(found, StrandlineError)
    return found


def test_what_was_found_is_printed(data: Path) -> None:
    found = typed(data)
    assert found.exit_code == 0, found.output
    assert "pets: 2,400 events in 40 windows, 2025-10-09 08:50:00Z to 2025-10-09 12:10:00Z" in found.stdout
    assert "budget: 1 per 30 days" in found.stdout
    assert f"not_json\t1\t{data} at byte " in found.stdout


def test_programs_get_one_document(data: Path) -> None:
    found = json.loads(typed(data, "--json").stdout)
    [version] = found["versions"]
    assert (version["model"], version["events"], version["windows"], version["late"]) == ("pets", 2400, 40, 0)
    assert {line["monitor"] for line in version["lines"]} >= {"confidence", "classes"}
    assert 0 < version["spent"] < version["allowed"]
    [rejected] = found["rejected"]
    assert (rejected["reason"], rejected["count"], rejected["value"]) == ("not_json", 1, "{")


def test_every_reading_can_be_had(data: Path, tmp_path: Path) -> None:
    assert typed(data, "--readings", tmp_path / "readings.jsonl").exit_code == 0
    readings = [json.loads(line) for line in (tmp_path / "readings.jsonl").read_text().splitlines()]
    confidence = [each for each in readings if each["monitor"] == "confidence"]
    assert [each["window_us"] for each in confidence] == [(START + window * 300) * 1_000_000 for window in range(40)]
    assert {each["n"] for each in confidence} == {60}
    assert {each["status"] for each in confidence} >= {"learning", "ok"}


def test_settings_can_be_tried(data: Path) -> None:
    one, other = (
        json.loads(typed(data, "--json", "--set", f"model.*.false_alarms={budget}").stdout)["versions"][0]
        for budget in ("1 per 30 days", "4 per 30 days")
    )
    assert other["allowed"] == pytest.approx(4 * one["allowed"])
    assert other["spent"] == pytest.approx(4 * one["spent"])


def test_detectors_of_other_libraries_spend_nothing_of_the_budget(data: Path, tmp_path: Path) -> None:
    [alone] = json.loads(typed(data, "--json").stdout)["versions"]
    (tmp_path / "config.toml").write_text('[[monitor]]\nname = "adwin"\nkind = "river.ADWIN"\non = "confidence"\n')
    [beside] = json.loads(typed(data, "--json").stdout)["versions"]
    assert {line["monitor"] for line in beside["lines"]} - {line["monitor"] for line in alone["lines"]} == {"adwin"}
    assert 0 < beside["spent"] <= alone["spent"]


def test_a_reference_can_be_given(data: Path) -> None:
    good = data.with_name("good.jsonl")
    good.write_text("\n".join(line for line in data.read_text().splitlines() if line != "{"))
    for words in (["--reference", f"pets={good}"], ["--model", "pets", "--reference", good]):
        [version] = json.loads(typed(data, "--json", *words).stdout)["versions"]
        [confidence] = [line for line in version["lines"] if line["monitor"] == "confidence"]
        assert confidence["watched"] == 40


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere.jsonl"], "nowhere.jsonl: No such file"),
        (["events.txt"], "events.txt: expected a file that ends in"),
        (["events.csv.gz"], "expected a file that ends in"),
        (["topic:a", "events.jsonl"], "expected one topic, or files"),
        (["events.jsonl", "--reference", "good.jsonl"], "expected MODEL=FILE, or FILE beside one --model"),
    ],
)
def test_what_cannot_be_replayed_is_told(words: list[str], message: str, data: Path) -> None:
    data.with_name("events.txt").write_text("")
    error = refused(*words)
    assert isinstance(error, BadData)
    assert message in str(error)


def test_a_setting_that_is_wrong_is_told_with_its_option(data: Path) -> None:
    error = refused(data, "--set", "detection.for_windows=many", "--set", "detection.four_windows=1", "--set", "x")
    assert isinstance(error, BadSettings)
    assert error.exit_code == 2
    assert "--set" in str(error)
    assert "detection.for_windows" in str(error)
    assert "did you mean" in str(error)
    assert "--set x: expected key=value" in str(error)


def test_a_page_is_drawn_and_its_state_is_gone(data: Path, tmp_path: Path) -> None:
    assert typed(data, "--html", tmp_path / "page.html").exit_code == 0
    assert "Plotly.newPlot" in (tmp_path / "page.html").read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["events.jsonl", "page.html"]


def test_of_a_folder_with_other_things_in_it_they_stay(data: Path, tmp_path: Path) -> None:
    assert typed(data, "--state", tmp_path).exit_code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["events.jsonl"]


def begun(state: Path) -> bool:
    """Say whether a replay with this state has taken in something."""
    try:
        with closing(sqlite3.connect(state / "replay.sqlite")) as connection:
            return bool(connection.execute("SELECT 1 FROM stream WHERE at > 0").fetchall())
    except sqlite3.OperationalError:
        return False


def test_after_ctrl_c_the_same_command_goes_on(data: Path, tmp_path: Path) -> None:
    large, state = tmp_path / "large.jsonl", tmp_path / "state"
    lines = data.read_text()
    large.write_text("".join(lines.replace('"id": "', f'"id": "{number}-') + "\n" for number in range(100)))
    # Each copy begins anew: nothing is late, and all windows are closed at the end.
    words = ["replay", str(large), "--json", "--state", str(state), "--set", "model.*.lateness_seconds=100000"]
    program, place = [sys.executable, "-m", "daemon", *words], {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=place) as process:
        wait_for(lambda: begun(state) or process.poll() is not None, 120)
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=120)
    assert process.returncode == 130, told
    assert b"the same command goes on" in told
    assert begun(state)
    [again] = json.loads(subprocess.run(program, capture_output=True, env=place, check=True).stdout)["versions"]
    assert (again["events"], again["windows"], again["late"]) == (240_000, 40, 0)
    assert not state.exists()
