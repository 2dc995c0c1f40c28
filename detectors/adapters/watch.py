"""Adapters at work on one window: values in, readings and transitions out, marked as outside the budget.

They look at the whole model, not at its segments. A detector says that it found a change; it does not say that a
change is over, so an alarm ends after CLEAR_WINDOWS windows without another find.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from detectors.adapters import alibi, batch, drift, online, scores
from detectors.adapters.kinds import KINDS
from detectors.adapters.memory import Values
from detectors.adapters.state import AdapterState
from detectors.explain import interval
from detectors.layout import WHOLE
from detectors.raw import is_truth, ordered
from detectors.readings import FAILED, FIRING, LEARNING, OK, Fault, Readings, Transition
from detectors.summary import Summary

_T = TypeVar("_T", bound=np.generic)

__all__ = ["CLEAR_WINDOWS", "Adapter", "Watched", "watch"]

_NORMAL_975 = 1.959963984540054
CLEAR_WINDOWS = 12
"""Windows with events, without another find, after which an alarm is over."""


@dataclass(frozen=True, slots=True)
class Adapter:
    """A monitor that is a detector of another library: its name, its kind, and the values it watches (detectors.raw).

    ``threshold``: the mean score of a window from which it fires, if it scores events.
    """

    name: str
    kind: str
    on: tuple[str, ...]
    arguments: Mapping[str, object]
    threshold: float = np.inf

    @property
    def identity(self) -> str:
        """What it is made with; of other libraries' versions the attributes may have other names."""
        kind = KINDS[self.kind]
        version = str(import_module(kind.library).__version__)
        return json.dumps([self.kind, self.on, dict(self.arguments), self.threshold, version], sort_keys=True)

    @property
    def component(self) -> str:
        """What its figures are of."""
        values = ", ".join(self.on)
        return f"{_WORDS[self.unit]} {values}"

    @property
    def unit(self) -> str:
        """The unit of its figures."""
        if KINDS[self.kind].family == "score":
            return "score"
        return "share" if is_truth(self.on[0]) else "mean"


_WORDS = {"score": "mean score of", "share": "share of", "mean": "mean"}


@dataclass(frozen=True, slots=True, eq=False)
class Watched:
    """What one window led to: the states after it, the readings with those of the adapters, the transitions.

    ``faults``: of adapters whose library raised; their states and alarms are as before the window.
    """

    states: dict[str, AdapterState]
    readings: Readings
    transitions: tuple[Transition, ...]
    faults: tuple[Fault, ...] = ()


@dataclass(frozen=True, slots=True)
class _Figures:
    n: int
    mean: float
    low: float
    high: float
    before: float


def watch(
    adapters: Sequence[Adapter],
    states: Mapping[str, AdapterState],
    summary: Summary,
    window: int,
    readings: Readings,
) -> Watched:
    """Take one closed window; ``states`` are those after the window before, ``readings`` the monitors' own.

    A window without values changes nothing. An adapter that is configured otherwise than its state starts afresh, and
    its alarm, like that of one that is configured no longer, is resolved. What the library of one raises is its own
    fault: the window changes nothing of it, its reading says that it failed, and all others go on.
    """
    kept = {adapter.name: adapter for adapter in adapters}
    begun = {adapter.name: AdapterState(adapter.identity) for adapter in adapters}
    transitions = [
        _ended(name, state, window)
        for name, state in states.items()
        if state.firing and (name not in kept or state.identity != begun[name].identity)
    ]
    after: dict[str, AdapterState] = {}
    faults: list[Fault] = []
    for adapter in adapters:
        known = states.get(adapter.name)
        fresh = begun[adapter.name]
        before = known if known is not None and known.identity == fresh.identity else fresh
        values = _values(adapter, summary)
        try:
            state, shown = _taken(adapter, before, values, window)
        except Exception as error:  # noqa: BLE001 - libraries of others raise what they like
            faults.append(Fault(adapter.name, f"{type(error).__name__}: {error}"))
            after[adapter.name] = before
            readings = _joined(readings, adapter, FAILED, _figures(values[:0, 0], before, exact=False))
            continue
        after[adapter.name] = state
        figures = _figures(shown, before, exact=adapter.unit == "share")
        if state.firing != before.firing:
            transitions.append(_changed(adapter, state, figures, window))
        readings = _joined(readings, adapter, _status(adapter, state), figures)
    return Watched(after, readings, tuple(transitions), tuple(faults))


def _values(adapter: Adapter, summary: Summary) -> Values:
    """Return the values of the window's events that have them all, in the order of the events."""
    spec = summary.layout.raw
    if spec is None or not set(adapter.on) <= set(spec.values):
        # Counted before the monitor was configured.
        return np.empty((0, len(adapter.on)))
    values = ordered(summary.raw)[:, [spec.values.index(name) for name in adapter.on]]
    return values[np.isfinite(values).all(axis=1)]


