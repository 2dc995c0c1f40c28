"""Summaries add up: any split of the events, in any order and any bracketing, gives the bytes of the whole."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from random import Random
from typing import Any, TypeVar

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from detectors.arrays import unpack
from detectors.bottomk import Repeats, Sample, Sketch
from detectors.columns import DEFECTS, DRAWS, Categories, Columns, Sightings
from detectors.folding import SKETCH_SIZE, fold, fold_into
from detectors.layout import WHOLE, BlockSpec, Layout, RawSpec
from detectors.registry import BLOCKS, unlearnt_layout
from detectors.summary import Summary

T = TypeVar("T")

KNOWN = {
    "confidence": BlockSpec("confidence", edges=(0.25, 0.5, 0.75, 0.9)),
    "classes": BlockSpec("classes", labels=("a", "b")),
}
SPECS = (
    *(KNOWN.get(kind, block.unlearnt()) for kind, block in BLOCKS.items()),
    BlockSpec("number", edges=(-1.0, 0.0, 2.5), field="features.age"),
    BlockSpec("category", labels=("x", "y"), field="features.colour"),
    BlockSpec("number", field="features.absent"),
    BlockSpec(
        "pairs",
        labels=("features.age", "features.width", "a"),
        edges=(0.0, 0.0, 2.5, 1.0),
        pairs=((0, 1), (0, 4), (1, 4), (2, 3)),
    ),
    BlockSpec("number", edges=(0.0,), field="features.width"),
)
FIELDS = (
    *unlearnt_layout().blocks,
    BlockSpec("number", field="features.age"),
    BlockSpec("category", field="features.colour"),
)
RAW = ("confidence", "features.age", "prediction=a", "features.colour=x", "tags.region=eu")
LAYOUTS = {
    "learning": Layout((WHOLE,), unlearnt_layout().blocks, sample_size=100),
    "learning, with fields": Layout((WHOLE, "tier=tin"), FIELDS, sample_size=20),
    "just beginning": Layout((WHOLE,), unlearnt_layout().blocks, sample_size=3),
    "learnt": Layout((WHOLE, "region=eu", "tier=gold", "region=us"), SPECS),
    "learnt, with a sample": Layout((WHOLE, "region=us"), SPECS, sample_size=7),
    "learnt, for other detectors": Layout((WHOLE, "region=us"), SPECS, raw=RawSpec(9, RAW)),
}


@dataclass(frozen=True)
class Row:
    confidence: float
    margin: float
    predicted: str | None
    region: str | None
    tier: str | None
    hashes: tuple[int, ...]
    defects: int
    age: float
    width: float
    colour: str | None
    wrong: bool
    sighted: tuple[str, ...]
    entropy: float


shares = st.just(np.nan) | st.floats(0, 1) | st.sampled_from([0.0, 0.25, 0.5, 0.9, 1.0])
# Few different hashes: events that came twice, and draws that are equal by chance.
hashes = st.integers(0, 6) | st.integers(0, 2**64 - 1)
numbers = st.sampled_from([np.nan, -1.0, 0.0, 2.5, 1e300]) | st.floats(-3, 3)
rows = st.builds(
    Row,
    shares,
    shares,
    st.none() | st.sampled_from(["a", "b", "c", "", "ü"]),
    st.none() | st.sampled_from(["eu", "us", "asia"]),
    st.none() | st.sampled_from(["gold", "tin"]),
    st.tuples(*[hashes] * len(DRAWS)),
    st.integers(0, 2 ** len(DEFECTS) - 1),
    numbers,
    numbers,
    st.none() | st.sampled_from(["x", "y", "z", ""]),
    st.booleans(),
    st.lists(st.sampled_from(["number features.age", "text tags.region", "other features.new"]), unique=True).map(
        tuple
    ),
    shares,
)


def many(count: int, seed: int) -> list[Row]:
    """Return more rows than a sketch or a sample holds, most of them with values no layout knows."""
    chance = Random(seed)
    return [
        Row(
            chance.choice([np.nan, chance.random()]),
            np.nan,
            chance.choice(["a", f"new-{chance.randrange(90)}"]),
            chance.choice([None, "eu", f"place-{chance.randrange(90)}"]),
            None,
            tuple(chance.getrandbits(64) for _ in DRAWS),
            0,
            chance.choice([np.nan, chance.gauss(0, 1)]),
            chance.choice([np.nan, chance.gauss(0, 1)]),
            chance.choice([None, "x", f"colour-{chance.randrange(90)}"]),
            chance.random() < 0.1,
            tuple(f"number features.f{chance.randrange(90)}" for _ in range(chance.randrange(4))),
            np.nan,
        )
        for _ in range(count)
    ]


events = st.one_of(
    st.lists(rows, max_size=40),
    st.lists(rows, min_size=1, max_size=10).map(lambda some: some * 3),
    st.builds(many, st.integers(2 * SKETCH_SIZE, 300), st.integers(0, 2**32)),
)


def columns_of(some: list[Row]) -> Columns:
    """Return the rows as columns; codes are given out in the order of this batch alone."""

    def categories(values: list[str | None]) -> Categories:
        names = tuple(dict.fromkeys(value for value in values if value is not None))
        code = {name: position for position, name in enumerate(names)}
        codes = [-1 if value is None else code[value] for value in values]
        return Categories(np.array(codes, dtype=np.int64), names)

    return Columns(
        confidence=np.array([row.confidence for row in some], dtype=np.float64),
        margin=np.array([row.margin for row in some], dtype=np.float64),
        predicted=categories([row.predicted for row in some]),
        tags={"region": categories([row.region for row in some]), "tier": categories([row.tier for row in some])},
        hashes=np.array([row.hashes for row in some], dtype=np.uint64).reshape(-1, len(DRAWS)),
        defects=np.array([row.defects for row in some], dtype=np.uint32),
        time_us=np.array([row.hashes[0] % 1000 for row in some], dtype=np.int64),
        numbers={
            "features.age": np.array([np.nan if row.wrong else row.age for row in some], dtype=np.float64),
            "features.width": np.array([row.width for row in some], dtype=np.float64),
        },
        texts={"features.colour": categories([row.colour for row in some])},
        wrong={"features.age": np.array([row.wrong for row in some], dtype=np.bool_)},
        sightings=Sightings(
            np.array([bool(row.sighted) for row in some], dtype=np.bool_),
            np.array([at for at, row in enumerate(some) for _ in row.sighted], dtype=np.intp),
            categories([label for row in some for label in row.sighted]),
        ),
        entropy=np.array([row.entropy for row in some], dtype=np.float64),
    )


def split(items: list[T], chance: Random) -> list[list[T]]:
    """Return all items in some order, in some pieces, of which some may be empty."""
    shuffled = chance.sample(items, len(items))
    cuts = sorted(chance.randint(0, len(items)) for _ in range(chance.randint(0, 6)))
    return [shuffled[start:end] for start, end in zip([0, *cuts], [*cuts, len(items)], strict=True)]


def merged(pieces: list[T], merge: Callable[[T, T], T], chance: Random) -> T:
    """Return all pieces merged, two at a time, in some order and bracketing."""
    left = list(pieces)
    while len(left) > 1:
        one, other = (left.pop(chance.randrange(len(left))) for _ in range(2))
        left.append(merge(one, other))
    return left[0]


def added(one: Summary, other: Summary) -> Summary:
    one.add(other)
    return one


@pytest.mark.parametrize("name", LAYOUTS)
@settings(max_examples=60, deadline=None)
@given(some=events, late=st.lists(rows, max_size=5), chance=st.randoms(use_true_random=False))
def test_a_summary_of_pieces_is_the_summary_of_the_whole(
    name: str, some: list[Row], late: list[Row], chance: Random
) -> None:
    layout = LAYOUTS[name]
    whole = fold(layout, columns_of(some))
    whole.add(fold(layout, columns_of(late), late=True))
    pieces = [fold(layout, columns_of(piece)) for piece in split(some, chance)]
    pieces += [fold(layout, columns_of(piece), late=True) for piece in split(late, chance)]
    assert merged(pieces, added, chance).to_bytes() == whole.to_bytes()


@pytest.mark.parametrize("name", LAYOUTS)
@settings(max_examples=60, deadline=None)
@given(some=events, others=events)
def test_a_summary_comes_back_from_its_bytes_and_adds_up_as_before(
    name: str, some: list[Row], others: list[Row]
) -> None:
    layout = LAYOUTS[name]
    first, second = (fold(layout, columns_of(each)) for each in (some, others))
    again = [Summary.from_bytes(layout, each.to_bytes()) for each in (first, second)]
    for one, other in zip((first, second), again, strict=True):
        assert other.to_bytes() == one.to_bytes()
        np.testing.assert_array_equal(other.counts, one.counts)
        np.testing.assert_array_equal(other.whole, one.whole)
        np.testing.assert_array_equal(other.sums, one.sums)
        assert other.sketches == one.sketches
    assert added(again[0], again[1]).to_bytes() == added(first, second).to_bytes()


@pytest.mark.parametrize("name", LAYOUTS)
@settings(max_examples=60, deadline=None)
@given(some=events, others=events, late=st.lists(rows, max_size=5))
def test_folding_into_a_summary_is_adding_to_it(name: str, some: list[Row], others: list[Row], late: list[Row]) -> None:
    layout = LAYOUTS[name]
    into = fold(layout, columns_of(some))
    fold_into(into, columns_of(others))
    fold_into(into, columns_of(late), late=True)
    apart = reduce(added, [fold(layout, columns_of(each)) for each in (some, others)])
    assert into.to_bytes() == added(apart, fold(layout, columns_of(late), late=True)).to_bytes()


@settings(max_examples=60, deadline=None)
@given(some=events)
def test_a_stored_row_has_the_cells_of_all_blocks_in_their_order(some: list[Row]) -> None:
    layout = LAYOUTS["learnt"]
    summary = fold(layout, columns_of(some))
    table = np.concatenate(
        [
            np.pad(cells, ((0, len(layout.segments) - len(cells)), (0, 0)))
            for cells in (summary.cells(spec.kind, spec.field) for spec in layout.blocks)
        ],
        axis=1,
    ).ravel()
    _, arrays = unpack(summary.to_bytes())
    assert np.cumsum(arrays["cells"].astype(np.int64)).tolist() == np.flatnonzero(table).tolist()
    assert arrays["counts"].tolist() == table[table > 0].tolist()


@pytest.mark.parametrize("name", LAYOUTS)
@given(some=events)
@settings(max_examples=30, deadline=None)
def test_nothing_added_changes_nothing(name: str, some: list[Row]) -> None:
    layout = LAYOUTS[name]
    whole = fold(layout, columns_of(some))
    before = whole.to_bytes()
    assert added(whole, Summary.empty(layout)).to_bytes() == before
    assert added(Summary.empty(layout), whole).to_bytes() == before
    assert fold(layout, columns_of([])).to_bytes() == Summary.empty(layout).to_bytes()


@settings(max_examples=60, deadline=None)
@given(some=events)
def test_what_is_counted_is_what_came(some: list[Row]) -> None:
    layout = LAYOUTS["learnt"]
    summary = fold(layout, columns_of(some))
    assert summary.events.tolist() == [
        len(some),
        sum(row.region == "eu" for row in some),
        sum(row.tier == "gold" for row in some),
        sum(row.region == "us" for row in some),
    ]
    whole = summary.cells("classes")[0].tolist()
    assert whole == [
        sum(row.predicted == "a" for row in some),
        sum(row.predicted == "b" for row in some),
        sum(row.predicted not in {"a", "b", None} for row in some),
    ]
    for bit, defect in enumerate(DEFECTS):
        assert summary.total("traffic", defect)[0] == sum(row.defects >> bit & 1 for row in some)
    assert summary.cells("confidence")[0, -1] == sum(np.isnan(row.confidence) for row in some)
    ages = [row.age for row in some if not row.wrong and not np.isnan(row.age)]
    assert summary.cells("number", "features.age")[0].tolist() == [
        sum(row.wrong for row in some),
        sum(age <= -1.0 for age in ages),
        sum(-1.0 < age <= 0.0 for age in ages),
        sum(0.0 < age <= 2.5 for age in ages),
        sum(age > 2.5 for age in ages),
    ]
    assert not summary.cells("number", "features.absent").any()
    colours = [row.colour for row in some]
    others = sum(colour not in {"x", "y", None} for colour in colours)
    assert summary.cells("category", "features.colour")[0].tolist() == [
        0,
        colours.count("x"),
        colours.count("y"),
        others,
    ]
    assert summary.total("fields", "looked")[0] == sum(bool(row.sighted) for row in some)
    assert summary.total("fields", "appeared")[0] == sum(bool(row.sighted) for row in some)


def matrix_of(rows: list[Row]) -> list[list[int]]:
    """Return the cells of the pairs, counted event by event."""
    cells = [[0, 0] for _ in range(4)]
    for row in rows:
        age = None if row.wrong or np.isnan(row.age) else row.age
        width = None if np.isnan(row.width) else row.width
        if age is not None and width is not None:
            cells[0][(age > 0) != (width > 0)] += 1
            cells[3][(abs(age) > 2.5) != (abs(width) > 1)] += 1
        for cell, number in ((1, age), (2, width)):
            if number is not None and row.predicted == "a":
                cells[cell][number <= 0] += 1
    return cells


@settings(max_examples=100, deadline=None)
@given(some=events)
def test_pairs_are_counted_in_the_whole_model(some: list[Row]) -> None:
    summary = fold(LAYOUTS["learnt"], columns_of(some))
    assert summary.cells("pairs").reshape(4, 2).tolist() == matrix_of(some)


def smallest(entries: list[Any], size: int) -> list[Any]:
    return sorted(entries)[:size]


pairs = st.lists(st.tuples(hashes, shares.map(lambda share: 2.0 if np.isnan(share) else share)), max_size=40)


@settings(max_examples=100, deadline=None)
@given(entries=pairs, size=st.integers(0, 12), chance=st.randoms(use_true_random=False))
def test_a_sample_is_of_the_smallest_hashes_however_it_is_put_together(
    entries: list[tuple[int, float]], size: int, chance: Random
) -> None:
    def of(some: list[tuple[int, float]]) -> Sample:
        draws = np.array([draw for draw, _ in some], dtype=np.uint64)
        return Sample.of(size, draws, np.array([value for _, value in some], dtype=np.float64).reshape(-1, 1))

    whole = of(entries)
    found = list(zip(whole.hashes.tolist(), whole.values[:, 0].tolist(), strict=True))
    assert found == smallest(entries, size)
    other = merged([of(piece) for piece in split(entries, chance)], Sample.merge, chance)
    assert other.hashes.tobytes() == whole.hashes.tobytes()
    assert other.values.tobytes() == whole.values.tobytes()


@settings(max_examples=100, deadline=None)
@given(
    entries=st.lists(st.tuples(hashes, st.sampled_from(["", "a", "b", "ü"])), max_size=40),
    size=st.integers(1, 12),
    chance=st.randoms(use_true_random=False),
)
def test_a_sketch_is_of_the_smallest_hashes_however_it_is_put_together(
    entries: list[tuple[int, str]], size: int, chance: Random
) -> None:
    whole = Sketch.of(size, entries)
    assert list(whole.entries) == smallest(entries, size)
    pieces = [Sketch.of(size, piece) for piece in split(entries, chance)]
    assert merged(pieces, Sketch.merge, chance) == whole
    assert reduce(Sketch.merge, pieces) == whole


@settings(max_examples=200, deadline=None)
@given(
    polls=st.lists(
        st.lists(hashes | st.integers(2**64 - 9, 2**64 - 1), max_size=60)
        | st.builds(lambda seed, count: many_draws(Random(seed), count), st.integers(0, 2**32), st.integers(0, 300)),
        max_size=4,
    ),
    size=st.integers(0, 12),
    chance=st.randoms(use_true_random=False),
)
@example(polls=[[5, 2**64 - 5, 2**64 - 6], [7, *[2**63] * 99]], size=4, chance=Random(1))
def test_repeats_are_those_of_the_smallest_different_hashes_however_they_are_put_together(
    polls: list[list[int]], size: int, chance: Random
) -> None:
    def of(some: list[int]) -> Repeats:
        return Repeats.none(size).more(np.array(some, dtype=np.uint64))

    draws = [draw for poll in polls for draw in poll]
    whole = of(draws)
    times = Counter(draws)
    expected = [(draw, times[draw]) for draw in sorted(times)[:size]]
    assert list(zip(whole.hashes.tolist(), whole.counts.tolist(), strict=True)) == expected
    pieces = split(draws, chance)
    # What is added to some that are known already is looked at in another way than what is merged.
    grown = reduce(lambda known, poll: known.more(np.array(poll, dtype=np.uint64)), polls, Repeats.none(size))
    for other in (merged([of(piece) for piece in pieces], Repeats.merge, chance), grown):
        assert other.hashes.tobytes() == whole.hashes.tobytes()
        assert other.counts.tobytes() == whole.counts.tobytes()


def many_draws(chance: Random, count: int) -> list[int]:
    """Return uniform draws of which many came again, most of them a few times, one for ever."""
    different = [chance.getrandbits(64) for _ in range(max(1, count // chance.choice([1, 2, 50])))]
    return [chance.choice([*different[:1] * 20, *different]) for _ in range(count)]


def test_summaries_of_different_layouts_do_not_add_up() -> None:
    with pytest.raises(ValueError, match="different layouts"):
        Summary.empty(LAYOUTS["learnt"]).add(Summary.empty(LAYOUTS["learning"]))
