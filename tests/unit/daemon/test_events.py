"""What decoding makes of an event, good or broken."""

import json
import math
import re
import sys
import threading
import time
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import jsonschema
import pytest

from daemon.events import MAX_DEPTH, Rejected, decode, json_schema, parse_time, without_payload
from tests.broken_events import CASES, START, Case, Dead, Taken, event

DOCS = Path(__file__).resolve().parents[3] / "docs"
EXAMPLES = re.findall(r"```json\n(.*?)```", (DOCS / "events.md").read_text(encoding="utf-8"), re.DOTALL)
# These cannot be told from the event alone.
ELSEWHERE = {"too_large", "prediction_not_a_class", "prediction_not_a_number"}
BY_KIND = {"no prediction"}
VALUES = [case for case in CASES if case.value is not None and len(case.value) < 2_000_000]


@pytest.mark.parametrize(
    "case", [case for case in VALUES if isinstance(case.outcome, Dead)], ids=lambda case: case.name
)
def test_a_broken_event_is_rejected_with_its_reason(case: Case) -> None:
    assert isinstance(case.outcome, Dead)
    assert case.value is not None
    if case.outcome.reason in ELSEWHERE or case.name in BY_KIND:
        decode(case.value)
        return
    with pytest.raises(Rejected) as rejected:
        parse_time(decode(case.value)[0].time)
    assert rejected.value.reason == case.outcome.reason
    assert case.outcome.words in rejected.value.detail
    assert len(rejected.value.detail) <= 500
    assert "\x00" not in rejected.value.detail


@pytest.mark.parametrize(
    "case", [case for case in VALUES if isinstance(case.outcome, Taken)], ids=lambda case: case.name
)
def test_an_odd_event_is_accepted_and_can_be_stored_small(case: Case) -> None:
    assert isinstance(case.outcome, Taken)
    assert case.value is not None
    found, not_finite = decode(case.value)
    assert not_finite == ("number_not_finite" in case.outcome.defects)
    again, _ = decode(without_payload(case.value))
    assert (again.id, again.model, again.version) == (found.id, found.model, found.version)
    assert again.prediction == found.prediction
    assert again.confidence == found.confidence
    assert bytes(again.payload) == bytes(again.features) == b"null"


def test_a_field_that_is_not_read_does_not_change_the_depth_that_is_allowed() -> None:
    value = event("deep")[:-1] + b', "x": '
    decode(value + b"[" * (MAX_DEPTH - 1) + b"]" * (MAX_DEPTH - 1) + b"}")
    with pytest.raises(Rejected, match="too_deep"):
        decode(value + b"[" * MAX_DEPTH + b"]" * MAX_DEPTH + b"}")


def test_the_outcome_does_not_depend_on_how_deep_the_caller_is() -> None:
    allowed = event("deep")[:-1] + b', "x": ' + b"[" * (MAX_DEPTH - 1) + b"NaN" + b"]" * (MAX_DEPTH - 1) + b"}"

    def from_depth(frames: int) -> bool:
        return decode(allowed)[1] if frames == 0 else from_depth(frames - 1)

    found: list[bool] = []
    limit = sys.getrecursionlimit()
    thread = threading.Thread(target=lambda: found.extend(from_depth(frames) for frames in (0, limit // 2)))
    thread.start()
    thread.join()
    assert found == [True, True]


@pytest.mark.parametrize(
    "value",
    [
        b'"' + rb"\"" * 250_000 + b"{" * 200,
        b'{"a": [' + b"{}," * 170_000 + b"1]}",
        b'{"a": "' + b"[" * 500_000,
        b"[" * 500_000,
    ],
    ids=["a text that never ends", "many objects", "brackets in a text", "never closed"],
)
def test_no_value_takes_long_to_refuse(value: bytes) -> None:
    began = time.process_time()
    with pytest.raises(Rejected):
        decode(value)
    assert time.process_time() - began < 1


@pytest.mark.parametrize(
    ("given", "microseconds", "without_zone"),
    [
        (0, 0, False),
        (START, START * 1_000_000, False),
        (START + 0.25, START * 1_000_000 + 250_000, False),
        (99_999_999_999, 99_999_999_999_000_000, False),
        (100_000_000_000, 100_000_000_000_000, False),
        (START * 1000 + 1, START * 1_000_000 + 1000, False),
        (datetime(2025, 10, 9, 8, 50, 0, 123_457, UTC), START * 1_000_000 + 123_457, False),
        (datetime(2025, 10, 9, 8, 50), START * 1_000_000, True),  # noqa: DTZ001 - that is the case
        (datetime(2025, 10, 9, 6, 50, tzinfo=timezone(timedelta(hours=-2))), START * 1_000_000, False),
        (datetime(9999, 12, 31, 23, 59, 59, 999_999, UTC), 253_402_300_799_999_999, False),
    ],
)
def test_a_time_is_read_to_the_microsecond(given: datetime | float, microseconds: int, without_zone: bool) -> None:
    assert parse_time(given) == (microseconds, without_zone)


@pytest.mark.parametrize("given", [-1, -0.5, 253_402_300_800_000, 10**400, 1e308, math.inf, -math.inf, math.nan])
def test_a_time_out_of_range_is_rejected(given: float) -> None:
    with pytest.raises(Rejected, match="bad_time"):
        parse_time(given)


def test_a_large_event_is_stored_without_what_makes_it_large() -> None:
    value = event(
        "large", payload="x" * 1000, features={"a": 1}, embedding=[0.5], members=[[1.0]], tags={"region": "eu"}
    )
    small = json.loads(without_payload(value))
    assert small["tags"] == {"region": "eu"}
    assert [small[name] for name in ("payload", "features", "embedding", "members")] == [None] * 4


def test_the_schema_on_disk_is_the_one_of_the_code() -> None:
    stored = json.loads((DOCS / "event.schema.json").read_text(encoding="utf-8"))
    assert stored == json_schema(), "write json.dumps(json_schema(), indent=2, ensure_ascii=False) there"
    jsonschema.Draft202012Validator.check_schema(stored)


@pytest.mark.parametrize("example", EXAMPLES, ids=range(len(EXAMPLES)))
def test_every_example_in_the_documentation_is_a_good_event(example: str) -> None:
    validator = jsonschema.Draft202012Validator(json_schema(), format_checker=jsonschema.FormatChecker())
    validator.validate(json.loads(example))
    found, not_finite = decode(example.encode())
    parse_time(found.time)
    assert not not_finite


def test_the_documentation_has_examples_and_every_reason_and_defect() -> None:
    assert len(EXAMPLES) >= 4
    text = (DOCS / "events.md").read_text(encoding="utf-8")
    reasons = {case.outcome.reason for case in CASES if isinstance(case.outcome, Dead)}
    defects = {defect for case in CASES if isinstance(case.outcome, Taken) for defect in case.outcome.defects}
    for word in reasons | defects | {"no_kafka_time", "too_many_models", "quarantined"}:
        assert f"`{word}`" in text, word


@pytest.mark.parametrize("case", [case for case in VALUES if case.outcome == Taken()], ids=lambda case: case.name)
def test_what_is_in_order_is_in_order_by_the_schema_too(case: Case) -> None:
    assert case.value is not None
    accepted_although_not_by_the_schema = {"features nested", "members that are none", "a shadow that is none"}
    valid = jsonschema.Draft202012Validator(json_schema()).is_valid(json.loads(case.value))
    assert valid == (case.name not in accepted_although_not_by_the_schema)
