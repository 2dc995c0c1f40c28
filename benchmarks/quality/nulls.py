"""False alarms where nothing that matters has changed: what is spent of the budget, measured over asked.

Windows' counts are drawn directly. The nulls are those that the monitor of the class shares, or of the confidence,
makes of a reference so large that it is exact; bets, evidence and thresholds are those of a cohort's step. Evidence at
its threshold counts as an alarm and starts again at once, so that a stream spends as much as it can. One monitor owns
the whole budget; 200 share it as ``Budget`` splits it: two versions, the whole model and a segment, 50 monitors each.
"""

import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from benchmarks.quality.rates import Spent
from benchmarks.report import Goal, print_table
from detectors import evidence
from detectors.bets import BETS, Moments, tempering
from detectors.budget import Budget
from detectors.classes import ClassesMonitor
from detectors.confidence import ConfidenceMonitor
from detectors.tolerance import Variation

__all__ = ["GOALS", "Cell", "groups", "measure", "run", "worst"]

GOALS = (Goal("false_alarm_ratio_max", 1.0, at_most=True),)
_KINDS = {"same": "reference", "edge": "edge", "means": "edge (means)"}
BUDGETS = (100, 1_000, 100_000)
SIZES = (10, 100, 1_000, 100_000, 0)
"""Events of a window; 0: from 100 to 1,000 and back within a day of 288 windows."""
MONITORS = 200
_DAY = 288
_REFERENCE_EVENTS = 1e12
_LOG_ERROR = 10.0
_SHARES = (0.0005, 0.01, 0.1, 0.5, 0.9)
_SHARE_TOLERANCE, _CONFIDENCE_TOLERANCE = 0.02, 0.02
_POINTS = np.array([0.0, 0.1, 1.0])
"""Values of 1 − confidence, so far apart that their mean varies much; half of them are the second."""
_STEADY = 0.1
"""The mean of 1 − confidence in the reference."""


@dataclass(frozen=True, slots=True)
class Cell:
    """``kind``: shares as in the reference ("same"), or at the "edge" of their tolerance, or "means" there.

    ``events`` of a window, as in SIZES. One false alarm is allowed in ``budget`` windows, for all ``monitors``
    together. At least ``windows`` are drawn, ``streams`` at a time.
    """

    kind: str
    events: int
    budget: int
    monitors: int
    windows: int
    streams: int


