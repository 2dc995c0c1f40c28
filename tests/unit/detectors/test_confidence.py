"""Confidence and probabilities: each way in which they change is told by the monitor that is meant for it."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from detectors.ambiguity import AmbiguityBlock
from detectors.budget import Budget
from detectors.columns import DRAWS, UNIT, Categories, Columns
from detectors.confidence import SURE, ConfidenceBlock, ConfidenceSharesMonitor
from detectors.folding import fold
from detectors.layout import WHOLE, BlockSpec, Layout
from detectors.monitors import observe, questions_of
from detectors.probabilities import entropy, top_two
from detectors.reference import Reference
from detectors.traffic import TrafficBlock
from tests.unit.detectors.streams import Stream, fired, status

Draw = Callable[[np.random.Generator, int], NDArray[np.float64]]


def usual(random: np.random.Generator, n: int) -> NDArray[np.float64]:
    return random.beta(8.0, 2.0, n)


def some_are_hard(random: np.random.Generator, n: int) -> NDArray[np.float64]:
    """Take 8 % from the middle to the bottom: the mean moves by 0.01."""
    confidence = usual(random, n)
    return np.where((random.random(n) < 0.25) & (confidence > 0.6) & (confidence < 0.8), 0.55, confidence)


def some_are_too_sure(random: np.random.Generator, n: int) -> NDArray[np.float64]:
    return np.where(random.random(n) < 0.1, 0.999, usual(random, n))


def probabilities_of(top: NDArray[np.float64], spread: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return five probabilities: the highest, and the rest, of which ``spread`` goes to the last three evenly."""
    rest = 1.0 - top
    return np.column_stack([top, rest * (1.0 - spread), *[rest * spread / 3.0] * 3])


def columns_of(
    random: np.random.Generator, confidence: NDArray[np.float64], shares: NDArray[np.float64] | None = None
) -> Columns:
    n = len(confidence)
    margin, spread = np.full(n, np.nan), None
    if shares is not None:
        lengths = np.full(n, shares.shape[1])
        top, second, valid = top_two(shares.ravel(), lengths)
        margin, spread = top - second, entropy(shares.ravel(), lengths, valid)
    return Columns(
        confidence=confidence,
        margin=margin,
        predicted=Categories(np.full(n, -1), ()),
        tags={},
        hashes=random.integers(0, 2**64, (n, len(DRAWS)), dtype=np.uint64),
        defects=np.zeros(n, dtype=np.uint32),
        entropy=spread,
    )


def layout_of(sample: NDArray[np.float64]) -> Layout:
    return Layout((WHOLE,), (TrafficBlock.unlearnt(), ConfidenceBlock.learnt(sample), AmbiguityBlock.unlearnt()))


def stream_of(seed: int, columns: Callable[[np.random.Generator, int], Columns]) -> tuple[Stream, np.random.Generator]:
    random = np.random.default_rng(seed)
    layout = layout_of(columns(random, 4096).confidence)
    stream = Stream(layout, Reference(layout, fold(layout, columns(random, 20_000))), Budget(8640, 16))
    for _ in range(30):
        stream.take(fold(layout, columns(random, 1000)))
    return stream, random


@pytest.mark.parametrize(
    ("changed", "monitor", "component"),
    [
        (some_are_hard, "confidence_shares", "share with confidence ≤ 0.6"),
        (some_are_too_sure, "confidence_shares", "share with confidence > 0.99 rising"),
        (lambda random, n: usual(random, n) - 0.1, "confidence", "mean confidence"),
    ],
)
def test_each_change_of_the_confidence_is_told(changed: Draw, monitor: str, component: str) -> None:
    stream, random = stream_of(1, lambda random, n: columns_of(random, usual(random, n)))
    assert fired(stream.steps) == []
    found = [
        one
        for _ in range(5)
        for one in fired([stream.take(fold(stream.layout, columns_of(random, changed(random, 1000))))])
    ]
    assert component in " ".join(one[3] for one in found if one[1] == monitor)
    if monitor != "confidence":
        # What these are for: the mean says nothing.
        assert {one[1] for one in found} == {monitor}


def test_the_line_of_low_confidence_is_low_for_this_model() -> None:
    random = np.random.default_rng(2)
    for sample, low in (
        (usual(random, 4096), np.quantile(usual(random, 4096), 3 / 32)),
        (usual(random, 4096) / 5, np.quantile(usual(random, 4096), 3 / 32) / 5),
        # Nearly always sure: low is what is not.
        (np.ones(4096), SURE),
        (random.uniform(0.995, 1.0, 4096), SURE),
    ):
        layout = layout_of(sample)
        name = questions_of(ConfidenceSharesMonitor(), layout).names[0]
        assert float(name.split()[-2]) == pytest.approx(low, abs=0.02)


