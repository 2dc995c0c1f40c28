"""Distances between a window's shares and the reference's: effect sizes, for people. Alarms do not come from them.

All of them work on counts [..., cells] of a histogram, broadcast against each other, and return [...]; NaN without
events on either side.
"""

import numpy as np
from numpy.typing import NDArray

__all__ = ["jensen_shannon", "kolmogorov_smirnov", "mean_and_spread", "population_stability", "wasserstein"]

Counts = NDArray[np.int64] | NDArray[np.float64]
Floats = NDArray[np.float64]


def jensen_shannon(counts: Counts, reference: Counts) -> Floats:
    """Return the Jensen–Shannon distance in [0, 1].

    The square root of the mean divergence, in bits, of both from their mean (Lin 1991, Endres & Schindelin 2003):
    0 where all shares are equal, 1 where no value occurs on both sides.
    """
    p, q = _shares(counts), _shares(reference)
    middle = 0.5 * (p + q)
    bits = 0.5 * (_divergence(p, middle) + _divergence(q, middle)).sum(axis=-1) / np.log(2.0)
    distance: Floats = np.sqrt(np.clip(bits, 0.0, 1.0))
    return distance


def population_stability(counts: Counts, reference: Counts) -> Floats:
    """Return the population stability index Σ(p − q)·ln(p/q), with half an event more in every cell.

    Without these an empty cell would make it infinite. By custom 0.1 is called small and 0.25 large.
    """
    present = (counts.sum(axis=-1) > 0) & (reference.sum(axis=-1) > 0)
    p, q = _shares(np.add(counts, 0.5, dtype=np.float64)), _shares(np.add(reference, 0.5, dtype=np.float64))
    return np.where(present, ((p - q) * np.log(p / q)).sum(axis=-1), np.nan)


def kolmogorov_smirnov(counts: Counts, reference: Counts) -> Floats:
    """Return the greatest difference of the distribution functions at the edges between ordered cells, in [0, 1]."""
    difference: Floats = np.abs(_below(counts) - _below(reference)).max(axis=-1, initial=0.0)
    return np.where(np.isnan(_shares(counts) + _shares(reference)).any(axis=-1), np.nan, difference)


def wasserstein(counts: Counts, reference: Counts, edges: Floats) -> Floats:
    """Return how far a value moved on average, in its own unit: the area between the distribution functions.

    ``edges`` [..., cells − 1] ascending. Only between the first and the last edge: how far values lie beyond is not
    known, so it is a lower bound. Within a cell values are taken to be spread evenly.
    """
    difference = _below(counts) - _below(reference)
    left, right = difference[..., :-1], difference[..., 1:]
    same = left * right >= 0
    total = np.abs(left) + np.abs(right)
    # Where the sign changes the area is that of two triangles.
    crossed = (left**2 + right**2) / np.where(same, 1.0, total)
    with np.errstate(over="ignore", invalid="ignore"):
        area: Floats = (0.5 * np.where(same, total, crossed) * np.diff(edges, axis=-1)).sum(axis=-1)
    return area


def mean_and_spread(counts: Counts, edges: Floats) -> tuple[Floats, Floats]:
    """Return the mean and the standard deviation of a histogram, in the values' own unit.

    Within a cell values are taken to be spread evenly, beyond the outermost edges to lie at them.
    """
    share = _shares(counts)
    left = np.concatenate([edges[..., :1], edges], axis=-1)
    right = np.concatenate([edges, edges[..., -1:]], axis=-1)
    with np.errstate(over="ignore", invalid="ignore"):
        middle = 0.5 * left + 0.5 * right
        mean: Floats = (share * middle).sum(axis=-1)
        squares = (middle - mean[..., None]) ** 2 + (right - left) ** 2 / 12.0
        spread: Floats = np.sqrt((share * squares).sum(axis=-1))
    return mean, spread


def _shares(counts: Counts) -> Floats:
    total = counts.sum(axis=-1, keepdims=True)
    return np.where(total > 0, counts / np.where(total > 0, total, 1), np.nan)


def _below(counts: Counts) -> Floats:
    """Return the distribution function at every edge, [..., cells − 1]."""
    below: Floats = np.cumsum(_shares(counts), axis=-1)[..., :-1]
    return below


def _divergence(p: Floats, q: Floats) -> Floats:
    """Return p·ln(p/q) of each cell; 0 where p is."""
    return p * np.log(np.where(p == 0, 1.0, p) / np.where(p == 0, 1.0, q))
