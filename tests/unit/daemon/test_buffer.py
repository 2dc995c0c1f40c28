"""What the buffer makes of records: columns, dead letters, and the watermark after them."""

import math

import numpy as np
import pytest

from daemon.buffer import NEVER, Buffer, Cohort
from daemon.events import MAX_PROBABILITIES
from daemon.records import Records
from daemon.settings import Settings
from detectors.columns import DEFECTS
from tests.broken_events import CASES, DAY, MODELS, START, Case, Dead, Skipped, Taken, event

START_US = START * 1_000_000


def buffer_with(**sections: object) -> Buffer:
    settings = Settings.model_validate({"model": MODELS, **sections})
    cohorts: dict[tuple[str, str], Cohort] = {}

    def cohort_of(model: str, version: str) -> Cohort | None:
        if model == "one too many":
            return None
        return cohorts.setdefault((model, version), Cohort(len(cohorts), model, version, settings.of(model)))

    return Buffer(settings, cohort_of)


def check(buffer: Buffer, row: int, outcome: Taken) -> None:
    batch = buffer.batch()
    columns = batch.columns
    names = tuple(sorted(name for bit, name in enumerate(DEFECTS) if columns.defects[row] >> bit & 1))
    code = columns.predicted.codes[row]
    assert names == tuple(sorted(outcome.defects))
    assert (None if code < 0 else columns.predicted.names[code]) == outcome.predicted
    assert columns.confidence[row] == pytest.approx(outcome.confidence, abs=1e-12, nan_ok=True)
    assert not np.signbit(columns.confidence[row])
    assert batch.time_us[row] == START_US + round(outcome.second * 1_000_000)
    assert batch.behind[row] == outcome.late


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_one_record_has_its_one_outcome(case: Case) -> None:
    buffer = buffer_with()
    high = buffer.add("topic", 3, Records([7], [case.timestamp], [case.value]), NEVER)
    if isinstance(case.outcome, Taken):
        check(buffer, 0, case.outcome)
        moves = not case.outcome.late and "clamped" not in case.outcome.defects
        assert high == (START_US + round(case.outcome.second * 1_000_000) if moves else NEVER)
        assert not buffer.dead_letters
        return
    assert len(buffer) == 0
    assert high == NEVER
    assert buffer.tombstones == ({("topic", 3): 1} if isinstance(case.outcome, Skipped) else {})
    if isinstance(case.outcome, Dead):
        [letter] = buffer.dead_letters
        assert (letter.topic, letter.partition, letter.offset) == ("topic", 3, 7)
        assert (letter.reason, letter.value) == (case.outcome.reason, case.value)
        assert case.outcome.words in letter.detail


def test_all_of_them_at_once_have_the_same_outcomes() -> None:
    buffer = buffer_with()
    timestamps, values = [case.timestamp for case in CASES], [case.value for case in CASES]
    buffer.add("topic", 0, Records(range(len(CASES)), timestamps, values), NEVER)
    taken = [case.outcome for case in CASES if isinstance(case.outcome, Taken)]
    dead = [(at, case.outcome.reason) for at, case in enumerate(CASES) if isinstance(case.outcome, Dead)]
    assert len(buffer) == len(taken)
    for row, outcome in enumerate(taken):
        check(buffer, row, outcome)
    assert [(letter.offset, letter.reason) for letter in buffer.dead_letters] == dead


@pytest.mark.parametrize("timestamp", [-1, -(2**63)])
def test_a_record_without_a_time_of_kafkas_is_a_dead_letter(timestamp: int) -> None:
    buffer = buffer_with()
    buffer.add("topic", 0, Records([0], [timestamp], [event("a")]), NEVER)
    assert [letter.reason for letter in buffer.dead_letters] == ["no_kafka_time"]


def test_a_time_of_kafkas_beyond_all_bounds_makes_events_late() -> None:
    buffer = buffer_with()
    assert buffer.add("topic", 0, Records([0], [2**63 - 1], [event("a")]), NEVER) == NEVER
    assert buffer.batch().behind.tolist() == [True]


def test_events_of_a_model_too_many_are_dead_letters() -> None:
    buffer = buffer_with(detection={"models_cap": 2})
    buffer.add("topic", 0, Records([0], [START * 1000], [event("a", model="one too many")]), NEVER)
    assert [(letter.reason, letter.detail) for letter in buffer.dead_letters] == [("too_many_models", "the limit is 2")]


