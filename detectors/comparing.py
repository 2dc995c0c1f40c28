"""What differs between two references."""

from dataclasses import dataclass

import numpy as np

from detectors.explain import shown
from detectors.layout import BlockSpec, Layout
from detectors.monitors import observe, questions_of
from detectors.reference import Reference
from detectors.registry import MONITORS
from detectors.tolerance import divergence

__all__ = ["Comparison", "Difference", "compared"]

CHANCE = 0.01
"""The probability that two references of one thing are told to differ at all (where events are independent)."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A component that rises, or falls, from ``before`` to ``after``, in the monitor's ``unit``.

    ``log_likelihood_ratio``: of two values against one for both, in nats; events count as independent.
    """

    monitor: str
    component: str
    unit: str
    before: float
    after: float
    log_likelihood_ratio: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """What differs notably, the most first; fields of one of the two only; and those with other edges or values."""

    differences: tuple[Difference, ...]
    gone: tuple[str, ...]
    new: tuple[str, ...]
    not_comparable: tuple[str, ...]


def compared(before: Reference, after: Reference, segment: str) -> Comparison:
    """Compare ``segment`` of two references; raises ValueError if one of them does not have it."""
    rows = [reference.layout.segments.index(segment) for reference in (before, after)]
    mine, others = _fields(before.layout), _fields(after.layout)
    same = {path for path in mine.keys() & others.keys() if mine[path] == others[path]}
    kinds = {spec.kind for spec in after.layout.blocks}
    blocks = tuple(spec for spec in before.layout.blocks if (spec.field in same if spec.field else spec.kind in kinds))
    common = Layout(before.layout.segments, blocks)
    found: list[Difference] = []
    components = sum(len(questions_of(monitor, common).names) for monitor in MONITORS)
    notable = np.log(max(components, 1) / CHANCE)
    for monitor in MONITORS:
        questions = questions_of(monitor, common)
        if not questions.names:
            continue
        seen = [observe(monitor, reference.summary, common) for reference in (before, after)]
        n = [moments.n[row] for moments, row in zip(seen, rows, strict=True)]
        if not all(n):
            continue
        first = [moments.first[row] for moments, row in zip(seen, rows, strict=True)]
        together = (first[0] + first[1]) / (n[0] + n[1])
        share = [each / events for each, events in zip(first, n, strict=True)]
        ratio = sum(events * divergence(each, together) for each, events in zip(share, n, strict=True))
        # What rises here falls in another component, or is all there is to tell.
        ratio = np.where(share[1] > share[0], ratio, 0.0)
        was, now = shown(share[0], questions.falling), shown(share[1], questions.falling)
        found += [
            Difference(monitor.name, name, monitor.unit, float(was[at]), float(now[at]), float(ratio[at]))
            for at, name in enumerate(questions.names)
            if ratio[at] >= notable
        ]
    return Comparison(
        tuple(sorted(found, key=lambda each: -each.log_likelihood_ratio)),
        gone=tuple(sorted(mine.keys() - others.keys())),
        new=tuple(sorted(others.keys() - mine.keys())),
        not_comparable=tuple(sorted((mine.keys() & others.keys()) - same)),
    )


def _fields(layout: Layout) -> dict[str, BlockSpec]:
    return {spec.field: spec for spec in layout.blocks if spec.field}
