"""What a prediction's probabilities say: the highest, the second highest, and whether they can be believed."""

import numpy as np
from numpy.typing import NDArray

from detectors.columns import fixed_point

__all__ = ["top_two"]

_SUM_TOLERANCE = 1e-3


def top_two(
    flat: NDArray[np.float64], lengths: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """Return each event's highest and second highest probability (NaN where unknown) and whether they are valid.

    ``flat``: the probabilities of all events one after the other, [sum of lengths]; ``lengths``: int64 [n].

    Valid: none negative, none above 1, all together 1 to a thousandth. Summed in fixed point, since the order
    of a sum of floats would depend on the batch.
    """
    top, second = np.full(len(lengths), np.nan), np.full(len(lengths), np.nan)
    valid = np.zeros(len(lengths), dtype=np.bool_)
    some = np.flatnonzero(lengths)
    if not len(some):
        return top, second, valid
    sizes = lengths[some]
    starts = np.cumsum(sizes) - sizes
    highest = np.maximum.reduceat(flat, starts)
    inside = (np.minimum.reduceat(flat, starts) >= 0) & (highest <= 1)
    total = np.add.reduceat(fixed_point(np.clip(flat, 0.0, 1.0)), starts)
    valid[some] = inside & (np.abs(total - fixed_point(np.ones(1))) <= fixed_point(np.full(1, _SUM_TOLERANCE)))
    is_top = flat == np.repeat(highest, sizes)
    rest = np.maximum.reduceat(np.where(is_top, 0.0, flat), starts)
    tied = np.add.reduceat(is_top.astype(np.int64), starts) > 1
    top[some] = np.where(valid[some], highest, np.nan)
    second[some] = np.where(valid[some], np.where(tied, highest, rest), np.nan)
    return top, second, valid
