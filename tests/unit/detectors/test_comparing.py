from dataclasses import replace

import numpy as np
import pytest

from detectors.comparing import compared
from detectors.layout import BlockSpec, Layout
from detectors.reference import Reference
from detectors.summary import Summary
from tests.unit.detectors.streams import layout_of, shares_of, summary_of


def reference(seed: int, n: int = 20_000, labels: tuple[str, ...] = ("a", "b", "c"), **changed: object) -> Reference:
    layout = layout_of(labels=labels)
    return Reference(layout, summary_of(layout, np.random.default_rng(seed), n, **changed))  # type: ignore[arg-type]


def with_fields(given: Reference, **edges: tuple[float, ...]) -> Reference:
    """Return the reference with numbers, all of which lie below the first edge."""
    specs = tuple(BlockSpec("number", edges=each, field=f"features.{name}") for name, each in edges.items())
    layout = Layout(given.layout.segments, (*given.layout.blocks, BlockSpec("fields"), *specs))
    summary = Summary.empty(layout)
    summary.counts[:, : given.summary.counts.shape[1]] = given.summary.counts
    summary.sums[:, : given.summary.sums.shape[1]] = given.summary.sums
    for spec in specs:
        summary.cells("number", spec.field)[:, 1] = given.summary.events
    return replace(given, layout=layout, summary=summary)


def test_two_samples_of_one_thing_differ_in_nothing() -> None:
    for seed in range(20):
        assert compared(reference(seed), reference(seed + 100), "").differences == (), seed


def test_what_differs_is_told_once_the_most_first_in_its_own_direction() -> None:
    shares = shares_of(3, c0=0.25)
    found = compared(reference(1), reference(2, confidence=0.85, shares=shares), "").differences
    assert found[0].component == "share of class a falling"
    assert [found[0].before, found[0].after] == pytest.approx([1 / 3, 0.25], abs=0.01)
    assert {each.component for each in found[1:]} == {
        "mean confidence",
        "share with confidence ≤ 0.5 rising",
        "share of class b rising",
        "share of class c rising",
    }
    ratios = [each.log_likelihood_ratio for each in found]
    assert ratios == sorted(ratios, reverse=True)


def test_what_was_never_seen_before_is_a_difference() -> None:
    found = compared(reference(1), reference(2, labels=("a", "b", "c", "d")), "").differences
    assert found[0].component == "share of never-seen classes"
    assert [found[0].before, found[0].after] == pytest.approx([0.0, 0.25], abs=0.02)


def test_fields_of_one_of_them_or_with_other_edges_are_named() -> None:
    one = with_fields(reference(1), age=(1.0, 2.0), income=(1.0,), gone=(1.0,))
    other = with_fields(reference(2), age=(1.0, 2.0), income=(3.0,), new=(1.0,))
    found = compared(one, other, "")
    assert (found.gone, found.new, found.not_comparable) == (
        ("features.gone",),
        ("features.new",),
        ("features.income",),
    )
    other.summary.cells("number", "features.age")[:, 1:] = other.summary.cells("number", "features.age")[:, [2, 1, 3]]
    [told] = compared(one, other, "").differences
    assert (told.component, told.before, told.after) == ("share of features.age > 1 rising", 0.0, 1.0)


def test_segments_are_compared_apart() -> None:
    one, other = reference(1), reference(2)
    other.summary.cells("classes")[1] = [5000, 0, 0, 0]
    assert compared(one, other, "").differences == ()
    assert compared(one, other, "region=eu").differences
    with pytest.raises(ValueError, match="not in tuple"):
        compared(one, other, "region=asia")
