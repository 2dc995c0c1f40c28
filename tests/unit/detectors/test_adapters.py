"""Detectors of river as monitors: what they are fed, what they remember, and how their alarms begin and end."""

import inspect
import json
from dataclasses import replace
from importlib import import_module

import numpy as np
import pytest
from numpy.typing import NDArray

from detectors.adapters import drift, scores
from detectors.adapters.kinds import KINDS
from detectors.adapters.memory import HISTORY, NOTHING, Memory, made
from detectors.adapters.plain import NotPlainError, plain
from detectors.adapters.state import AdapterState
from detectors.adapters.watch import CLEAR_WINDOWS, Adapter, Watched, watch
from detectors.bottomk import Sample
from detectors.cohort import CohortState
from detectors.layout import WHOLE, Layout, RawSpec
from detectors.raw import ordered
from detectors.readings import Readings, Transition
from detectors.registry import unlearnt_layout
from detectors.summary import Summary
from tests.unit.detectors.streams import watched

ON = "confidence"
LAYOUT = replace(unlearnt_layout(), raw=RawSpec(256, (ON, "prediction=cat")))
ADWIN = Adapter("changes", "river.ADWIN", (ON,), {"delta": 0.002})
RIVER = [name for name, kind in KINDS.items() if kind.library == "river"]
DRIFT = [name for name, kind in KINDS.items() if kind.family == "drift"]
SCORES = [name for name, kind in KINDS.items() if kind.family == "score"]


def window_of(values: NDArray[np.float64], layout: Layout = LAYOUT) -> Summary:
    """Return a window whose events have these confidences, one a second, and are cats where it is above a half."""
    summary = Summary.empty(layout)
    time, hashes = np.arange(len(values), dtype=np.float64), np.arange(len(values), dtype=np.uint64)
    # The hashes say nothing about the order.
    summary.raw = Sample.of(
        256, np.random.default_rng(1).permutation(hashes), np.stack([time, values, values > 0.5], 1)
    )
    return summary


def readings_of_monitors() -> Readings:
    stream, random = watched()
    return stream.run(random, 1)[0].readings


def bytes_of(states: dict[str, AdapterState]) -> bytes:
    kept = CohortState.fresh("", (WHOLE,))
    kept.adapters = states
    return kept.to_bytes()


class Watching:
    """Adapters over windows, as reduce runs them: what is remembered goes through bytes each time."""

    def __init__(self, *adapters: Adapter) -> None:
        self.adapters = adapters
        self.states: dict[str, AdapterState] = {}
        self.window = 0
        self.transitions: list[Transition] = []

    def take(self, summary: Summary) -> Watched:
        known = CohortState.from_bytes(bytes_of(self.states)).adapters
        found = watch(self.adapters, known, summary, self.window, readings_of_monitors())
        self.window += 1
        self.states = found.states
        self.transitions += found.transitions
        return found

    def run(self, windows: int, *, mean: float, seed: int = 1, n: int = 200) -> list[Watched]:
        random = np.random.default_rng(seed)
        return [self.take(window_of(random.normal(mean, 0.1, n))) for _ in range(windows)]

    def told(self) -> list[tuple[int, str]]:
        return [(each.window, each.to) for each in self.transitions]


@pytest.mark.parametrize("name", RIVER)
def test_the_table_says_what_the_library_takes(name: str) -> None:
    kind = KINDS[name]
    taken = inspect.signature(getattr(import_module(kind.module), kind.name)).parameters
    # These are objects, or a beginning that ours is not.
    left_out = {"river.KSWIN": {"window"}, "river.StandardAbsoluteDeviation": {"sub_stat"}}.get(name, set())
    assert set(taken) - left_out == set(kind.arguments)
    for argument, type_ in kind.arguments.items():
        default = taken[argument].default
        assert default is None or type(default) is type_, argument


@pytest.mark.parametrize("name", [name for name in RIVER if KINDS[name].memory == "history"])
def test_what_has_a_history_could_not_be_kept_otherwise(name: str) -> None:
    detector = made(KINDS[name], {})
    if KINDS[name].family == "score":
        detector.learn_one({"a": 1.0})
    try:
        size = len(json.dumps(plain(detector)))
    except NotPlainError:
        return
    assert size > HISTORY * 8


