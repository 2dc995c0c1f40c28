"""What the benchmark of detection rests on: streams that change where they say; broken detectors are told."""

import pickle

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.quality import delay, suite
from benchmarks.quality.streams import SIGNALS, STREAMS, Stream, draw, quiet
from detectors import bets, evidence

BY_NAME = {each.name: each for each in STREAMS}


@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream.name)
def test_a_stream_changes_where_it_says_and_not_before(stream: Stream) -> None:
    changes = np.array([40_000, 41_000])
    values = draw(np.random.default_rng(1), stream, (2, 80_000), changes)
    before = quiet(np.random.default_rng(2), SIGNALS[stream.signal], (1, 200_000))[0]
    points = np.quantile(before, np.linspace(0.05, 0.95, 19))

    def distance(some: NDArray[np.float64]) -> float:
        """Return the Kolmogorov distance from what was before, at the points."""
        return float(max(abs((some <= point).mean() - (before <= point).mean()) for point in points))

    rare = before.mean() < 0.02 if SIGNALS[stream.signal].what == "class" else False
    noise = 0.004 if rare else 0.03
    for row, change in zip(values, changes, strict=True):
        assert distance(row[:change]) < noise
        assert distance(row[change : change + 2_000] if stream.course == "recurring" else row[-30_000:]) > noise


def test_a_recurring_change_pauses() -> None:
    values = draw(np.random.default_rng(1), BY_NAME["mean +0.5σ, recurring"], (1, 12_000), np.array([4_000])).reshape(
        6, 2_000
    )
    assert (values.mean(axis=1) > 0.25).tolist() == [False, False, True, False, True, False]


def test_a_large_change_is_found_after_it_began_and_within_few_windows() -> None:
    found = delay.ours(delay.drawn(BY_NAME["mean +0.5σ"], 4, seed=1), 1_000, seed=1)
    assert found.false_alarms == 0
    assert all(each is not None and 0 < each <= 3_000 for each in found.delays)


def test_a_peer_that_cries_wolf_too_often_is_not_the_best_one() -> None:
    tried = [
        {"detector": "A", "parameters": "x", "rate": 2e-5, "rate_inside": 2e-5, "delays": {"s": [1, 1, 1]}},
        {"detector": "B/100", "parameters": "y", "rate": 1e-5, "rate_inside": 2e-5, "delays": {"s": [50, 60, None]}},
        {"detector": "B/10", "parameters": "z", "rate": 0.0, "rate_inside": 0.0, "delays": {"s": [5, 5, 5]}},
        {"detector": "C", "parameters": "w", "rate": 0.0, "rate_inside": 0.0, "delays": {"s": [None, None, 9]}},
    ]
    assert delay._best(tried, "s", 100, "rate") == (60.0, "B y")
    assert np.isinf(delay._best(tried, "s", 100, "rate_inside")[0])


@pytest.mark.parametrize("case", suite.CASES[:2], ids=lambda case: f"{case.name}, {case.events}")
def test_whole_streams_keep_their_budget(case: suite.Case) -> None:
    assert suite.measure(case, streams=16, windows=60).ratio <= 1.0


def test_a_whole_stream_with_a_broken_bet_is_told() -> None:
    def losing(of: bets.Bets, moments: bets.Moments, *, exact: bool) -> NDArray[np.float64]:
        return -bets.log_wealth(of, moments, exact=exact)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evidence, "log_wealth", losing)
        assert suite.measure(suite.CASES[0], streams=16, windows=60).ratio > 1.0


@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream.name)
def test_streams_can_be_sent_to_other_processes(stream: Stream) -> None:
    sent = pickle.loads(pickle.dumps(stream))
    shape = (1, 50)
    assert (sent.after(np.random.default_rng(1), shape) == stream.after(np.random.default_rng(1), shape)).all()
