"""How many ones there are in words of 64 bits."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["ones"]

_OF_BYTE = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).sum(axis=1, dtype=np.uint8)


def ones(words: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """Return how many ones each of ``words`` has, in their shape."""
    # NumPy counts them itself from 2.0 on; the extra alibi wants an older one.
    if hasattr(np, "bitwise_count"):
        counted: NDArray[np.uint8] = np.bitwise_count(words)
        return counted
    return _OF_BYTE[words[..., None].view(np.uint8)].sum(axis=-1, dtype=np.uint8)
