"""Embeddings: a few random projections of each, every one a number like other fields.

A change of the distribution in many dimensions shows in most of its one-dimensional projections (Cramér, Wold 1936;
with random signs: Achlioptas 2003, "Database-friendly random projections").
"""

from functools import lru_cache
from hashlib import blake2b
from math import sqrt

import numpy as np
from numpy.typing import NDArray

__all__ = ["LARGEST", "PROJECTIONS", "projections"]

PROJECTIONS = tuple(f"embedding.{number}" for number in range(8))
"""The paths of the projections, as fields."""
LARGEST = 4096
"""The most dimensions that an embedding may have."""
_STEP = 2.0**-20
_LIMIT = 2.0**20


def projections(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the projections [n, PROJECTIONS] of embeddings [n, d] without NaN, 0 < d ≤ LARGEST.

    Each is the sum of the components, with signs that are drawn once by hashes of d, over √d: for components of
    mean 0 and variance 1 it has those, too. Components are rounded to 2⁻²⁰ and cut off at ±2²⁰, so that every
    partial sum is a multiple of 2⁻²⁰ below 2³²: exact in any order, whatever the batch.
    """
    dimensions = vectors.shape[1]
    rounded: NDArray[np.float64] = np.rint(np.clip(vectors, -_LIMIT, _LIMIT) / _STEP)
    # Adding 0 turns -0 into 0: they compare equal, but their bytes differ.
    sums: NDArray[np.float64] = rounded @ _signs(dimensions)
    return sums * (_STEP / sqrt(dimensions)) + 0.0


@lru_cache(maxsize=64)
def _signs(dimensions: int) -> NDArray[np.float64]:
    """Return ±1 [dimensions, PROJECTIONS]."""
    texts = [f"{path} of {dimensions} at {place}" for place in range(0, dimensions, 512) for path in PROJECTIONS]
    drawn = b"".join(blake2b(text.encode(), digest_size=64).digest() for text in texts)
    bits = np.unpackbits(np.frombuffer(drawn, dtype=np.uint8)).reshape(-1, len(PROJECTIONS), 512)
    return bits.transpose(0, 2, 1).reshape(-1, len(PROJECTIONS))[:dimensions].astype(np.float64) * 2.0 - 1.0
