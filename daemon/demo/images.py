"""The demo's pictures: small digits, as a camera sees them on a good day and on a bad one."""

import base64
import struct
import zlib

import numpy as np
from numpy.typing import NDArray

__all__ = ["SIDE", "blurred", "from_png_url", "jittered", "png_url"]

SIDE = 8
"""Pixels of a picture's side."""
BRIGHTEST = 16.0
"""The value of full ink in scikit-learn's digits."""
_SHIFT = 0.5
_NOISE = 0.7
_DIMMEST, _STRONGEST = 0.85, 1.1
_SCALE = 8
_GREY_8_BIT = struct.pack(">IIBBBBB", SIDE * _SCALE, SIDE * _SCALE, 8, 0, 0, 0, 0)
_URL = "data:image/png;base64,"
_FILTER_UP = b"\x02"

Pictures = NDArray[np.float64]
"""[n, SIDE, SIDE], from 0 (paper) to BRIGHTEST (ink)."""


def jittered(pictures: Pictures, random: np.random.Generator) -> Pictures:
    """Return the pictures as if each had been taken anew: shifted a little, lit a little otherwise, with noise."""
    count = len(pictures)
    down, right = random.uniform(-_SHIFT, _SHIFT, (2, count, 1, 1))
    moved = _shifted(_shifted(pictures, down, 1), right, 2)
    lit = moved * random.uniform(_DIMMEST, _STRONGEST, (count, 1, 1))
    return np.clip(lit + random.normal(0.0, _NOISE, lit.shape), 0.0, BRIGHTEST)


def blurred(pictures: Pictures, strength: float) -> Pictures:
    """Return the pictures through a fogged lens; ``strength`` 1 is one pass of the kernel (1, 2, 1) / 4 each way."""
    result = pictures
    while strength > 0:
        side = 0.25 * min(strength, 1.0)
        for axis in (1, 2):
            before, after = _neighbours(result, axis, "edge")
            result = side * before + (1.0 - 2.0 * side) * result + side * after
        strength -= 1.0
    return result


def png_url(picture: NDArray[np.float64]) -> str:
    """Return one picture, large enough for a person, as a PNG in a data URL: dark ink on white paper."""
    grey = (255.0 - np.clip(picture, 0.0, BRIGHTEST) * (255.0 / BRIGHTEST)).astype(np.uint8)
    lines = np.repeat(grey, _SCALE, axis=1)
    # Each further line of a magnified pixel is the one above it: as a difference nothing but zeros.
    same = _FILTER_UP + bytes(SIDE * _SCALE)
    rows = b"".join(b"\0" + line.tobytes() + same * (_SCALE - 1) for line in lines)
    chunks = (b"IHDR", _GREY_8_BIT), (b"IDAT", zlib.compress(rows, 1)), (b"IEND", b"")
    data = b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, body) for name, body in chunks)
    return _URL + base64.b64encode(data).decode("ascii")


def from_png_url(url: str) -> NDArray[np.uint8] | None:
    """Return the grey values [SIDE, SIDE] of a picture that :func:`png_url` made; None of anything else."""
    if not url.startswith(_URL):
        return None
    data = base64.b64decode(url.removeprefix(_URL))
    rows = zlib.decompressobj().decompress(data[data.index(b"IDAT") + 4 :])
    lines = np.frombuffer(rows, dtype=np.uint8).reshape(SIDE * _SCALE, 1 + SIDE * _SCALE)
    return lines[::_SCALE, 1::_SCALE]


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def _shifted(pictures: Pictures, by: NDArray[np.float64], axis: int) -> Pictures:
    """Return each picture moved by its part of a pixel, at most one."""
    before, after = _neighbours(pictures, axis, "constant")
    part = np.abs(by)
    moved: Pictures = pictures * (1.0 - part) + np.where(by > 0, before, after) * part
    return moved


def _neighbours(pictures: Pictures, axis: int, border: str) -> tuple[Pictures, Pictures]:
    """Return, for every pixel, the one before it and the one after it along ``axis``."""
    around = [(0, 0), (0, 0), (0, 0)]
    around[axis] = (1, 1)
    padded = np.pad(pictures, around, mode=border)  # type: ignore[call-overload] # the mode is a plain text here
    return np.take(padded, range(SIDE), axis), np.take(padded, range(2, SIDE + 2), axis)