def test_the_window_open_for_a_first_event_that_is_too_old_is_the_one_of_kafkas_time() -> None:
    buffer = buffer_with()
    old, good = event("old", time=0), event("good")
    records = Records([0, 1, 2], [START * 1000, START * 1000, (START + 600) * 1000], [old, good, old])
    assert buffer.add("topic", 0, records, NEVER) == START_US
    batch = buffer.batch()
    assert batch.high_us.tolist() == [START_US, NEVER, START_US]
    assert batch.behind.tolist() == [True, False, True]


def test_the_watermark_is_the_greatest_time_that_can_be_trusted() -> None:
    buffer = buffer_with()
    times = [START, START + 20, START + 10, START + 10_000, START - 8 * DAY, START + 30]
    values = [event(str(at), time=time) for at, time in enumerate(times)]
    records = Records(range(6), [START * 1000] * 6, values)
    assert buffer.add("topic", 0, records, NEVER) == START_US + 30_000_000
    seconds = [0, 0, 20, 20, 20, 20]
    assert buffer.batch().high_us.tolist()[1:] == [START_US + second * 1_000_000 for second in seconds[1:]]


def test_a_model_with_more_classes_names_them() -> None:
    names = [f"class {number}" for number in range(MAX_PROBABILITIES + 1)]
    buffer = buffer_with(model={"pets": {"classes": names}})
    shares = [1.0, *[0.0] * MAX_PROBABILITIES]
    value = event("many", "confidence", probabilities=shares)
    buffer.add("topic", 0, Records([0], [START * 1000], [value]), NEVER)
    check(buffer, 0, Taken(confidence=1.0))


def test_margins_are_the_distance_of_the_two_highest() -> None:
    buffer = buffer_with(model={})
    given = [{"a": 0.5, "b": 0.25, "c": 0.25}, {"a": 0.5, "b": 0.5}, [1.0], [0.25, 0.75], None, [0.5, 0.2]]
    values = [event(str(at), probabilities=each) for at, each in enumerate(given)]
    records = Records(range(6), [START * 1000] * 6, values)
    buffer.add("topic", 0, records, NEVER)
    expected = [0.25, 0.0, 1.0, 0.5, math.nan, math.nan]
    np.testing.assert_array_equal(buffer.batch().columns.margin, expected)


def test_a_confidence_is_calibrated_by_what_its_model_says_wherever_it_comes_from() -> None:
    points = [[0.5, 0.4], [0.9, 0.8]]
    buffer = buffer_with(model={"pets": {"calibration": points}, "logit": {"calibration": {"slope": 0.5}}})
    given = [
        event("a", confidence=0.6),
        event("b", "confidence", probabilities={"cat": 0.7, "dog": 0.3}),
        event("c", "confidence", probabilities=None),
        event("d", model="other", confidence=0.6),
        event("e", model="logit", confidence=0.9),
        event("f", confidence=0.95),
    ]
    for _ in range(2):
        # What was learnt of one batch is not needed in the next.
        buffer.add("topic", 0, Records(range(6), [START * 1000] * 6, given), NEVER)
        columns = buffer.batch().columns
        assert columns.confidence == pytest.approx([0.5, 0.6, np.nan, 0.6, 0.75, 0.8], abs=1e-3, nan_ok=True)
        assert columns.margin == pytest.approx([np.nan, 0.4, *[np.nan] * 4], nan_ok=True)
        buffer.clear()


def test_a_tag_is_kept_short_and_without_what_postgresql_cannot_hold() -> None:
    buffer = buffer_with()
    records = Records([0], [START * 1000], [event("a", tags={"region": "e\x00u" * 1000, "other": "x"})])
    buffer.add("topic", 0, records, NEVER)
    tags = buffer.batch().columns.tags
    assert list(tags) == ["region"]
    assert tags["region"].names == (("e\ufffdu" * 1000)[:256],)


def test_the_draws_of_an_event_depend_on_its_id_its_day_and_the_secret() -> None:
    def draws(secret: str, name: str, time: float) -> bytes:
        buffer = buffer_with(selection={"secret": secret})
        buffer.add("topic", 0, Records([0], [START * 1000], [event(name, time=time, confidence=0.5)]), NEVER)
        return buffer.batch().columns.hashes.tobytes()

    same = draws("s", "a", START)
    assert draws("s", "a", START - 60) == same
    assert len({same, draws("t", "a", START), draws("s", "b", START), draws("s", "a", START - DAY)}) == 4
