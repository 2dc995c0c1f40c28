"""Tests of alibi-detect as monitors. They run in an environment of their own: `make test-alibi`."""

import inspect
from importlib import import_module

import numpy as np
import pytest
from numpy.typing import NDArray

from daemon.monitors import check_monitors, licences
from daemon.settings import Settings
from detectors.adapters import batch, online
from detectors.adapters.alibi import REFERENCE
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
ALIBI = [name for name, kind in KINDS.items() if kind.extra == "alibi"]
TESTS = [name for name in ALIBI if KINDS[name].family == "test"]
TRUTHS = [name for name in TESTS if KINDS[name].truths]
KERNELS = [name for name in TESTS if "sigma" in KINDS[name].arguments]
ONLINE = [name for name in ALIBI if KINDS[name].family == "online"]


def values_of(name: str, random: np.random.Generator, n: int, *, changed: bool = False) -> NDArray[np.float64]:
    """Return n events: numbers that shift by half a standard deviation, shares that rise from 0.2 to 0.5."""
    if KINDS[name].truths:
        return (random.random((n, 1)) < (0.5 if changed else 0.2)).astype(np.float64)
    return random.normal(0.5 if changed else 0.0, 1.0, (n, 1))


def online_arguments(name: str) -> dict[str, object]:
    """Return arguments with which little is simulated."""
    windows = {"window_sizes": [10]} if "window_sizes" in KINDS[name].required else {"window_size": 10}
    return {"ert": 200, "n_bootstraps": 400, **windows}


