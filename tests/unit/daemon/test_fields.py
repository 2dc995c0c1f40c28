"""Reading fields: the quick way and the careful way give the same, and what cannot be read is told apart."""

import json
import math

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.carried import Kept
from daemon.fields import FieldReader
from daemon.kinds import OWN_FIELDS, Own
from detectors.columns import DRAWS
from detectors.layout import WHOLE, BlockSpec, Layout

LAYOUT = Layout(
    (WHOLE,),
    (
        BlockSpec("number", field="features.age"),
        BlockSpec("number", field="features.größe"),
        BlockSpec("category", field="features.colour"),
        BlockSpec("category", field="tags.region"),
        *(BlockSpec("number", field=path) for path in OWN_FIELDS),
    ),
)

values = (
    st.none()
    | st.booleans()
    | st.text('aé😀\x00"\\', max_size=5)
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.just([1, {"a": 2}])
)
features = st.none() | st.dictionaries(st.sampled_from(["age", "größe", "colour", "other"]), values)


def raw(tree: object) -> msgspec.Raw | None:
    return None if tree is None else msgspec.Raw(json.dumps(tree).encode())


def read(trees: list[object], reader: FieldReader | None = None) -> list[list[object]]:
    """Return the three features of each event, "wrong" where a value is of another type."""
    found = (reader or FieldReader(LAYOUT)).read(
        Kept([raw(tree) for tree in trees], [None] * len(trees)),
        None,
        np.zeros((len(trees), len(DRAWS)), dtype=np.uint64),
    )
    numbers, texts, wrong, _ = found
    colours = texts["features.colour"]
    rows: list[list[object]] = []
    for row in range(len(trees)):
        number = [float(numbers[path][row]) for path in ("features.age", "features.größe")]
        text = None if colours.codes[row] < 0 else colours.names[colours.codes[row]]
        seen: list[object] = [*(None if math.isnan(each) else each for each in number), text]
        paths = ("features.age", "features.größe", "features.colour")
        rows.append(
            ["wrong" if path in wrong and wrong[path][row] else each for path, each in zip(paths, seen, strict=True)]
        )
    return rows


def expected(tree: dict[str, object] | None, name: str) -> object:
    value = (tree or {}).get(name)
    if value is None:
        return None
    if name == "colour":
        if isinstance(value, bool):
            return "true" if value else "false"
        return value.replace("\x00", "\ufffd") if isinstance(value, str) else "wrong"
    return "wrong" if isinstance(value, (bool, str, list)) else float(value)  # type: ignore[arg-type]


@given(trees=st.lists(features, min_size=1, max_size=8))
def test_every_value_is_read_missing_or_of_another_type(trees: list[dict[str, object] | None]) -> None:
    assert read(list(trees)) == [[expected(tree, name) for name in ("age", "größe", "colour")] for tree in trees]


@given(trees=st.lists(features, min_size=1, max_size=8))
def test_what_is_read_of_an_event_does_not_depend_on_its_neighbours(trees: list[dict[str, object] | None]) -> None:
    assert read(list(trees)) == [read([tree])[0] for tree in trees]


def test_many_events_are_read_in_their_order() -> None:
    trees: list[object] = [{"age": at, "colour": f"c{at % 3}"} for at in range(1501)]
    trees[700], trees[1200] = {"age": None}, {"age": "old"}
    found = read(trees)
    assert [row[0] for row in found] == [
        None if at == 700 else "wrong" if at == 1200 else float(at) for at in range(1501)
    ]
    assert found[1500] == [1500.0, None, "c0"]


@pytest.mark.parametrize("text", ["1e400", "-1e400", "1" + "0" * 400])
def test_a_number_beyond_double_precision_is_missing(text: str) -> None:
    numbers, _, wrong, _ = FieldReader(LAYOUT).read(
        Kept([msgspec.Raw(f'{{"age": {text}, "größe": 1}}'.encode())], [None]), None, np.zeros((1, 4), dtype=np.uint64)
    )
    assert np.isnan(numbers["features.age"][0])
    assert numbers["features.größe"][0] == 1.0
    assert not wrong


def test_tags_and_what_an_event_says_are_fields_too() -> None:
    numbers, texts, _, sightings = FieldReader(LAYOUT).read(
        Kept(
            [raw({"age": 1, "x": "a", "y": None, "z": [], "bad\nname": 1, "t": True}), None],
            [{"region": "eu\x00" * 200}, None],
        ),
        np.array([Own(prediction=2.5), Own()]),
        np.zeros((2, len(DRAWS)), dtype=np.uint64),
    )
    assert numbers["prediction"][0] == 2.5
    assert np.isnan(numbers["prediction"][1])
    assert np.isnan(numbers["uncertainty"]).all()
    assert texts["tags.region"].codes.tolist() == [0, -1]
    assert texts["tags.region"].names == (("eu\ufffd" * 200)[:256],)
    assert sightings.looked.tolist() == [True, True]
    assert set(sightings.rows.tolist()) == {0}
    seen = {sightings.fields.names[code] for code in sightings.fields.codes}
    assert seen == {
        "number features.age",
        "text features.x",
        "other features.z",
        "boolean features.t",
        "text tags.region",
        "number prediction",
    }


def test_one_event_in_64_is_looked_at_more_while_learning_and_an_ignored_field_never() -> None:
    hashes = np.zeros((256, len(DRAWS)), dtype=np.uint64)
    hashes[:, DRAWS.index("sample")] = np.arange(256)

    def looked(reader: FieldReader) -> tuple[int, set[str]]:
        *_, sightings = reader.read(Kept([raw({"age": 1, "ssn": "x"})] * 256, [None] * 256), None, hashes)
        return int(sightings.looked.sum()), set(sightings.fields.names)

    both = {"number features.age", "text features.ssn"}
    assert looked(FieldReader(LAYOUT)) == (4, both)
    assert looked(FieldReader(Layout(LAYOUT.segments, LAYOUT.blocks, sample_size=10))) == (64, both)
    ignoring = FieldReader(LAYOUT, everything=True, ignored=frozenset(["features.ssn"]))
    assert looked(ignoring) == (256, {"number features.age"})
