from dataclasses import replace

import numpy as np
import pytest

from detectors.budget import Budget
from detectors.cohort import CohortState, Readings
from detectors.reference import Reference, aligned
from detectors.summary import Summary
from detectors.tolerance import Variation
from tests.unit.detectors.streams import (
    DIGITS,
    MONTH,
    Stream,
    file_reference,
    fired,
    layout_of,
    shares_of,
    status,
    summary_of,
    watched,
)

CHANGES: dict[str, dict[str, object]] = {
    "confidence drops by 0.1": {"confidence": 0.8},
    "confidence drops by 0.08": {"confidence": 0.82},
    "a class from 0.1 to 0.2": {"shares": shares_of(c3=0.2)},
    "a class from 0.1 to 0.3": {"shares": shares_of(c3=0.3)},
    "a class vanishes": {"shares": shares_of(c3=0.0)},
    "5 % of a class never seen": {"shares": shares_of(other=0.05)},
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize(("n", "within"), [(400, 5), (1000, 3)])
def test_a_change_is_noticed_in_time_and_dated(change: str, n: int, within: int) -> None:
    for seed in range(4):
        stream, random = watched(seed, 25, n)
        assert fired(stream.steps) == []
        found = fired(stream.run(random, within, n, **CHANGES[change]))
        assert "" in {segment for _, _, segment, _ in found}, (change, n, seed)
        alarm = next(one for step in stream.steps for one in step.transitions if one.segment == "")
        assert abs(alarm.since_window - 25) <= 1
        assert alarm.log_evidence >= alarm.log_threshold
        assert alarm.low <= alarm.after <= alarm.high
        assert alarm.contributors[0].label == alarm.component


def test_an_alarm_tells_what_changed_from_what_to_what() -> None:
    stream, random = watched(2, 25)
    stream.run(random, 3, shares=shares_of(c3=0.3))
    alarm = next(one for step in stream.steps for one in step.transitions if one.segment == "")
    assert (alarm.monitor, alarm.to, alarm.unit) == ("classes", "firing", "share")
    assert alarm.component == "share of class 3 rising"
    assert alarm.before == pytest.approx(0.1, abs=0.01)
    assert alarm.after == pytest.approx(0.3, abs=0.03)
    assert not alarm.calibrating


def test_ordinary_windows_raise_nothing_at_any_size() -> None:
    for n in (60, 1000, 50_000):
        stream, _ = watched(3, 400, n)
        assert fired(stream.steps) == []


def test_a_difference_within_the_tolerance_never_alarms() -> None:
    stream, random = watched(4, 25, 20_000)
    stream.run(random, 300, 20_000, confidence=0.885, shares=shares_of(c3=0.11))
    assert fired(stream.steps) == []


def test_one_change_is_one_alarm_and_it_ends_when_the_change_does() -> None:
    stream, random = watched(5, 25)
    stream.run(random, 100, confidence=0.8)
    found = [one for one in fired(stream.steps) if one[1:3] == ("confidence", "")]
    assert found == [(25, "confidence", "", "mean confidence")]
    assert status(stream, "confidence") == "firing"
    stream.run(random, 10)
    ended = [window for window, *about in fired(stream.steps, "resolved") if about[:2] == ["confidence", ""]]
    assert len(ended) == 1
    assert 125 <= ended[0] <= 129
    assert status(stream, "confidence") == "ok"
    stream.run(random, 100)
    assert len(fired(stream.steps, "resolved")) == len(fired(stream.steps))


def test_a_borderline_change_does_not_flap() -> None:
    stream, random = watched(6, 25)
    stream.run(random, 400, confidence=0.88)
    assert len([one for one in fired(stream.steps) if one[2] == ""]) <= 1


def test_an_alarm_lasts_as_long_as_the_change_though_single_windows_look_ordinary() -> None:
    stream, random = watched(6, 25, 200)
    stream.run(random, 150, 200, confidence=0.86)
    whole = [one for step in stream.steps for one in step.transitions if one.segment == ""]
    assert [one.to for one in whole] == ["firing"]
    low = [taken.readings.estimate[0, 0] for taken in stream.steps[-100:]]
    assert max(low) > 0.88


def test_an_empty_window_changes_no_byte_of_the_evidence() -> None:
    stream, random = watched(7, 25)
    stream.run(random, 1, confidence=0.86)
    assert stream.state is not None
    before = stream.state.to_bytes()
    taken = stream.take(Summary.empty(stream.layout))
    assert taken.state.to_bytes() == before
    assert np.isnan(taken.readings.estimate).all()
    assert (taken.readings.n == 0).all()


def test_a_segment_without_events_keeps_its_evidence() -> None:
    stream, random = watched(8, 5)
    assert stream.state is not None
    before = stream.state.monitors["classes"].log_r.copy()
    summary = summary_of(stream.layout, random, 1000)
    summary.counts[2], summary.sums[2] = 0, 0
    after = stream.take(summary).state.monitors["classes"].log_r
    assert (after[2] == before[2]).all()
    assert (after[1] != before[1]).any()


def test_a_state_saved_and_restored_at_every_window_gives_the_same_bytes() -> None:
    whole, random = watched(9)
    saved, _ = watched(9)
    windows = [summary_of(whole.layout, random, 500, confidence=0.9 if w < 30 else 0.84) for w in range(45)]
    for summary in windows:
        one = whole.take(summary)
        other = saved.take(Summary.from_bytes(summary.layout, summary.to_bytes()))
        saved.state = CohortState.from_bytes(other.state.to_bytes())
        assert one.state.to_bytes() == saved.state.to_bytes() == other.state.to_bytes()
        assert one.readings.to_bytes() == other.readings.to_bytes()
        assert one.transitions == other.transitions
    assert fired(whole.steps)


def test_the_step_leaves_the_state_it_was_given_alone() -> None:
    stream, random = watched(10, 3)
    assert stream.state is not None
    given = stream.state
    before = given.to_bytes()
    for confidence in (0.9, 0.5):
        stream.state = given
        stream.run(random, 1, confidence=confidence)
        assert given.to_bytes() == before


def test_readings_survive_as_bytes_and_list_every_monitor_for_people() -> None:
    stream, _ = watched(11, 1)
    readings = stream.steps[-1].readings
    again = Readings.from_bytes(readings.to_bytes())
    assert again.to_bytes() == readings.to_bytes()
    rows = again.rows()
    assert [(row.segment, row.monitor) for row in rows[:3]] == [
        ("", "confidence"),
        ("", "confidence_shares"),
        ("", "classes"),
    ]
    assert len(rows) == 12
    assert rows[0].status == "calibrating"
    assert rows[0].low < rows[0].estimate < rows[0].high
    assert rows[0].reference == pytest.approx(0.9, abs=0.01)
    assert rows[0].tolerance == pytest.approx(0.02)
    assert rows[0].unit == "points of confidence"


def test_for_windows_holds_the_alarm_back_and_tells_that_it_is_pending() -> None:
    stream, random = watched(12, 25, for_windows=2)
    stream.run(random, 4, confidence=0.7)
    assert fired(stream.steps, "pending")[0][0] == 25
    assert fired(stream.steps)[0][0] == 27
    # What lasts for two windows only never fires.
    short, random = watched(12, 25, for_windows=2)
    short.run(random, 1, confidence=0.8)
    assert status(short, "confidence") == "pending"
    short.run(random, 6)
    assert fired(short.steps) == []
    assert {one.reason for step in short.steps for one in step.transitions if one.to == "resolved"} == {
        "the evidence fell back before the alarm fired"
    }


def test_another_reference_starts_afresh_and_resolves_what_was_firing() -> None:
    stream, random = watched(19, 25)
    stream.run(random, 3, confidence=0.8)
    assert status(stream, "confidence") == "firing"
    stream.reference = Reference(stream.layout, summary_of(stream.layout, random, 15_000, confidence=0.8))
    taken = stream.run(random, 1, confidence=0.8)[0]
    ended = [one for one in taken.transitions if (one.monitor, one.segment) == ("confidence", "")]
    assert [(one.to, one.reason, one.component) for one in ended] == [
        ("resolved", "reference replaced", "mean confidence")
    ]
    assert status(stream, "confidence") == "calibrating"
    assert fired(stream.run(random, 20, confidence=0.8)) == []


def test_a_label_and_a_segment_more_keep_the_evidence() -> None:
    stream, random = watched(20, 25)
    stream.run(random, 1, confidence=0.87)
    assert stream.state is not None
    kept = stream.state.monitors["classes"].log_r.copy()
    wider = layout_of(("", "region=eu", "region=us", "region=asia"), (*DIGITS, "10"))
    stream.layout = wider
    empty = stream.take(Summary.empty(wider))
    assert (empty.state.monitors["classes"].log_r[:3] == kept).all()
    assert empty.readings.segments == wider.segments
    shares = np.append(shares_of(10), 0.0)
    shares[:10], shares[10] = 0.095, 0.05
    found = stream.run(random, 2, shares=shares)
    assert ("classes", "", "share of never-seen classes") in {one[1:] for one in fired(found)}
    alarm = next(one for step in found for one in step.transitions if one.segment == "")
    assert alarm.since_window == 27


def test_a_segment_the_reference_does_not_know_is_compared_with_the_whole_model() -> None:
    random = np.random.default_rng(21)
    known = layout_of(("", "region=eu"))
    stream = Stream(layout_of(), file_reference(known, random))
    stream.run(random, 1)
    assert stream.state is not None
    mine = stream.state.monitors["confidence"]
    assert mine.mean[2, 0] == mine.mean[0, 0]
    assert stream.state.monitors["classes"].bound[2].tolist() == stream.state.monitors["classes"].bound[0].tolist()


def test_a_segment_of_which_the_reference_holds_little_is_compared_with_the_whole_model() -> None:
    random = np.random.default_rng(28)
    layout = layout_of()
    for n, own in ((1_800, False), (2_400, True)):
        stream = Stream(layout, file_reference(layout, random, n))
        stream.run(random, 1)
        assert stream.state is not None
        mine = stream.state.monitors["confidence"].mean
        assert bool(mine[1, 0] != mine[0, 0]) == own


def test_a_rare_share_may_double_but_not_rise_tenfold() -> None:
    random = np.random.default_rng(22)
    rare = shares_of(10, c7=0.001)
    layout = layout_of(("",))
    stream = Stream(layout, Reference(layout, summary_of(layout, random, 50_000, shares=rare)))
    stream.run(random, 30, shares=rare)
    assert fired(stream.run(random, 50, shares=shares_of(10, c7=0.0018))) == []
    found = fired(stream.run(random, 5, shares=shares_of(10, c7=0.01)))
    assert [one[3] for one in found] == ["share of class 7 rising"]


def test_a_monitor_that_asks_other_questions_than_its_stored_state_begins_again_and_says_why() -> None:
    stream, random = watched(31, 25)
    stream.run(random, 3, shares=shares_of(c3=0.3))
    stream.run(random, 1, shares=shares_of(c3=0.3), confidence=0.88)
    assert stream.state is not None
    assert status(stream, "classes") == "firing"
    assert stream.state.calibrated.all()
    kept = stream.state.monitors["confidence"].log_r
    # As an older version may have asked: fewer questions, and of other names.
    older = stream.state.copy()
    mine = older.monitors["classes"]
    mine.names = tuple(f"an older question {position}" for position in range(5))
    mine.log_r, mine.mean, mine.bound = mine.log_r[:, :5], mine.mean[:, :5], mine.bound[:, :5]
    mine.component[:] = 2
    stream.state = CohortState.from_bytes(older.to_bytes())
    taken = stream.take(Summary.empty(stream.layout))
    ended = [one for one in taken.transitions if one.segment == ""]
    assert [(one.monitor, one.to, one.component, one.reason) for one in ended] == [
        ("classes", "resolved", "an older question 2", "other questions are asked by now")
    ]
    assert (taken.state.monitors["confidence"].log_r == kept).all()
    assert len(taken.state.monitors["classes"].names) == 21
    assert not taken.state.calibrated.any()
    assert status(stream, "classes") == "calibrating"
    assert ("classes", "") in {one[1:3] for one in fired(stream.run(random, 3, shares=shares_of(c3=0.3)))}


def test_a_monitor_that_is_newer_than_a_learnt_reference_calibrates_first() -> None:
    stream, random = watched(32)
    stream.run(random, 25)
    older = stream.state
    assert older is not None
    calibrated = {name: mine.varied for name, mine in older.monitors.items()}
    of_other_questions = calibrated["classes"].arrays()
    short = {
        name: array[:, :3] if array.ndim > 1 else array  # what one variation for each of three questions was
        for name, array in of_other_questions.items()
    }
    calibration = {"confidence": calibrated["confidence"], "classes": Variation.from_arrays(short, "")}
    assert stream.reference is not None
    stream.reference = replace(stream.reference, calibration=calibration)
    stream.run(random, 1)
    assert {status(stream, monitor) for monitor in ("confidence", "confidence_shares", "classes")} == {"calibrating"}
    stream.run(random, 20)
    assert status(stream, "classes") == "ok"


def test_events_without_confidence_are_no_evidence_and_no_crash() -> None:
    random = np.random.default_rng(23)
    layout = layout_of()
    reference = file_reference(layout, random)
    reference.summary.cells("confidence")[:] = 0
    stream = Stream(layout, reference)
    stream.run(random, 25)
    assert status(stream, "confidence") == "learning"
    assert status(stream, "classes") == "ok"
    assert fired(stream.steps) == []


def test_summaries_are_aligned_to_later_layouts_only() -> None:
    random = np.random.default_rng(24)
    old = summary_of(layout_of(), random, 100, shares=shares_of(other=0.2))
    wider = layout_of(("", "region=eu", "region=us", "region=asia"), (*DIGITS, "10"))
    found = aligned(old, wider)
    assert found is not None
    assert (found.cells("classes")[:3, :10] == old.cells("classes")[:, :10]).all()
    assert (found.cells("classes")[:3, -1] == old.cells("classes")[:, -1]).all()
    assert (found.events[:3] == old.events).all()
    assert found.counts.sum() == old.counts.sum()
    assert aligned(found, old.layout) is None


def test_the_budget_is_spent_once_whatever_it_is_split_over() -> None:
    budget = Budget(windows=1000, segments_cap=10, versions=2)
    thresholds = budget.log_thresholds(11, 3)
    assert 2 * (1000 / np.exp(thresholds)).sum() == pytest.approx(1.0)
    assert (budget.log_thresholds(4, 3) == thresholds[:4]).all()
    # Half for the whole model: its two versions with three monitors each share 500 of 1000 windows' alarm.
    assert np.exp(thresholds[0]) == pytest.approx(1000 * 2 * 3 / 0.5)
    # A cap lowered since does not overspend.
    assert 2 * (1000 / np.exp(budget.log_thresholds(101, 3))).sum() == pytest.approx(1.0)
    with pytest.raises(ValueError, match="not a budget"):
        Budget(windows=0, segments_cap=1)


def test_the_state_of_a_stream_is_small() -> None:
    stream, _ = watched(25, 1)
    assert stream.state is not None
    assert len(stream.state.to_bytes()) < 3 * 4096
    assert MONTH.windows == 8640
