"""What a prediction's probabilities say: the two highest, the entropy, and whether they can be believed."""

import math
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from detectors.columns import fixed_point

__all__ = ["SUM_TOLERANCE", "entropy", "top_two"]

_AT_ONCE = 2048
SUM_TOLERANCE = 1e-3
"""By how much probabilities may miss 1 together."""
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
    of = _of_equally_many if sizes.min() == sizes.max() else _of_any
    highest, next_highest, lowest, total = of(flat, sizes)
    inside = (lowest >= 0) & (highest <= 1)
    valid[some] = inside & (np.abs(total - fixed_point(np.ones(1))) <= fixed_point(np.full(1, SUM_TOLERANCE)))
    top[some] = np.where(valid[some], highest, np.nan)
    # Adding 0 turns -0 into 0: they compare equal, but their bytes differ.
    second[some] = np.where(valid[some], next_highest, np.nan) + 0.0
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
    if sizes.min() == sizes.max():
        terms = np.concatenate([_terms_of(shares).sum(axis=0) for shares in _transposed(flat, int(sizes[0]))])
    else:
        terms = np.add.reduceat(_terms_of(np.ascontiguousarray(flat)), np.cumsum(sizes) - sizes)
    share = np.minimum(terms / _TERM_UNIT / _bits_of(int(sizes.max()))[sizes], 1.0)
    result[some] = np.where(valid[some], share, np.nan)
    return result


_Figures = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]
"""Of each event the highest, the second highest (0 if there is none), the lowest, and the sum of all in fixed point."""


def _of_any(flat: NDArray[np.float64], sizes: NDArray[np.int64]) -> _Figures:
    starts = np.cumsum(sizes) - sizes
    highest = np.maximum.reduceat(flat, starts)
    is_highest = flat == np.repeat(highest, sizes)
    rest = np.maximum.reduceat(np.where(is_highest, 0.0, flat), starts)
    tied = np.add.reduceat(is_highest.astype(np.int64), starts) > 1
    total = np.add.reduceat(fixed_point(np.clip(flat, 0.0, 1.0)), starts)
    return highest, np.where(tied, highest, rest), np.minimum.reduceat(flat, starts), total


def _of_equally_many(flat: NDArray[np.float64], sizes: NDArray[np.int64]) -> _Figures:
    """Return the same in a third of the time: a short reduction for each event costs more than what it adds up."""
    blocks = []
    for shares in _transposed(flat, int(sizes[0])):
        highest, second, lowest = shares[0].copy(), np.zeros(shares.shape[1]), shares[0].copy()
        for share in shares[1:]:
            np.maximum(second, np.minimum(highest, share), out=second)
            np.maximum(highest, share, out=highest)
            np.minimum(lowest, share, out=lowest)
        blocks.append((highest, second, lowest, fixed_point(np.clip(shares, 0.0, 1.0)).sum(axis=0)))
    highest, second, lowest, total = map(np.concatenate, zip(*blocks, strict=True))
    return highest, second, lowest, total


def _transposed(flat: NDArray[np.float64], size: int) -> Iterator[NDArray[np.float64]]:
    """Yield the probabilities of some events at a time, [size, events], so few that they stay in the cache."""
    for start in range(0, len(flat), _AT_ONCE * size):
        yield np.ascontiguousarray(flat[start : start + _AT_ONCE * size].reshape(-1, size).T)


def _terms_of(shares: NDArray[np.float64]) -> NDArray[np.int64]:
    # Of what is no probability any cell will do.
    cells = shares.view(np.int64) >> _CELL_BITS
    cells -= _FIRST_CELL
    return _terms().take(cells, mode="clip")


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
