"""References at the command line, and what they do to windows that are reduced."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from daemon.cli.main import app
from daemon.jobs.reduce import ReduceJob
from daemon.settings import Settings
from detectors.reference import Reference
from detectors.summary import Summary
from sinks import cohorts
from sinks.controls import Controls, lock_exclusive, publish
from sinks.database import Connection, connect
from sinks.windows import compress, uncompress
from tests.unit.detectors.streams import file_reference, layout_of, shares_of, summary_of

FIRST = 5_800_000
LAYOUT = layout_of()


class Watched:
    """A model whose windows are given as summaries, and somebody at the command line."""

    def __init__(self, directory: Path, database: str, connection: Connection) -> None:
        self.connection = connection
        self.cohort = 0
        self.random = np.random.default_rng(1)
        self.window = FIRST
        self.settings: dict[str, Any] = {}
        self._database = database
        self._file = directory / "config.toml"
        connection.execute("INSERT INTO partition (topic, partition, event_high_us) VALUES ('predictions', 0, 0)")

    def register(self, window_seconds: int = 300) -> None:
        found = cohorts.register(self.connection, "digits", "1", window_seconds=window_seconds, layout=LAYOUT, cap=10)
        assert found is not None
        self.cohort = found

    def configure(self, **model: Any) -> None:
        self.settings = model

    def reference(self, reference: Reference) -> int:
        body = compress(reference.to_bytes())
        with self.connection.transaction():
            lock_exclusive(self.connection)
            return publish(
                self.connection,
                kind="reference",
                model="digits",
                cohort_id=self.cohort,
                effective_from=self.window,
                body=body,
            )

    def take(self, *windows: Summary) -> None:
        """Close these windows."""
        [(layout_id,)] = self.connection.execute("SELECT id FROM control WHERE kind = 'layout'").fetchall()
        for summary in windows:
            self.connection.execute(
                'INSERT INTO part (cohort_id, "window", layout_id, events, body) VALUES (%s, %s, %s, %s, %s)',
                [self.cohort, self.window, layout_id, int(summary.events[0]), compress(summary.to_bytes())],
            )
            self.window += 1
        settings = Settings.model_validate({"model": {"digits": self.settings}})
        high = (self.window + 1) * settings.of("digits").window_us
        self.connection.execute("UPDATE partition SET event_high_us = %s", [high])
        job = ReduceJob(settings)
        while job.run_once(self.connection):
            pass

    def run(self, windows: int, n: int = 1000, **changed: Any) -> None:
        self.take(*(summary_of(LAYOUT, self.random, n, **changed) for _ in range(windows)))

    def firing(self) -> list[tuple[str, str]]:
        return self.connection.execute(
            "SELECT labels ->> 'monitor', labels ->> 'segment' FROM alert WHERE state = 'firing' ORDER BY 1, 2"
        ).fetchall()

    def references(self) -> list[Reference]:
        return [Reference.from_bytes(uncompress(r.body)) for r in Controls(("reference",)).refresh(self.connection)]

    def __call__(self, *words: str) -> Result:
        self._file.write_text(
            f'[postgres]\nurl = "{self._database}"\n[model.digits]\n'
            + "".join(f"{key} = {_toml(value)}\n" for key, value in self.settings.items())
        )
        return CliRunner().invoke(app, ["--config", str(self._file), "reference", *words])

    def json(self, *words: str) -> Any:
        found = self(*words, "--json")
        assert found.exit_code == 0, found.output
        return json.loads(found.stdout)

    def refused(self, *words: str) -> str:
        found = self(*words)
        assert found.exit_code != 0
        return str(found.exception)


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(each)}" for key, each in value.items()) + " }"
    return json.dumps(value)


@pytest.fixture
def watched(tmp_path: Path, database: str) -> Iterator[Watched]:
    with connect(database, name="test") as connection:
        yield Watched(tmp_path, database, connection)


def tolerances(shown: Any) -> dict[str, Any]:
    return {each["component"]: each for each in shown["tolerances"]}


def test_show_tells_where_each_tolerance_comes_from(watched: Watched) -> None:
    watched.register()
    number = str(watched.reference(file_reference(LAYOUT, watched.random, 300_000)))
    shown = watched.json("show", number)
    assert shown["events"] == 300_000
    found = tolerances(shown)["mean confidence"]
    assert (found["origin"], found["measured"], found["warning"]) == ("floor", False, "")
    assert found["tolerance"] == pytest.approx(0.02)
    # What is measured of the live stream counts from then on.
    watched.run(21)
    assert tolerances(watched.json("show", number))["mean confidence"]["measured"]
    watched.configure(tolerance={"confidence": 0.07})
    given = tolerances(watched.json("show", number, "--monitor", "confidence"))
    assert [each["origin"] for each in given.values()] == ["set by you"]
    assert given["mean confidence"]["bound"] == pytest.approx(found["reference"] - 0.07)
    lines = watched("show", number).stdout.splitlines()
    assert "mean confidence" in lines[2]
    assert "set by you" in lines[2]
    there_are = "there are: confidence, confidence_shares, classes, lateness"
    assert f"monitor 'sorrow'; {there_are}" in watched.refused("show", number, "--monitor", "sorrow")
    assert "this reference has: region=eu" in watched.refused("show", number, "--segment", "region=asia")


def test_a_number_in_the_configuration_is_what_windows_are_held_to(watched: Watched) -> None:
    watched.register()
    watched.reference(file_reference(LAYOUT, watched.random, 300_000))
    watched.configure(tolerance={"confidence": 0.1})
    watched.run(30, confidence=0.85)
    assert watched.firing() == []
    watched.configure(tolerance={"confidence": "auto"})
    watched.run(4, confidence=0.85)
    assert ("confidence", "") in watched.firing()


def test_diff_tells_what_differs_most_first(watched: Watched) -> None:
    watched.register()
    one = file_reference(LAYOUT, watched.random, 30_000)
    other = Reference(LAYOUT, summary_of(LAYOUT, watched.random, 30_000, confidence=0.8, shares=shares_of(c3=0.13)))
    numbers = [str(watched.reference(each)) for each in (one, other, one)]
    found = watched.json("diff", numbers[0], numbers[1])
    told = [each["component"] for each in found["differences"]]
    assert told[:3] == ["mean confidence", "share with confidence ≤ 0.5 rising", "share of class 3 rising"]
    assert (found["differences"][0]["before"], found["differences"][0]["after"]) == (
        pytest.approx(0.9, abs=0.01),
        pytest.approx(0.8, abs=0.01),
    )
    lines = watched("diff", *numbers[:2]).stdout.splitlines()
    assert lines[0].startswith(f"{numbers[0]}: digits version 1, 30,000 events")
    assert lines[3].startswith("mean confidence\tconfidence\t")
    assert watched.json("diff", numbers[0], numbers[2])["differences"] == []
    assert "reference 9999" in watched.refused("diff", numbers[0], "9999")
    assert "region=asia" in watched.refused("diff", *numbers[:2], "--segment", "region=asia")


def test_accept_makes_the_present_the_new_normal_and_ends_what_fires(watched: Watched) -> None:
    watched.register()
    first = watched.reference(file_reference(LAYOUT, watched.random, 30_000))
    watched.run(25)
    watched.run(30, confidence=0.8)
    assert ("confidence", "") in watched.firing()
    found = watched.json("accept", "--model", "digits")
    assert (found["windows"], found["events"]) == (30, 30_000)
    assert [each["reference"] for each in watched.json("list")] == [first, found["reference"]]
    watched.run(1, confidence=0.8)
    assert watched.firing() == []
    assert watched.connection.execute(
        "SELECT DISTINCT evidence ->> 'reason' FROM alert_transition WHERE state = 'resolved'"
    ).fetchall() == [("accepted as the new normal",)]
    assert watched.connection.execute("SELECT state FROM incident").fetchall() == [("resolved",)]
    # What was learnt from it is known to vary so: it is not calibrating, it is quiet, and the old normal is a change.
    assert tolerances(watched.json("show", str(found["reference"])))["mean confidence"]["measured"]
    watched.run(20, confidence=0.8)
    assert watched.firing() == []
    watched.run(4, confidence=0.7)
    assert ("confidence", "") in watched.firing()
    # The old one is as it was.
    assert watched.references()[0].source == "file"


def test_accept_takes_the_last_windows_if_told_so_and_refuses_what_makes_no_reference(watched: Watched) -> None:
    watched.register()
    assert "no window of this version" in watched.refused("accept", "--model", "digits")
    watched.reference(file_reference(LAYOUT, watched.random, 30_000))
    watched.run(10, 300)
    assert "nothing fires" in watched.refused("accept", "--model", "digits")
    assert "900 events in 3 windows; a reference needs at least 1000" in watched.refused(
        "accept", "--model", "digits", "--windows", "3"
    )
    assert watched.json("accept", "--model", "digits", "--windows", "4")["windows"] == 4
    assert watched("accept", "--model", "digits", "--windows", "9").stdout.startswith("reference ")
    assert "model 'cats'" in watched.refused("accept", "--model", "cats")
    assert "with a version '7'" in watched.refused("accept", "--model", "digits", "--version", "7")


HOURLY = {"window_seconds": 1800, "reference": {"kind": "same-hour", "days": 3}}
DAY_WINDOWS = 48


def swing(watched: Watched, windows: int, *, drop: float = 0.0) -> None:
    """Close windows of a day in which confidence swings by five times its tolerance."""
    at = 2 * np.pi * (watched.window + np.arange(windows) + 0.5) / DAY_WINDOWS
    levels = 0.8 + 0.1 * np.sin(at) - drop
    watched.take(*(summary_of(LAYOUT, watched.random, 1000, confidence=level) for level in levels.tolist()))


def test_the_hours_are_learnt_and_a_days_swing_is_no_alarm_but_what_comes_on_top_is(watched: Watched) -> None:
    watched.configure(**HOURLY)
    watched.register(1800)
    swing(watched, 3 * DAY_WINDOWS - 1)
    assert watched.references() == []
    swing(watched, 1)
    [learnt] = watched.references()
    assert (learnt.hours, learnt.windows, learnt.source) == (24, 3 * DAY_WINDOWS, "learnt")
    [listed] = watched.json("list")
    assert listed["hours"] == 24
    night, day = (
        tolerances(watched.json("show", str(listed["reference"]), "--hour", hour))["mean confidence"]["reference"]
        for hour in ("18", "6")
    )
    assert [night, day] == pytest.approx([0.7, 0.9], abs=0.02)
    assert watched("show", str(listed["reference"]), "--hour", "6").stdout.splitlines()[1].startswith("in hour 6 of 24")
    assert "hour 24; this reference has 24" in watched.refused("show", str(listed["reference"]), "--hour", "24")
    swing(watched, 3 * DAY_WINDOWS)
    assert watched.connection.execute("SELECT count(*) FROM alert_transition").fetchall() == [(0,)]
    assert len(watched.references()) == 1
    swing(watched, 12, drop=0.04)
    assert ("confidence", "") in watched.firing()
    assert "do not hold all hours 2 times" in watched.refused("accept", "--model", "digits")
    swing(watched, 2 * DAY_WINDOWS, drop=0.04)
    assert watched.json("accept", "--model", "digits", "--windows", str(2 * DAY_WINDOWS))["reference"]
    swing(watched, DAY_WINDOWS, drop=0.04)
    assert watched.firing() == []
    assert [each.hours for each in watched.references()] == [24, 24]


def test_a_reference_that_a_person_made_is_not_replaced_by_one_by_hour(watched: Watched) -> None:
    watched.configure(**HOURLY)
    watched.register(1800)
    watched.reference(file_reference(LAYOUT, watched.random, 30_000))
    watched.run(3 * DAY_WINDOWS + 2, 100)
    assert [each.source for each in watched.references()] == ["file"]


def test_who_turns_to_hours_has_them_at_once_from_what_is_stored(watched: Watched) -> None:
    watched.configure(window_seconds=1800)
    watched.register(1800)
    watched.run(3 * DAY_WINDOWS, 100)
    assert [each.hours for each in watched.references()] == [1]
    watched.configure(**HOURLY)
    watched.run(1, 100)
    assert [each.hours for each in watched.references()] == [1, 24]


TRAILING = {"window_seconds": 3600, "reference": {"kind": "trailing", "days": 2}}


def test_a_trailing_reference_is_made_anew_of_the_days_before_and_so_forgets_a_change(watched: Watched) -> None:
    watched.configure(**TRAILING)
    watched.register(3600)
    watched.reference(file_reference(LAYOUT, watched.random, 30_000))
    watched.run(47, 1000)
    assert [each.source for each in watched.references()] == ["file"]
    watched.run(1, 1000)
    assert [(each.source, each.windows) for each in watched.references()] == [("file", 0), ("learnt", 48)]
    watched.run(20, 1000)
    assert watched.firing() == []
    watched.run(5, 1000, confidence=0.8)
    assert ("confidence", "") in watched.firing()
    watched.run(22, 1000, confidence=0.8)
    assert len(watched.references()) == 2
    # The next holds twenty windows from before the change, the one after it none.
    watched.run(1 + 48, 1000, confidence=0.8)
    assert [each.windows for each in watched.references()] == [0, 48, 48, 48]
    numbers = [str(each["reference"]) for each in watched.json("list")]
    confidences = sorted(watched.json("show", number)["mean_confidence"] for number in numbers)
    assert confidences == pytest.approx([0.8, 0.8 + 0.1 * 20 / 48, 0.9, 0.9], abs=0.01)
    watched.run(20, 1000, confidence=0.8)
    assert watched.firing() == []


def test_a_trailing_reference_of_few_events_is_not_made(watched: Watched) -> None:
    watched.configure(**TRAILING)
    watched.register(3600)
    watched.reference(file_reference(LAYOUT, watched.random, 30_000))
    watched.run(60, 10)
    assert [each.source for each in watched.references()] == ["file"]
