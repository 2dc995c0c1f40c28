"""Closing a window: what people read of it."""

from dataclasses import dataclass, field

import numpy as np
import pytest
from numpy.typing import NDArray

from daemon.closing import CALIBRATED, Closing
from daemon.settings import Settings
from detectors.confidence import ConfidenceMonitor
from detectors.layout import WHOLE
from detectors.reference import Reference
from detectors.summary import Summary
from sinks.controls import ALWAYS, ControlRecord
from tests.unit.detectors.streams import file_reference, layout_of, summary_of

LAYOUT = layout_of((WHOLE,))
LAYOUTS = (ControlRecord(1, "layout", 1, "pets", ALWAYS, LAYOUT.to_json().encode()),)
PERIOD = 48
"""Windows of an hour in two days."""


@dataclass
class Closed:
    """A model whose windows are closed one after another. ``references``: since when, and which."""

    kind: str
    references: list[tuple[int, Reference]] = field(default_factory=list)
    stored: list[tuple[int, Summary]] = field(default_factory=list)

    def __post_init__(self) -> None:
        model = {"window_seconds": 3600, "reference": {"kind": self.kind, "days": 2}}
        self.closing = Closing(Settings.model_validate({"model": {"pets": model}}), "pets")

    def relearnt(self, window: int) -> Reference | None:
        since: int = ALWAYS
        known: Reference | None = None
        if self.references:
            since, known = self.references[-1]
        return self.closing.relearnt(
            known,
            since,
            LAYOUTS,
            LAYOUT,
            window,
            lambda layouts, first: list(layouts) == [1] and self.stored[0][0] <= first,
            lambda first, last: [each for each in self.stored if first <= each[0] <= last],
        )

    def alarms(self, confidences: NDArray[np.float64]) -> int:
        """Close a window of each mean confidence; return how many alarms fired."""
        random = np.random.default_rng(1)
        state = None
        fired = 0
        for window, confidence in enumerate(confidences.tolist()):
            summary = summary_of(LAYOUT, random, 1000, confidence=confidence)
            known = self.references[-1][1] if self.references else None
            step = self.closing.step(summary, known, state, window, lambda count: self.stored[-count:] if count else [])
            state = step.state
            fired += sum(each.to == "firing" for each in step.transitions)
            self.stored.append((window, summary))
            for found in (step.proposal, self.relearnt(window)):
                if found is not None:
                    self.references.append((window + 1, found))
        return fired


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


def test_what_changes_slowly_is_quiet_under_a_trailing_reference_and_not_under_a_fixed_one() -> None:
    slowly = 0.9 - 0.005 * np.arange(12 * PERIOD) / PERIOD
    trailing, fixed = Closed("trailing"), Closed("fixed")
    assert trailing.alarms(slowly) == 0
    assert [since for since, _ in trailing.references] == [20 + PERIOD * each for each in range(12)]
    assert all(each.windows == PERIOD for _, each in trailing.references[1:])
    assert fixed.alarms(slowly) > 0
    assert len(fixed.references) == 1


def test_a_sudden_change_is_found_under_a_trailing_reference() -> None:
    confidences = np.full(3 * PERIOD, 0.9)
    confidences[-10:] -= 0.1
    assert Closed("trailing").alarms(confidences) >= 1


def test_a_trailing_reference_waits_for_its_days_and_takes_the_place_of_any_other() -> None:
    random = np.random.default_rng(2)
    given = file_reference(LAYOUT, random)
    new = Closed("trailing")
    new.stored = [(window, summary_of(LAYOUT, random, 100)) for window in range(3 * PERIOD)]
    assert new.relearnt(PERIOD) is None
    # That of the version before, from the first window on.
    new.references = [(ALWAYS, given)]
    assert new.relearnt(PERIOD - 2) is None
    found = new.relearnt(PERIOD - 1)
    assert found is not None
    assert (found.source, found.windows) == ("learnt", PERIOD)
    new.references = [(PERIOD, given)]
    assert new.relearnt(2 * PERIOD - 2) is None
    assert new.relearnt(2 * PERIOD - 1) is not None
    new.stored = [(window, summary_of(LAYOUT, random, 10)) for window in range(3 * PERIOD)]
    assert new.relearnt(2 * PERIOD - 1) is None
