import numpy as np
import pytest

from detectors.distances import jensen_shannon, kolmogorov_smirnov, mean_and_spread, population_stability, wasserstein

EDGES = np.array([0.0, 1.0, 3.0])


def test_distances_of_known_distributions() -> None:
    # No event before 0 or after 3; all in (0, 1] against all in (1, 3].
    near, far = np.array([0, 8, 0, 0]), np.array([0, 0, 2, 0])
    assert jensen_shannon(near, far) == pytest.approx(1.0)
    assert kolmogorov_smirnov(near, far) == pytest.approx(1.0)
    # Spread evenly the means are 0.5 and 2.
    assert wasserstein(near, far, EDGES) == pytest.approx(1.5)
    half = np.array([0, 5, 5, 0])
    assert kolmogorov_smirnov(half, far) == pytest.approx(0.5)
    assert wasserstein(half, far, EDGES) == pytest.approx(0.75)
    # Shares 1/2, 1/2 and 0, 1: the mean is 1/4, 3/4.
    bits = 0.5 * (0.5 * np.log2(2) + 0.5 * np.log2(2 / 3)) + 0.5 * np.log2(4 / 3)
    assert jensen_shannon(half, far) == pytest.approx(np.sqrt(bits))
    many, others = np.array([20_000, 80_000]), np.array([50_000, 50_000])
    index = (0.2 - 0.5) * np.log(0.2 / 0.5) + (0.8 - 0.5) * np.log(0.8 / 0.5)
    assert population_stability(many, others) == pytest.approx(index, rel=1e-3)
    assert np.isfinite(population_stability(near, far))


def test_crossing_distribution_functions_enclose_two_triangles() -> None:
    # From 0 to 1 the difference goes from 0.5 to −0.5.
    one, other = np.array([1, 0, 1]), np.array([0, 2, 0])
    edges = np.array([0.0, 1.0])
    assert wasserstein(one, other, edges) == pytest.approx(0.25)


def test_mean_and_spread_are_those_of_values_spread_evenly_within_cells() -> None:
    # The second: beyond the outermost edges at these.
    counts = np.array([[0, 3, 0, 0], [2, 0, 0, 2], [0, 1, 1, 0]])
    mean, spread = mean_and_spread(counts, EDGES)
    assert mean == pytest.approx(np.array([0.5, 1.5, 1.25]))
    assert spread**2 == pytest.approx(np.array([1 / 12, 1.5**2, 0.75**2 + (1 + 4) / 24]))


def test_equal_shares_are_at_no_distance_and_nothing_is_at_an_unknown_one() -> None:
    some, more = np.array([3, 0, 5, 2]), np.array([6, 0, 10, 4])
    nothing = np.zeros(4, dtype=np.int64)
    for measure in (jensen_shannon, kolmogorov_smirnov, lambda p, q: wasserstein(p, q, EDGES)):
        assert measure(some, more) == pytest.approx(0.0)
        assert np.isnan(measure(some, nothing)).all()
        assert np.isnan(measure(nothing, some)).all()
    assert population_stability(some, more) == pytest.approx(0.0, abs=0.05)
    assert np.isnan(population_stability(nothing, some))


def test_many_at_once_are_each_alone() -> None:
    random = np.random.default_rng(1)
    counts, reference = random.integers(0, 50, (3, 2, 4)), random.integers(1, 50, (3, 2, 4))
    edges = np.stack([EDGES, 2.0 * EDGES])
    for measure in (jensen_shannon, kolmogorov_smirnov, population_stability):
        together = measure(counts, reference)
        assert together[2, 1] == pytest.approx(float(measure(counts[2, 1], reference[2, 1])))
    moved = wasserstein(counts, reference, edges)
    assert moved[1, 1] == pytest.approx(2.0 * float(wasserstein(counts[1, 1], reference[1, 1], EDGES)))
