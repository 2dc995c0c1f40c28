"""What people are told about a change: intervals, when it began, and what moved most."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detectors.bets import Moments, tempering
from detectors.readings import Contributor
from detectors.state import MonitorState
from detectors.tolerance import divergence

__all__ = ["Change", "Past", "change", "interval", "shown", "window_interval"]

CONTRIBUTORS = 5
"""The most components named in an alarm."""
NOTABLE = 3.0
"""Log-likelihood ratio (about one in twenty) from which a component is named besides the alarm's own."""
_NORMAL_975 = 1.959963984540054


@dataclass(frozen=True, slots=True, eq=False)
class Past:
    """What a monitor saw in several windows, ascending: ``windows`` [T], and moments with T in front."""

    windows: NDArray[np.int64]
    n: NDArray[np.float64]
    first: NDArray[np.float64]
    second: NDArray[np.float64]

    def shifted(self, by: NDArray[np.float64]) -> "Past":
        """Return it with all values greater ``by`` [T, segments, components]; NaN: without those events."""
        known = np.logical_not(np.isnan(by).any(axis=2))
        by = np.where(known[..., None], by, 0.0)
        n = np.where(known, self.n, 0.0)
        events = n[..., None]
        return Past(
            self.windows,
            n,
            np.clip(np.where(events > 0, self.first + events * by, 0.0), 0.0, events),
            np.clip(np.where(events > 0, self.second + 2.0 * by * self.first + events * by**2, 0.0), 0.0, events),
        )

    def latest(self) -> "Past":
        """Return the last window alone."""
        return Past(self.windows[-1:], self.n[-1:], self.first[-1:], self.second[-1:])


@dataclass(frozen=True, slots=True)
class Change:
    """What changed in a segment: since when, from ``before`` to ``after`` in [``low``, ``high``]."""

    since: int
    before: float
    after: float
    low: float
    high: float
    contributors: tuple[Contributor, ...]


def interval(
    mean: NDArray[np.float64], second: NDArray[np.float64], n: NDArray[np.float64], *, exact: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the 95 % interval of a mean from its mean of squares ``second`` and ``n`` effective events.

    For shares Wilson's (1927); for means the normal one with the variance of the events and one more that is
    half a unit away, so that a few equal values do not look certain.
    """
    events = np.maximum(n, 1e-12)
    if exact:
        z = _NORMAL_975**2 / events
        centre = (mean + 0.5 * z) / (1.0 + z)
        half = np.sqrt(z * mean * (1.0 - mean) + 0.25 * z**2) / (1.0 + z)
    else:
        centre = mean
        variance = (np.maximum(second - mean**2, 0.0) * events + 0.25) / (events + 1.0)
        half = _NORMAL_975 * np.sqrt(variance / events)
    # Wilson's interval reaches the estimate itself at 0 and 1: rounding must not leave it outside.
    return np.clip(centre - half, 0.0, mean), np.clip(centre + half, mean, 1.0)


def shown(x: NDArray[np.float64], falling: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return x as people know it: 1 − x where a fall is looked for."""
    return np.where(falling, 1.0 - x, x)


def change(past: Past, monitor: MonitorState, falling: NDArray[np.bool_], segment: int, *, exact: bool) -> Change:
    """Return what changed in ``segment``, by a likelihood scan over ``past``, the alarm's window included.

    The change began at the window from which on N·KL(mean ‖ bound) of the alarm's component is greatest (its
    bound, not its reference: a difference within the tolerance, kept up for long, is not the change). What
    else moved since is ranked by N·KL(mean ‖ reference).
    """
    component = int(monitor.component[segment])
    inside = past.windows >= monitor.steady[segment]
    inside[-1] = True
    windows = past.windows[inside]
    n, first = past.n[inside, segment], past.first[inside, segment]
    total = np.cumsum(n[::-1])[::-1]
    mean = np.cumsum(first[::-1, component])[::-1] / np.maximum(total, 1.0)
    bound = monitor.bound[segment, component]
    score = np.where(mean > bound, total * divergence(mean, np.full_like(mean, bound)), 0.0)
    # Of equals the last: a window without events does not begin a change.
    start = len(score) - 1 - int(np.argmax(score[::-1]))

    size = max(float(total[start]), 1.0)
    after = first[start:].sum(axis=0) / size
    squares = past.second[inside, segment][start:].sum(axis=0) / size
    before = monitor.mean[segment]
    varied = monitor.varied.take(np.full(len(n), segment, dtype=np.intp))
    effective = (n[:, None] * tempering(n, varied.design_effect, varied.window_size))[start:].sum(axis=0)
    low, high = interval(after, squares, effective, exact=exact)
    low, high = np.where(falling, 1.0 - high, low), np.where(falling, 1.0 - low, high)

    moved = np.where(after > before, effective * divergence(after, np.maximum(before, 0.5 / size)), 0.0)
    ranked = np.argsort(-moved, kind="stable")
    names = [index for index in ranked[:CONTRIBUTORS].tolist() if moved[index] >= NOTABLE]
    if component not in names:
        names = [*names[: CONTRIBUTORS - 1], component]
    shown_before, shown_after = shown(before, falling), shown(after, falling)
    return Change(
        since=int(windows[start]),
        before=float(shown_before[component]),
        after=float(shown_after[component]),
        low=float(low[component]),
        high=float(high[component]),
        contributors=tuple(
            Contributor(monitor.names[index], float(shown_before[index]), float(shown_after[index])) for index in names
        ),
    )


def window_interval(
    moments: Moments, monitor: MonitorState, component: NDArray[np.int32], *, exact: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and 95 % interval of x for one component a segment, [segments] each; NaN without events."""
    rows = np.arange(len(component))
    varied = monitor.varied
    tempered = tempering(moments.n, varied.design_effect, varied.window_size)[rows, component]
    n = np.where(moments.n > 0, moments.n, np.nan)
    mean = moments.first[rows, component] / n
    low, high = interval(mean, moments.second[rows, component] / n, n * tempered, exact=exact)
    return mean, low, high
