"""Pairs: what goes together is found to change though nothing changes by itself."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pytest
from numpy.typing import NDArray

from detectors import growth
from detectors.cohort import step
from detectors.columns import DRAWS, Categories, Columns
from detectors.folding import fold
from detectors.layout import Layout
from detectors.numbers import NumberBlock
from detectors.pairs import PairsBlock
from detectors.readings import STATUSES
from detectors.reference import Reference, aligned
from detectors.registry import unlearnt_layout
from detectors.state import CohortState
from sinks.windows import compress
from tests.unit.detectors.streams import MONTH, Stream, fired

NAMES = tuple(f"class {number}" for number in range(10))


@dataclass(frozen=True)
class World:
    """What events are like. ``correlation``: of the first two features; ``bound``: of class and first feature.

    ``together``: how much the third and the fourth share their spread. No feature and no class changes by any of them.
    """

    correlation: float = 0.0
    bound: float = 0.0
    together: float = 0.0
    shift: float = 0.0
    missing: float = 0.0
    features: int = 6
    shares: tuple[float, ...] = (0.2, 0.3, 0.5)


def columns_of(random: np.random.Generator, n: int, world: World) -> Columns:
    values = random.normal(size=(world.features, n))
    values[1] = world.correlation * values[0] + np.sqrt(1 - world.correlation**2) * values[1]
    alike = random.random(n) < world.together
    values[3] = np.where(alike, np.abs(values[2]) * np.sign(values[3]), values[3])
    values[4] += world.shift
    codes = random.choice(len(world.shares), n, p=world.shares)
    # Events of the first classes are those with the largest first feature, the more so the more they are bound.
    order = np.argsort(np.where(random.random(n) < world.bound, values[0], random.normal(size=n)))
    codes[order] = np.sort(codes)[::-1]
    values[random.random(values.shape) < world.missing] = np.nan
    return Columns(
        confidence=np.full(n, 0.9),
        margin=np.full(n, np.nan),
        predicted=Categories(codes.astype(np.int64), NAMES),
        tags={"region": Categories(random.integers(0, 2, n), ("eu", "us"))},
        hashes=random.integers(0, 2**64, (n, len(DRAWS)), dtype=np.uint64),
        defects=np.zeros(n, dtype=np.uint32),
        numbers={f"features.f{number:02}": each for number, each in enumerate(values)},
    )


def learnt_layout(random: np.random.Generator, world: World, *, pairs_cap: int = 200) -> Layout:
    columns = columns_of(random, 4096, world)
    blocks = growth.with_fields(fold(unlearnt_layout(), columns), fields_cap=100).blocks
    numbers = [NumberBlock.unlearnt(field) for field in columns.numbers]
    sampled = fold(replace(unlearnt_layout(), blocks=(*blocks, *numbers)), columns)
    layout = growth.finished(sampled, classes_cap=100, pairs_cap=pairs_cap)
    return replace(layout, segments=("", "region=eu", "region=us"))


def watched(seed: int, world: World, *, pairs_cap: int = 200, n: int = 20_000) -> tuple[Stream, np.random.Generator]:
    random = np.random.default_rng(seed)
    layout = learnt_layout(random, world, pairs_cap=pairs_cap)
    reference = Reference(layout, fold(layout, columns_of(random, n, world)))
    return Stream(layout, reference, budget=MONTH), random


def run(stream: Stream, random: np.random.Generator, windows: int, world: World, n: int = 1000) -> None:
    for _ in range(windows):
        stream.take(fold(stream.layout, columns_of(random, n, world)))


def spec_of(
    sample: Mapping[str, NDArray[np.float64]], classes: Mapping[str, float] | None = None, cap: int = 1000
) -> tuple[tuple[str, ...], set[str]]:
    """Return the labels, and the pairs by the names of their bits."""
    spec = PairsBlock.learnt(sample, classes or {}, cap)
    fields = spec.labels[: len(spec.edges) // 2]
    names = [*fields, *(f"|{field}|" for field in fields), *spec.labels[len(fields) :]]
    return spec.labels, {f"{names[one]} {names[other]}" for one, other in spec.pairs}


@pytest.mark.parametrize(
    ("changed", "component"),
    [
        (World(correlation=0.5), "share with features.f00 and features.f01 on the same side of their medians rising"),
        (World(correlation=-0.5), "share with features.f00 and features.f01 on opposite sides of their medians rising"),
        (World(together=0.5), "share with features.f02 and features.f03 equally far from their medians rising"),
        (World(bound=0.6), "share of class class 2 with features.f00 up to its median rising"),
    ],
)
def test_what_goes_together_is_found_to_change_though_nothing_changes_by_itself(changed: World, component: str) -> None:
    stream, random = watched(1, World())
    run(stream, random, 30, World())
    assert fired(stream.steps) == []
    run(stream, random, 5, changed)
    found = [one for one in fired(stream.steps) if one[2] == ""]
    assert [(monitor, name) for _, monitor, _, name in found] == [("pairs", component)]
    assert found[0][0] <= 34


def test_one_changed_pair_of_1225_is_found_within_five_thousand_events() -> None:
    world = World(features=50, shares=(1.0,))
    stream, random = watched(2, world, pairs_cap=2450)
    assert len(stream.layout.block("pairs").pairs) == 2450
    run(stream, random, 20, world)
    assert fired(stream.steps) == []
    run(stream, random, 5, replace(world, correlation=0.5))
    assert ("pairs", "") in {(monitor, segment) for _, monitor, segment, _ in fired(stream.steps)}


def test_a_field_that_shifts_within_its_own_tolerance_leaves_the_pairs_alone() -> None:
    world = World(shares=(0.6, 0.4))
    stream, random = watched(3, world, n=100_000)
    # By so much the share above the median rises from 0.5 to 0.55.
    run(stream, random, 10, replace(world, shift=0.125), n=50_000)
    assert [one for one in fired(stream.steps) if one[1] == "pairs"] == []


def test_values_that_go_missing_leave_the_pairs_alone() -> None:
    stream, random = watched(4, World())
    run(stream, random, 5, World(missing=0.4))
    assert {monitor for _, monitor, _, _ in fired(stream.steps)} == {"missing"}


def test_a_value_that_hardly_divides_a_field_is_not_asked_for() -> None:
    random = np.random.default_rng(5)
    normal = random.normal(size=2000)
    rare = (random.random(2000) < 0.2).astype(np.float64)
    even = (random.random(2000) < 0.5).astype(np.float64)
    sparse = np.where(random.random(2000) < 0.95, np.nan, normal)
    sample = {"normal": normal, "other": normal[::-1], "rare": rare, "even": even, "sparse": sparse, "same": normal * 0}
    labels, pairs = spec_of(sample)
    assert labels == ("normal", "other", "even")
    # Of two values, far from the one is the other: that would be asked twice.
    assert pairs == {"normal other", "normal even", "other even", "|normal| |other|"}


def test_classes_too_rare_to_change_and_too_common_to_tell_from_the_field_are_in_no_pair() -> None:
    random = np.random.default_rng(6)
    sample = {"one": random.normal(size=2000)}
    assert spec_of(sample, {"common": 0.7, "usual": 0.2, "some": 0.07, "rare": 0.03}) == (
        ("one", "some", "usual"),
        {"one some", "one usual"},
    )
    assert spec_of({}, {"usual": 0.5}) == ((), set())


def test_above_the_cap_a_choice_is_made_once() -> None:
    random = np.random.default_rng(7)
    sample = {f"f{number}": random.normal(size=500) for number in range(12)}
    classes = {f"c{number}": 0.1 for number in range(10)}
    _, everything = spec_of(sample, classes)
    assert len(everything) == 66 + 66 + 120
    _, some = spec_of(sample, classes, cap=40)
    assert len(some) == 40
    assert some < everything
    # Of each kind some: it is no beginning of a list.
    assert {pair.count("|") for pair in some} == {0, 4}
    assert any("c" in pair for pair in some)
    # The choice goes by names, not by values.
    others = {name: random.normal(size=700) for name in sample}
    assert spec_of(others, classes, cap=40)[1] == some
    _, renamed = spec_of({f"g{name}": values for name, values in sample.items()}, classes, cap=40)
    assert {pair.replace("g", "") for pair in renamed} != some
    assert spec_of(sample, classes, cap=0) == ((), set())


def test_without_a_pair_there_is_no_block() -> None:
    layout = learnt_layout(np.random.default_rng(8), World(), pairs_cap=0)
    assert layout.blocks_of("pairs") == []


def test_many_events_are_counted_as_one_by_one() -> None:
    random = np.random.default_rng(9)
    columns = columns_of(random, 5000, World(missing=0.1))
    block = PairsBlock(learnt_layout(random, World()).block("pairs"))
    one_by_one = [block.whole_counts_of(columns.take(np.array([row]))) for row in range(5000)]
    assert (block.whole_counts_of(columns) == np.sum(one_by_one, axis=0)).all()


def test_segments_are_not_asked() -> None:
    stream, random = watched(1, World())
    run(stream, random, 25, World())
    found = stream.steps[-1]
    readings, at = found.readings, found.readings.monitors.index("pairs")
    assert readings.n[:, at].tolist() == [1000, 0, 0]
    assert [STATUSES[each] for each in readings.status[:, at]] == ["ok", "learning", "learning"]
    assert len(found.state.monitors["pairs"].log_r) == 1
    assert found.state.calibrated.all()
    # What was stored goes on to the byte.
    assert CohortState.from_bytes(found.state.to_bytes()).to_bytes() == found.state.to_bytes()


def test_a_state_from_before_there_were_pairs_goes_on_as_it_was() -> None:
    stream, random = watched(10, World())
    run(stream, random, 5, World())
    assert stream.state is not None
    evidence = stream.state.monitors["numbers"].log_r.copy()
    del stream.state.monitors["pairs"]
    stream.state = type(stream.state).from_bytes(stream.state.to_bytes())
    assert (stream.state.monitors["numbers"].log_r == evidence).all()
    run(stream, random, 5, World(correlation=0.7))
    assert ("pairs", "") in {(monitor, segment) for _, monitor, segment, _ in fired(stream.steps)}


def test_a_reference_from_before_there_were_pairs_goes_on_without_them() -> None:
    stream, random = watched(11, World())
    old = replace(stream.layout, blocks=tuple(spec for spec in stream.layout.blocks if spec.kind != "pairs"))
    stored = Layout.from_json(old.to_json())
    assert stored == old
    assert "pairs" not in old.to_json()
    stream.reference = Reference(stored, fold(stored, columns_of(random, 20_000, World())))
    run(stream, random, 3, World(correlation=0.9))
    assert fired(stream.steps) == []
    # A window that was counted without pairs is none of one with them that had none.
    assert aligned(fold(old, columns_of(random, 100, World())), stream.layout) is not None


def test_other_pairs_are_not_compared() -> None:
    stream, random = watched(12, World())
    other = learnt_layout(np.random.default_rng(13), World(), pairs_cap=15)
    summary = fold(other, columns_of(random, 1000, World(correlation=0.9)))
    taken = step(other, stream.reference, None, summary, 0, MONTH, lambda _: [])
    pairs = taken.readings.monitors.index("pairs")
    assert np.isnan(taken.readings.log_evidence[:, pairs]).all()
    assert aligned(summary, stream.layout) is None
    spec = stream.layout.block("pairs")
    reordered = stream.layout.with_block(replace(spec, pairs=(*spec.pairs[1:], spec.pairs[0])))
    assert aligned(fold(reordered, columns_of(random, 100, World())), stream.layout) is None


def test_the_state_of_ten_features_and_ten_classes_is_at_most_64_kilobytes() -> None:
    world = World(features=10, shares=(0.1,) * 10)
    stream, random = watched(14, world)
    assert len(stream.layout.block("pairs").pairs) == 190
    run(stream, random, 22, world)
    assert stream.state is not None
    assert stream.state.calibrated.all()
    assert len(compress(stream.state.to_bytes())) / len(stream.layout.segments) < 65_536
