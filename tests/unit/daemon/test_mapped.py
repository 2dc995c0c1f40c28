"""Events of another shape: paths, fields, and that what holds for our own event holds for them."""

import json
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from daemon.buffer import NEVER, Buffer, Cohort
from daemon.decoders.fields import parse_fields
from daemon.decoders.mapped import Mapped
from daemon.decoders.paths import parse_path, show_path
from daemon.decoders.registry import Decoders
from daemon.events import Event, Rejected, decode
from daemon.records import Records
from daemon.settings import Settings
from detectors.columns import DEFECTS
from sinks.errors import BadSettings
from tests.broken_events import CASES, MODELS, START, Case, Dead, Taken, event

OWN = {name: name for name in Event.__struct_fields__}
INSIDE = {name: f"a.b[1].{name}" for name in OWN}
FIELDS: dict[str, object] = {
    "id": "request.id",
    "time": "meta.ts_ms",
    "model": {"value": "fraud"},
    "prediction": "response.label",
    "probabilities": "response.scores",
}
# What is taken of others, because they cannot be asked for our types.
LENIENT = {"id a number", "tags not text", "digits as text", "time in microseconds"}
# With probabilities a prediction need not be there.
AS_IF_MISSING = {"prediction null", "prediction NaN", "prediction of 5,000 digits"}


def mapped(fields: Mapping[str, object], classes: tuple[str, ...] = ()) -> Mapped:
    return Mapped(parse_fields(fields), lambda _: classes)


def record(**changes: Any) -> dict[str, Any]:
    found: dict[str, Any] = {
        "request": {"id": "r-1", "features": {"a": 1}, "text": "hello", "amount": 3},
        "meta": {"ts_ms": START * 1000 + 250, "region": "eu", "store": 7},
        "response": {"label": "cat", "scores": [0.75, 0.25]},
    }
    for key, value in changes.items():
        group, name = key.split("_", 1)
        found[group] = {**found[group], name: value}
    return found


def read(fields: Mapping[str, object], tree: object, classes: tuple[str, ...] = ()) -> Event:
    return mapped(fields, classes).decode(json.dumps(tree).encode())[0]


def refused(fields: Mapping[str, object], tree: object, classes: tuple[str, ...] = ()) -> Rejected:
    with pytest.raises(Rejected) as rejected:
        read(fields, tree, classes)
    return rejected.value


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("id", ("id",)),
        ("a.b[0][12].c", ("a", "b", 0, 12, "c")),
        ('a."x.y"[2]', ("a", "x.y", 2)),
        ('"$"', ("$",)),
        (r'"a\"b"', ('a"b',)),
        ("$", ()),
    ],
)
def test_a_path_is_read_and_shown(text: str, steps: tuple[str | int, ...]) -> None:
    assert parse_path(text) == steps
    assert show_path(steps) == text


@pytest.mark.parametrize("text", ["", "a.", "a..b", "[0]", "a[x]", "a[-1]", "a b", 'a"b"', 'a."b', "a[0]b", "a[10000]"])
def test_what_is_no_path_is_told(text: str) -> None:
    with pytest.raises(ValueError, match="the path"):
        parse_path(text)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"idd": "x"}, "idd: expected one of id, time"),
        ({"id": "a..b"}, "id: the path 'a..b'"),
        ({"id": "$"}, "id: the whole record"),
        ({"id": {"value": "x"}}, "id = "),
        ({"id": 7}, "id = 7: expected a path"),
        ({"model": {"value": 7}}, "the same for all records"),
        ({"model": {"value": ""}}, "the same for all records"),
        ({"time": None}, "time = None"),
        ({"confidence.x": "a"}, "confidence.x: expected one of"),
        ({"id": r'"a\"b"'}, "keys with quotes"),
        ({"tags": {"": "a"}}, "tags.: expected one of"),
        ({"version": "response[0]"}, "an object has keys, an array positions"),
    ],
)
def test_fields_that_cannot_be_meant_so_are_told(changes: dict[str, object], words: str) -> None:
    settings = Settings.model_validate({"events": {"decoder": "json", "fields": {**FIELDS, **changes}}})
    with pytest.raises(BadSettings) as told:
        Decoders(settings).of("topic")
    assert words in str(told.value)


@pytest.mark.parametrize("left_out", ["time", "model"])
def test_time_and_model_are_needed(left_out: str) -> None:
    with pytest.raises(ValueError, match=f"{left_out}: expected"):
        parse_fields({name: path for name, path in FIELDS.items() if name != left_out})


def test_a_topic_has_the_decoder_that_is_set_for_it() -> None:
    settings = Settings.model_validate({"events": {"topic": {"other": {"decoder": "json", "fields": FIELDS}}}})
    decoders = Decoders(settings)
    assert decoders.of("topic").normal(b"as it came") == b"as it came"
    assert json.loads(decoders.of("other").normal(json.dumps(record()).encode()))["model"] == "fraud"
    with pytest.raises(BadSettings, match="expected one of json, strandline"):
        Decoders(Settings.model_validate({"events": {"decoder": "avro"}})).of("topic")


def test_fields_are_found_by_their_paths() -> None:
    found = read(
        {
            **FIELDS,
            "features": "request.features",
            "features.amount": "request.amount",
            "tags": {"region": "meta.region", "store": "meta.store", "env": {"value": "prod"}, "none": "meta.none"},
            "payload": "request",
        },
        record(),
    )
    assert (found.id, found.model, found.prediction) == ("r-1", "fraud", "cat")
    assert found.probabilities == [0.75, 0.25]
    assert found.tags == {"region": "eu", "store": "7", "env": "prod"}
    assert json.loads(bytes(found.features)) == {"a": 1, "amount": 3}
    assert json.loads(bytes(found.payload)) == record()["request"]