def groups(*, quick: bool) -> list[list[Cell]]:
    """Return what is measured, cells that differ in their budget alone together; at least 400,000 windows each.

    That is, of each of the ten shares and directions, where there is one monitor.
    """
    result = []
    for kind, events in product(_KINDS, (10, 1_000, 0) if quick else SIZES):
        if quick:
            result.append([Cell(kind, events, budget, 1, 400_000, 400) for budget in BUDGETS[:2]])
            if kind != "means":
                result.append([Cell(kind, events, BUDGETS[0], MONITORS, 4_000, 2)])
            continue
        # Where alarms are rarest, more windows are needed to say how rare.
        many = (4_000_000, 4_000_000, 40_000_000 if kind == "edge" else 4_000_000)
        sizes = zip(BUDGETS, many, strict=True)
        result.append([Cell(kind, events, budget, 1, windows, windows // 20_000) for budget, windows in sizes])
        if kind != "means":
            result.append([Cell(kind, events, budget, MONITORS, 400_000, 4) for budget in BUDGETS])
    return result


def measure_group(cells: list[Cell]) -> list[Spent]:
    """Measure cells that differ in their budget alone, the smallest threshold first; of each its worst stream."""
    outcomes: list[Spent] = []
    for cell in cells:
        before = cells[len(outcomes) - 1]
        if outcomes and not outcomes[-1].alarms and (before.windows, before.streams) == (cell.windows, cell.streams):
            # The draws are the same, and they did not reach even the threshold before.
            outcomes.append(Spent(0, outcomes[-1].allowed * before.budget / cell.budget))
        else:
            outcomes.append(max(measure(cell), key=lambda each: each.ratio))
    return outcomes


def measure(cell: Cell) -> list[Spent]:
    """Draw the windows of a cell, and count: for every share and direction where there is one monitor."""
    random = np.random.default_rng([cell.events, cell.monitors, list(_KINDS).index(cell.kind)])
    rows = cell.streams * cell.monitors
    threshold = np.tile(_log_thresholds(cell), cell.streams)
    draw = _Means(rows) if cell.kind == "means" else _Shares(rows, at_edge=cell.kind == "edge")
    independent = np.ones((rows, 1))
    log_r = np.full((rows, 1, BETS), evidence.FLOOR)
    steps = -(-cell.windows // cell.streams)
    alarms = np.zeros(rows, dtype=np.int64)
    for step in range(steps):
        events = cell.events or round(100.0 * 10.0 ** (0.5 - 0.5 * np.cos(2.0 * np.pi * step / _DAY)))
        moments = draw.window(random, events)
        tempered = tempering(moments.n, independent, independent[:, 0])
        log_r = evidence.advance(log_r, draw.bound, moments, tempered, exact=draw.exact)
        reached = evidence.evidence(log_r) >= threshold
        if reached.any():
            alarms += reached
            log_r[reached] = evidence.FLOOR
    apart = draw.varieties if cell.monitors == 1 else 1
    allowed = steps * cell.streams / apart / cell.budget
    return [Spent(int(alarms[at::apart].sum()), allowed) for at in range(apart)]


def _log_thresholds(cell: Cell) -> NDArray[np.float64]:
    if cell.monitors == 1:
        return np.log([float(cell.budget)])
    versions, segments = 2, 2
    each = Budget(cell.budget, segments - 1, versions).log_thresholds(segments, cell.monitors // (versions * segments))
    return np.tile(each.ravel(), versions)


class _Shares:
    """A class's share in each row, in turn watched for a rise and for a fall."""

    exact = True
    varieties = 2 * len(_SHARES)

    def __init__(self, rows: int, *, at_edge: bool) -> None:
        share = np.resize(_SHARES, rows)[:, None]
        self._falling = (np.arange(rows) // len(_SHARES) % 2 == 1)[:, None]
        known = Moments(np.full(rows, _REFERENCE_EVENTS), share * _REFERENCE_EVENTS, share * _REFERENCE_EVENTS)
        monitor = ClassesMonitor()
        turned = known.where_reversed(self._falling, 0.0)
        self.bound = monitor.bounds(turned, Variation.unknown(rows, 1), self._falling, _LOG_ERROR, monitor.floor)
        risen = np.minimum(2.0 * share, share + _SHARE_TOLERANCE)
        fallen = np.maximum(0.5 * share, share - _SHARE_TOLERANCE)
        self._share = np.where(self._falling, fallen, risen) if at_edge else share

    def window(self, random: np.random.Generator, events: int) -> Moments:
        """Return a window's moments."""
        counts = random.binomial(events, self._share)
        return Moments.of_counts(np.full(len(counts), events), counts).where_reversed(self._falling, 0.0)


class _Means:
    """The mean confidence in each row, as far down as is tolerated."""

    exact = False
    varieties = 1

    def __init__(self, rows: int) -> None:
        mean, square = np.full((rows, 1), _STEADY), np.full((rows, 1), _STEADY)
        known = Moments(np.full(rows, _REFERENCE_EVENTS), mean * _REFERENCE_EVENTS, square * _REFERENCE_EVENTS)
        falling = np.ones(1, dtype=np.bool_)
        monitor = ConfidenceMonitor()
        self.bound = monitor.bounds(known, Variation.unknown(rows, 1), falling, _LOG_ERROR, monitor.floor)
        self._rows = rows
        ones = _STEADY + _CONFIDENCE_TOLERANCE - 0.5 * _POINTS[1]
        self._chances = np.array([0.5 - ones, 0.5, ones])

    def window(self, random: np.random.Generator, events: int) -> Moments:
        """Return a window's moments."""
        counts = random.multinomial(events, self._chances, self._rows)
        return Moments(np.full(self._rows, float(events)), counts @ _POINTS[:, None], counts @ _POINTS[:, None] ** 2)


def worst(outcomes: Sequence[Spent]) -> dict[str, float]:
    """Return the figures of the promise: the greatest ratio, and the upper end of its interval."""
    most = max(outcomes, key=lambda each: each.ratio)
    return {"false_alarm_ratio_max": most.ratio, "false_alarm_ratio_max_upper_95": most.interval[1]}


def run(*, quick: bool) -> dict[str, float]:
    """Measure every cell."""
    # The longest last: what is told of the others can be read meanwhile.
    wanted = sorted(groups(quick=quick), key=lambda cells: sum(cell.windows * cell.monitors for cell in cells))
    outcomes: dict[Cell, Spent] = {}
    with ProcessPoolExecutor() as pool:
        for cells, found in zip(wanted, pool.map(measure_group, wanted), strict=True):
            outcomes |= zip(cells, found, strict=True)
            told = ", ".join(f"1 in {cell.budget:,}: {spent}" for cell, spent in zip(cells, found, strict=True))
            print(f"{cells[0].kind}, {cells[0].monitors}, {cells[0].events}: {told}", file=sys.stderr, flush=True)
    _print(outcomes)
    return worst(list(outcomes.values()))


def _print(outcomes: Mapping[Cell, Spent]) -> None:
    rows = []
    for kind, monitors, events in product(_KINDS, (1, MONITORS), SIZES):
        found = {
            cell.budget: outcome
            for cell, outcome in outcomes.items()
            if (cell.kind, cell.monitors, cell.events) == (kind, monitors, events)
        }
        if found:
            name = f"{events:,}" if events else "100 to 1,000"
            ratios = [f"{found[budget]}" if budget in found else "" for budget in BUDGETS]
            rows.append([_KINDS[kind], f"{monitors}", name, *ratios])
    columns = ["shares at", "monitors", "events", *(f"1 in {budget:,}" for budget in BUDGETS)]
    least = min(cell.windows for cell in outcomes)
    print_table(
        f"false alarms, measured over asked, with 95 % intervals; at least {least:,} windows each", columns, rows
    )
