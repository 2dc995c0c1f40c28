"""The design effect is measured once more from many windows, and only ever lowered by that."""

import numpy as np

from detectors.arrays import pack, unpack
from detectors.calibrating import MANY_WINDOWS
from detectors.evidence import FLOOR
from detectors.layout import WHOLE
from detectors.state import QUIET_WINDOWS, CohortState
from tests.unit.detectors.streams import Stream, file_reference, layout_of, summary_of

LONG = MANY_WINDOWS + 60


def effect_of(stream: Stream) -> float:
    assert stream.state is not None
    return float(np.mean([mine.varied.design_effect.mean() for mine in stream.state.monitors.values()]))


def stream_of(random: np.random.Generator, windows: int = 0) -> Stream:
    """Return a stream on a reference from a file, after ``windows`` ordinary windows."""
    layout = layout_of((WHOLE,))
    stream = Stream(layout, file_reference(layout, random))
    stream.run(random, windows)
    return stream


def test_many_windows_show_that_few_made_the_effect_too_large() -> None:
    random = np.random.default_rng(1)
    stream = stream_of(random, QUIET_WINDOWS + 1)
    few = effect_of(stream)
    stream.run(random, LONG)
    assert stream.state is not None
    assert stream.state.calibrated[0] >= MANY_WINDOWS
    assert few > 1.3
    assert effect_of(stream) < 1.0 + (few - 1.0) / 2.0


def test_evidence_goes_on_when_it_is_measured_again() -> None:
    random = np.random.default_rng(2)
    stream = stream_of(random)
    for _ in range(LONG + QUIET_WINDOWS):
        before = stream.state
        stream.take(summary_of(stream.layout, random, 1000, confidence=0.895))
        if before is not None and stream.state is not None and stream.state.calibrated[0] > QUIET_WINDOWS:
            break
    assert before is not None
    assert stream.state is not None
    assert before.calibrated[0] == QUIET_WINDOWS
    assert (stream.state.monitors["confidence"].log_r > FLOOR + 600).any()


def test_what_wanders_later_widens_no_tolerance_and_raises_no_effect() -> None:
    random = np.random.default_rng(3)
    stream = stream_of(random, QUIET_WINDOWS + 1)
    assert stream.state is not None
    early = {name: mine.varied for name, mine in stream.state.monitors.items()}
    for window in range(LONG):
        wandering = 0.9 + 0.012 * np.sin(window / 12.0)
        stream.take(summary_of(stream.layout, random, 1000, confidence=wandering))
    assert stream.state.calibrated[0] >= MANY_WINDOWS
    for name, mine in stream.state.monitors.items():
        assert (mine.varied.design_effect <= early[name].design_effect).all()
        assert (mine.varied.persistent == early[name].persistent).all()
    confidence = stream.state.monitors["confidence"].varied
    assert (confidence.design_effect == early["confidence"].design_effect).all()


def test_a_state_that_says_only_whether_it_is_calibrated_is_read() -> None:
    random = np.random.default_rng(4)
    stream = stream_of(random, QUIET_WINDOWS + 1)
    assert stream.state is not None
    meta, arrays = unpack(stream.state.to_bytes())
    older = pack(meta, {**arrays, "calibrated": arrays["calibrated"] > 0})
    assert CohortState.from_bytes(older).to_bytes() == stream.state.to_bytes()