@pytest.mark.parametrize("name", DRIFT)
def test_what_is_found_does_not_depend_on_where_the_windows_end(name: str) -> None:
    kind, random = KINDS[name], np.random.default_rng(2)
    shares = [0.1] * 800 + [0.7] * 800
    values = (random.random(len(shares)) < shares).astype(np.float64)

    def finds(size: int) -> tuple[Memory, list[int]]:
        memory, found = NOTHING, []
        for start in range(0, len(values), size):
            memory, change = drift.take(kind, {}, memory, values[start : start + size, None])
            memory = json.loads(json.dumps(memory[0])), memory[1]
            if change:
                found.append(start // 400)
        return memory, sorted(set(found))

    memory, found = finds(400)
    others, same = finds(50)
    assert same == found
    assert (others[0], others[1].tolist()) == (memory[0], memory[1].tolist())
    # The detector that nobody interrupts.
    whole, expected = made(kind, {}), set()
    for at, value in enumerate(values.tolist()):
        whole.update(value)
        if whole.drift_detected:
            expected.add(at // 400)
    assert found == sorted(expected)
    if kind.memory == "attributes":
        assert plain(whole) == memory[0]


def test_a_history_is_bounded() -> None:
    memory, random = NOTHING, np.random.default_rng(3)
    for _ in range(20):
        memory, _ = drift.take(KINDS["river.ADWIN"], {}, memory, random.random((256, 1)))
    assert len(memory[1]) == HISTORY


@pytest.mark.parametrize("name", SCORES)
def test_scores_do_not_depend_on_where_the_windows_end(name: str) -> None:
    kind, random = KINDS[name], np.random.default_rng(4)
    names = ("a",) if kind.single else ("a", "b")
    values = random.random((700, len(names)))

    def scored(size: int) -> tuple[Memory, list[float]]:
        memory, found = NOTHING, []
        for start in range(0, len(values), size):
            memory, given = scores.take(kind, {}, memory, values[start : start + size], names)
            memory = json.loads(json.dumps(memory[0])), memory[1]
            found += given.tolist()
        return memory, found

    memory, found = scored(100)
    others, same = scored(350)
    assert same == found
    assert (others[0], others[1].tolist()) == (memory[0], memory[1].tolist())
    assert len(set(found)) > 100


def test_strange_events_score_high_and_fire_from_the_threshold_on() -> None:
    layout = replace(unlearnt_layout(), raw=RawSpec(256, (ON, "prediction=cat")))
    forest = Adapter(
        "strange",
        "river.HalfSpaceTrees",
        (ON, "prediction=cat"),
        {"seed": 3, "window_size": 200, "limits": {ON: [0.0, 2.0]}},
        0.9,
    )
    watching = Watching(forest)
    random = np.random.default_rng(5)
    for _ in range(4):
        watching.take(window_of(random.normal(0.8, 0.02, 200), layout))
    assert watching.told() == []
    found = watching.take(window_of(random.uniform(1.5, 2.0, 200), layout))
    (alarm,) = watching.transitions
    assert (alarm.unit, alarm.component) == ("score", "mean score of confidence, prediction=cat")
    assert alarm.before < 0.9 <= alarm.after
    assert next(row.estimate for row in found.readings.rows() if row.monitor == "strange") == alarm.after


def test_values_come_in_the_order_of_the_events() -> None:
    values = np.random.default_rng(6).random(50)
    assert ordered(window_of(values).raw)[:, 0].tolist() == values.tolist()


def test_a_change_fires_once_and_ends_when_no_other_is_found() -> None:
    watching = Watching(ADWIN)
    watching.run(20, mean=0.8)
    assert watching.told() == []
    changed = watching.run(2 + CLEAR_WINDOWS, mean=0.5, seed=2)
    assert watching.told() == [(20, "firing"), (watching.transitions[-1].window, "resolved")]
    alarm, end = watching.transitions
    assert alarm.outside_budget
    assert end.outside_budget
    assert (alarm.monitor, alarm.segment, alarm.component, alarm.unit) == ("changes", "", "mean confidence", "mean")
    assert alarm.before == pytest.approx(0.8, abs=0.01)
    assert alarm.low < alarm.after < alarm.high
    assert alarm.after == pytest.approx(0.5, abs=0.03)
    assert np.isnan(alarm.log_evidence)
    assert end.window >= 20 + CLEAR_WINDOWS
    readings = [row for row in changed[0].readings.rows() if row.monitor == "changes"]
    assert next((row.segment, row.status, row.n) for row in readings) == ("", "firing", 200)
    assert {row.n for row in readings[1:]} == {0}
    monitors = readings_of_monitors()
    assert changed[0].readings.monitors == (*monitors.monitors, "changes")
    assert changed[0].readings.log_evidence[:, :-1].tolist() == monitors.log_evidence.tolist()


def test_a_window_without_values_changes_nothing() -> None:
    watching = Watching(ADWIN)
    watching.run(5, mean=0.8)
    before = bytes_of(watching.states)
    for empty in (window_of(np.empty(0)), window_of(np.full(9, np.nan)), Summary.empty(unlearnt_layout())):
        found = watching.take(empty)
        assert bytes_of(found.states) == before
        assert next(row.n for row in found.readings.rows() if row.monitor == "changes") == 0


def test_another_configuration_ends_the_alarm_and_starts_afresh() -> None:
    watching = Watching(ADWIN)
    watching.run(20, mean=0.8)
    watching.run(1, mean=0.5)
    assert watching.states["changes"].firing
    watching.adapters = (replace(ADWIN, arguments={"delta": 0.1}),)
    watching.run(1, mean=0.5)
    assert watching.told() == [(20, "firing"), (21, "resolved")]
    assert watching.states["changes"].count == 200
    watching.adapters = ()
    watching.run(1, mean=0.5)
    assert watching.states == {}
    assert len(watching.transitions) == 2


def test_what_a_library_raises_is_the_fault_of_its_monitor_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("0 of 0")

    watching = Watching(Adapter("fragile", "river.PageHinkley", (ON,), {"threshold": 5.0}), ADWIN)
    watching.run(19, mean=0.8)
    watching.run(1, mean=0.5)
    kept = watching.states["fragile"]
    assert kept.firing
    with monkeypatch.context() as breaking:
        breaking.setattr("river.drift.PageHinkley.update", broken)
        (found,) = watching.run(1, mean=0.5, seed=2)
    assert found.faults == (("fragile", "ZeroDivisionError: 0 of 0"),)
    # As before the window, to the byte.
    assert bytes_of({"fragile": found.states["fragile"]}) == bytes_of({"fragile": kept})
    stored = Readings.from_bytes(found.readings.to_bytes())
    rows = {row.monitor: row for row in stored.rows() if not row.segment}
    assert (rows["fragile"].status, rows["fragile"].n) == ("failed", 0)
    assert np.isnan([rows["fragile"].estimate, rows["fragile"].low, rows["fragile"].high]).all()
    assert rows["changes"].n == 200
    # Whole again, it takes the next window.
    (found,) = watching.run(1, mean=0.5, seed=3)
    assert found.faults == ()
    assert found.states["fragile"].count == kept.count + 200
    assert {row.monitor: row.status for row in found.readings.rows() if not row.segment}["fragile"] == "firing"


def test_a_share_is_shown_as_one() -> None:
    watching = Watching(Adapter("cats", "river.PageHinkley", ("prediction=cat",), {"threshold": 5.0}))
    watching.run(10, mean=0.3)
    watching.run(1, mean=0.7)
    (alarm,) = watching.transitions
    assert (alarm.component, alarm.unit) == ("share of prediction=cat", "share")
    assert 0 <= alarm.low < alarm.after < alarm.high <= 1


def test_states_without_adapters_are_stored_as_they_were_before_there_were_any() -> None:
    assert b"adapter" not in CohortState.fresh("", (WHOLE,)).to_bytes()
    assert CohortState.from_bytes(CohortState.fresh("", (WHOLE,)).to_bytes()).adapters == {}
    assert "raw" not in unlearnt_layout().to_json()
    assert Layout.from_json(LAYOUT.to_json()) == LAYOUT
