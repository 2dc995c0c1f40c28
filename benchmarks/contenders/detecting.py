"""Peers that look for a change in one number an event: river's detectors event by event, and what batch tools do.

Runs in the peers' environment, ``python -m benchmarks.contenders.detecting IN.npz OUT.json``. IN holds ``null``
[events], without a change, ``inside`` [events], with changes too small to matter, ``reference`` [events], and of each
stream NAME ``stream/NAME`` [repeats, events] with ``change/NAME`` [repeats], the first event after the change; and
``sizes``, the windows of those that look at windows, ``allowed``, the false alarms an event, and ``quick``. Every
detector is tried with several values of its parameters. OUT tells, by detector, its parameters, whether they are the
defaults, its false alarms an event on each of the two, and its delays, null for missed.
"""

import itertools
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from river import drift
from scipy.special import kolmogorov

Floats = NDArray[np.float64]
Alarms = Callable[[Floats], Iterator[int]]
"""Yields, for the values of a stream, the number of events after which each alarm comes."""

WARM = {"KSWIN": 1_000}
"""Events before the change that are shown, where not all are: more takes too long, and does not help."""
NULL = {"KSWIN": 10_000}
"""Events without a change on which false alarms are counted, where not all are."""
REPEATS = {"KSWIN": 3}
_DECILES = np.arange(1, 10) / 10.0


def river(make: Callable[[], Any]) -> Alarms:
    """Return the alarms of a detector of river, which sees every event."""

    def alarms(values: Floats) -> Iterator[int]:
        detector = make()
        for number, value in enumerate(values.tolist(), start=1):
            detector.update(value)
            if detector.drift_detected:
                yield number

    return alarms


def windowed(
    size: int, statistic: Callable[[Floats], Floats], alarming: Callable[[Floats], NDArray[np.bool_]]
) -> Alarms:
    """Return the alarms of a test of each window of ``size`` events."""

    def alarms(values: Floats) -> Iterator[int]:
        windows = values[: len(values) // size * size].reshape(-1, size)
        yield from ((np.flatnonzero(alarming(statistic(windows))) + 1) * size).tolist()

    return alarms


def ks_p_values(reference: Floats) -> Callable[[Floats], Floats]:
    """Return the p-value of the two-sample Kolmogorov–Smirnov test of each row of windows, asymptotically."""
    known = np.sort(reference)

    def p_values(windows: Floats) -> Floats:
        ordered = np.sort(windows, axis=1)
        size = ordered.shape[1]
        ranks = np.arange(1, size + 1) / size
        above = (ranks - np.searchsorted(known, ordered, side="right") / len(known)).max(axis=1)
        below = (np.searchsorted(known, ordered, side="left") / len(known) - (ranks - 1.0 / size)).max(axis=1)
        effective = np.sqrt(size * len(known) / (size + len(known)))
        return np.asarray(kolmogorov(effective * np.maximum(above, below)))

    return p_values


def psi(reference: Floats) -> Callable[[Floats], Floats]:
    """Return the population stability index of each row of windows, over deciles of the reference."""
    edges = np.unique(np.quantile(reference, _DECILES))
    bins = len(edges) + 1
    floor = 1e-4
    expected = np.maximum(np.bincount(np.searchsorted(edges, reference), minlength=bins) / len(reference), floor)

    def indices(windows: Floats) -> Floats:
        cells = np.searchsorted(edges, windows) + np.arange(len(windows))[:, None] * bins
        counts = np.bincount(cells.ravel(), minlength=bins * len(windows)).reshape(-1, bins)
        found = np.maximum(counts / windows.shape[1], floor)
        return np.asarray(((found - expected) * np.log(found / expected)).sum(axis=1))

    return indices


def detectors(reference: Floats, sizes: Sequence[int], *, quick: bool) -> Iterator[tuple[str, str, bool, Alarms]]:
    """Yield each detector's name, its parameters, whether they are the defaults (or the custom), and its alarms."""
    yield "always", "", True, lambda values: iter(range(1, len(values) + 1))
    for delta in (0.002, 0.9, 0.5, 0.2, 0.05, 1e-5, 1e-9):
        yield "ADWIN", f"delta={delta:g}", delta == 0.002, river(partial(drift.ADWIN, delta=delta))
    limits = itertools.product((50.0, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 100.0), (0.005, 0.02, 0.1, 0.3))
    for threshold, delta in limits:
        default = (threshold, delta) == (50.0, 0.005)
        if default or not quick or delta == 0.02:
            made = river(partial(drift.PageHinkley, delta=delta, threshold=threshold))
            yield "PageHinkley", f"threshold={threshold:g}, delta={delta:g}", default, made
    for alpha, window, part in () if quick else ((0.005, 100, 30), (1e-5, 100, 30), (1e-6, 300, 100)):
        made = river(partial(drift.KSWIN, alpha=alpha, window_size=window, stat_size=part, seed=1))
        yield "KSWIN", f"alpha={alpha:g}, {part} of {window}", alpha == 0.005, made
    for size in sizes:
        p_values, indices = ks_p_values(reference), psi(reference)
        for alpha in (0.05, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6):
            yield f"KS test/{size}", f"p<{alpha:g}", alpha == 0.05, windowed(size, p_values, partial(np.greater, alpha))
        for limit in (0.2, 0.01, 0.03, 0.1, 0.5, 1.0, 2.0, 4.0):
            yield f"PSI/{size}", f">{limit:g}", limit == 0.2, windowed(size, indices, partial(np.less, limit))


def _false_alarms(name: str, alarms: Alarms, events: Floats, allowed: float) -> float:
    """Return the alarms an event, counted until there are far more than allowed."""
    shown = events[: NULL.get(name, len(events))]
    most = int(3.0 * allowed * len(shown)) + 10
    seen = list(itertools.islice(alarms(shown), most))
    return len(seen) / (seen[-1] if len(seen) == most else len(shown))


def delays(alarms: Alarms, streams: Floats, changes: NDArray[np.int64], warm: int | None) -> list[int | None]:
    """Return, for each repeat, how many events after the change the first alarm came."""
    found: list[int | None] = []
    for values, change in zip(streams, changes.tolist(), strict=True):
        start = 0 if warm is None else max(0, change - warm)
        first = next((at + start for at in alarms(values[start:]) if at + start > change), None)
        found.append(None if first is None else first - change)
    return found


def main(source: Path, target: Path) -> None:
    """Try every detector on every stream."""
    with np.load(source) as given:
        null, inside, reference, allowed = given["null"], given["inside"], given["reference"], float(given["allowed"])
        names = [name.removeprefix("stream/") for name in given if name.startswith("stream/")]
        streams = {name: (given[f"stream/{name}"], given[f"change/{name}"]) for name in names}
        sizes, quick = given["sizes"].tolist(), bool(given["quick"])
    two_valued = len(np.unique(reference)) == 2
    results = []
    for name, parameters, default, alarms in detectors(reference, sizes, quick=quick):
        if name == "KSWIN" and two_valued:
            # It compares distributions of continuous values.
            continue
        rate, rate_inside = (_false_alarms(name, alarms, events, allowed) for events in (null, inside))
        if default or rate <= allowed:
            repeats, warm = REPEATS.get(name), WARM.get(name)
            found = {key: delays(alarms, each[:repeats], at[:repeats], warm) for key, (each, at) in streams.items()}
            told = {"detector": name, "parameters": parameters, "default": default, "delays": found}
            results.append({**told, "rate": rate, "rate_inside": rate_inside})
    target.write_text(json.dumps(results), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
