"""Pairs: of two fields, or of a field and a predicted class, how often they go together.

A changed correlation leaves every field's own distribution as it was; only counts of pairs show it. Of each field
two bits are kept: whether it is above its median, and whether it is farther from it than half of the values are.
"""

from collections.abc import Mapping
from hashlib import blake2b
from itertools import count
from math import comb, isqrt
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from detectors import popcount
from detectors.bets import Moments
from detectors.blocks import EmptyBlock
from detectors.columns import Columns
from detectors.layout import BlockSpec, Layout
from detectors.monitors import Questions
from detectors.tolerance import Variation, plain_rise_bound

if TYPE_CHECKING:
    from detectors.summary import Summary

__all__ = ["PairsBlock", "PairsMonitor"]

TOLERANCE = 0.03
"""A change of a pair's share by less than this is too small to matter."""
SMALLEST = 2 * TOLERANCE
"""What fewer events than this part are cannot double by more than the tolerance: it is in no pair."""
LARGEST = 0.6
"""With a class of a larger share a field would be in little but itself: its shift within its own tolerance, 0.05, would
be one of the pair beyond this tolerance."""
HALF = 0.35
"""Either side of a median must hold this part of the values. Were p on one side and 1 − p on the other, a shift of the
other field within its own tolerance, 0.05, would change the pair's share by 0.05·|1 − 2p|: for two fields 0.03."""
_ROWS = 2048
"""Events whose bits are made at once: what is made on the way stays in the cache."""
_PAIRS = 256
"""Pairs counted at once, for the same reason."""
_WORD = 64

Bit = tuple[str, str]
"""What is asked of an event: whether it is "above" the median of a field, or "apart" from it; or of a "class"."""


