"""Windows drawn straight as summaries, for the tests of detectors: no events, no decoding."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from detectors.bets import Moments
from detectors.budget import Budget
from detectors.classes import ClassesBlock
from detectors.cohort import CohortState, Step, step
from detectors.columns import DRAWS, UNIT, Categories, Columns
from detectors.confidence import ConfidenceBlock
from detectors.layout import WHOLE, BlockSpec, Layout
from detectors.readings import STATUSES
from detectors.reference import Reference
from detectors.selection import SelectionBlock
from detectors.summary import Summary, blocks_of
from detectors.traffic import TrafficBlock

DIGITS = tuple("0123456789")
MONTH = Budget(windows=8640, segments_cap=16)
"""One false alarm in 30 days of five-minute windows."""


def layout_of(
    segments: tuple[str, ...] = (WHOLE, "region=eu", "region=us"), labels: tuple[str, ...] = DIGITS
) -> Layout:
    blocks = (
        TrafficBlock.unlearnt(),
        BlockSpec(ConfidenceBlock.kind, edges=(0.5, 0.9)),
        BlockSpec(ClassesBlock.kind, labels=labels),
        SelectionBlock.unlearnt(),
    )
    return Layout(segments, blocks)


def summary_of(
    layout: Layout,
    random: np.random.Generator,
    n: int,
    *,
    confidence: float = 0.9,
    shares: NDArray[np.float64] | None = None,
) -> Summary:
    """Return a window of n events, each in the whole model and in one of the other segments.

    Confidences are drawn from a beta distribution with the given mean and a standard deviation of about 0.13;
    ``shares`` [labels + 1] of the classes, the last of those without a label.
    """
    summary = Summary.empty(layout)
    others = len(layout.segments) - 1
    sizes = random.multinomial(n, np.full(others, 1.0 / others)) if others else np.array([n])
    labels = len(layout.block(ClassesBlock.kind).labels)
    wanted = np.append(np.full(labels, 1.0 / labels), 0.0) if shares is None else shares
    at = {}
    start = 0
    for block in blocks_of(layout):
        for name in block.sums:
            at[block.kind, name] = start
            start += 1
    for position, size in enumerate(sizes.tolist(), start=1 if others else 0):
        values = random.beta(5.0 * confidence, 5.0 * (1.0 - confidence), size)
        summary.sums[position, at["traffic", "events"]] = size
        summary.sums[position, at["confidence", "confidence"]] = np.floor(values * UNIT).sum()
        summary.sums[position, at["confidence", "confidence_squared"]] = np.floor(values**2 * UNIT).sum()
        bins = np.digitize(values, (0.5, 0.9), right=True)
        summary.cells("confidence")[position] = np.bincount(bins, minlength=4)
        summary.cells("classes")[position] = random.multinomial(size, wanted)
    if others:
        summary.counts[0], summary.sums[0] = summary.counts[1:].sum(axis=0), summary.sums[1:].sum(axis=0)
    return summary


def plain_columns(numbers: Mapping[str, NDArray[np.float64]], random: np.random.Generator) -> Columns:
    """Return events that differ in these numbers, by path of the field [n] each, and in their draws alone."""
    n = len(next(iter(numbers.values())))
    return Columns(
        confidence=np.full(n, 0.9),
        margin=np.full(n, np.nan),
        predicted=Categories(np.zeros(n, dtype=np.int64), ("a",)),
        tags={},
        hashes=random.integers(0, 2**64, (n, len(DRAWS)), dtype=np.uint64),
        defects=np.zeros(n, dtype=np.uint32),
        numbers=numbers,
    )


def shares_of(labels: int = 10, **changed: float) -> NDArray[np.float64]:
    """Return equal shares, but for those given as c3=0.2 (class 3) or other=0.05; the rest share the rest."""
    shares = np.full(labels + 1, np.nan)
    shares[-1] = changed.pop("other", 0.0)
    for name, share in changed.items():
        shares[int(name[1:])] = share
    free = np.isnan(shares)
    shares[free] = (1.0 - np.nansum(shares)) / free.sum()
    return shares


def file_reference(layout: Layout, random: np.random.Generator, n: int = 15_000) -> Reference:
    return Reference(layout, summary_of(layout, random, n))


@dataclass
class Stream:
    """A cohort as reduce keeps it: the state, and the stored windows that history reads."""

    layout: Layout
    reference: Reference | None = None
    budget: Budget = MONTH
    for_windows: int = 0
    tolerances: dict[str, float] = field(default_factory=dict)
    state: CohortState | None = None
    window: int = 0
    stored: list[tuple[int, Summary]] = field(default_factory=list)
    reads: int = 0
    steps: list[Step] = field(default_factory=list)

    def history(self, count: int) -> list[tuple[int, Summary]]:
        self.reads += 1
        return self.stored[-count:] if count else []

    def take(self, summary: Summary) -> Step:
        taken = step(
            self.layout,
            self.reference,
            self.state,
            summary,
            self.window,
            self.budget,
            self.history,
            for_windows=self.for_windows,
            tolerances=self.tolerances,
        )
        self.stored.append((self.window, summary))
        self.window += 1
        self.state = taken.state
        self.steps.append(taken)
        return taken

    def run(self, random: np.random.Generator, windows: int, n: int = 1000, **changed: object) -> list[Step]:
        return [self.take(summary_of(self.layout, random, n, **changed)) for _ in range(windows)]  # type: ignore[arg-type]


def fired(steps: list[Step], to: str = "firing") -> list[tuple[int, str, str, str]]:
    """Return (window, monitor, segment, component) of the transitions to ``to``."""
    return [
        (one.window, one.monitor, one.segment, one.component)
        for taken in steps
        for one in taken.transitions
        if one.to == to
    ]


def counts(n: float, *ones: float) -> Moments:
    """Return the moments of one segment: ``ones`` of n events in each component."""
    first = np.array([ones])
    return Moments(np.array([float(n)]), first, first)


def watched(seed: int = 1, windows: int = 0, n: int = 1000, **settings: object) -> tuple[Stream, np.random.Generator]:
    """Return a stream on a reference from a file, after ``windows`` ordinary windows."""
    random = np.random.default_rng(seed)
    layout = layout_of()
    stream = Stream(layout, file_reference(layout, random), **settings)  # type: ignore[arg-type]
    stream.run(random, windows, n)
    return stream, random


def status(stream: Stream, monitor: str, segment: int = 0) -> str:
    readings = stream.steps[-1].readings
    return STATUSES[readings.status[segment, readings.monitors.index(monitor)]]
