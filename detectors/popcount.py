"""How many ones there are in words of 64 bits."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["ones"]

_OF_BYTE = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).sum(axis=1, dtype=np.uint8)


def ones(words: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """Return how many ones each of ``words`` has, in their shape."""
    counted: NDArray[np.uint8]
    if hasattr(np, "bitwise_count"):
        counted = np.bitwise_count(words)
    else:
        # NumPy below 2.0, which the extra alibi wants.
        counted = _OF_BYTE[words[..., None].view(np.uint8)].sum(axis=-1, dtype=np.uint8)
    return counted
