"""Features and tags: learnt from the stream, and each way in which they can go wrong told by its own monitor."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from detectors import growth
from detectors.budget import Budget
from detectors.categories import CategoryBlock
from detectors.cohort import step
from detectors.columns import DRAWS, Categories, Columns, Sightings
from detectors.fields import FieldsBlock
from detectors.folding import fold
from detectors.layout import BlockSpec, Layout
from detectors.monitors import questions_of
from detectors.numbers import NumberBlock, NumbersMonitor, RangeMonitor
from detectors.reference import Reference
from detectors.registry import unlearnt_layout
from detectors.traffic import TrafficBlock
from tests.unit.detectors.streams import Stream, fired

if TYPE_CHECKING:
    from detectors.summary import Summary

AGE, COLOUR, USER = "features.age", "features.colour", "tags.user"


@dataclass(frozen=True)
class World:
    """What events are like.

    ``wrong``: how often the age is no number; ``sentinel``: how often it is -9; ``spread``: its standard deviation;
    ``new``: fields besides the usual ones.
    """

    shift: float = 0.0
    missing: float = 0.0
    wrong: float = 0.0
    sentinel: float = 0.0
    spread: float = 1.0
    colours: tuple[float, ...] = (0.6, 0.3, 0.1, 0.0)
    new: tuple[str, ...] = ()


def columns_of(random: np.random.Generator, n: int, world: World, looked: float = 0.1) -> Columns:
    names = ("red", "green", "blue", "mauve")
    absent, wrong = random.random(n) < world.missing, random.random(n) < world.wrong
    seen = random.random(n) < looked
    ages = np.where(random.random(n) < world.sentinel, -9.0, random.normal(world.shift, world.spread, n))
    rows = np.flatnonzero(seen)
    labels = (f"number {AGE}", f"text {COLOUR}", f"text {USER}", "other features.list", *world.new)
    return Columns(
        confidence=np.full(n, 0.9),
        margin=np.full(n, np.nan),
        predicted=Categories(np.zeros(n, dtype=np.int64), ("a",)),
        tags={},
        hashes=random.integers(0, 2**64, (n, len(DRAWS)), dtype=np.uint64),
        defects=np.zeros(n, dtype=np.uint32),
        numbers={AGE: np.where(absent | wrong, np.nan, ages)},
        texts={
            COLOUR: Categories(random.choice(4, n, p=world.colours).astype(np.int64), names),
            USER: Categories(np.arange(n), tuple(map(str, random.integers(0, 2**60, n)))),
        },
        wrong={AGE: wrong & ~absent},
        sightings=Sightings(
            seen,
            np.repeat(rows, len(labels)),
            Categories(np.tile(np.arange(len(labels)), len(rows)), labels),
        ),
    )


def learnt_layout(random: np.random.Generator) -> Layout:
    """Return the layout as reduce would learn it, window by window."""
    layout = unlearnt_layout()
    seen: list[Summary] = []
    for _ in range(20):
        seen.append(fold(layout, columns_of(random, 1000, World())))
        found = growth.learnt(seen, fields_cap=10, classes_cap=10, pairs_cap=10)
        if found is not None:
            if not found.sample_size:
                return found
            layout, seen = found, []
    raise AssertionError("never learnt")


def watched(seed: int) -> tuple[Stream, np.random.Generator]:
    random = np.random.default_rng(seed)
    layout = learnt_layout(random)
    reference = Reference(layout, fold(layout, columns_of(random, 20_000, World())))
    return Stream(layout, reference, budget=Budget(windows=8640, segments_cap=16)), random


def run(stream: Stream, random: np.random.Generator, windows: int, world: World, n: int = 1000) -> list[Any]:
    return [stream.take(fold(stream.layout, columns_of(random, n, world))) for _ in range(windows)]


def test_first_the_fields_are_learnt_then_their_edges_and_values() -> None:
    layout = learnt_layout(np.random.default_rng(1))
    assert [(spec.kind, spec.field) for spec in layout.blocks if spec.field] == [
        ("number", AGE),
        ("category", COLOUR),
        ("category", USER),
    ]
    edges = np.array(layout.block("number", AGE).edges)
    # Nine deciles of a normal distribution, between the ends of the sample's range.
    assert edges[1:-1] == pytest.approx([-1.28, -0.84, -0.52, -0.25, 0, 0.25, 0.52, 0.84, 1.28], abs=0.1)
    assert layout.block("category", COLOUR).labels == ("blue", "green", "red")
    # Of free text only whether it is there is watched; of what is neither number nor text, that it is known.
    assert layout.block("category", USER).labels == ()
    assert "other features.list" in layout.block("fields").labels


def test_no_more_fields_are_watched_than_the_cap_allows() -> None:
    random = np.random.default_rng(2)
    some = fold(
        unlearnt_layout(), columns_of(random, 2000, World(new=tuple(f"number features.f{n}" for n in range(50))))
    )
    layout = growth.learnt([some], fields_cap=7, classes_cap=10, pairs_cap=10)
    assert layout is not None
    assert sum(bool(spec.field) for spec in layout.blocks) == 7
    assert len(layout.block("fields").labels) == 54


def test_nothing_fires_while_nothing_changes() -> None:
    stream, random = watched(3)
    assert not fired(run(stream, random, 300, World()))


@pytest.mark.parametrize(
    ("world", "monitor", "component"),
    [
        (World(shift=0.5), "numbers", "share of features.age >"),
        (World(shift=-0.5), "numbers", "share of features.age ≤"),
        (World(sentinel=0.03), "range", "share of features.age < -"),
        # Narrower, and frozen at one value.
        (World(spread=0.6), "numbers", "share of features.age"),
        (World(shift=0.1, spread=0.0), "numbers", "share of features.age"),
        (World(colours=(0.3, 0.6, 0.1, 0.0)), "categories", "share of features.colour"),
        (World(colours=(0.55, 0.25, 0.1, 0.1)), "categories", "share of never-seen features.colour"),
        (World(missing=0.15), "missing", "share without features.age rising"),
        (World(wrong=0.1), "schema", "share with features.age of another type rising"),
        (World(new=("number features.height",)), "schema", "share found with a new field rising"),
    ],
)
def test_every_change_is_told_by_its_own_monitor_alone(world: World, monitor: str, component: str) -> None:
    stream, random = watched(4)
    run(stream, random, 5, World())
    found = fired(run(stream, random, 4, world))
    assert {name for _, name, _, _ in found} == {monitor}
    assert found[0][3].startswith(component)
    assert found[0][0] <= 7


def test_a_field_that_vanishes_is_a_broken_schema() -> None:
    stream, random = watched(5)
    found = fired(run(stream, random, 2, World(missing=1.0)))
    assert ("schema", "share that lost features.age rising") in {(name, component) for _, name, _, component in found}


def test_a_change_within_the_tolerance_stays_quiet_however_many_events_show_it() -> None:
    stream, random = watched(6)
    world = World(missing=0.01, colours=(0.58, 0.32, 0.1, 0.0))
    assert not fired(run(stream, random, 20, world, n=20_000))


def test_a_new_field_is_known_after_a_while() -> None:
    random = np.random.default_rng(7)
    layout = learnt_layout(random)
    met = fold(layout, columns_of(random, 1000, World(new=("text tags.new",))))
    assert met.total("fields", "appeared")[0] > 50
    grown = growth.grown(layout, met, segments_cap=10, classes_cap=10)
    assert grown is not None
    again = fold(grown, columns_of(random, 1000, World(new=("text tags.new",))))
    assert again.total("fields", "appeared")[0] == 0
    assert not again.sketches


def test_a_stream_with_other_edges_than_its_reference_is_not_compared_with_it() -> None:
    stream, random = watched(8)
    other = learnt_layout(np.random.default_rng(9))
    assert other.block("number", AGE) != stream.layout.block("number", AGE)
    summary = fold(other, columns_of(random, 1000, World(shift=3.0)))
    taken = step(other, stream.reference, None, summary, 0, stream.budget, lambda _: [])
    assert not taken.transitions
    numbers = taken.readings.monitors.index("numbers")
    assert np.isnan(taken.readings.log_evidence[:, numbers]).all()


def test_a_reference_from_before_fields_were_watched_goes_on_as_it_was() -> None:
    random = np.random.default_rng(10)
    layout = learnt_layout(random)
    old = replace(layout, blocks=tuple(spec for spec in layout.blocks if not spec.field and spec.kind != "fields"))
    reference = Reference(old, fold(old, columns_of(random, 20_000, World())))
    stream = Stream(layout, reference)
    assert not fired(run(stream, random, 5, World(shift=3.0, wrong=0.5)))
    assert set(stream.steps[-1].readings.monitors) >= {"confidence", "classes"}
    assert growth.reached(old, segments_cap=5, classes_cap=10, fields_cap=1, pairs_cap=1) == ()


def test_fields_whose_range_was_not_learnt_are_not_asked_about_it() -> None:
    random = np.random.default_rng(15)
    layout = learnt_layout(random)
    spec = layout.block("number", AGE)
    older = layout.with_block(replace(spec, edges=spec.edges[1:-1], outer=False))
    assert '"outer"' not in older.to_json()
    assert Layout.from_json(older.to_json()) == older
    assert Layout.from_json(layout.to_json()).block("number", AGE).outer
    names = questions_of(RangeMonitor(), layout).names
    assert [name.split(" of ")[1][:14] for name in names] == ["features.age <", "features.age >"]
    assert questions_of(RangeMonitor(), older).names == ()
    # All else is asked as before.
    assert questions_of(NumbersMonitor(), older).names == questions_of(NumbersMonitor(), layout).names
    stream = Stream(older, Reference(older, fold(older, columns_of(random, 20_000, World()))))
    assert {found[1] for found in fired(run(stream, random, 5, World(shift=0.5)))} == {"numbers"}


@pytest.mark.parametrize("value", [0.0, 5.0, -1e308, 1e308])
def test_a_number_that_was_always_the_same_is_watched_on_both_sides(value: float) -> None:
    spec = NumberBlock.learnt(AGE, np.full(4096, value))
    layout = Layout(("",), (TrafficBlock.unlearnt(), FieldsBlock.unlearnt(), spec))
    usual = replace(columns_of(np.random.default_rng(16), 2000, World()), numbers={AGE: np.full(2000, value)}, texts={})
    stream = Stream(layout, Reference(layout, fold(layout, usual)), Budget(8640, 16))
    stream.take(fold(layout, usual))
    assert not fired(stream.steps)
    for other, side in ((np.nextafter(value, -np.inf), "<"), (np.nextafter(value, np.inf), ">")):
        moved = np.where(np.arange(2000) % 20 == 0, other, value)
        watching = Stream(layout, stream.reference, Budget(8640, 16))
        found = watching.take(fold(layout, replace(usual, numbers={AGE: moved})))
        assert [(one[1], one[3].split()[3]) for one in fired([found])] == [("range", side)]


def test_caps_hold_while_learning_and_are_told() -> None:
    random = np.random.default_rng(1)
    names = tuple(f"class-{number:02}" for number in range(50))
    codes = np.concatenate([np.arange(5).repeat(100), np.arange(50)]).astype(np.int64)
    columns = replace(columns_of(random, len(codes), World()), predicted=Categories(codes, names))
    summary = fold(unlearnt_layout(), columns)
    layout = growth.finished(summary, classes_cap=10, pairs_cap=10)
    (classes,) = layout.blocks_of("classes")
    assert len(classes.labels) == 10
    assert set(names[:5]) < set(classes.labels)
    caps = {"segments_cap": 5, "classes_cap": 10, "fields_cap": 1, "pairs_cap": 10}
    assert growth.reached(layout, **caps) == ("classes_cap",)
    assert growth.beyond(fold(layout, columns), growth.reached(layout, **caps)) == ("classes_cap",)
    few = columns.take(np.flatnonzero(codes == 0))
    assert growth.beyond(fold(layout, few), growth.reached(layout, **caps)) == ()
    fielded = growth.with_fields(summary, fields_cap=1)
    assert growth.reached(fielded, **caps) == ("fields_cap",)


def test_a_segment_is_not_asked_about_the_tag_that_makes_it() -> None:
    """Compared with the whole model, which has other regions too, all its events would be a change."""
    random = np.random.default_rng(9)
    region = "tags.region"
    values = ("eu", "us")

    def with_regions(n: int, america: float) -> Columns:
        columns = columns_of(random, n, World())
        regions = Categories((random.random(n) < america).astype(np.int64), values)
        return replace(columns, tags={"region": regions}, texts={**columns.texts, region: regions})

    learnt = learnt_layout(random)
    blocks = (*learnt.blocks, BlockSpec(CategoryBlock.kind, labels=values, field=region))
    layout = replace(learnt, segments=("", "region=eu", "region=us"), blocks=blocks)
    stream = Stream(layout, Reference(layout, fold(layout, with_regions(15_000, 0.03))))
    stream.budget = Budget(windows=8640, segments_cap=16)
    for _ in range(20):
        stream.take(fold(layout, with_regions(1000, 0.03)))
    assert fired(stream.steps) == []
    for _ in range(5):
        stream.take(fold(layout, with_regions(1000, 0.4)))
    assert {(monitor, segment) for _, monitor, segment, _ in fired(stream.steps)} == {("categories", "")}
