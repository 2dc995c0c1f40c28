"""How far an embedding is from those that were learnt: its distance from the nearest of a few centroids.

Measured in the space of its projections, in standard deviations of what lies around a centroid (Mahalanobis 1936).
A new kind of input in a place where none were is far from all of them, also where no single projection is unusual.
"""

from collections.abc import Mapping
from math import fsum, sqrt
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from detectors.blocks import EmptyBlock
from detectors.embeddings import PROJECTIONS
from detectors.layout import BlockSpec
from detectors.numbers import NumberBlock

__all__ = ["DISTANCE", "CentroidsBlock", "distance_specs"]

DISTANCE = "embedding.distance"
"""The path of the distance, as a field."""
CENTROIDS = 16
"""The most centroids. With 1 to 30 clusters fewer missed what lay between them, and more found little more."""
EVENTS_EACH = 100
"""Events in the sample for each centroid; with fewer than that no distance is learnt."""
FAR = 0.99
"""The part of the sample's distances that are in the usual range: to its farthest, a few odd events would decide."""
_CANDIDATES = 32
"""Events that are tried as the next centroid."""
_ROUNDS = 25
_LEAST = 1e-6
"""Around a centroid the variance is taken to be at least this part of the whole's: where the same few embeddings come
again and again there is nothing around them to measure by."""
_ROWS = 1024
"""Events that are compared with all centroids at once: what is made on the way stays in the cache."""
_SIZE = len(PROJECTIONS)
_TRIANGLE = tuple((row, column) for row in range(_SIZE) for column in range(row + 1))

Floats = NDArray[np.float64]


