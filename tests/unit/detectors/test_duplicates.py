"""Duplicate ids: what share of a window's ids came more than once, and that a rise of it is found."""

import numpy as np
import pytest
from numpy.typing import NDArray

from detectors.columns import DRAWS, Categories, Columns
from detectors.duplicates import DuplicatesMonitor, IdsBlock
from detectors.folding import fold
from detectors.layout import WHOLE, Layout
from detectors.learning import made
from detectors.reference import aligned
from detectors.summary import Summary
from detectors.traffic import TrafficBlock
from tests.unit.detectors.streams import Stream, fired

LAYOUT = Layout((WHOLE, "region=eu"), (TrafficBlock.unlearnt(), IdsBlock.unlearnt()))
MONITOR = DuplicatesMonitor()


def window(random: np.random.Generator, ids: int, twice: float, layout: Layout = LAYOUT) -> Summary:
    """Return a window of so many ids, of which a part comes twice."""
    draws = random.integers(0, 2**64, (ids, len(DRAWS)), dtype=np.uint64)
    return counted(random.permutation(np.concatenate([draws, draws[random.random(ids) < twice]])), layout)


def counted(draws: NDArray[np.uint64], layout: Layout) -> Summary:
    unknown = np.full(len(draws), np.nan)
    none = Categories(np.full(len(draws), -1, dtype=np.int64), ())
    region = Categories(np.zeros(len(draws), dtype=np.int64), ("eu",))
    return fold(layout, Columns(unknown, unknown, none, {"region": region}, draws, np.zeros(len(draws), np.uint32)))


def told(summary: Summary) -> list[float]:
    moments = MONITOR.moments(summary, summary.layout)
    return [*moments.n.tolist(), *moments.first[:, 0].tolist()]


@pytest.mark.parametrize("ids", [1, 5, IdsBlock.sampled, IdsBlock.sampled + 1, 20_000])
def test_a_sample_of_the_ids_is_looked_at_in_the_whole_model(ids: int) -> None:
    looked = min(ids, IdsBlock.sampled)
    random = np.random.default_rng(1)
    assert told(window(random, ids, 0.0)) == [looked, 0, 0, 0]
    assert told(window(random, ids, 1.0)) == [looked, 0, looked, 0]


def test_the_share_of_ids_is_estimated_whatever_number_of_events_there_are() -> None:
    random = np.random.default_rng(2)
    for ids in (1000, 30_000):
        counts = [told(window(random, ids, 0.1)) for _ in range(60)]
        looked, again = (sum(each[at] for each in counts) for at in (0, 2))
        assert looked == 60 * IdsBlock.sampled
        assert again / looked == pytest.approx(0.1, abs=0.015)


def test_a_closed_window_keeps_the_counts_and_no_id() -> None:
    one, other = (window(np.random.default_rng(seed), 3000, 0.2) for seed in (3, 4))
    expected = np.add(told(one), told(other)).tolist()
    closed = [each.closed() for each in (one, other)]
    assert all(not len(each.ids.hashes) for each in closed)
    assert [told(each) for each in closed] == [told(one), told(other)]
    assert [each.closed().to_bytes() for each in closed] == [each.to_bytes() for each in closed]
    assert len(closed[0].to_bytes()) < len(one.to_bytes()) - 8 * IdsBlock.sampled
    assert told(Summary.from_bytes(LAYOUT, closed[0].to_bytes())) == told(one)
    # A reference is made of windows: an id of one is not looked for in another.
    merged = Summary.empty(LAYOUT)
    for each in (one, other.closed()):
        found = aligned(each, LAYOUT)
        assert found is not None
        merged.add(found)
    assert told(merged) == expected


def test_what_was_stored_under_a_layout_without_ids_has_none() -> None:
    earlier = Layout(LAYOUT.segments, tuple(spec for spec in LAYOUT.blocks if spec.kind != IdsBlock.kind))
    summary = window(np.random.default_rng(5), 500, 0.5, earlier)
    assert not len(summary.ids.hashes)
    assert Summary.from_bytes(earlier, summary.to_bytes()).closed().to_bytes() == summary.to_bytes()
    found = aligned(summary, LAYOUT)
    assert found is not None
    assert told(found) == [0, 0, 0, 0]


def stream(random: np.random.Generator, usual: float) -> Stream:
    """Return a stream whose reference was learnt from windows in which a part of the ids comes twice."""
    learnt = [(at, window(random, 2000, usual)) for at in range(20)]
    found = Stream(LAYOUT, made(LAYOUT, lambda: learnt, "learnt"))
    for _ in range(30):
        found.take(window(random, 2000, usual))
    assert fired(found.steps) == []
    return found


@pytest.mark.parametrize(("usual", "now", "within"), [(0.0, 0.05, 8), (0.0, 1.0, 2), (0.2, 0.6, 5)])
def test_more_ids_that_come_twice_are_found(usual: float, now: float, within: int) -> None:
    random = np.random.default_rng(6)
    watching = stream(random, usual)
    found = [one for _ in range(within) for one in fired([watching.take(window(random, 2000, now))])]
    assert [one[1:] for one in found] == [(MONITOR.name, WHOLE, "share of ids that came more than once rising")]


def test_a_producer_that_sends_one_event_over_and_over_is_found() -> None:
    watching = stream(np.random.default_rng(8), 0.0)
    draws = np.full((500, len(DRAWS)), 7, dtype=np.uint64)
    found = [one for _ in range(5) for one in fired([watching.take(counted(draws, LAYOUT))])]
    assert [one[1] for one in found] == [MONITOR.name]


@pytest.mark.parametrize("usual", [0.0, 0.004, 0.2])
def test_a_few_more_matter_to_nobody(usual: float) -> None:
    random = np.random.default_rng(7)
    watching = stream(random, usual)
    for _ in range(150):
        watching.take(window(random, 2000, usual + 0.004))
    assert fired(watching.steps) == []
