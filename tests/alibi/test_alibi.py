"""Tests of alibi-detect as monitors. They run in an environment of their own: `make test-alibi`."""

import inspect
from importlib import import_module

import numpy as np
import pytest
from numpy.typing import NDArray

from daemon.monitors import check_monitors, licences
from daemon.settings import Settings
from detectors.adapters.batch import REFERENCE, probe, take
from detectors.adapters.kinds import KINDS
from detectors.adapters.memory import NOTHING, Memory
from detectors.adapters.watch import CLEAR_WINDOWS, Adapter, Watched, watch
from detectors.bottomk import Sample
from detectors.layout import RawSpec
from detectors.summary import Summary
from sinks.errors import BadSettings
from tests.unit.detectors.streams import layout_of, watched

# What it and its own libraries warn of while they are imported is not ours to mend.
pytestmark = pytest.mark.filterwarnings("ignore")
TESTS = [name for name, kind in KINDS.items() if kind.extra == "alibi"]
TRUTHS = [name for name in TESTS if KINDS[name].truths]


def values_of(name: str, random: np.random.Generator, n: int, *, changed: bool = False) -> NDArray[np.float64]:
    """Return n events: numbers that shift by half a standard deviation, shares that rise from 0.2 to 0.5."""
    if KINDS[name].truths:
        return (random.random((n, 1)) < (0.5 if changed else 0.2)).astype(np.float64)
    return random.normal(0.5 if changed else 0.0, 1.0, (n, 1))


def filled(name: str, random: np.random.Generator) -> Memory:
    memory = NOTHING
    for _ in range(REFERENCE // 256):
        memory, found = take(KINDS[name], {}, memory, values_of(name, random, 256))
        assert not found
    return memory


@pytest.mark.parametrize("name", TESTS)
def test_the_table_says_what_the_library_takes(name: str) -> None:
    kind = KINDS[name]
    taken = inspect.signature(getattr(import_module(kind.module), kind.name)).parameters
    for argument, type_ in kind.arguments.items():
        assert type(taken[argument].default) is type_, argument


@pytest.mark.parametrize("name", TESTS)
def test_a_window_is_compared_with_the_first_events(name: str) -> None:
    random = np.random.default_rng(1)
    memory = filled(name, random)
    assert len(memory[1]) == REFERENCE
    strict = {"p_val": 1e-6}
    after, found = take(KINDS[name], strict, memory, values_of(name, random, 256))
    assert not found
    assert after is memory
    assert take(KINDS[name], strict, memory, values_of(name, random, 256, changed=True))[1]


@pytest.mark.parametrize("name", TRUTHS)
def test_a_value_that_the_reference_never_had_is_possible(name: str) -> None:
    memory: Memory = (None, np.zeros((REFERENCE, 1)))
    assert take(KINDS[name], {}, memory, np.ones((100, 1)))[1]
    assert not take(KINDS[name], {}, memory, np.zeros((100, 1)))[1]


def test_several_values_are_compared_together() -> None:
    random = np.random.default_rng(2)
    memory: Memory = (None, random.normal(size=(REFERENCE, 2)))
    window = random.normal([0.0, 1.0], 1.0, (200, 2))
    assert take(KINDS["alibi.KSDrift"], {"p_val": 1e-6}, memory, window)[1]
    probe(KINDS["alibi.KSDrift"], {}, 2)


def test_it_learns_then_fires_outside_the_budget_and_ends() -> None:
    adapter = Adapter("shape", "alibi.CVMDrift", ("confidence",), {"p_val": 1e-6})
    layout = layout_of()
    readings = watched()[0].run(np.random.default_rng(3), 1)[0].readings
    random = np.random.default_rng(4)
    told: list[tuple[int, str]] = []

    def closed(window: int, mean: float, before: Watched | None) -> Watched:
        summary = Summary.empty(type(layout)(layout.segments, layout.blocks, raw=RawSpec(256, ("confidence",))))
        values = np.stack([np.arange(256.0), random.normal(mean, 0.1, 256)], 1)
        summary.raw = Sample.of(256, np.arange(256, dtype=np.uint64), values)
        return watch((adapter,), {} if before is None else before.states, summary, window, readings)

    found, statuses = None, []
    for window in range(8 + CLEAR_WINDOWS):
        found = closed(window, 0.5 if window == 6 else 0.8, found)
        assert all(each.outside_budget for each in found.transitions)
        told += [(each.window, each.to) for each in found.transitions]
        statuses.append(next(row.status for row in found.readings.rows() if row.monitor == "shape"))
    assert told == [(6, "firing"), (6 + CLEAR_WINDOWS, "resolved")]
    assert statuses[:7] == ["learning"] * 3 + ["ok"] * 3 + ["firing"]


def test_the_configuration_is_checked_and_the_licence_told() -> None:
    good = Settings.model_validate({"monitor": [{"kind": "alibi.KSDrift", "on": ["confidence", "margin"]}]})
    check_monitors(good)
    assert "Business Source License" in licences(good)[0]
    assert licences(Settings()) == []
    bad = {"kind": "alibi.KSDrift", "on": "confidence", "args": {"correction": "none at all"}}
    with pytest.raises(BadSettings, match=r"monitor\[0\]: alibi.KSDrift cannot be made"):
        check_monitors(Settings.model_validate({"monitor": [bad]}))
