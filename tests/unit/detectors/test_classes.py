"""Predicted classes: rare and never-seen ones found in time, and the shift of all of them together as one figure."""

import numpy as np
import pytest

from detectors.budget import Budget
from detectors.layout import WHOLE
from detectors.readings import Readings
from detectors.reference import Reference
from detectors.summary import Summary
from tests.unit.detectors.streams import Stream, file_reference, fired, layout_of, shares_of, summary_of, watched

RARE = shares_of(10, c7=0.001)


@pytest.mark.parametrize(("windows", "least"), [(5, 0.9), (25, 0.6)])
def test_a_rare_class_that_rises_tenfold_is_found_within_5000_events(windows: int, least: float) -> None:
    """Nearly always while the events count as independent; more often than not with the variation of 20 windows."""
    layout, found, seeds = layout_of((WHOLE,)), 0, 30
    for seed in range(seeds):
        random = np.random.default_rng(seed)
        stream = Stream(layout, Reference(layout, summary_of(layout, random, 50_000, shares=RARE)))
        assert fired(stream.run(random, windows, shares=RARE)) == []
        changed = fired(stream.run(random, 5, shares=shares_of(10, c7=0.01)))
        assert {one[1:] for one in changed} <= {("classes", "", "share of class 7 rising")}
        found += bool(changed)
    assert found >= least * seeds


@pytest.mark.parametrize(("size", "n"), [(15_000, 100), (50_000, 1000), (200_000, 2000)])
def test_the_window_that_holds_ten_of_a_never_seen_class_raises_the_alarm(size: int, n: int) -> None:
    layout = layout_of()
    for seed in range(10):
        random = np.random.default_rng(seed)
        stream = Stream(layout, file_reference(layout, random, size))
        assert fired(stream.run(random, 30, n)) == []
        window = summary_of(layout, random, n - 10)
        new = Summary.empty(layout)
        new.cells("classes")[0, -1] = 10
        new.sums[0, 0] = 10
        window.add(new)
        assert [one[1:] for one in fired([stream.take(window)])] == [("classes", "", "share of never-seen classes")]


def test_the_shift_of_all_classes_is_read_as_a_jensen_shannon_distance() -> None:
    stream, random = watched(1, 1, 20_000)
    [same] = stream.steps[-1].readings.rows()[2].effects
    assert (same.subject, same.measure) == ("predicted class", "Jensen–Shannon")
    assert same.value < 0.02
    stream.run(random, 1, 20_000, shares=shares_of(c3=0.3, other=0.05))
    p, q = np.append(np.full(10, 0.1), 0.0), shares_of(c3=0.3, other=0.05)
    both = np.concatenate([p, q])
    some = both > 0
    bits = 0.5 * (both * np.log2(both / np.tile(0.5 * (p + q), 2), where=some, out=np.zeros(22))).sum()
    rows = {(row.segment, row.monitor): row for row in stream.steps[-1].readings.rows()}
    for segment in ("", "region=eu"):
        [moved] = rows[segment, "classes"].effects
        assert moved.value == pytest.approx(np.sqrt(bits), abs=0.02)
    assert rows["", "confidence"].effects == ()


def test_readings_from_before_there_were_effect_sizes_are_read_without() -> None:
    stream, _ = watched(2, 1)
    readings = stream.steps[-1].readings
    older = readings.to_bytes().replace(b'"effect_names"', b'"unknown_names"').replace(b'"effects"', b'"unknown"')
    header = int.from_bytes(older[:4], "little") + len(older) - len(readings.to_bytes())
    again = Readings.from_bytes(header.to_bytes(4, "little") + older[4:])
    assert again.effects.shape == (3, 0)
    assert (again.estimate == readings.estimate).all()
    assert {row.effects for row in again.rows()} == {()}
    assert Readings.from_bytes(readings.to_bytes()).effect_names == readings.effect_names


def test_without_a_reference_there_is_no_effect() -> None:
    random = np.random.default_rng(3)
    stream = Stream(layout_of(), budget=Budget(8640, 16))
    [taken] = stream.run(random, 1)
    assert taken.readings.effect_names == ()
