"""Embeddings of events: read where they are watched, and told apart where they cannot be read."""

import json

import msgspec
import numpy as np
import pytest

from daemon.buffer import NEVER, Batch, Buffer, Cohort
from daemon.embeddings import projected
from daemon.fields import FieldReader
from daemon.records import Records
from daemon.settings import Settings
from detectors.centroids import DISTANCE, CentroidsBlock, distance_specs
from detectors.embeddings import LARGEST, PROJECTIONS, projections
from detectors.layout import WHOLE, BlockSpec, Layout
from detectors.registry import unlearnt_layout

START = 1_760_000_000
WATCHED = Layout((WHOLE,), tuple(BlockSpec("number", field=path) for path in PROJECTIONS[:3]))


def raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(json.dumps(value).encode())


def test_embeddings_of_several_sizes_are_read_beside_those_that_are_missing() -> None:
    random = np.random.default_rng(1)
    sizes = [*random.integers(1, 5, 600).tolist(), LARGEST]
    given = [random.normal(size=size).tolist() if at % 7 else None for at, size in enumerate(sizes, start=1)]
    found, wrong = projected([raw(each) for each in given])
    assert not wrong.any()
    for row, vector in zip(found, given, strict=True):
        if vector is None:
            assert np.isnan(row).all()
        else:
            assert row.tobytes() == projections(np.array([vector]))[0].tobytes()


@pytest.mark.parametrize("value", [[], ["0.1"], [None, 1.0], [[1.0]], {"a": 1.0}, 0.5, [0.0] * (LARGEST + 1)])
def test_what_is_no_embedding_is_wrong(value: object) -> None:
    found, wrong = projected([raw([1.0]), raw(value)])
    assert wrong.tolist() == [False, True]
    assert np.isnan(found).all(axis=1).tolist() == [False, True]


def batch_of(embeddings: list[object]) -> Batch:
    cohort = Cohort(0, "pets", "1", Settings().of("pets"))
    buffer = Buffer(Settings(), lambda _model, _version: cohort)
    values = [
        json.dumps({"id": f"e{at}", "time": START, "model": "pets", "prediction": "cat", "embedding": each}).encode()
        for at, each in enumerate(embeddings)
    ]
    buffer.add("topic", 0, Records(range(len(values)), [START * 1000] * len(values), values), NEVER)
    return buffer.batch()


@pytest.mark.parametrize("broken", [[], [float("nan")]])
def test_the_embeddings_of_events_are_numbers_of_the_layout(broken: list[object]) -> None:
    """Where one record is broken, all are read one by one."""
    batch = batch_of([[1.0, 2.0], None, ["a"], [3.0], *broken])
    columns = FieldReader(WATCHED).columns(batch, np.array([0, 1, 2, 3]))
    expected = projections(np.array([[1.0, 2.0]]))[0]
    for at, path in enumerate(PROJECTIONS[:3]):
        assert columns.numbers[path][0] == expected[at]
        assert np.isnan(columns.numbers[path]).tolist() == [False, True, True, False]
        assert columns.wrong[path].tolist() == [False, False, True, False]
    some = FieldReader(WATCHED).columns(batch, np.array([1, 3]))
    assert np.isnan(some.numbers[PROJECTIONS[0]]).tolist() == [True, False]
    assert not some.wrong


def test_the_distance_is_that_of_the_projections_which_are_watched() -> None:
    random = np.random.default_rng(2)
    sample = projections(random.normal(size=(300, 2)))
    specs = distance_specs(dict(zip(PROJECTIONS, sample.T, strict=True)))
    layout = Layout((WHOLE,), (*WATCHED.blocks, *specs))
    batch, rows = batch_of([[1.0, 2.0], None, ["a"], [3.0]]), np.arange(4)
    columns = FieldReader(layout).columns(batch, rows)
    expected = CentroidsBlock(specs[0]).distances(projections(np.array([[1.0, 2.0]])).T)
    assert columns.numbers[DISTANCE][0] == expected[0]
    assert np.isnan(columns.numbers[DISTANCE]).tolist() == [False, True, True, False]
    assert columns.wrong[DISTANCE].tolist() == [False, False, True, False]
    assert DISTANCE not in FieldReader(WATCHED).columns(batch, rows).numbers
    hidden = FieldReader(layout, ignored=frozenset(["embedding"])).columns(batch, rows)
    assert DISTANCE not in hidden.numbers


def test_embeddings_are_noticed_and_a_field_that_is_hidden_is_not() -> None:
    batch = batch_of([[1.0, 2.0], None])
    rows = np.array([0, 1])
    sightings = FieldReader(unlearnt_layout(), everything=True).columns(batch, rows).sightings
    assert sightings is not None
    assert sightings.fields.names == tuple(f"number {path}" for path in PROJECTIONS)
    assert sightings.rows.tolist() == [0] * len(PROJECTIONS)
    hidden = FieldReader(unlearnt_layout(), ignored=frozenset(["embedding"]), everything=True).columns(batch, rows)
    assert hidden.sightings is not None
    assert not len(hidden.sightings.rows)


def test_without_embeddings_nothing_is_carried() -> None:
    batch = batch_of([None, None])
    assert not batch.embeddings
    columns = FieldReader(WATCHED).columns(batch, np.array([0, 1]))
    assert all(path not in columns.numbers for path in PROJECTIONS)
