"""What is said of tolerances is what they came from."""

from dataclasses import replace

import numpy as np
import pytest

from detectors.learning import calibrate
from detectors.origins import (
    ERROR,
    FLOOR,
    GIVEN,
    RARE,
    TOO_SMALL,
    TOO_VARIABLE,
    UNWATCHED,
    VARIATION,
    Origin,
    origins,
)
from detectors.reference import Reference
from tests.unit.detectors.streams import file_reference, fired, layout_of, shares_of, status, summary_of, watched


def told(reference: Reference, segment: str = "", **tolerances: float) -> dict[str, Origin]:
    return {each.component: each for each in origins(reference, segment, {}, tolerances)}


def wandering(sd: float) -> Reference:
    """Return a reference of 30 windows whose confidence wanders slowly."""
    random = np.random.default_rng(1)
    layout = layout_of()
    levels = 0.85 + np.sqrt(2.0) * sd * np.sin(np.arange(30) / 3)
    windows = [summary_of(layout, random, 10_000, confidence=level) for level in levels]
    whole = summary_of(layout, random, 10_000, confidence=0.85)
    for each in windows:
        whole.add(each)
    reference = Reference(layout, whole, windows=30, source="learnt")
    return replace(reference, calibration=calibrate(reference, layout, enumerate(windows)))


def test_a_large_steady_reference_leaves_the_floors() -> None:
    found = told(file_reference(layout_of(), np.random.default_rng(1), 3_000_000))
    assert found["mean confidence"].origin == FLOOR
    assert found["mean confidence"].tolerance == pytest.approx(0.02)
    # Falls are told as people know them: the bound is below the reference.
    assert found["mean confidence"].bound == pytest.approx(found["mean confidence"].reference - 0.02)
    assert found["share of class 3 rising"].origin == FLOOR
    assert found["share of class 3 falling"].bound == pytest.approx(0.08, abs=0.001)
    assert found["share of never-seen classes"].origin == RARE
    assert not any(each.measured or each.warning for each in found.values())


def test_a_small_reference_is_told_as_the_cause() -> None:
    found = told(file_reference(layout_of(), np.random.default_rng(1), 300))
    # None of 300 events is late: that says more than one asks for, since one in twenty may be.
    assert found.pop("share of late events rising").origin == FLOOR
    assert {each.origin for each in found.values()} == {ERROR}
    assert found["share of class 3 rising"].warning == TOO_SMALL


def test_rare_shares_are_told_to_be_relative() -> None:
    layout = layout_of()
    reference = Reference(layout, summary_of(layout, np.random.default_rng(1), 3_000_000, shares=shares_of(c3=0.01)))
    found = told(reference)["share of class 3 rising"]
    assert found.origin == RARE
    assert found.bound == pytest.approx(2 * found.reference)


def test_what_wanders_is_told_and_warned_of() -> None:
    little, much = told(wandering(0.011))["mean confidence"], told(wandering(0.05))["mean confidence"]
    assert (little.origin, little.warning) == (f"{VARIATION}, {ERROR}", "")
    assert (much.origin, much.warning) == (f"{VARIATION}, {ERROR}", TOO_VARIABLE)
    assert much.tolerance > 0.06
    assert much.measured


def test_a_number_takes_the_place_of_floor_and_variation_but_not_of_the_references_error() -> None:
    given = told(wandering(0.05), confidence=0.03)["mean confidence"]
    assert (given.origin, given.warning) == (GIVEN, "")
    assert given.tolerance == pytest.approx(0.03)
    tight = told(file_reference(layout_of(), np.random.default_rng(1), 3000), confidence=0.0001)["mean confidence"]
    assert (tight.origin, tight.warning) == (ERROR, TOO_SMALL)
    assert 0.001 < tight.tolerance < 0.02
    other = told(wandering(0.05), classes=0.03)
    assert other["share of class 3 rising"].tolerance == pytest.approx(0.03)
    assert other["mean confidence"].origin != GIVEN


def test_a_segment_that_the_reference_does_not_know_is_compared_with_the_whole() -> None:
    reference = file_reference(layout_of(), np.random.default_rng(1), 30_000)
    assert told(reference, "region=asia")["mean confidence"] == told(reference)["mean confidence"]
    assert told(reference, "region=eu")["mean confidence"] != told(reference)["mean confidence"]


def test_what_cannot_be_exceeded_is_not_watched() -> None:
    layout = layout_of(labels=("only",))
    found = told(Reference(layout, summary_of(layout, np.random.default_rng(1), 30_000)))
    assert found["share of class only rising"].origin == UNWATCHED


def test_a_wider_tolerance_keeps_quiet_what_a_narrower_one_tells() -> None:
    for tolerance, quiet in ((0.1, True), (0.03, False)):
        stream, random = watched(1, 25, tolerances={"confidence": tolerance})
        alarms = fired(stream.run(random, 50, 1000, confidence=0.85))
        assert (alarms == []) == quiet
        assert {monitor for _, monitor, _, _ in alarms} <= {"confidence"}


def test_a_tolerance_set_later_starts_that_monitors_evidence_anew_and_ends_its_alarm() -> None:
    stream, random = watched(2, 25)
    stream.run(random, 3, confidence=0.84)
    assert status(stream, "confidence") == "firing"
    assert stream.state is not None
    kept = stream.state.monitors["classes"].log_r
    stream.tolerances = {"confidence": 0.1}
    taken = stream.take(summary_of(stream.layout, random, 0))
    assert (taken.state.monitors["classes"].log_r == kept).all()
    assert (taken.state.monitors["confidence"].log_r == -700).all()
    stream.run(random, 20, confidence=0.84)
    assert status(stream, "confidence") == "ok"
    assert stream.steps[-1].readings.tolerance[0, 0] == pytest.approx(0.1)
    stream.tolerances = {}
    stream.run(random, 4, confidence=0.84)
    assert status(stream, "confidence") == "firing"
