"""Effect sizes of fields: read from the histograms that are counted anyway."""

import numpy as np
import pytest

from detectors.effects import MEASURES
from tests.unit.detectors.streams import Stream
from tests.unit.detectors.test_fields import AGE, COLOUR, USER, World, run, watched


def effects(stream: Stream, monitor: str) -> dict[tuple[str, str], float]:
    readings = stream.steps[-1].readings
    [row] = [row for row in readings.rows() if (row.segment, row.monitor) == ("", monitor)]
    return {(effect.subject, effect.measure): effect.value for effect in row.effects}


def test_a_number_that_moved_by_half_a_standard_deviation_is_read_in_every_measure() -> None:
    stream, random = watched(11)
    run(stream, random, 1, World(), n=20_000)
    ordinary = effects(stream, "numbers")
    assert set(ordinary) == {(AGE, measure) for measure in MEASURES}
    assert ordinary.pop((AGE, "ratio of the spread")) == pytest.approx(1.0, abs=0.03)
    assert max(map(abs, ordinary.values())) < 0.03
    # Half of them are missing, which is another monitor's concern.
    run(stream, random, 1, World(shift=0.5, missing=0.5), n=40_000)
    moved = effects(stream, "numbers")
    # Of normal distributions: 2·Φ(1/4) − 1, 0.5², and 0.5 for what moves all values alike. The outer tenths are wide.
    assert moved[AGE, "Kolmogorov–Smirnov"] == pytest.approx(0.197, abs=0.02)
    assert moved[AGE, "population stability"] == pytest.approx(0.25, abs=0.05)
    assert moved[AGE, "Jensen–Shannon"] == pytest.approx(0.21, abs=0.02)
    assert moved[AGE, "Wasserstein"] == pytest.approx(0.5, rel=0.2)
    assert moved[AGE, "difference of the mean"] == pytest.approx(0.5, rel=0.2)
    assert moved[AGE, "ratio of the spread"] == pytest.approx(1.0, abs=0.1)
    run(stream, random, 1, World(spread=0.5), n=20_000)
    narrower = effects(stream, "numbers")
    assert narrower[AGE, "difference of the mean"] == pytest.approx(0.0, abs=0.05)
    assert narrower[AGE, "ratio of the spread"] < 0.7


def test_categories_have_the_one_measure_that_needs_no_order_and_free_text_none() -> None:
    stream, random = watched(12)
    run(stream, random, 1, World(colours=(0.3, 0.6, 0.1, 0.0)), n=20_000)
    found = effects(stream, "categories")
    assert set(found) == {(COLOUR, "Jensen–Shannon")}
    assert found[COLOUR, "Jensen–Shannon"] == pytest.approx(0.263, abs=0.02)
    assert (USER, "Jensen–Shannon") not in found


def test_a_window_without_the_field_has_no_effect() -> None:
    stream, random = watched(13)
    run(stream, random, 1, World(missing=1.0))
    assert np.isnan(list(effects(stream, "numbers").values())).all()
