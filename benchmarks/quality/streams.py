"""Synthetic streams with one change in each, whose time is known."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

__all__ = ["SIGNALS", "STREAMS", "Signal", "Stream", "draw", "inside", "quiet"]

Floats = NDArray[np.float64]
Draw = Callable[[np.random.Generator, tuple[int, ...]], Floats]

GRADUAL_EVENTS = 5_000
"""Events that a gradual change takes."""
INSIDE_EVENTS = 20_000
"""Events for which a change inside the tolerance lasts."""


# Not closures, since they are sent to other processes.
def _normals(mean: float, spread: float, random: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    return random.normal(mean, spread, shape)


def _humps(middle: float, random: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    spread = float(np.sqrt(1.0 - middle**2))
    drawn: Floats = random.normal(0.0, spread, shape) + middle * random.choice([-1.0, 1.0], shape)
    return drawn


def _ones(share: float, random: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    return (random.random(shape) < share).astype(np.float64)


def _betas(mean: float, random: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    return random.beta(5.0 * mean, 5.0 * (1.0 - mean), shape)


def _normal(mean: float = 0.0, spread: float = 1.0) -> Draw:
    return partial(_normals, mean, spread)


def _two_humps(middle: float) -> Draw:
    """Return draws from two normal distributions around ±middle, together with mean 0 and variance 1."""
    return partial(_humps, middle)


def _share(share: float) -> Draw:
    return partial(_ones, share)


def _confidence(mean: float) -> Draw:
    """Return draws from a beta distribution with a standard deviation of about 0.13."""
    return partial(_betas, mean)


_STANDARD = _normal()


@dataclass(frozen=True, slots=True)
class Signal:
    """What an event's value is before a change. ``what``: "confidence", "number" or "class" (1: it is that class).

    ``inside``: drawn so after a change of three quarters of the tolerance. ``memory``: how far an event's value repeats
    that of the event before, as AR(1); then values are moved by ``shift`` for ``inside``.
    """

    what: str
    draw: Draw
    inside: Draw
    memory: float = 0.0
    shift: float = 0.0


# Of a rare class, what is tolerated is that it doubles; of a number, a Kolmogorov distance of 0.05.
_WITHIN = 0.094
SIGNALS: Mapping[str, Signal] = {
    "confidence": Signal("confidence", _confidence(0.9), _confidence(0.885)),
    "number": Signal("number", _normal(), _normal(_WITHIN)),
    "number, AR 0.5": Signal("number", _STANDARD, _STANDARD, 0.5, _WITHIN),
    "number, AR 0.9": Signal("number", _STANDARD, _STANDARD, 0.9, _WITHIN),
    "class 0.2": Signal("class", _share(0.2), _share(0.215)),
    "class 0.01": Signal("class", _share(0.01), _share(0.0175)),
    "class 0.001": Signal("class", _share(0.001), _share(0.00175)),
}


@dataclass(frozen=True, slots=True)
class Stream:
    """``signal``: its name. ``after``: how values are drawn after the change; with a memory their mean ``shift``.

    ``course``: "sudden", "gradual" or "recurring", on and off for ``period`` events each.
    """

    name: str
    signal: str
    after: Draw = _STANDARD
    course: str = "sudden"
    shift: float = 0.0
    period: int = 2_000


# Twice the tolerance, and more; a Kolmogorov distance of 0.1, and 0.2.
STREAMS: tuple[Stream, ...] = (
    Stream("confidence −0.04", "confidence", _confidence(0.86)),
    Stream("confidence −0.08", "confidence", _confidence(0.82)),
    Stream("confidence −0.08, gradual", "confidence", _confidence(0.82), "gradual"),
    Stream("confidence −0.08, recurring", "confidence", _confidence(0.82), "recurring"),
    Stream("mean +0.25σ", "number", _normal(0.252)),
    Stream("mean +0.5σ", "number", _normal(0.507)),
    Stream("mean +0.5σ, gradual", "number", _normal(0.507), "gradual"),
    Stream("mean +0.5σ, recurring", "number", _normal(0.507), "recurring"),
    Stream("spread ×1.5", "number", _normal(0.0, 1.53)),
    Stream("spread ×2.4", "number", _normal(0.0, 2.41)),
    Stream("shape: two humps", "number", _two_humps(0.905)),
    Stream("shape: two peaks", "number", _two_humps(0.98)),
    Stream("class 0.2 → 0.24", "class 0.2", _share(0.24)),
    Stream("class 0.2 → 0.28", "class 0.2", _share(0.28)),
    Stream("class 0.01 → 0.04", "class 0.01", _share(0.04)),
    Stream("class 0.001 → 0.01", "class 0.001", _share(0.01)),
    Stream("mean +0.5σ, AR 0.5", "number, AR 0.5", shift=0.507),
    Stream("mean +0.5σ, AR 0.9", "number, AR 0.9", shift=0.507),
)


def quiet(random: np.random.Generator, signal: Signal, shape: tuple[int, int]) -> Floats:
    """Return values [repeats, events] without a change."""
    values = signal.draw(random, shape)
    if signal.memory:
        fresh = np.sqrt(1.0 - signal.memory**2)
        for at in range(1, shape[1]):
            values[:, at] = signal.memory * values[:, at - 1] + fresh * values[:, at]
    return values


def draw(random: np.random.Generator, stream: Stream, shape: tuple[int, int], changes: NDArray[np.int64]) -> Floats:
    """Return values [repeats, events] that change at ``changes`` [repeats]."""
    signal = SIGNALS[stream.signal]
    before = quiet(random, signal, shape)
    since = np.arange(shape[1]) - changes[:, None]
    if stream.course == "gradual":
        changed = random.random(shape) < since / GRADUAL_EVENTS
    else:
        changed = since >= 0
        if stream.course == "recurring":
            changed &= since // stream.period % 2 == 0
    if signal.memory:
        return before + stream.shift * changed
    return np.where(changed, stream.after(random, shape), before)


def inside(random: np.random.Generator, name: str, events: int) -> Floats:
    """Return values [events] of a signal that changes again and again, but never beyond the tolerance."""
    signal = SIGNALS[name]
    stream = Stream("inside", name, signal.inside, "recurring", signal.shift, INSIDE_EVENTS)
    values: Floats = draw(random, stream, (1, events), np.array([INSIDE_EVENTS]))[0]
    return values