class CentroidsBlock(EmptyBlock):
    """Where embeddings are. It counts nothing: the distance is a number like others, counted in a NumberBlock.

    ``edges``: a lower triangular matrix W, row by row, in whose coordinates Wx what lies around a centroid has a
    standard deviation of 1 everywhere; then the centroids in these coordinates, one after the other.
    """

    kind: ClassVar[str] = "centroids"

    def __init__(self, spec: BlockSpec) -> None:
        self.spec = spec
        weights = len(_TRIANGLE) if spec.edges else 0
        self._matrix = np.zeros((_SIZE, _SIZE))
        for (row, column), weight in zip(_TRIANGLE, spec.edges, strict=False):
            self._matrix[row, column] = weight
        self._centroids = np.array(spec.edges[weights:]).reshape(-1, _SIZE)

    @classmethod
    def unlearnt(cls) -> BlockSpec:
        """Return the spec that knows no centroid."""
        return BlockSpec(cls.kind)

    @classmethod
    def learnt(cls, points: Floats) -> BlockSpec | None:
        """Return the spec that the projections [PROJECTIONS, n] of a sample make; None if they are all the same.

        Centroids by k-means (Lloyd 1982) in coordinates in which the whole sample has the unit covariance; W by the
        covariance around them. Sums are rounded once: the same sample makes the same spec on every machine.
        """
        covariance = _shrunk(points - _mean(points)[:, None])
        variance = fsum(covariance.diagonal()) / _SIZE
        if not variance:
            return None
        whole = _whitening(covariance + _LEAST * variance * np.eye(_SIZE))
        placed = _transformed(whole, points)
        centroids, nearest = _clustered(placed, min(CENTROIDS, points.shape[1] // EVENTS_EACH))
        around = _whitening(_shrunk(placed - centroids[nearest].T) + _LEAST * np.eye(_SIZE))
        matrix, centroids = _transformed(around, whole), _transformed(around, centroids.T).T
        weights = [float(matrix[at]) for at in _TRIANGLE]
        return BlockSpec(cls.kind, edges=(*weights, *centroids.ravel().tolist()))

    def distances(self, points: Floats) -> Floats:
        """Return how far each of ``points`` [PROJECTIONS, n] is from its nearest centroid [n]; NaN where it is NaN."""
        nearest = np.empty(points.shape[1])
        for start in range(0, len(nearest), _ROWS):
            rows = slice(start, start + _ROWS)
            placed = _transformed(self._matrix, points[:, rows])
            _squared(placed, self._centroids).min(axis=0, out=nearest[rows])
        return np.sqrt(nearest)


def distance_specs(sampled: Mapping[str, Floats]) -> tuple[BlockSpec, ...]:
    """Return what a layout needs to count the distance, learnt from a sample of numbers [n] by their paths.

    Nothing where projections are not watched, or too few events of the sample have them.
    """
    if any(path not in sampled for path in PROJECTIONS):
        return ()
    points = np.array([sampled[path] for path in PROJECTIONS])
    points = points[:, ~np.isnan(points).any(axis=0)]
    centroids = CentroidsBlock.learnt(points) if points.shape[1] >= EVENTS_EACH else None
    if centroids is None:
        return ()
    distances = CentroidsBlock(centroids).distances(points)
    far = np.quantile(distances, FAR, method="inverted_cdf")
    return centroids, NumberBlock.learnt(DISTANCE, np.minimum(distances, far))


def _mean(points: Floats) -> Floats:
    """Return the mean [dimensions] of ``points`` [dimensions, n]."""
    return np.array([fsum(row) / len(row) for row in points.tolist()])


def _squared(points: Floats, centroids: Floats) -> Floats:
    """Return the squared distances [k, n] of ``points`` [dimensions, n] from ``centroids`` [k, dimensions].

    Added up in the order of the dimensions.
    """
    found = np.zeros((len(centroids), points.shape[1]))
    for values, at in zip(points, centroids.T, strict=True):
        difference = values - at[:, None]
        difference *= difference
        found += difference
    return found


def _transformed(matrix: Floats, points: Floats) -> Floats:
    """Return the product of a lower triangular matrix and ``points`` [dimensions, n], each event's by itself."""
    found = np.zeros_like(points)
    for row, column in _TRIANGLE:
        found[row] += matrix[row, column] * points[column]
    return found


def _shrunk(deviations: Floats) -> Floats:
    """Return the covariance [dimensions, dimensions] of ``deviations`` [dimensions, n], shrunk towards equal variances.

    By as much as is best in expectation (Ledoit, Wolf 2004, *A well-conditioned estimator for large-dimensional
    covariance matrices*).
    """
    size, n = deviations.shape
    covariance = np.zeros((size, size))
    for row, column in _TRIANGLE:
        covariance[row, column] = covariance[column, row] = fsum((deviations[row] * deviations[column]).tolist()) / n
    equal = fsum(covariance.diagonal()) / size * np.eye(size)
    unequal = fsum(((covariance - equal) ** 2).ravel())
    lengths = _squared(deviations, np.zeros((1, size)))[0]
    uncertain = (fsum((lengths * lengths).tolist()) / n - fsum((covariance**2).ravel())) / n
    part = min(1.0, max(0.0, uncertain) / unequal) if unequal > 0 else 1.0
    shrunk: Floats = (1.0 - part) * covariance + part * equal
    return shrunk


def _whitening(covariance: Floats) -> Floats:
    """Return the lower triangular matrix W with W·covariance·Wᵀ = 1, the inverse of the Cholesky factor.

    Not LAPACK's, whose last bits depend on the processor.
    """
    factor, inverse = np.zeros_like(covariance), np.zeros_like(covariance)
    for row, column in _TRIANGLE:
        rest = covariance[row, column] - fsum(factor[row, :column] * factor[column, :column])
        factor[row, column] = sqrt(rest) if row == column else rest / factor[column, column]
    for row, column in _TRIANGLE:
        rest = (row == column) - fsum(factor[row, column:row] * inverse[column:row, column])
        inverse[row, column] = rest / factor[row, row]
    return inverse


def _clustered(points: Floats, count: int) -> tuple[Floats, NDArray[np.intp]]:
    """Return up to ``count`` centroids [k, dimensions] of ``points`` [dimensions, n], and the nearest of each [n].

    The first is the mean; each further one is that of the first events of the sample, which is in random order, that
    brings all events nearest to some centroid.
    """
    candidates = _squared(points, points[:, :_CANDIDATES].T)
    chosen = [_mean(points)]
    nearest = _squared(points, np.array(chosen))[0]
    for _ in range(count - 1):
        best = min(range(len(candidates)), key=lambda at: fsum(np.minimum(nearest, candidates[at]).tolist()))
        chosen.append(points[:, best])
        nearest = np.minimum(nearest, candidates[best])
    centroids = np.array(chosen)
    members = _squared(points, centroids).argmin(axis=0)
    for _ in range(_ROUNDS):
        before = members
        for at in np.unique(members):
            centroids[at] = _mean(points[:, members == at])
        members = _squared(points, centroids).argmin(axis=0)
        if (members == before).all():
            break
    return centroids, members
