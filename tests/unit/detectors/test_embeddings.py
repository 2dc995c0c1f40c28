"""Projections of embeddings: exact, and enough to see that a cloud of points has moved."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from detectors import growth
from detectors.columns import Columns
from detectors.embeddings import LARGEST, PROJECTIONS, projections
from detectors.folding import fold
from detectors.numbers import NumberBlock
from detectors.reference import Reference
from detectors.registry import unlearnt_layout
from tests.unit.detectors.streams import MONTH, Stream, fired, plain_columns

DIMENSIONS = 64
vectors = st.integers(1, 40).flatmap(
    lambda size: st.lists(
        st.lists(st.floats(allow_nan=False) | st.sampled_from([0.0, -0.0, 1e308]), min_size=size, max_size=size),
        min_size=1,
        max_size=8,
    )
)


@given(some=vectors)
def test_what_an_embedding_becomes_does_not_depend_on_the_batch(some: list[list[float]]) -> None:
    together = projections(np.array(some))
    one_by_one = np.concatenate([projections(np.array([each])) for each in some])
    backwards = projections(np.array(some[::-1]))[::-1]
    assert together.tobytes() == one_by_one.tobytes() == backwards.tobytes()


@pytest.mark.parametrize("dimensions", [3, 600, LARGEST])
def test_every_sum_is_exact(dimensions: int) -> None:
    random = np.random.default_rng(1)
    vector = random.normal(size=(1, dimensions)) * 10.0 ** random.integers(-8, 9, (1, dimensions))
    # The signs, as the projections of single components tell them.
    units = np.sign(projections(np.eye(dimensions)))
    assert set(np.unique(units)) == {-1.0, 1.0}
    steps = [round(min(max(each, -(2.0**20)), 2.0**20) * 2**20) for each in vector[0].tolist()]
    for column, found in zip(units.T.astype(int).tolist(), projections(vector)[0].tolist(), strict=True):
        exact = sum(step * sign for step, sign in zip(steps, column, strict=True))
        assert found == float(exact) * (2.0**-20 / np.sqrt(dimensions)) + 0.0
        assert abs(Fraction(exact)) < 2**53


def test_projections_are_as_wide_as_the_components_and_differ_from_each_other() -> None:
    found = projections(np.random.default_rng(2).normal(size=(20_000, DIMENSIONS)))
    assert found.mean(axis=0) == pytest.approx(np.zeros(len(PROJECTIONS)), abs=0.05)
    assert found.std(axis=0) == pytest.approx(np.ones(len(PROJECTIONS)), abs=0.05)
    assert np.abs(np.corrcoef(found.T) - np.eye(len(PROJECTIONS))).max() < 0.6


def columns_of(vectors: NDArray[np.float64], random: np.random.Generator) -> Columns:
    return plain_columns(dict(zip(PROJECTIONS, np.ascontiguousarray(projections(vectors).T), strict=True)), random)


def test_a_cloud_that_moves_is_found_and_one_that_stays_is_not() -> None:
    random = np.random.default_rng(3)
    stretched = random.normal(size=(DIMENSIONS, DIMENSIONS))
    moved = 0.4 * random.choice([-1.0, 1.0], DIMENSIONS) @ stretched

    def draw(n: int, shift: float = 0.0) -> Columns:
        return columns_of(random.normal(size=(n, DIMENSIONS)) @ stretched + shift * moved, random)

    learning = unlearnt_layout()
    learning = replace(learning, blocks=(*learning.blocks, *(NumberBlock.unlearnt(path) for path in PROJECTIONS)))
    layout = growth.finished(fold(learning, draw(4096)), classes_cap=10, pairs_cap=200)
    assert layout.blocks_of("pairs") == []
    stream = Stream(layout, Reference(layout, fold(layout, draw(20_000))), budget=MONTH)
    for _ in range(30):
        stream.take(fold(layout, draw(1000)))
    assert fired(stream.steps) == []
    for _ in range(5):
        stream.take(fold(layout, draw(1000, shift=1.0)))
    (found,) = fired(stream.steps)
    assert found[1] == "numbers"
    assert found[3].startswith("share of embedding.")
