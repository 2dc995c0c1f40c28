"""Members of ensembles: their disagreement is a number of the event, read where it is watched; what is none is told."""

import json

import msgspec
import numpy as np
import pytest

from daemon.buffer import NEVER, Batch, Buffer, Cohort
from daemon.events import MAX_PROBABILITIES
from daemon.fields import FieldReader
from daemon.members import disagreements
from daemon.records import Records
from daemon.settings import Settings
from detectors.disagreement import DISAGREEMENT, disagreement
from detectors.layout import WHOLE, BlockSpec, Layout
from detectors.registry import unlearnt_layout

START = 1_760_000_000
WATCHED = Layout((WHOLE,), (BlockSpec("number", field=DISAGREEMENT),))
FIELDS = {name: name for name in ("id", "time", "model", "prediction")} | {"members": "response.ensemble"}
APART = [{"cat": 0.9, "dog": 0.1}, {"dog": 0.8, "cat": 0.2}]


def raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(json.dumps(value).encode())


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        (APART, disagreement([[0.9, 0.1], [0.2, 0.8]])),
        ([[0.9, 0.1], [0.2, 0.8]], disagreement([[0.9, 0.1], [0.2, 0.8]])),
        ([{"cat": 1}, {"dog": 1}], 1.0),
        ([{"cat": 1}, {"cat": 1, "dog": 0}, {"cat": 0.9995}], 0.0),
        ([[1.0], [1.0]], 0.0),
        ([[1 / MAX_PROBABILITIES] * MAX_PROBABILITIES] * 2, 0.0),
    ],
)
def test_members_are_read_by_class_and_in_arrays(members: object, expected: float) -> None:
    found, wrong = disagreements([raw(None), raw(members)])
    assert wrong.tolist() == [False, False]
    assert np.isnan(found[0])
    assert found[1] == expected


@pytest.mark.parametrize(
    "members",
    [
        [],
        [{"cat": 1.0}],
        [{}, {}],
        [[], []],
        [{"cat": 0.9}, {"cat": 1.0}],
        [{"cat": 1.1, "dog": -0.1}, {"cat": 1.0}],
        [{"cat": "1"}, {"cat": 1.0}],
        [{"cat": None}, {"cat": 1.0}],
        [{"cat": True}, {"cat": 1.0}],
        [[1.0], {"cat": 1.0}],
        [[1.0], [0.5, 0.5]],
        [None, {"cat": 1.0}],
        [1.0, 0.0],
        ["cat", "dog"],
        {"cat": 1.0},
    ],
)
def test_what_are_no_members_is_wrong(members: object) -> None:
    found, wrong = disagreements([raw(APART), raw(members)])
    assert wrong.tolist() == [False, True]
    assert np.isnan(found).tolist() == [False, True]


def batch_of(members: list[object], decoder: str) -> Batch:
    cohort = Cohort(0, "pets", "1", Settings().of("pets"))
    mapped = {"decoder": decoder, "fields": FIELDS} if decoder == "json" else {}
    buffer = Buffer(Settings.model_validate({"events": mapped}), lambda _model, _version: cohort)
    plain = {"time": START, "model": "pets", "prediction": "cat"}
    values = [
        json.dumps({"id": f"e{at}", **plain, **({"response": {"ensemble": each}} if mapped else {"members": each})})
        for at, each in enumerate(members)
    ]
    # Where one piece of many events carries none, another still may.
    for value in values:
        buffer.add("topic", 0, Records([0], [START * 1000], [value.encode()]), NEVER)
    return buffer.batch()


@pytest.mark.parametrize("decoder", ["strandline", "json"])
def test_the_disagreement_of_events_is_a_number_of_the_layout(decoder: str) -> None:
    batch = batch_of([None, APART, [{"cat": 0.4}, {"cat": 1.0}], [[float("nan")], [1.0]], APART], decoder)
    columns = FieldReader(WATCHED).columns(batch, np.arange(5))
    found = columns.numbers[DISAGREEMENT]
    assert np.isnan(found).tolist() == [True, False, True, True, False]
    assert found[1] == disagreement([[0.9, 0.1], [0.2, 0.8]])
    assert columns.wrong[DISAGREEMENT].tolist() == [False, False, True, True, False]
    some = FieldReader(WATCHED).columns(batch, np.array([0, 4]))
    assert np.isnan(some.numbers[DISAGREEMENT]).tolist() == [True, False]
    assert not some.wrong


@pytest.mark.parametrize("decoder", ["strandline", "json"])
def test_members_are_noticed_and_what_is_hidden_is_not(decoder: str) -> None:
    batch = batch_of([APART, None], decoder)
    rows = np.arange(2)
    sightings = FieldReader(unlearnt_layout(), everything=True).columns(batch, rows).sightings
    assert sightings is not None
    assert sightings.fields.names == (f"number {DISAGREEMENT}",)
    assert sightings.rows.tolist() == [0]
    hidden = FieldReader(WATCHED, ignored=frozenset(["members"]), everything=True).columns(batch, rows)
    assert hidden.sightings is not None
    assert not len(hidden.sightings.rows)
    assert DISAGREEMENT not in hidden.numbers


def test_without_members_nothing_is_carried() -> None:
    batch = batch_of([None, None], "strandline")
    assert not batch.members
    assert DISAGREEMENT not in FieldReader(WATCHED).columns(batch, np.arange(2)).numbers
