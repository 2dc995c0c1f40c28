"""Effect sizes: by how much a window's distributions differ from the reference's, in measures that people know."""

from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors.categories import CategoriesMonitor, CategoryBlock
from detectors.classes import ClassesMonitor
from detectors.distances import (
    jensen_shannon,
    kolmogorov_smirnov,
    mean_and_spread,
    population_stability,
    wasserstein,
)
from detectors.monitors import Monitor, readable, rows_of, watches
from detectors.numbers import NumberBlock, NumbersMonitor
from detectors.readings import EffectName
from detectors.reference import Reference
from detectors.summary import Summary

__all__ = ["Effects", "effects_of"]

PREDICTED = "predicted class"
"""What the effect size of the classes is about."""
MEASURES = (
    "Kolmogorov–Smirnov",
    "population stability",
    "Jensen–Shannon",
    "Wasserstein",
    "difference of the mean",
    "ratio of the spread",
)
"""Those of numbers, in their order; classes and categories have no order, so just Jensen–Shannon."""
_JENSEN_SHANNON = MEASURES[2]
_DISTRIBUTIONS: tuple[Monitor, ...] = (ClassesMonitor(), NumbersMonitor(), CategoriesMonitor())

Found = tuple[EffectName, NDArray[np.float64]]


class Effects(NamedTuple):
    """Of each segment: ``values`` float32 [segments, len(names)], NaN where there are no events."""

    names: tuple[EffectName, ...]
    values: NDArray[np.float32]


def effects_of(summary: Summary, reference: Reference | None) -> Effects:
    """Return the effect sizes of a window: label shift, and of every field the shift of its distribution.

    Among the events that have the field; each segment against its own row of the reference, or the whole model's, as
    the monitors compare them. Without a reference there are none.
    """
    found: list[Found] = []
    if reference is not None:
        for monitor in _DISTRIBUTIONS:
            if watches(monitor, reference.layout) and readable(monitor, summary.layout, reference.layout):
                rows = rows_of(monitor, reference, summary.layout.segments)
                found += _of(monitor, summary, reference, rows)
    if not found:
        return Effects((), np.zeros((len(summary.layout.segments), 0), dtype=np.float32))
    return Effects(tuple(name for name, _ in found), np.stack([value for _, value in found], axis=1, dtype=np.float32))


def _of(monitor: Monitor, summary: Summary, reference: Reference, rows: NDArray[np.intp]) -> Iterator[Found]:
    layout = reference.layout
    if monitor.name == ClassesMonitor.name:
        labels = len(layout.block(ClassesMonitor.kinds[0]).labels)
        shares = [monitor.moments(each, layout).first[:, labels:] for each in (summary, reference.summary)]
        yield EffectName(monitor.name, PREDICTED, _JENSEN_SHANNON), jensen_shannon(shares[0], shares[1][rows])
    elif monitor.name == CategoriesMonitor.name:
        for spec in layout.blocks_of(CategoryBlock.kind):
            if spec.labels:
                now, then = (each.cells(spec.kind, spec.field)[:, 1:] for each in (summary, reference.summary))
                yield EffectName(monitor.name, spec.field, _JENSEN_SHANNON), jensen_shannon(now, then[rows])
    elif monitor.name == NumbersMonitor.name:
        yield from _of_numbers(summary, reference, rows)


def _of_numbers(summary: Summary, reference: Reference, rows: NDArray[np.intp]) -> Iterator[Found]:
    """Return the effect sizes of all numbers, those with equally many edges at a time."""
    alike = defaultdict(list)
    for spec in reference.layout.blocks_of(NumberBlock.kind):
        alike[len(spec.edges)].append(spec)
    for specs in alike.values():
        if specs[0].edges:
            now, then = (
                np.stack([each.cells(spec.kind, spec.field)[:, 1:] for spec in specs], axis=1)
                for each in (summary, reference.summary)
            )
            then = then[rows]
            edges = np.array([spec.edges for spec in specs])
            mean, spread = mean_and_spread(now, edges)
            usual_mean, usual_spread = mean_and_spread(then, edges)
            values = (
                kolmogorov_smirnov(now, then),
                population_stability(now, then),
                jensen_shannon(now, then),
                wasserstein(now, then, edges),
                mean - usual_mean,
                # Where nothing has ever varied there is nothing to compare with.
                spread / np.where(usual_spread > 0, usual_spread, np.nan),
            )
            for at, spec in enumerate(specs):
                for measure, value in zip(MEASURES, values, strict=True):
                    yield EffectName(NumbersMonitor.name, spec.field, measure), value[:, at]
