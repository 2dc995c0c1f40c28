"""References learnt from the live stream, and how its windows vary."""

from dataclasses import replace

import numpy as np

from detectors.reference import LEARNING_WINDOWS, Reference
from detectors.state import QUIET_WINDOWS
from detectors.summary import Summary
from tests.unit.detectors.streams import Stream, file_reference, fired, layout_of, status, summary_of, watched


def test_calibration_comes_after_twenty_windows_without_an_alarm_and_reads_the_store_once() -> None:
    stream, _ = watched(13, QUIET_WINDOWS - 1)
    assert stream.reads == 0
    assert status(stream, "confidence") == "calibrating"
    stream, random = watched(13, QUIET_WINDOWS)
    assert stream.reads == 1
    stream.run(random, 5)
    assert stream.reads == 1
    assert status(stream, "confidence") == "ok"


def test_windows_of_an_alarm_are_not_taken_for_ordinary_variation() -> None:
    stream, random = watched(14, 15)
    stream.run(random, 10, confidence=0.8)
    assert stream.state is not None
    assert not stream.state.calibrated.any()
    assert all(one.calibrating for step in stream.steps for one in step.transitions)
    stream.run(random, 12)
    mine = stream.state.monitors["confidence"]
    assert stream.state.calibrated[0]
    assert mine.varied.farthest[0, 0] < 0.02
    assert mine.varied.persistent[0, 0] == 0.0


def test_windows_between_a_change_and_its_alarm_are_not_taken_for_ordinary_either() -> None:
    stream, random = watched(14, 15, 200)
    while not fired(stream.steps):
        stream.run(random, 1, 200, confidence=0.85)
    alarm = stream.steps[-1].transitions[0]
    assert alarm.since_window < alarm.window
    assert stream.state is not None
    quiet = stream.state.quiet[stream.layout.segments.index(alarm.segment)]
    assert quiet.max() == alarm.since_window - 1


def test_a_stream_that_wanders_is_bet_on_carefully_and_stays_quiet() -> None:
    random = np.random.default_rng(15)
    stream = Stream(layout_of(("",)))
    for _ in range(300):
        mean = 0.85 + random.normal(0.0, 0.02)
        taken = stream.take(summary_of(stream.layout, random, 1000, confidence=mean))
        stream.reference = taken.proposal or stream.reference
    assert stream.state is not None
    mine = stream.state.monitors["confidence"]
    assert mine.varied.design_effect[0, 0] > 10.0
    assert fired(stream.steps) == []


def test_a_reference_is_learnt_from_exactly_twenty_windows_with_events() -> None:
    random = np.random.default_rng(16)
    stream = Stream(layout_of())
    for window in range(LEARNING_WINDOWS + 1):
        if window == 7:
            stream.take(Summary.empty(stream.layout))
        else:
            stream.run(random, 1)
    proposals = [taken.proposal for taken in stream.steps]
    assert proposals[:-1] == [None] * LEARNING_WINDOWS
    learnt = proposals[-1]
    assert learnt is not None
    assert (learnt.windows, learnt.source) == (LEARNING_WINDOWS, "learnt")
    total = sum(summary.counts for _, summary in stream.stored)
    assert (learnt.summary.counts == total).all()
    assert status(stream, "confidence") == "learning"
    # Published late: it is not proposed again.
    stream.run(random, 2)
    assert stream.steps[-1].proposal is None
    stream.reference = learnt
    stream.run(random, 1)
    assert status(stream, "confidence") == "ok"
    found = fired(stream.run(random, 3, confidence=0.8))
    assert ("confidence", "") in {(monitor, segment) for _, monitor, segment, _ in found}


def test_windows_count_only_once_the_edges_are_final() -> None:
    random = np.random.default_rng(17)
    stream = Stream(replace(layout_of(), sample_size=4096))
    stream.run(random, 3)
    assert stream.state is not None
    assert stream.state.learning == ()


def test_a_reference_survives_as_bytes() -> None:
    random = np.random.default_rng(18)
    stream = Stream(layout_of())
    stream.run(random, LEARNING_WINDOWS)
    learnt = stream.steps[-1].proposal
    assert learnt is not None
    again = Reference.from_bytes(learnt.to_bytes())
    assert again.digest == learnt.digest
    assert len(again.digest) == 32
    assert again.calibration is not None
    assert set(again.calibration) == {"confidence", "confidence_shares", "classes", "lateness"}
    assert replace(learnt, windows=3).digest != learnt.digest


def test_a_segment_that_appears_later_has_yet_to_show_how_it_varies() -> None:
    random = np.random.default_rng(26)
    known = layout_of(("", "region=eu"))
    stream = Stream(known, file_reference(known, random))
    stream.run(random, QUIET_WINDOWS)
    stream.layout = layout_of(("", "region=eu", "region=us"))
    stream.run(random, 1)
    assert [status(stream, "classes", segment) for segment in range(3)] == ["ok", "ok", "calibrating"]


def test_calibration_widens_the_tolerance_by_what_wanders() -> None:
    stream, random = watched(27)
    for window in range(QUIET_WINDOWS):
        stream.take(summary_of(stream.layout, random, 20_000, confidence=0.9 + 0.018 * np.sin(window / 2)))
    assert fired(stream.steps) == []
    assert stream.state is not None
    mine = stream.state.monitors["confidence"]
    assert mine.varied.persistent[0, 0] > 0.0
    assert mine.bound[0, 0] - mine.mean[0, 0] > 0.021
