"""The distance of embeddings: the same for an event in every batch, and it shows what is new between what is known."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from detectors import growth
from detectors.centroids import CENTROIDS, DISTANCE, EVENTS_EACH, CentroidsBlock, distance_specs
from detectors.columns import Columns
from detectors.embeddings import PROJECTIONS, projections
from detectors.fields import FieldsBlock
from detectors.folding import fold
from detectors.layout import BlockSpec, Layout
from detectors.numbers import NumberBlock
from detectors.reference import Reference
from detectors.registry import unlearnt_layout
from tests.unit.detectors.streams import MONTH, Stream, fired, plain_columns

DIMENSIONS, KINDS = 64, 10
NEW = 0.05
"""The part of the events that are of a new kind."""
Floats = NDArray[np.float64]


class Kinds:
    """Embeddings of some kinds, equally frequent, and of a new one in the midst of them."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.mixing = self.random.normal(size=(DIMENSIONS, DIMENSIONS)) / np.sqrt(DIMENSIONS)
        self.known = 3.0 * self.random.normal(size=(KINDS, DIMENSIONS))
        self.new = self.known.mean(axis=0)

    def draw(self, n: int, new: float = 0.0) -> Floats:
        """Return the projections [PROJECTIONS, n] of n embeddings."""
        middle = self.known[self.random.integers(0, KINDS, n)]
        middle[self.random.random(n) < new] = self.new
        return points_of(middle + self.random.normal(size=(n, DIMENSIONS)) @ self.mixing)

    def columns(self, layout: Layout, n: int, new: float = 0.0) -> Columns:
        return columns_of(layout, self.draw(n, new), self.random)


def points_of(vectors: Floats) -> Floats:
    return np.ascontiguousarray(projections(vectors).T)


def columns_of(layout: Layout, points: Floats, random: np.random.Generator) -> Columns:
    """Return events with these projections, and with the distance where the layout counts it."""
    numbers = dict(zip(PROJECTIONS, points, strict=True))
    for spec in layout.blocks_of(CentroidsBlock.kind):
        numbers[DISTANCE] = CentroidsBlock(spec).distances(points)
    return plain_columns(numbers, random)


def learning(*fields: str) -> Layout:
    layout = unlearnt_layout()
    return replace(layout, blocks=(*layout.blocks, *(NumberBlock.unlearnt(path) for path in fields)))


def learnt(kinds: Kinds, n: int = 4096) -> Layout:
    layout = learning(*PROJECTIONS)
    return growth.finished(fold(layout, kinds.columns(layout, n)), classes_cap=10, pairs_cap=200)


@cache
def learnt_once() -> BlockSpec:
    return learnt(Kinds(5), 1000).block(CentroidsBlock.kind)


def sampled(points: Floats) -> dict[str, Floats]:
    return dict(zip(PROJECTIONS, points, strict=True))


def without_distance(layout: Layout) -> Layout:
    kept = [spec for spec in layout.blocks if spec.kind != CentroidsBlock.kind and spec.field != DISTANCE]
    return replace(layout, blocks=tuple(kept))


@pytest.mark.parametrize("seed", range(3))
def test_a_new_kind_between_the_known_ones_is_found_where_projections_do_not_show_it(seed: int) -> None:
    kinds = Kinds(seed)
    layout = learnt(kinds)
    plain = without_distance(layout)
    streams = [
        Stream(each, Reference(each, fold(each, kinds.columns(each, 20_000))), budget=MONTH) for each in (layout, plain)
    ]
    for stream in streams:
        for _ in range(40):
            stream.take(fold(stream.layout, kinds.columns(stream.layout, 1000)))
        assert fired(stream.steps) == []
        for _ in range(5):
            stream.take(fold(stream.layout, kinds.columns(stream.layout, 1000, NEW)))
    found, missed = (fired(stream.steps) for stream in streams)
    assert [(monitor, component.split(" > ")[0]) for _, monitor, _, component in found] == [
        ("range", f"share of {DISTANCE}")
    ]
    assert missed == []


def test_a_known_kind_is_near_and_the_new_one_is_far() -> None:
    kinds = Kinds(4)
    block = CentroidsBlock(learnt(kinds).block(CentroidsBlock.kind))
    near, far = block.distances(kinds.draw(2000)), block.distances(kinds.draw(2000, new=1.0))
    assert np.sqrt(len(PROJECTIONS)) == pytest.approx(np.sqrt((near**2).mean()), rel=0.1)
    assert np.median(far) > np.quantile(near, 0.98)


@given(st.data())
def test_the_distance_of_an_event_does_not_depend_on_the_batch(data: st.DataObject) -> None:
    kinds = Kinds(5)
    block = CentroidsBlock(learnt_once())
    points = kinds.draw(40)
    points[:, data.draw(st.integers(0, 39))] = np.nan
    order = np.array(data.draw(st.permutations(range(40))))
    cut = data.draw(st.integers(0, 40))
    together = block.distances(points)
    apart = np.concatenate([block.distances(points[:, rows]) for rows in (order[:cut], order[cut:])])
    assert apart.tobytes() == together[order].tobytes()
    assert np.isnan(together).sum() == 1


