"""Ones are counted alike by every NumPy that is supported."""

import numpy as np
import pytest

from detectors.popcount import ones


def test_ones_are_counted_in_words_of_any_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    words = np.random.default_rng(1).integers(0, 2**64, (3, 50), dtype=np.uint64)
    words[0, :2] = 0, 2**64 - 1
    expected = [[int(word).bit_count() for word in row] for row in words]
    assert ones(words).tolist() == expected
    assert ones(words[:, ::3]).tolist() == [row[::3] for row in expected]
    monkeypatch.delattr(np, "bitwise_count", raising=False)
    assert ones(words).tolist() == expected
    assert ones(words[:, ::3]).tolist() == [row[::3] for row in expected]