def test_the_whole_record_can_be_shown_and_two_fields_can_stand_at_one_place() -> None:
    found = read({**FIELDS, "payload": "$", "tags.id": "request.id", "version": "request.id"}, record())
    assert json.loads(bytes(found.payload)) == record()
    assert (found.tags, found.version) == ({"id": "r-1"}, "r-1")


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        (START * 1000, START * 1000),
        (START * 1_000_000 + 5, START + 0.000005),
        (START * 1_000_000_000, START),
        (str(START * 1000), START * 1000),
        (f"{START}.5", START + 0.5),
    ],
)
def test_times_in_quotes_and_finer_ones_are_read(time: object, expected: float) -> None:
    assert read(FIELDS, record(meta_ts_ms=time)).time == expected


def test_without_a_prediction_it_is_the_most_probable_class() -> None:
    tree = record()
    del tree["response"]["label"]
    assert read(FIELDS, tree, ("cat", "dog")).prediction == "cat"
    assert read(FIELDS, tree).prediction == 0
    assert read(FIELDS, record(response_label=None, response_scores={"a": 0.1, "b": 0.9})).prediction == "b"
    assert refused(FIELDS, tree, ("cat", "dog", "bird")).reason == "missing_field"
    # Whether it needs one is for the kind of its model to say.
    assert read(FIELDS, record(response_label=None, response_scores=None)).prediction is msgspec.UNSET
    no_probabilities = {name: path for name, path in FIELDS.items() if name != "probabilities"}
    assert refused(no_probabilities, tree).reason == "missing_field"


def test_an_id_that_is_not_mapped_is_a_digest_and_one_that_is_missing_a_dead_letter() -> None:
    no_id = {name: path for name, path in FIELDS.items() if name != "id"}
    first, again, other = (read(no_id, each).id for each in (record(), record(), record(request_id="r-2")))
    assert first == again != other
    assert read(FIELDS, record(request_id=12)).id == "12"
    assert refused(FIELDS, {**record(), "request": {}}).detail.endswith("`$.request`")


def test_null_on_the_way_is_as_if_nothing_were_there() -> None:
    fields = {**FIELDS, "tags.region": "user.region", "features.age": "user.ages[1]", "confidence": "user.sure.x"}
    for user in (None, {}, {"ages": None, "sure": None}, {"ages": [1]}):
        found = read(fields, {**record(), "user": user})
        assert (found.tags or None, found.confidence, bytes(found.features)) == (None, None, b"null")
    assert refused(fields, {**record(), "request": None}).reason == "wrong_shape"


def test_not_finite_probabilities_are_lost_and_nothing_else() -> None:
    found, not_finite = mapped(FIELDS).decode(json.dumps(record(response_scores=[float("nan"), 1.0])).encode())
    assert not_finite
    assert found.probabilities == [-1.0, 1.0]
    assert found.prediction == "cat"


def buffer(fields: Mapping[str, str], topic: str = "topic") -> Buffer:
    settings = Settings.model_validate(
        {"model": MODELS, "events": {"topic": {topic: {"decoder": "json", "fields": fields}}}}
    )
    cohorts: dict[tuple[str, str], Cohort] = {}
    return Buffer(
        settings,
        lambda model, version: cohorts.setdefault(
            (model, version), Cohort(len(cohorts), model, version, settings.of(model))
        ),
    )


def inside(value: bytes | None) -> bytes | None:
    return None if value is None else b'{"x": 0, "a": {"b": [null, ' + value + b"]}}"


STRICT = [case for case in CASES if case.name not in LENIENT]
ONE_DOCUMENT = [
    case
    for case in STRICT
    # Bytes that are no document by themselves would be part of another one; so deep is too deep inside.
    if case.value is None
    or (case.value.startswith(b"{") and not case.name.startswith(("trailing", "two", "deep, but", "UTF-16")))
]


@pytest.mark.parametrize(
    ("case", "fields", "deeper"),
    [*((case, OWN, False) for case in STRICT), *((case, INSIDE, True) for case in ONE_DOCUMENT)],
    ids=lambda value: value.name if isinstance(value, Case) else "",
)
def test_what_becomes_of_our_own_event_becomes_of_a_mapped_one(
    case: Case, fields: Mapping[str, str], deeper: bool
) -> None:
    here = buffer(fields)
    value = inside(case.value) if deeper else case.value
    here.add("topic", 0, Records([7], [case.timestamp], [value]), NEVER)
    if isinstance(case.outcome, Dead):
        reason = "missing_field" if case.name in AS_IF_MISSING else case.outcome.reason
        assert [letter.reason for letter in here.dead_letters] == [reason]
    elif isinstance(case.outcome, Taken):
        assert not here.dead_letters
        columns = here.batch().columns
        names = {name for bit, name in enumerate(DEFECTS) if columns.defects[0] >> bit & 1}
        assert names == set(case.outcome.defects)
        assert value is not None
        again, _ = decode(here.normal("topic", value))
        assert again.id == case.name
    else:
        assert here.tombstones == {("topic", 0): 1}


def test_a_good_event_is_the_same_by_either_way() -> None:
    value = event("a", tags={"region": "eu"}, probabilities=[0.5, 0.25, 0.25], payload=[1], features={"f": 1})
    assert decode(value) == mapped(OWN).decode(value) == mapped(INSIDE).decode(inside(value) or b"")