def test_a_layout_learnt_before_the_line_was_an_edge_asks_for_low_confidence_alone() -> None:
    random = np.random.default_rng(3)
    layout = Layout((WHOLE,), (TrafficBlock.unlearnt(), BlockSpec(ConfidenceBlock.kind, edges=(0.5, 0.9))))
    monitor = ConfidenceSharesMonitor()
    assert questions_of(monitor, layout).names == ("share with confidence ≤ 0.5 rising",)
    summary = fold(layout, columns_of(random, np.array([0.4, 0.5, 0.6, np.nan])))
    moments = observe(monitor, summary, layout)
    assert (moments.n.tolist(), moments.first.tolist()) == ([3], [[2]])
    # Counted with other edges: nothing can be said, so nothing is.
    other = layout_of(usual(random, 4096))
    assert observe(monitor, summary, other).n.tolist() == [0]


def drawn(spread: float, lead: float = 0.0, without: float = 0.0) -> Callable[[np.random.Generator, int], Columns]:
    """Return events whose confidence stays the same: ``spread`` and ``lead`` say what becomes of the rest."""

    def columns(random: np.random.Generator, n: int) -> Columns:
        top = random.uniform(0.55, 0.95, n)
        shares = probabilities_of(top - lead, np.full(n, spread))
        shares[random.random(n) < without] = np.nan
        return columns_of(random, top, shares)

    return columns


def test_a_wider_spread_and_a_smaller_lead_are_told_though_the_confidence_stays() -> None:
    for changed, component in ((drawn(0.9), "mean entropy"), (drawn(0.3, lead=0.05), "mean margin")):
        stream, random = stream_of(4, drawn(0.3))
        assert fired(stream.steps) == []
        found = [one for _ in range(5) for one in fired([stream.take(fold(stream.layout, changed(random, 1000)))])]
        assert {one[1] for one in found} == {"ambiguity"}
        assert found[0][3] == component
        readings = stream.steps[-1].readings
        at = readings.monitors.index("ambiguity")
        assert readings.low[0, at] <= readings.estimate[0, at] <= readings.high[0, at]


def test_events_without_probabilities_do_not_look_ambiguous() -> None:
    stream, random = stream_of(5, drawn(0.3))
    for _ in range(10):
        stream.take(fold(stream.layout, drawn(0.3, without=0.5)(random, 1000)))
    assert fired(stream.steps) == []
    at = stream.steps[-1].readings.monitors.index("ambiguity")
    assert 350 < stream.steps[-1].readings.n[0, at] < 650
    nothing = replace(drawn(0.3)(random, 1000), entropy=None, margin=np.full(1000, np.nan))
    stream.take(fold(stream.layout, nothing))
    assert stream.steps[-1].readings.n[0, at] == 0


def test_a_layout_from_before_probabilities_were_counted_is_read_as_it_was() -> None:
    stream, random = stream_of(6, drawn(0.3))
    assert stream.reference is not None
    older = Layout((WHOLE,), stream.layout.blocks[:2])
    watching = Stream(older, Reference(older, fold(older, drawn(0.3)(random, 20_000))), Budget(8640, 16))
    watching.take(fold(older, drawn(0.9)(random, 1000)))
    assert watching.steps[-1].readings.monitors == ("confidence", "confidence_shares", "lateness")
    assert status(watching, "confidence") == "calibrating"


def test_sums_of_margin_and_entropy_are_those_of_the_probabilities() -> None:
    random = np.random.default_rng(7)
    columns = drawn(0.4, without=0.3)(random, 3000)
    summary = fold(layout_of(columns.confidence), columns)
    assert columns.entropy is not None
    told = ~np.isnan(columns.entropy)
    assert summary.total("ambiguity", "told").tolist() == [told.sum()]
    for name, values in (("margin", columns.margin), ("entropy", columns.entropy)):
        for suffix, power in (("", 1), ("_squared", 2)):
            counted = summary.total("ambiguity", name + suffix)[0] / UNIT
            assert counted == pytest.approx(np.nansum(values**power), abs=1e-5)


def test_the_entropy_is_shannons_as_a_part_of_the_largest() -> None:
    random = np.random.default_rng(8)
    for classes in (2, 3, 10, 1000):
        shares = random.dirichlet(np.full(classes, 0.2), 200)
        logs = np.log(shares, where=shares > 0, out=np.zeros_like(shares))
        known = -(shares * logs).sum(axis=1) / np.log(classes)
        found = entropy(shares.ravel(), np.full(200, classes), np.ones(200, dtype=np.bool_))
        assert found == pytest.approx(known, abs=1e-3)
    flat = np.array([1.0, 0.0, 0.25, 0.25, 0.25, 0.25, 1.0, 0.5, 0.6])
    found = entropy(flat, np.array([2, 4, 0, 1, 2]), np.array([True, True, False, True, False]))
    assert found == pytest.approx([0.0, 1.0, np.nan, 0.0, np.nan], abs=1e-3, nan_ok=True)
