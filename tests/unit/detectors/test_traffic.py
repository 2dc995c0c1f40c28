import numpy as np

from detectors.layout import WHOLE, Layout
from detectors.reference import Reference
from detectors.summary import Summary
from detectors.traffic import TrafficBlock
from tests.unit.detectors.streams import Stream, fired

LAYOUT = Layout((WHOLE,), (TrafficBlock.unlearnt(),))


def window(random: np.random.Generator, n: int, late: float) -> Summary:
    summary = Summary.empty(LAYOUT)
    behind = random.binomial(n, late)
    summary.sums[0, :2] = n - behind, behind
    return summary


def test_events_that_come_too_late_more_often_than_they_used_to_are_told() -> None:
    for usual, changed in ((0.0, 0.1), (0.1, 0.2)):
        random = np.random.default_rng(1)
        stream = Stream(LAYOUT, Reference(LAYOUT, window(random, 20_000, usual)))
        for _ in range(30):
            stream.take(window(random, 1000, usual))
        assert fired(stream.steps) == []
        found = [one for _ in range(3) for one in fired([stream.take(window(random, 1000, changed))])]
        assert [one[1:] for one in found] == [("lateness", "", "share of late events rising")]
        reading = stream.steps[-1].readings
        assert (reading.n[0, 0], reading.low[0, 0] <= changed <= reading.high[0, 0]) == (1000, True)


def test_a_few_late_events_matter_to_nobody() -> None:
    random = np.random.default_rng(2)
    stream = Stream(LAYOUT, Reference(LAYOUT, window(random, 20_000, 0.0)))
    for _ in range(100):
        stream.take(window(random, 1000, 0.03))
    assert fired(stream.steps) == []
