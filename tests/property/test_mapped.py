"""A mapped event is the own event with the same content, whatever the paths and the content are."""

import json
from datetime import datetime
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from daemon.decoders.fields import parse_fields
from daemon.decoders.mapped import Mapped
from daemon.decoders.paths import Step, parse_path, show_path
from daemon.decoders.shape import overlap
from daemon.events import Event, decode

KEYS = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters='"\\'), min_size=1, max_size=4)
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=8)
SHARE = st.floats(0, 1, allow_nan=False)
ANY = st.recursive(st.none() | st.booleans() | st.integers(-9, 9) | TEXT, lambda inner: st.lists(inner, max_size=3))
PATHS = st.tuples(KEYS, st.lists(KEYS | st.integers(0, 3), max_size=3)).map(lambda each: (each[0], *each[1]))
FIRST = datetime.fromisoformat("1970-01-01T00:00:00")
_UNTRIED = {"uncertainty"}
EVENTS = st.fixed_dictionaries(
    {
        "id": TEXT,
        "time": st.integers(0, 10**13) | st.datetimes(FIRST).map(lambda time: time.isoformat() + "Z"),
        "model": TEXT,
        "prediction": TEXT | st.integers(-5, 5) | st.booleans(),
    },
    optional={
        "version": TEXT | st.none(),
        "probabilities": st.dictionaries(TEXT, SHARE, min_size=1, max_size=3) | st.lists(SHARE, min_size=1, max_size=3),
        "confidence": SHARE | st.none(),
        "features": st.dictionaries(TEXT, ANY, max_size=3),
        "members": st.lists(st.dictionaries(TEXT, SHARE, max_size=3), max_size=3),
        "embedding": st.lists(SHARE, max_size=3),
        "shadow": ANY,
        "tags": st.dictionaries(TEXT, TEXT, max_size=3),
        "payload": ANY,
        "objects": st.lists(st.fixed_dictionaries({"class": TEXT, "score": SHARE}), max_size=2),
        "log_probability": st.floats(-9, 0) | st.none(),
    },
)


def put(tree: dict[Step, Any], path: tuple[Step, ...], value: object) -> None:
    for step in path[:-1]:
        tree = tree.setdefault(step, {})
    tree[path[-1]] = value


def with_arrays(tree: Any) -> Any:
    """Turn what has positions for keys into arrays, with null where nothing is."""
    if not isinstance(tree, dict) or not tree:
        return tree
    if all(isinstance(key, int) for key in tree):
        return [with_arrays(tree.get(at)) for at in range(max(tree) + 1)]
    return {key: with_arrays(value) for key, value in tree.items()}


def fits(paths: list[tuple[Step, ...]]) -> bool:
    """Say whether no place is two things at once."""
    for at, one in enumerate(paths):
        for other in paths[at + 1 :]:
            if overlap(one, other):
                return False
            first, second = next((a, b) for a, b in zip(one, other, strict=False) if a != b)
            if type(first) is not type(second):
                return False
    return True


@given(PATHS)
def test_the_text_of_a_path_is_read_back(path: tuple[Step, ...]) -> None:
    assert parse_path(show_path(path)) == path


@given(EVENTS, st.lists(PATHS, min_size=15, max_size=15, unique=True).filter(fits))
def test_a_mapped_event_is_the_own_event_with_the_same_content(
    event: dict[str, Any], paths: list[tuple[Step, ...]]
) -> None:
    places = dict(zip([name for name in Event.__struct_fields__ if name not in _UNTRIED], paths, strict=True))
    tree: dict[Step, Any] = {}
    for name, value in event.items():
        # Marked, so that what is inside a value is not taken for steps.
        put(tree, places[name], msgspec.Raw(json.dumps(value).encode()))
    fields = {name: show_path(path) for name, path in places.items()}
    record = msgspec.json.encode(with_arrays(tree))
    decoder = Mapped(parse_fields(fields), lambda _: ())
    own = decode(json.dumps(event).encode())
    assert decoder.decode(record) == own
    assert decode(decoder.normal(record)) == own
