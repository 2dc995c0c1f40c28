"""Records that are taken many at a time give what they give one by one."""

from dataclasses import fields
from typing import Any

import msgspec
import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from daemon.decoders.own import Own
from daemon.decoders.registry import ManyDecoder
from daemon.events import decode
from daemon.records import Records
from daemon.settings import Settings
from daemon.taking import Cohort, Taking
from tests.broken_events import CASES, MODELS, START

TEXT = st.sampled_from(["a", "é", "\U0001f409", "\0", "", "x" * 256, "x" * 257, "\\", "\\u0000"])
TIMES = st.one_of(
    st.floats(0, 3e14, allow_nan=False),
    st.floats(1.7e9, 1.8e9),
    st.integers(-1, 3 * 10**14),
    st.sampled_from(["2026-03-02T14:05:09.250Z", "2026-03-02T14:05:09", "yesterday", 99_999_999_999.99997]),
)
EVENTS = st.fixed_dictionaries(
    {
        "id": TEXT,
        "time": TIMES,
        "model": st.sampled_from(["pets", "prices", "one too many", "", "\0"]),
        "prediction": TEXT | st.sampled_from([1, 2**64, -(2**63) - 1, 1.5, 2.0, True, None]),
    },
    optional={
        "version": TEXT | st.sampled_from([1, None]),
        "uncertainty": st.floats(0, 1) | st.none(),
        "features": st.sampled_from([{}, None, [], "x", {"a": None}]),
        "objects": st.sampled_from([[], None, {}]),
        "payload": st.integers(0, 140).map(lambda depth: msgspec.Raw(b"[" * depth + b"1" + b"]" * depth)),
    },
)
REGULAR = st.fixed_dictionaries({"id": st.just("1"), "time": st.floats(1.7e9, 1.8e9), "model": st.just("pets")}).map(
    lambda event: {**event, "prediction": "cat"}
)
VALUES = st.one_of(
    (EVENTS | REGULAR).map(msgspec.json.encode), st.sampled_from([case.value for case in CASES if case.value])
)
BROKEN = [b'{"id":"1","time":1,"model":"pets","prediction":"\xc3', b'\xa9"}']


class OneByOne:
    """The decoder of our own event, without what makes it fast."""

    decode = staticmethod(decode)

    def normal(self, value: bytes) -> bytes:
        return value


def taken(decoder: OneByOne | Own, values: list[bytes]) -> tuple[list[Any], list[Any]]:
    wanted = Settings.model_validate({"model": MODELS})
    cohorts: dict[tuple[str, str], Cohort] = {}
    letters = []

    def cohort_of(model: str, version: str) -> Cohort | None:
        if model == "one too many":
            return None
        return cohorts.setdefault((model, version), Cohort(len(cohorts), model, version, wanted.of(model)))

    def reject(offset: int, value: bytes, why: Exception) -> None:
        letters.append((offset, value, str(why)))

    taking = Taking(cohort_of, max_event_bytes=wanted.ingest.max_event_bytes, models_cap=9)
    records = Records(range(len(values)), [START * 1000] * len(values), values)
    rows = []
    for piece in taking.take(decoder, records, reject):
        columns = [getattr(piece, each.name) for each in fields(piece)]
        rows += [tuple(map(shown, row)) for row in zip(*columns, strict=True)]
    return rows, letters


def shown(value: object) -> str:
    """Return what tells values apart, -0.0 and 0.0 too; NaN is the same as NaN."""
    if isinstance(value, Cohort):
        return f"{value.model} {value.version}"
    if isinstance(value, np.integer):
        return repr(int(value))
    return repr(bytes(value)) if isinstance(value, msgspec.Raw) else repr(value)


@settings(deadline=None)
@given(st.lists(VALUES, min_size=1, max_size=40))
@example(BROKEN)
@example([b'{"id":"1","time":1760000000,"model":"pets","prediction":"cat"}'] * 600 + BROKEN)
def test_many_at_a_time_are_taken_as_one_by_one(values: list[bytes]) -> None:
    assert isinstance(Own(), ManyDecoder)
    assert not isinstance(OneByOne(), ManyDecoder)
    assert taken(Own(), values) == taken(OneByOne(), values)