def _figures(values: NDArray[np.float64], before: AdapterState, *, exact: bool) -> _Figures:
    earlier = before.total / before.count if before.count else np.nan
    if not len(values):
        return _Figures(0, np.nan, np.nan, np.nan, earlier)
    n, mean = len(values), float(values.mean())
    if exact:
        low, high = interval(np.array([mean]), np.array([mean]), np.array([float(n)]), exact=True)
        return _Figures(n, mean, float(low[0]), float(high[0]), earlier)
    half = _NORMAL_975 * float(values.std(ddof=1)) / n**0.5 if n > 1 else np.nan
    return _Figures(n, mean, mean - half, mean + half, earlier)


def _taken(
    adapter: Adapter, before: AdapterState, values: Values, window: int
) -> tuple[AdapterState, NDArray[np.float64]]:
    """Return the state after a window, and what is shown of it: the values that were watched, or their scores."""
    shown = values[:, 0]
    if not len(values):
        return before, shown
    kind, memory = KINDS[adapter.kind], (before.attributes, before.history)
    if kind.family == "score":
        memory, shown = scores.take(kind, adapter.arguments, memory, values, adapter.on)
        found = float(shown.mean()) >= adapter.threshold
    elif kind.family == "test":
        memory, found = batch.take(kind, adapter.arguments, memory, values)
    elif kind.family == "online":
        memory, found = online.take(kind, adapter.arguments, memory, values)
    else:
        memory, found = drift.take(kind, adapter.arguments, memory, values)
    quiet = 0 if found else before.quiet + 1
    firing = found or (before.firing and quiet < CLEAR_WINDOWS)
    after = replace(
        before,
        firing=firing,
        since=window if firing and not before.firing else before.since if firing else -1,
        quiet=quiet,
        count=len(shown) + (0 if found else before.count),
        total=float(shown.sum()) + (0.0 if found else before.total),
        attributes=memory[0],
        history=memory[1],
    )
    return after, shown


def _changed(adapter: Adapter, state: AdapterState, figures: _Figures, window: int) -> Transition:
    found = "the detector found a change"
    over = f"no other change in {CLEAR_WINDOWS} windows"
    return Transition(
        monitor=adapter.name,
        segment=WHOLE,
        to="firing" if state.firing else "resolved",
        window=window,
        since_window=window,
        component=adapter.component,
        before=figures.before,
        after=figures.mean,
        low=figures.low,
        high=figures.high,
        unit=adapter.unit,
        log_evidence=np.nan,
        log_threshold=np.nan,
        calibrating=False,
        contributors=(),
        reason=found if state.firing else over,
        outside_budget=True,
    )


def _ended(name: str, state: AdapterState, window: int) -> Transition:
    """Return the end of the alarm of an adapter that is configured otherwise, or no longer."""
    return Transition(
        monitor=name,
        segment=WHOLE,
        to="resolved",
        window=window,
        since_window=state.since,
        component="",
        before=np.nan,
        after=np.nan,
        low=np.nan,
        high=np.nan,
        unit="",
        log_evidence=np.nan,
        log_threshold=np.nan,
        calibrating=False,
        contributors=(),
        reason="no longer watched as it was",
        outside_budget=True,
    )


def _status(adapter: Adapter, state: AdapterState) -> int:
    if state.firing:
        return FIRING
    ready = alibi.is_ready((state.attributes, state.history)) if KINDS[adapter.kind].compares else state.count > 0
    return OK if ready else LEARNING


def _joined(readings: Readings, adapter: Adapter, status: int, figures: _Figures) -> Readings:
    """Return the readings with a column for the adapter; of segments it knows nothing."""

    def joined(old: NDArray[_T], value: float) -> NDArray[_T]:
        new = np.full((len(readings.segments), 1), np.nan if old.dtype.kind == "f" else 0).astype(old.dtype)
        new[0, 0] = value
        return np.concatenate([old, new], axis=1)

    return replace(
        readings,
        monitors=(*readings.monitors, adapter.name),
        units=(*readings.units, adapter.unit),
        components=(*readings.components, (adapter.component,)),
        n=joined(readings.n, figures.n),
        estimate=joined(readings.estimate, figures.mean),
        low=joined(readings.low, figures.low),
        high=joined(readings.high, figures.high),
        reference=joined(readings.reference, figures.before),
        tolerance=joined(readings.tolerance, np.nan),
        log_evidence=joined(readings.log_evidence, np.nan),
        log_threshold=joined(readings.log_threshold, np.nan),
        status=joined(readings.status, status),
        component=joined(readings.component, 0),
    )
