"""What a prediction's probabilities say: the two highest, the entropy, and whether they can be believed."""

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from detectors.columns import fixed_point

__all__ = ["entropy", "top_two"]

_SUM_TOLERANCE = 1e-3
_CELL_BITS = 42
"""Of a float64's bits so many are cut off: its exponent and the first ten bits of its fraction say the cell."""
_CELLS_AN_OCTAVE = 1 << (52 - _CELL_BITS)
_OCTAVES = 32
"""Probabilities below 2⁻³² add nothing to the entropy."""
_FIRST_CELL = (1023 - _OCTAVES) * _CELLS_AN_OCTAVE - 1
_TERM_UNIT = 2**20


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


def entropy(flat: NDArray[np.float64], lengths: NDArray[np.int64], valid: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return each event's Shannon entropy as a part of the largest possible, in [0, 1]; NaN where not ``valid``.

    −Σ p·log p / log K of K probabilities; 0 for a single one. To a thousandth: each term is read from a table, by the
    cell its p falls into, and the terms are added as integers, so that the result depends neither on the batch
    around the event nor on the machine. Arguments as of :func:`top_two`.
    """
    result = np.full(len(lengths), np.nan)
    some = np.flatnonzero(lengths)
    if not len(some):
        return result
    sizes = lengths[some]
    # Of what is no probability any cell will do.
    cells = np.ascontiguousarray(flat, dtype=np.float64).view(np.int64) >> _CELL_BITS
    cells -= _FIRST_CELL
    terms = _terms().take(cells, mode="clip")
    bits = np.add.reduceat(terms, np.cumsum(sizes) - sizes) / _TERM_UNIT
    share = np.minimum(bits / _bits_of(int(sizes.max()))[sizes], 1.0)
    result[some] = np.where(valid[some], share, np.nan)
    return result


@lru_cache(maxsize=1)
def _terms() -> NDArray[np.int64]:
    """Return −p·log₂ p in units of 1 / _TERM_UNIT for the middle of each cell; the first is that of all smaller p."""
    cells = np.arange(_OCTAVES * _CELLS_AN_OCTAVE)
    middle = np.ldexp(1.0 + (cells % _CELLS_AN_OCTAVE + 0.5) / _CELLS_AN_OCTAVE, cells // _CELLS_AN_OCTAVE - _OCTAVES)
    # The last is that of p = 1.
    return np.concatenate([[0], np.rint(-middle * np.log2(middle) * _TERM_UNIT).astype(np.int64), [0]])


@lru_cache(maxsize=64)
def _bits_of(most: int) -> NDArray[np.float64]:
    """Return the largest entropy of k probabilities, log₂ k, for k up to ``most``; 1 where there is none."""
    return np.array([1.0, 1.0, *(math.log2(count) for count in range(2, most + 1))])
