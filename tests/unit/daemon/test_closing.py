"""Closing a window: what people read of it."""

import numpy as np
import pytest

from daemon.closing import CALIBRATED, Closing
from daemon.settings import Settings
from detectors.confidence import ConfidenceMonitor
from tests.unit.detectors.streams import file_reference, layout_of, summary_of


@pytest.mark.parametrize(("slope", "unit"), [(0.5, CALIBRATED), (1.0, ConfidenceMonitor.unit)])
def test_the_unit_says_that_the_confidence_is_a_calibrated_one(slope: float, unit: str) -> None:
    closing = Closing(Settings.model_validate({"model": {"pets": {"calibration": {"slope": slope}}}}), "pets")
    random = np.random.default_rng(1)
    layout = layout_of()
    summary = summary_of(layout, random, 2000, confidence=0.5)
    step = closing.step(summary, file_reference(layout, random), None, 0, lambda _count: [])
    assert dict(zip(step.readings.monitors, step.readings.units, strict=True)) == {
        "confidence": unit,
        "confidence_shares": "share",
        "classes": "share",
        "lateness": "share",
    }
    found = {each.monitor: each.unit for each in step.transitions if each.to == "firing"}
    assert found == {"confidence": unit, "confidence_shares": "share"}