def test_counts_of_parts_add_up_to_the_same_bytes() -> None:
    kinds = Kinds(6)
    layout = learnt(kinds, 1000)
    columns = kinds.columns(layout, 300)
    whole = fold(layout, columns)
    parts = [fold(layout, columns.take(rows)) for rows in np.split(np.random.default_rng(1).permutation(300), [70, 71])]
    for part in parts[1:]:
        parts[0].add(part)
    assert parts[0].to_bytes() == whole.to_bytes()
    assert whole.cells(NumberBlock.kind, DISTANCE).sum() == 300


def test_what_was_learnt_is_stored_exactly_and_does_not_depend_on_the_order_of_sums() -> None:
    layout = learnt(Kinds(7), 1000)
    stored = Layout.from_json(layout.to_json())
    assert stored == layout
    assert stored.block(CentroidsBlock.kind).edges == layout.block(CentroidsBlock.kind).edges
    points = Kinds(8).draw(EVENTS_EACH)
    # With one centroid nothing depends on which events come first.
    assert CentroidsBlock.learnt(points) == CentroidsBlock.learnt(points[:, ::-1])


def test_with_one_centroid_it_is_the_mahalanobis_distance_of_the_shrunk_covariance() -> None:
    points = Kinds(9).draw(2 * EVENTS_EACH - 1)
    spec = CentroidsBlock.learnt(points)
    assert spec is not None
    away = points - points.mean(axis=1, keepdims=True)
    size, n = points.shape
    covariance = away @ away.T / n
    target = np.trace(covariance) / size * np.eye(size)
    # As Ledoit and Wolf (2004) write it, with norms divided by the number of dimensions.
    apart = ((covariance - target) ** 2).sum() / size
    error = sum(((np.outer(each, each) - covariance) ** 2).sum() for each in away.T) / size / n**2
    shrunk = covariance + min(error, apart) / apart * (target - covariance)
    # Whitened once, the covariance is the unit but for what it was shrunk, and shrunk once more.
    found = CentroidsBlock(spec).distances(points)
    expected = np.sqrt((away * np.linalg.solve(shrunk, away)).sum(axis=0))
    assert found == pytest.approx(expected, rel=0.03)
    assert np.corrcoef(found, expected)[0, 1] > 0.999


@pytest.mark.parametrize("dimensions", [1, 3])
def test_embeddings_of_few_dimensions_have_a_distance(dimensions: int) -> None:
    random = np.random.default_rng(10)
    specs = distance_specs(sampled(points_of(random.normal(size=(2000, dimensions)))))
    block = CentroidsBlock(specs[0])
    near = block.distances(points_of(random.normal(size=(1000, dimensions))))
    assert np.isfinite(near).all()
    assert block.distances(points_of(np.full((1, dimensions), 30.0)))[0] > 3 * near.max()


def test_where_few_values_come_again_and_again_another_one_is_far() -> None:
    random = np.random.default_rng(11)
    points = points_of(random.normal(size=(CENTROIDS // 2, DIMENSIONS)))
    specs = distance_specs(sampled(points[:, random.integers(0, CENTROIDS // 2, 4000)]))
    block = CentroidsBlock(specs[0])
    assert block.distances(points).max() < 1e-6
    assert block.distances(points[:, :1] + 0.1)[0] > 0.01


def test_nothing_is_learnt_where_there_is_nothing_to_learn() -> None:
    points = Kinds(12).draw(EVENTS_EACH)
    assert distance_specs({}) == ()
    assert distance_specs(dict(list(sampled(points).items())[1:])) == ()
    assert distance_specs(sampled(points[:, 1:])) == ()
    assert distance_specs(sampled(np.full((len(PROJECTIONS), 500), 2.5))) == ()
    points[3, 0] = np.nan
    assert distance_specs(sampled(points)) == ()
    layout = learning("features.a")
    summary = fold(layout, columns_of(layout, points, np.random.default_rng(12)))
    assert not growth.finished(summary, classes_cap=10, pairs_cap=200).blocks_of(CentroidsBlock.kind)


def test_the_distance_takes_no_place_among_the_fields() -> None:
    layout = learnt(Kinds(13), 1000)
    known = BlockSpec(FieldsBlock.kind, tuple(f"number {path}" for path in (*PROJECTIONS, "features.a")))
    caps = {"segments_cap": 5, "classes_cap": 10, "pairs_cap": 10}
    assert growth.reached(layout.with_block(known), fields_cap=len(PROJECTIONS) + 1, **caps) == ()
    assert growth.reached(layout.with_block(known), fields_cap=len(PROJECTIONS), **caps) == ("fields_cap",)
    assert all(DISTANCE not in spec.labels for spec in layout.blocks_of("pairs"))