def filled(name: str, random: np.random.Generator) -> Memory:
    memory = NOTHING
    for _ in range(REFERENCE // 256):
        memory, found = batch.take(KINDS[name], {}, memory, values_of(name, random, 256))
        assert not found
    return memory


@pytest.mark.parametrize("name", ALIBI)
def test_the_table_says_what_the_library_takes(name: str) -> None:
    kind = KINDS[name]
    taken = inspect.signature(getattr(import_module(kind.module), kind.name)).parameters
    for argument, type_ in kind.arguments.items():
        # Chance is ours, and the other has no default that is of its type.
        if argument in {"seed", "sigma", "n_kernel_centers"}:
            continue
        default = taken[argument].default
        assert (default is inspect.Parameter.empty) == (argument in kind.required), argument
        assert argument in kind.required or type(default) is type_, argument
    if kind.simulated:
        assert taken["n_bootstraps"].default == kind.simulated


@pytest.mark.parametrize("name", TESTS)
def test_a_window_is_compared_with_the_first_events(name: str) -> None:
    random = np.random.default_rng(1)
    memory = filled(name, random)
    assert len(memory[1]) == REFERENCE
    strict = {"p_val": 1e-6}
    after, found = batch.take(KINDS[name], strict, memory, values_of(name, random, 256))
    assert not found
    assert after is memory
    assert batch.take(KINDS[name], strict, memory, values_of(name, random, 256, changed=True))[1]


@pytest.mark.parametrize("name", TRUTHS)
def test_a_value_that_the_reference_never_had_is_possible(name: str) -> None:
    memory: Memory = (None, np.zeros((REFERENCE, 1)))
    assert batch.take(KINDS[name], {}, memory, np.ones((100, 1)))[1]
    assert not batch.take(KINDS[name], {}, memory, np.zeros((100, 1)))[1]


@pytest.mark.parametrize("name", KERNELS)
def test_chance_is_the_same_in_every_run_and_takes_nothing_from_others(name: str) -> None:
    random = np.random.default_rng(5)
    memory: Memory = (None, random.normal(size=(REFERENCE, 1)))
    windows = [random.normal(size=(40, 1)) for _ in range(8)]
    coins = {"p_val": 0.5, "n_permutations": 9}

    def found(seed: int) -> list[bool]:
        np.random.seed(seed)  # noqa: NPY002 - what is shared
        return [batch.take(KINDS[name], coins, memory, window)[1] for window in windows]

    first = found(1)
    after = np.random.random()  # noqa: NPY002
    assert found(2) == first
    np.random.seed(1)  # noqa: NPY002
    assert after == np.random.random()  # noqa: NPY002
    assert {True, False} == set(first)


@pytest.mark.parametrize("name", KERNELS)
def test_a_kernel_without_a_width_is_a_fault_and_not_blind(name: str) -> None:
    memory: Memory = (None, (np.arange(REFERENCE) % 10 == 0).astype(np.float64)[:, None])
    same, other = memory[1][:100], (np.arange(100) % 2).astype(np.float64)[:, None]
    with pytest.raises(ValueError, match="say what sigma is"):
        batch.take(KINDS[name], {}, memory, same)
    assert not batch.take(KINDS[name], {"sigma": 0.5}, memory, same)[1]
    assert batch.take(KINDS[name], {"sigma": 0.5}, memory, other)[1]


@pytest.mark.parametrize("name", ONLINE)
def test_online_events_are_compared_with_the_first_ones_wherever_windows_end(name: str) -> None:
    kind, arguments, random = KINDS[name], online_arguments(name), np.random.default_rng(6)
    memory, found = online.take(kind, arguments, NOTHING, values_of(name, random, REFERENCE))
    assert not found
    assert len(memory[1]) == REFERENCE
    quiet = values_of(name, random, 15)
    changed = np.ones((30, 1)) if kind.truths else np.full((30, 1), 3.0)

    def shown(*windows: NDArray[np.float64]) -> tuple[Memory, list[bool]]:
        kept, finds = memory, []
        for window in windows:
            kept, found = online.take(kind, arguments, kept, window)
            finds.append(found)
        return kept, finds

    one, finds = shown(quiet, changed)
    assert finds == [False, True]
    # Another process, and other windows.
    online._made.cache_clear()
    other, finds = shown(quiet[:5], quiet[5:], changed[:4], changed[4:])
    assert (finds[0], finds[1], finds[3]) == (False, False, True)
    assert one[1].tobytes() == other[1].tobytes()
    assert len(one[1]) == REFERENCE + 20


@pytest.mark.parametrize("name", ONLINE)
def test_too_little_simulated_is_told_before_a_window_is_lost(name: str) -> None:
    arguments = online_arguments(name)
    online.probe(KINDS[name], arguments, 1)
    with pytest.raises(ValueError, match=r"n_bootstraps of at least 245 for this ert and these windows, not 244"):
        online.probe(KINDS[name], {**arguments, "n_bootstraps": 244}, 1)
    # What is asked for is enough.
    memory: Memory = (None, values_of(name, np.random.default_rng(7), REFERENCE))
    online.take(KINDS[name], {**arguments, "n_bootstraps": 245}, memory, memory[1][:1])
    long = {"window_sizes": [2, 129]} if "window_sizes" in arguments else {"window_size": 129}
    with pytest.raises(ValueError, match="windows of 2 to 128 events"):
        online.probe(KINDS[name], {**arguments, **long}, 1)


def test_a_reference_that_the_library_refuses_is_its_monitors_fault() -> None:
    adapter = Adapter("rare", "alibi.FETDriftOnline", ("prediction=cat",), online_arguments("alibi.FETDriftOnline"))
    layout = layout_of()
    summary = Summary.empty(type(layout)(layout.segments, layout.blocks, raw=RawSpec(256, ("prediction=cat",))))
    summary.raw = Sample.of(256, np.arange(256, dtype=np.uint64), np.stack([np.arange(256.0), np.zeros(256)], 1))
    readings = watched()[0].run(np.random.default_rng(8), 1)[0].readings
    found = watch((adapter,), {}, summary, 0, readings)
    for window in range(1, 5):
        found = watch((adapter,), found.states, summary, window, readings)
    ((monitor, reason),) = found.faults
    assert monitor == "rare"
    assert "all 0's or all 1's" in reason


def test_several_values_are_compared_together() -> None:
    random = np.random.default_rng(2)
    memory: Memory = (None, random.normal(size=(REFERENCE, 2)))
    window = random.normal([0.0, 1.0], 1.0, (200, 2))
    assert batch.take(KINDS["alibi.KSDrift"], {"p_val": 1e-6}, memory, window)[1]
    batch.probe(KINDS["alibi.KSDrift"], {}, 2)


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
    for name in ONLINE:
        on = "prediction=cat" if KINDS[name].truths else ["confidence", "margin"]
        monitor = {"kind": name, "on": on, "args": online_arguments(name)}
        check_monitors(Settings.model_validate({"monitor": [monitor]}))