class PairsBlock(EmptyBlock):
    """Counts of pairs of bits: two cells for each, where both bits are the same, and where they differ.

    ``labels``: F fields, then C classes. ``edges``: the fields' medians, then their median distances from it.
    ``pairs``: of bits, given by their numbers: b < F, field b is above its median; b < 2F, field b − F is farther
    from it than its median distance; else, class b − 2F is predicted. An event without one of the fields is in
    neither cell of a pair; of a class it counts only where that class is predicted. So the cells of a field
    and a class are those of its events above, and of those not above the median.
    """

    kind: ClassVar[str] = "pairs"

    def __init__(self, spec: BlockSpec) -> None:
        self.spec = spec
        self.whole_cells = 2 * len(spec.pairs)
        fields = len(spec.edges) // 2
        self._fields = spec.labels[:fields]
        self._classes = {label: position for position, label in enumerate(spec.labels[fields:])}
        self._medians, distances = np.array(spec.edges, dtype=np.float64).reshape(2, fields, 1)
        with np.errstate(over="ignore"):
            self._low, self._high = self._medians - distances, self._medians + distances
        self._bits = np.array(spec.pairs, dtype=np.intp).reshape(-1, 2).T
        # Both bits of a field are known where it is there.
        self._known = np.where(self._bits < 2 * fields, self._bits % max(fields, 1), self._bits - fields)

    @classmethod
    def unlearnt(cls) -> BlockSpec:
        """Return the spec without a pair."""
        return BlockSpec(cls.kind)

    @classmethod
    def learnt(cls, sample: Mapping[str, NDArray[np.float64]], classes: Mapping[str, float], cap: int) -> BlockSpec:
        """Return the spec of the pairs that fields and classes make.

        ``sample``: values of each field, NaN where missing; ``classes``: the share of each predicted class. Of more
        than ``cap`` pairs so many are taken, by hashes: the same ones for the same fields and classes.
        """
        above: dict[str, float] = {}
        apart: dict[str, float] = {}
        for field, values in sample.items():
            known = values[~np.isnan(values)]
            median = _median(known, len(values))
            if median is None:
                continue
            above[field] = median
            with np.errstate(over="ignore"):
                distance = _median(np.abs(known - median), len(values))
            # Of two values, far from the one is the other.
            if distance is not None and len(np.unique(known)) > 2:
                apart[field] = distance
        frequent = [label for label, share in sorted(classes.items()) if SMALLEST <= share <= LARGEST]
        chosen = _chosen(
            [("above", field) for field in above],
            [("apart", field) for field in apart],
            [("class", label) for label in frequent],
            cap,
        )
        used = {name for pair in chosen for _, name in pair}
        fields = [field for field in above if field in used]
        labels = [label for label in frequent if label in used]
        bits = [("above", field) for field in fields] + [("apart", field) for field in fields]
        number = {bit: at for at, bit in enumerate([*bits, *(("class", label) for label in labels)])}
        return BlockSpec(
            cls.kind,
            labels=(*fields, *labels),
            edges=(*(above[field] for field in fields), *(apart.get(field, 0.0) for field in fields)),
            pairs=tuple(sorted((number[one], number[other]) for one, other in chosen)),
        )

    def whole_counts_of(self, columns: Columns) -> NDArray[np.int64]:
        """Return how many events are in each cell [whole_cells].

        Bits of 64 events are one word: XOR, AND and a count of ones.
        """
        bits, known = self._packed(columns)
        counts = np.zeros((len(self.spec.pairs), 2), dtype=np.int64)
        for at in range(0, len(self.spec.pairs), _PAIRS):
            piece = slice(at, at + _PAIRS)
            one, other = self._bits[:, piece]
            knows_one, knows_other = self._known[:, piece]
            both = known[knows_one]
            both &= known[knows_other]
            differing = bits[one]
            differing ^= bits[other]
            differing &= both
            counts[piece, 0] = popcount.ones(both).sum(axis=1)
            counts[piece, 1] = popcount.ones(differing).sum(axis=1)
        counts[:, 0] -= counts[:, 1]
        return counts.ravel()

    def _packed(self, columns: Columns) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
        """Return the bits of the events, and where they are known, [bits, words] each."""
        n = len(columns)
        missing = np.full(n, np.nan)
        numbers = [columns.numbers.get(field, missing) for field in self._fields]
        predicted = columns.predicted.positions(self._classes, -1).astype(np.int16)
        labels = np.arange(len(self._classes), dtype=np.int16)[:, None]
        width = -(-n // _WORD) * (_WORD // 8)
        bits = np.zeros((2 * len(numbers) + len(labels), width), dtype=np.uint8)
        known = np.zeros((len(numbers) + len(labels), width), dtype=np.uint8)
        for start in range(0, n, _ROWS):
            rows = slice(start, min(start + _ROWS, n))
            values = np.array([each[rows] for each in numbers]).reshape(len(numbers), -1)
            is_class = predicted[rows] == labels
            is_known = np.concatenate([~np.isnan(values), is_class])
            apart = values > self._high
            apart |= values < self._low
            packed = np.packbits(np.concatenate([values > self._medians, apart, is_class]), axis=1)
            at = slice(start // 8, start // 8 + packed.shape[1])
            bits[:, at], known[:, at] = packed, np.packbits(is_known, axis=1)
        return bits.view(np.uint64), known.view(np.uint64)


class PairsMonitor:
    """Of each pair, the share of all events in either of its cells, rising; in the whole model.

    Among events that have both fields the one share rises where the other falls. Neither moves by much more than
    the tolerance when one field alone shifts within its own. Segments are not asked: each would cost as much as all
    other monitors in it, and one that is large enough to show a pair's change in time shows it in the whole, too.
    """

    name: ClassVar[str] = "pairs"
    unit: ClassVar[str] = "share"
    kinds: ClassVar[tuple[str, ...]] = (PairsBlock.kind,)
    exact: ClassVar[bool] = True
    floor: ClassVar[float] = TOLERANCE

    def questions(self, reference: Layout) -> Questions:
        """Return two components for each pair."""
        names = [name for spec in reference.blocks_of(PairsBlock.kind) for name in _names(spec)]
        return Questions(tuple(names), np.zeros(len(names), dtype=np.bool_), whole_only=True)

    def moments(self, summary: "Summary", reference: Layout) -> Moments:
        """Return the number of events, and how many of them are in each cell; of segments nothing is known."""
        cells = summary.cells(PairsBlock.kind)
        n, counts = np.zeros_like(summary.events), np.zeros((len(summary.events), cells.shape[1]), dtype=np.int64)
        n[0], counts[0] = summary.events[0], cells[0]
        return Moments.of_counts(n, counts)

    def bounds(
        self, reference: Moments, varied: Variation, falling: NDArray[np.bool_], log_error: float, floor: float
    ) -> NDArray[np.float64]:
        """Return the bounds of the shares."""
        return plain_rise_bound(reference.mean, reference.n, varied, floor, log_error)


def _median(known: NDArray[np.float64], events: int) -> float | None:
    """Return the value that best halves ``known`` into those above it and the rest; None if it does so badly."""
    values, counts = np.unique(known, return_counts=True)
    if not len(values):
        return None
    up_to = np.cumsum(counts)
    best = int(np.argmin(np.abs(up_to / len(known) - 0.5)))
    fewer = min(up_to[best], len(known) - up_to[best])
    enough = fewer >= max(HALF * len(known), SMALLEST * events)
    return float(values[best]) if enough and np.isfinite(values[best]) else None


def _chosen(above: list[Bit], apart: list[Bit], classes: list[Bit], cap: int) -> list[tuple[Bit, Bit]]:
    """Return pairs of bits, of one kind or of "above" and a class: all there are, or ``cap`` of them by hashes."""
    sizes = (comb(len(above), 2), comb(len(apart), 2), len(above) * len(classes))

    def pair(at: int) -> tuple[Bit, Bit]:
        for bits, size in zip((above, apart), sizes, strict=False):
            if at < size:
                # The pairs of the first k bits are the first k(k − 1) / 2.
                last = (1 + isqrt(1 + 8 * at)) // 2
                return bits[at - comb(last, 2)], bits[last]
            at -= size
        return above[at // len(classes)], classes[at % len(classes)]

    total = sum(sizes)
    if total <= cap:
        return [pair(at) for at in range(total)]
    seed = blake2b(repr((above, apart, classes)).encode(), digest_size=32).digest()
    drawn: set[int] = set()
    for number in count():
        if len(drawn) >= cap:
            break
        drawn.add(int.from_bytes(blake2b(str(number).encode(), key=seed, digest_size=16).digest(), "little") % total)
    return [pair(at) for at in sorted(drawn)]


def _names(spec: BlockSpec) -> list[str]:
    fields = len(spec.edges) // 2
    names: list[str] = []
    for one, other in spec.pairs:
        first = spec.labels[one % fields]
        if other >= 2 * fields:
            label = spec.labels[other - fields]
            names += [f"share of class {label} with {first} {where} its median rising" for where in ("above", "up to")]
            continue
        both = f"share with {first} and {spec.labels[other % fields]}"
        if one < fields:
            names += [f"{both} on {sides} of their medians rising" for sides in ("the same side", "opposite sides")]
        else:
            names += [f"{both} {which} from their medians rising" for which in ("equally far", "not equally far")]
    return names
