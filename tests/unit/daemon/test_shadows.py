"""What a shadow version says of an event: compared with what the model says, read where it is watched."""

import json
import math
import sys
from collections.abc import Sequence

import numpy as np
import pytest

from daemon.buffer import NEVER, Batch, Buffer, Cohort
from daemon.fields import FieldReader
from daemon.records import Records
from daemon.settings import Settings
from detectors.disagreement import SHADOW
from detectors.layout import WHOLE, BlockSpec, Layout
from detectors.registry import unlearnt_layout

START = 1_760_000_000
WATCHED = Layout((WHOLE,), (BlockSpec("number", field=SHADOW),))
WRONG = "wrong"


def batch_of(kind: str, events: Sequence[tuple[object, object]], decoder: str = "strandline") -> Batch:
    """Return events given by the model's prediction and its shadow."""
    fields = {name: name for name in ("id", "time", "model", "prediction", "shadow")}
    mapped = {"decoder": decoder, "fields": fields} if decoder == "json" else {}
    settings = Settings.model_validate({"events": mapped, "model": {"it": {"kind": kind}}})
    cohort = Cohort(0, "it", "1", settings.of("it"))
    buffer = Buffer(settings, lambda _model, _version: cohort)
    for at, (said, shadow) in enumerate(events):
        plain: dict[str, object] = {"id": f"e{at}", "time": START, "model": "it", "shadow": shadow}
        value = json.dumps(plain if said is None else {**plain, "prediction": said}).encode()
        buffer.add("topic", 0, Records([at], [START * 1000], [value]), NEVER)
    assert not buffer.dead_letters
    return buffer.batch()


def told(batch: Batch) -> list[float | str | None]:
    columns = FieldReader(WATCHED).columns(batch, np.arange(len(batch.offsets)))
    numbers = columns.numbers[SHADOW].tolist()
    wrong = columns.wrong.get(SHADOW, np.zeros(len(numbers), dtype=np.bool_)).tolist()
    return [WRONG if bad else None if math.isnan(each) else each for each, bad in zip(numbers, wrong, strict=True)]


@pytest.mark.parametrize("decoder", ["strandline", "json"])
def test_a_class_is_another_or_not(decoder: str) -> None:
    events = [
        ("cat", "cat"),
        ("cat", "dog"),
        ("cat", {"prediction": "dog", "version": "2"}),
        ("cat", {"prediction": "cat", "version": 2, "else": []}),
        ("cat", None),
        (8, "8"),
        (8, 8.0),
        (True, True),
        ("true", False),
        ("cat", 1.5),
        ("cat", [1]),
        ("cat", {"version": "2"}),
        ("cat", {"prediction": None}),
    ]
    expected = [0.0, 1.0, 1.0, 0.0, None, 0.0, 0.0, 0.0, 1.0, WRONG, WRONG, WRONG, WRONG]
    assert told(batch_of("classifier", events, decoder)) == expected


def test_a_number_is_so_far_away() -> None:
    events = [(3.5, 1), (3.5, {"prediction": 5.0}), (2, 2), (1e308, -1e308), (1.5, "1.5"), (1.5, True), (1.5, None)]
    assert told(batch_of("regressor", events)) == [2.5, 1.5, 0.0, sys.float_info.max, WRONG, WRONG, None]


def test_of_what_predicts_nothing_nothing_is_compared() -> None:
    assert told(batch_of("text", [(None, "cat"), (None, 1.0)])) == [None, None]


def test_shadows_are_noticed_and_what_is_hidden_is_not() -> None:
    batch = batch_of("classifier", [("cat", None), ("cat", "dog"), ("cat", "cat")])
    rows = np.array([0, 2])
    assert FieldReader(WATCHED).columns(batch, rows).numbers[SHADOW][1] == 0.0
    sightings = FieldReader(unlearnt_layout(), everything=True).columns(batch, rows).sightings
    assert sightings is not None
    assert sightings.fields.names == (f"number {SHADOW}",)
    assert sightings.rows.tolist() == [1]
    hidden = FieldReader(WATCHED, ignored=frozenset(["shadow"]), everything=True).columns(batch, rows)
    assert hidden.sightings is not None
    assert not len(hidden.sightings.rows)
    assert SHADOW not in hidden.numbers


def test_without_shadows_nothing_is_carried() -> None:
    batch = batch_of("classifier", [("cat", None)])
    assert not batch.shadows
    assert SHADOW not in FieldReader(WATCHED).columns(batch, np.arange(1)).numbers
