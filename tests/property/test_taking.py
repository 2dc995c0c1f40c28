"""Records that are taken many at a time give what they give one by one."""

import json
from dataclasses import fields
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from daemon.buffer import NEVER, Buffer
from daemon.decoders.fields import parse_fields
from daemon.decoders.mapped import Mapped
from daemon.decoders.own import Own
from daemon.decoders.registry import ManyDecoder
from daemon.events import decode
from daemon.expected import expected_of
from daemon.fields import FieldReader
from daemon.records import Records
from daemon.settings import Settings
from daemon.taking import Cohort, Taking
from detectors.classes import ClassesBlock
from detectors.disagreement import DISAGREEMENT, SHADOW
from detectors.layout import WHOLE, BlockSpec, Layout
from detectors.traffic import TrafficBlock
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
        "members": st.sampled_from([[], None, {}, [[1.0], [1.0]]]),
        "features": st.sampled_from([{}, None, [], "x", {"a": None}]),
        "objects": st.sampled_from([[], None, {}]),
        "payload": st.integers(0, 140).map(lambda depth: msgspec.Raw(b"[" * depth + b"1" + b"]" * depth)),
    },
)
REGULAR = st.fixed_dictionaries(
    {"id": st.just("1"), "time": st.floats(1.7e9, 1.8e9), "model": st.just("pets"), "prediction": st.just("cat")},
    optional={"embedding": st.just([0.5]), "members": st.just([[1.0], [1.0]]), "shadow": st.just("cat")},
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
        columns = [getattr(piece, each.name) for each in fields(piece) if each.name != "fields"]
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


LAYOUT = Layout(
    (WHOLE,),
    (
        TrafficBlock.unlearnt(),
        BlockSpec(ClassesBlock.kind, ("cat", "dog", "é")),
        BlockSpec("number", field="features.a"),
        BlockSpec("number", field="features.b"),
        BlockSpec("category", field="features.c"),
        BlockSpec("category", field="tags.region"),
        BlockSpec("number", field=DISAGREEMENT),
        BlockSpec("number", field=SHADOW),
    ),
)
SHARES = st.floats(0, 1) | st.sampled_from([1, -0.0, 2.5, "x", None])
CARRIED = st.fixed_dictionaries(
    {
        "id": st.text(min_size=1, max_size=20).filter(lambda text: "\0" not in text),
        "time": st.floats(1.7e9, 1.8e9),
        "model": st.just("pets"),
        "prediction": st.sampled_from(["cat", "dog", "cow"]),
    },
    optional={
        "features": st.none()
        | st.dictionaries(st.sampled_from("abcd"), st.sampled_from([1, 2.5, -0.0, None, True, "x", "", [], 10**400])),
        "probabilities": st.none()
        | st.dictionaries(st.sampled_from(["cat", "dog", "é", "cow"]), SHARES)
        | st.sampled_from([{"cat": 0.75, "dog": 0.25}, {"cat": 0.5, "dog": 0.25, "é": 0.25}])
        | st.lists(SHARES, max_size=3),
        "confidence": SHARES,
        "members": st.none()
        | st.lists(st.sampled_from([{"cat": 1}, {"cat": 0.5, "dog": 0.5}, [0.5, 0.5], {"cat": 0.5}, "x"]), max_size=3),
        "shadow": st.sampled_from([None, "cat", {"prediction": "dog", "version": 2}, 1.5, [], True]),
        "tags": st.none() | st.dictionaries(st.sampled_from(["region", "app"]), st.sampled_from(["eu", "", "x" * 300])),
    },
)
RECORD = {
    "id": "id",
    "time": "time",
    "model": "model",
    "prediction": "prediction",
    "features": "features",
    "probabilities": "probabilities",
    "confidence": "confidence",
    "members": "members",
    "shadow": "shadow",
    "tags": "tags",
}


def columns(decoder: str, values: list[bytes], *, expecting: bool) -> tuple[dict[str, list[str]], list[str]]:
    """Return what is counted of events, as text, and the dead letters; with ``expecting``, read in one pass."""
    wanted = {"decoder": decoder, "fields": RECORD} if decoder == "json" else {}
    wanted_settings = Settings.model_validate({"events": wanted, "model": {"*": {"segments": ["region"]}}})
    cohort = Cohort(1, "pets", "", wanted_settings.of("pets"))
    buffer = Buffer(wanted_settings, lambda _model, _version: cohort)
    reader = FieldReader(LAYOUT)
    if expecting:
        buffer.expect([reader])
    buffer.add("topic", 0, Records(range(len(values)), [1_750_000_000_000] * len(values), values), NEVER)
    letters = [f"{letter.offset} {letter.reason} {letter.detail}" for letter in buffer.dead_letters]
    if not len(buffer):
        return {}, letters
    batch = buffer.batch()
    found = reader.columns(batch, np.arange(len(buffer)))
    texts = {"predicted": found.predicted, "tag": found.tags["region"], **found.texts}
    told: dict[str, Any] = {
        **{name: getattr(found, name) for name in ("confidence", "margin", "defects")},
        **{f"draw {at}": found.hashes[:, at] for at in range(4)},
        **{f"wrong {path}": rows for path, rows in found.wrong.items()},
        **found.numbers,
        **{name: np.array([*text.names, "\0none"], dtype=object)[text.codes] for name, text in texts.items()},
    }
    assert found.sightings
    seen = zip(found.sightings.rows.tolist(), found.sightings.fields.codes.tolist(), strict=True)
    sightings = sorted(f"{row} {found.sightings.fields.names[code]}" for row, code in seen)
    ids = [batch.event(row).id for row in range(len(batch.offsets))]
    return {
        "ids": ids,
        "seen": sightings,
        **{name: list(map(repr, column.tolist())) for name, column in told.items()},
    }, letters


@settings(deadline=None)
@given(st.sampled_from(["strandline", "json"]), st.lists(CARRIED.map(json.dumps), min_size=1, max_size=40))
def test_what_is_expected_of_events_changes_nothing_of_what_is_read(decoder: str, texts: list[str]) -> None:
    values = [text.encode() for text in texts]
    assert columns(decoder, values, expecting=True) == columns(decoder, values, expecting=False)


def test_events_of_the_expected_shape_are_read_in_one_pass() -> None:
    expected = expected_of([FieldReader(LAYOUT)])
    assert expected
    event = {"id": "1", "time": 1.75e9, "model": "pets", "prediction": "cat", "probabilities": {"cat": 1.0}}
    for decoder in (Own(), mapped(RECORD)):
        found = decoder.decode_many([json.dumps({**event, "features": {"a": 1, "c": "x"}}).encode()], expected)
        assert found
        read: object = found[0].features
        assert isinstance(read, expected.slots.type)
        other = json.dumps({**event, "probabilities": {"cow": 1.0}}).encode()
        assert decoder.decode_many([other], expected) is None


@pytest.mark.parametrize("label", ['a "b"', "c\\d", "e\n"])
def test_a_class_whose_name_json_escapes_is_read_without_slots(label: str) -> None:
    expected = expected_of([FieldReader(Layout((WHOLE,), (BlockSpec(ClassesBlock.kind, ("cat", label)),)))])
    assert expected
    event = {"id": "1", "time": 1.75e9, "model": "pets", "prediction": label, "probabilities": {label: 1.0}}
    found = Own().decode_many([json.dumps(event).encode()], expected)
    assert found
    assert expected.plain(found[0].probabilities) == {label: 1.0}


def mapped(paths: dict[str, str]) -> Mapped:
    return Mapped(parse_fields(paths), lambda _model: ())


def test_more_fields_than_are_read_together_are_read_the_general_way() -> None:
    def wishes(first: int, count: int) -> FieldReader:
        specs = [BlockSpec("number", field=f"features.f{at}") for at in range(first, first + count)]
        return FieldReader(Layout((WHOLE,), (BlockSpec(ClassesBlock.kind), *specs)))

    assert expected_of([wishes(0, 500)])
    assert expected_of([wishes(0, 500), wishes(100, 500)])
    assert expected_of([wishes(at, 30) for at in (0, 30, 60)]) is None
