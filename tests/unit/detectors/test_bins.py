"""However many values and edges there are, a bin is the number of edges below a value."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.bins import bins_of


@pytest.mark.parametrize("count", [10, 1500])
@given(edges=st.lists(st.floats(-1e300, 1e300), max_size=70, unique=True).map(sorted), seed=st.integers(0, 9))
def test_a_bin_is_the_number_of_edges_below(count: int, edges: list[float], seed: int) -> None:
    random = np.random.default_rng(seed)
    values = np.concatenate([random.standard_normal(count), edges, np.nextafter(edges, np.inf), [np.inf, -np.inf]])
    expected = [sum(edge < value for edge in edges) for value in values[-(2 * len(edges) + 20) :].tolist()]
    assert bins_of(edges, values)[-(2 * len(edges) + 20) :].tolist() == expected
