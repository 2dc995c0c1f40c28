"""What probabilities say of an event does not depend on the events beside it."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from detectors.columns import UNIT, fixed_point
from detectors.probabilities import entropy, top_two

SHARE = st.floats(0, 1) | st.sampled_from([0.0, -0.0, 0.25, 0.5, 1.0, -0.1, 1.5, 1e300])


def said(events: list[list[float]]) -> list[tuple[str, ...]]:
    flat = np.array([share for event in events for share in event], dtype=np.float64)
    lengths = np.array([len(event) for event in events], dtype=np.int64)
    top, second, valid = top_two(flat, lengths)
    columns = (top, second, valid, entropy(flat, lengths, valid))
    return list(zip(*(map(repr, column.tolist()) for column in columns), strict=True))


@given(st.integers(1, 6).flatmap(lambda k: st.lists(st.lists(SHARE, min_size=k, max_size=k), min_size=1, max_size=20)))
def test_events_with_equally_many_are_told_as_beside_one_that_has_more(events: list[list[float]]) -> None:
    scaled = [[share / (sum(event) or 1.0) for share in event] for event in events]
    for some in (events, scaled):
        assert said(some) == said([*some, [0.125] * 8])[:-1]
        assert said(some) == [said([event])[0] for event in some]


@given(st.lists(st.floats(-(2.0**29), 2.0**29) | st.just(float("nan")), min_size=1))
def test_fixed_point_is_rounded_down(values: list[float]) -> None:
    expected = [0 if value != value else int(value * UNIT // 1) for value in values]  # noqa: PLR0124 - NaN
    assert fixed_point(np.array(values)).tolist() == expected
