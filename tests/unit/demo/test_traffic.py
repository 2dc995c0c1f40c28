import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from daemon import references
from daemon.buffer import NEVER, Buffer, Cohort
from daemon.demo.classifier import UNSEEN, train
from daemon.demo.story import INJECTED, LENGTH, WINDOW_SECONDS, Fired, false_alarms, judge, under_way
from daemon.demo.traffic import EVENTS_PER_WINDOW, MODEL, PARTITIONS, Traffic
from daemon.fields import FieldReader
from daemon.records import Records
from daemon.settings import Settings
from detectors.budget import Budget
from detectors.cohort import CohortState, step
from detectors.folding import fold
from detectors.readings import Transition

if TYPE_CHECKING:
    from detectors.summary import Summary

START = 1_760_000_400
SETTINGS = Settings.model_validate({"model": {MODEL: {"segments": ["camera"]}}})


@pytest.fixture(scope="module")
def traffic() -> Traffic:
    return Traffic(train(1), 1, START)


def test_the_model_never_saw_one_digit_and_knows_the_others() -> None:
    digits = train(1)
    assert UNSEEN not in digits.classes
    assert len(digits.classes) == 9
    assert digits.probabilities(digits.held_out).max(axis=1).mean() > 0.9
    assert digits.probabilities(digits.unseen).max(axis=1).mean() < 0.85


def test_a_window_is_the_same_whenever_it_is_made(traffic: Traffic) -> None:
    assert traffic.window(7, None) == traffic.window(7, None)
    assert traffic.window(7, None) != traffic.window(8, None)


def test_a_window_holds_its_time_in_order_over_all_partitions(traffic: Traffic) -> None:
    messages = traffic.window(3, None)
    begin = (START + 3 * WINDOW_SECONDS) * 1000
    times = [message.time_ms for message in messages]
    assert times == sorted(times)
    assert begin <= times[0] <= times[-1] < begin + WINDOW_SECONDS * 1000
    assert {message.partition for message in messages} == set(range(PARTITIONS))
    assert abs(len(messages) - EVENTS_PER_WINDOW) < 6 * EVENTS_PER_WINDOW**0.5
    event = json.loads(messages[0].value)
    assert event["payload"].startswith("data:image/png;base64,")
    assert event["time"] == messages[0].time_ms
    assert event["tags"]["camera"] in {"north", "south"}


def test_what_is_injected_shows(traffic: Traffic) -> None:
    blur, unseen = INJECTED
    fine, fogged, odd = (_confidence(traffic, change) for change in (None, blur, unseen))
    assert fogged["south"] < fine["south"] - 0.05
    assert abs(fogged["north"] - fine["north"]) < 0.02
    assert odd["north"] < fine["north"] - 0.05


def _confidence(traffic: Traffic, change: object) -> dict[str, float]:
    events = [json.loads(message.value) for message in traffic.window(1, change)]  # type: ignore[arg-type]
    return {
        camera: float(
            np.mean([max(each["probabilities"].values()) for each in events if each["tags"]["camera"] == camera])
        )
        for camera in ("north", "south")
    }


@pytest.mark.parametrize("seed", [1, 2])
def test_detectors_notice_both_changes_and_nothing_before(seed: int, tmp_path: Path) -> None:
    transitions = _watch(seed, tmp_path / "reference.jsonl")
    fired = [
        Fired(each.window, each.monitor, each.segment, each.component) for each in transitions if each.to == "firing"
    ]
    assert not false_alarms(fired)
    assert all(outcome.delay is not None and outcome.delay <= 3 for outcome in judge(fired))
    # The first is over before the second begins.
    last = {each.monitor: each.to for each in transitions if each.window < INJECTED[1].first and not each.segment}
    assert "confidence" in last
    assert set(last.values()) == {"resolved"}


def _watch(seed: int, path: Path) -> list[Transition]:
    """Play the story to the detectors, without a broker or a database."""
    traffic = Traffic(train(seed), seed, START)
    traffic.write_reference(path)
    reference = references.read(SETTINGS, path, MODEL, lambda _: None)
    cohort = Cohort(1, MODEL, "1", SETTINGS.of(MODEL))
    budget = Budget(SETTINGS.of(MODEL).budget_windows, SETTINGS.detection.segments_cap)
    reader = FieldReader(reference.layout)
    buffer = Buffer(SETTINGS, lambda _model, _version: cohort)
    stored: list[tuple[int, Summary]] = []
    state: CohortState | None = None
    found: list[Transition] = []
    for window in range(LENGTH):
        messages = list(traffic.window(window, under_way(window)))
        times, values = [message.time_ms for message in messages], [message.value for message in messages]
        records = Records(range(len(messages)), times, values)
        buffer.add("predictions", 0, records, NEVER)
        assert not buffer.dead_letters
        summary = fold(reference.layout, reader.columns(buffer.batch(), np.arange(len(buffer))))
        buffer.clear()
        past = tuple(stored)
        result = step(
            reference.layout,
            reference,
            state,
            summary,
            window,
            budget,
            lambda count, past=past: past[-count:],  # type: ignore[misc]
        )
        state = result.state
        stored.append((window, summary))
        found += result.transitions
    return found
