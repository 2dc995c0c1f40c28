"""How soon a change is found: Strandline's default monitors beside peers that may cry wolf as often.

Everyone sees the same values. One false alarm is allowed in 100,000 events. Peers are shown the one number that
changes, Strandline all of an event. A peer's parameters are swept; those whose false alarms, counted on a stream of the
same kind, stay within what is allowed are *tuned*, and for each stream the best of all of them is compared. Twice: with
false alarms counted on a stream without any change; and on one that changes by three quarters of the tolerance now and
then, too, since an alarm for that is what a tolerance forbids. Strandline tells at the end of a window, so that it
loses a part of one: changes begin anywhere in a window.
"""

import json
import os
import subprocess
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.quality.cohorts import Cohort, columns_of, layout_of
from benchmarks.quality.streams import SIGNALS, STREAMS, Floats, Stream, draw, inside, quiet
from benchmarks.report import Goal, print_table
from detectors.columns import Categories, Columns
from detectors.folding import fold
from detectors.monitors import MINIMUM_EVENTS
from detectors.reference import Reference

__all__ = ["GOALS", "run"]

GOALS = (
    Goal("share_of_streams_delay_at_most_best_peer", 0.75),
    Goal("rare_class_tenfold_events", 5_000, at_most=True),
)
RARE = "class 0.001 → 0.01"
ROOT = Path(__file__).resolve().parents[2]
PEERS = ROOT / ".cache" / "peers" / "bin" / "python"
ALLOWED = 1e-5
"""False alarms an event."""
REFERENCE_EVENTS = 20_000
BEFORE, HORIZON = 10_000, 20_000
"""Events before the change, and after it; what is found later is missed."""
WARM_WINDOWS = 300
LEARNT_WINDOWS = 20
_CLASSES = ("a", "b", "c")


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is measured."""

    repeats: int
    null_events: int
    sizes: tuple[int, ...]
    streams: tuple[Stream, ...]


QUICK = Scale(8, 300_000, (100,), tuple(each for each in STREAMS if not SIGNALS[each.signal].memory)[::3])
FULL = Scale(12, 1_000_000, (10, 100, 1_000), STREAMS)


@dataclass(frozen=True, slots=True)
class Drawn:
    """A stream's values [repeats, events], and where each repeat changes."""

    stream: Stream
    values: Floats
    changes: NDArray[np.int64]


def drawn(stream: Stream, repeats: int, seed: int) -> Drawn:
    """Draw a stream; its changes lie anywhere in a window of up to 1,000 events."""
    random = np.random.default_rng([seed, 1])
    changes = BEFORE + np.arange(repeats) * 1_000 // repeats
    return Drawn(stream, draw(random, stream, (repeats, BEFORE + 1_000 + HORIZON), changes), changes)


def events_of(random: np.random.Generator, stream: Stream, values: Floats) -> Columns:
    """Return whole events [repeats × n] of which ``values`` [repeats, n] are one part; the others do not change."""
    what = SIGNALS[stream.signal].what
    count = values.size
    flat = values.ravel()
    confidence = flat if what == "confidence" else quiet(random, SIGNALS["confidence"], (1, count))[0]
    number = flat if what == "number" else quiet(random, SIGNALS["number"], (1, count))[0]
    wanted = flat > 0 if what == "class" else random.random(count) < 0.2
    predicted = np.where(wanted, 0, random.integers(1, len(_CLASSES), count))
    numbers = np.repeat(np.arange(len(values)), values.shape[1])
    return columns_of(numbers, confidence, Categories(predicted, _CLASSES), {"features.x": number})


@dataclass(frozen=True, slots=True)
class Ours:
    """Strandline's delay in each repeat, None where it missed, and its false alarms in so many events before."""

    delays: list[int | None]
    false_alarms: int
    events: int


def ours(found: Drawn, size: int, seed: int) -> Ours:
    """Watch all repeats of a stream in windows of ``size`` events."""
    random = np.random.default_rng([seed, size])
    stream, values = found.stream, found.values
    signal, repeats = SIGNALS[stream.signal], len(values)
    known = events_of(random, stream, quiet(random, signal, (repeats, REFERENCE_EVENTS)))
    layout = layout_of(repeats, known)
    cohort = Cohort(layout, 1.0 / (ALLOWED * size))
    if signal.memory:
        # The order of events matters, which a file has lost: learnt from the stream.
        for _ in range(LEARNT_WINDOWS):
            cohort.take(fold(layout, events_of(random, stream, quiet(random, signal, (repeats, size)))))
    else:
        cohort.reference = Reference(layout, fold(layout, known))
    delays: dict[int, int] = {}
    early = 0
    start = (BEFORE - min(BEFORE, WARM_WINDOWS * size)) // size * size
    for begin in range(start, values.shape[1] - size + 1, size):
        end = begin + size
        taken = cohort.take(fold(layout, events_of(random, stream, values[:, begin:end])))
        for at in cohort.fired(taken):
            if end > found.changes[at]:
                delays.setdefault(at, end - int(found.changes[at]))
            else:
                early += 1
        if len(delays) == repeats:
            break
    return Ours([delays.get(at) for at in range(repeats)], early, int((found.changes - start).sum()))


