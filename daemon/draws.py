"""The draws of events: keyed hashes of their ids, many at a time.

SipHash-2-4 with a key of 128 bits (Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012), computed on
columns of words: nobody without the key can tell which ids will be drawn. Further draws of an event continue as
SipHash's output of 128 bits does.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["KEY_BYTES", "Texts", "draws"]

KEY_BYTES = 16
_WORD = 8
_ROUNDS, _LAST_ROUNDS = 2, 4
_INITIAL = (0x736F6D6570736575, 0x646F72616E646F6D, 0x6C7967656E657261, 0x7465646279746573)
_SHORT, _LONG, _FURTHER = np.uint64(0xFF), np.uint64(0xEE), np.uint64(0xDD)
_Words = NDArray[np.uint64]


class Texts:
    """Texts in UTF-8, one after the other. ``sizes``: int64 [n], their bytes."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.bytes = "".join(texts).encode()
        if len(self.bytes) == sum(sizes := list(map(len, texts))):
            # All of it is ASCII.
            self.sizes = np.array(sizes, dtype=np.int64)
        else:
            self.sizes = np.array([len(text.encode()) for text in texts], dtype=np.int64)


def draws(texts: Sequence[Texts], keys: NDArray[np.uint64], count: int) -> _Words:
    """Return ``count`` draws of each of n texts, uint64 [n, count]; ``keys``: uint64 [n, 2], the key of each."""
    sizes = np.concatenate([each.sizes for each in texts])
    data = np.frombuffer(b"".join(each.bytes for each in texts), dtype=np.uint8)
    starts = np.cumsum(sizes) - sizes
    blocks = sizes // _WORD + 1
    if blocks.min() == blocks.max():
        return _siphash(_words(data, starts, sizes, int(blocks[0])), keys[:, 0], keys[:, 1], count)
    found = np.empty((len(sizes), count), dtype=np.uint64)
    for number in np.unique(blocks).tolist():
        rows = np.flatnonzero(blocks == number)
        words = _words(data, starts[rows], sizes[rows], number)
        found[rows] = _siphash(words, keys[rows, 0], keys[rows, 1], count)
    return found


def _words(data: NDArray[np.uint8], starts: NDArray[np.int64], sizes: NDArray[np.int64], number: int) -> _Words:
    """Return texts as words, uint64 [number, n], the last of them with the size in its highest byte."""
    width = number * _WORD
    padded = np.zeros((len(starts), width), dtype=np.uint8)
    if len(starts) and (size := int(sizes[0])) == sizes.max() == sizes.min() and len(starts) * size == len(data):
        padded[:, :size] = data.reshape(len(starts), size)
    else:
        inside = np.arange(width) < sizes[:, None]
        padded[inside] = data[(starts[:, None] + np.arange(width))[inside]]
    padded[:, -1] = sizes & 0xFF
    return np.ascontiguousarray(padded.view("<u8").astype(np.uint64).T)


def _siphash(words: _Words, key0: _Words, key1: _Words, count: int) -> _Words:
    a, b, c, d = (np.uint64(each) ^ key for each, key in zip(_INITIAL, (key0, key1, key0, key1), strict=True))
    state = _State(a, b, c, d, np.empty_like(a))
    if count > 1:
        b ^= _LONG
    for word in words:
        d ^= word
        state.mix(_ROUNDS)
        a ^= word
    c ^= _LONG if count > 1 else _SHORT
    found = np.empty((count, len(a)), dtype=np.uint64)
    for number in range(count):
        if number:
            b ^= _FURTHER
        state.mix(_LAST_ROUNDS)
        found[number] = a ^ b ^ c ^ d
    return found.T


class _State(NamedTuple):
    """The four words of SipHash's state, of each text, and room for one more. All that is done is done in place."""

    a: _Words
    b: _Words
    c: _Words
    d: _Words
    room: _Words

    def mix(self, rounds: int) -> None:
        """Do some SipRounds."""
        a, b, c, d, _ = self
        for _ in range(rounds):
            a += b
            c += d
            self._rotate(b, 13)
            self._rotate(d, 16)
            b ^= a
            d ^= c
            self._rotate(a, 32)
            c += b
            a += d
            self._rotate(b, 17)
            self._rotate(d, 21)
            b ^= c
            d ^= a
            self._rotate(c, 32)

    def _rotate(self, words: _Words, bits: int) -> None:
        np.left_shift(words, np.uint64(bits), out=self.room)
        words >>= np.uint64(64 - bits)
        words |= self.room