def theirs(drawings: Sequence[Drawn], scale: Scale, seed: int) -> list[dict[str, Any]]:
    """Return what each peer finds in streams of one signal, for each of its parameters."""
    random = np.random.default_rng([seed, 2])
    signal = SIGNALS[drawings[0].stream.signal]
    arrays: dict[str, NDArray[np.generic]] = {
        "null": quiet(random, signal, (1, scale.null_events))[0],
        "inside": inside(random, drawings[0].stream.signal, scale.null_events // 2),
        "reference": quiet(random, signal, (1, REFERENCE_EVENTS))[0],
        "sizes": np.array(scale.sizes),
        "allowed": np.array(ALLOWED),
        "quick": np.array(scale is QUICK),
    }
    for each in drawings:
        arrays |= {f"stream/{each.stream.name}": each.values, f"change/{each.stream.name}": each.changes}
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "in.npz", Path(folder) / "out.json"
        np.savez(source, **arrays)  # type: ignore[arg-type]
        command = [str(PEERS), "-m", "benchmarks.contenders.detecting", str(source), str(target)]
        subprocess.run(command, cwd=ROOT, check=True)  # noqa: S603
        answer: list[dict[str, Any]] = json.loads(target.read_text(encoding="utf-8"))
        return answer


def median(delays: Sequence[int | None]) -> float:
    """Return the median delay; infinite where half of them and more are missed."""
    return float(np.median([np.inf if each is None else each for each in delays]))


def _theirs_of(streams: Sequence[Drawn], scale: Scale) -> dict[str, list[dict[str, Any]]]:
    """Return what peers find, by signal; each in a process of its own."""
    signals = {each.stream.signal for each in streams}
    of = {signal: [each for each in streams if each.stream.signal == signal] for signal in sorted(signals)}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return dict(zip(of, pool.map(lambda some: theirs(some, scale, seed=2), of.values()), strict=True))


def _ours_of(drawings: Sequence[Drawn], scale: Scale) -> dict[tuple[str, int], Ours]:
    """Return what Strandline finds, by stream and size of the windows."""
    wanted = [
        (number, size)
        for number, each in enumerate(drawings)
        for size in scale.sizes
        # Of 20 windows smaller than that no reference can be learnt.
        if not SIGNALS[each.stream.signal].memory or size * LEARNT_WINDOWS >= MINIMUM_EVENTS
    ]
    with ProcessPoolExecutor() as pool:
        found = [pool.submit(ours, drawings[number], size, number) for number, size in wanted]
    results = zip(wanted, found, strict=True)
    return {(drawings[number].stream.name, size): each.result() for (number, size), each in results}


_SHOWN = ("ADWIN", "PageHinkley", "KSWIN", "KS test", "PSI")


def _best(tried: Sequence[dict[str, Any]], stream: str, size: int, rate: str) -> tuple[float, str]:
    """Return the least median delay of those tuned by ``rate``, and whose it is."""
    best = (np.inf, "none")
    for each in tried:
        name, _, at = each["detector"].partition("/")
        if each[rate] <= ALLOWED and at in ("", str(size)):
            best = min(best, (median(each["delays"][stream]), f"{name} {each['parameters']}"))
    return best


def _told(delay: float) -> str:
    return f"{delay:,.0f}" if np.isfinite(delay) else "missed"


def run(*, quick: bool) -> dict[str, float]:
    """Measure, and print how soon everyone is, and how often they cry wolf with their defaults."""
    if not PEERS.exists():
        print("delay: not available: peers are not installed: make .cache/peers/.done")
        return {}
    scale = QUICK if quick else FULL
    drawings = [drawn(stream, scale.repeats, seed) for seed, stream in enumerate(scale.streams)]
    answers = _theirs_of(drawings, scale)
    watched = _ours_of(drawings, scale)
    rows, early, events, rare = [], 0, 0, 0.0
    won: dict[str, list[bool]] = {"rate": [], "rate_inside": []}
    for each in drawings:
        tried = answers[each.stream.signal]
        for size in scale.sizes:
            mine = watched.get((each.stream.name, size))
            if mine is None:
                continue
            early, events = early + mine.false_alarms, events + mine.events
            delay = median(mine.delays)
            if each.stream.name == RARE:
                rare = max(rare, delay)
            row = [each.stream.name, f"{size:,}", _told(delay), f"{sum(one is None for one in mine.delays)}"]
            for rate, outcomes in won.items():
                other, whose = _best(tried, each.stream.name, size, rate)
                outcomes.append(delay <= other)
                row.append(f"{_told(other)} ({whose})" if np.isfinite(other) else "missed")
            for name in _SHOWN:
                default = [one for one in tried if one["default"] and one["detector"] in (name, f"{name}/{size}")]
                row.append(_told(median(default[0]["delays"][each.stream.name])) if default else "")
            rows.append(row)
    columns = [
        "change",
        "window",
        "Strandline",
        "missed",
        "best tuned peer",
        "best, tuned with tolerated changes",
        *_SHOWN,
    ]
    print_table(f"median delay in events; {scale.repeats} repeats; right: peers' defaults", columns, rows)
    _print_false_alarms(answers)
    figures = {
        "share_of_streams_delay_at_most_best_peer": float(np.mean(won["rate"])),
        "share_of_streams_delay_at_most_best_peer_with_tolerated_changes": float(np.mean(won["rate_inside"])),
        "rare_class_tenfold_events": rare,
        "false_alarms_per_100000_events_before_changes": 1e5 * early / events,
    }
    for name, figure in figures.items():
        print(f"{name}: {figure:.3g}")
    return figures


def _print_false_alarms(answers: dict[str, list[dict[str, Any]]]) -> None:
    rows = [
        [signal, each["detector"].replace("/", ", window "), each["parameters"]]
        + [f"{1e5 * each[rate]:,.1f}" for rate in ("rate", "rate_inside")]
        for signal, tried in answers.items()
        for each in tried
        if each["default"]
    ]
    columns = ["signal", "peer", "defaults", "no change", "changes inside the tolerance"]
    print_table("false alarms in 100,000 events, with defaults (1 is allowed)", columns, rows)
