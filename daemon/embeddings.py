"""The embeddings of events as columns: projections, read only where a layout counts them."""

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from daemon.slots import is_given
from detectors.embeddings import LARGEST, PROJECTIONS, projections

__all__ = ["projected"]

_VECTOR = msgspec.json.Decoder(list[float])
_AT_ONCE = 16
"""Embeddings that are decoded together: as Python's numbers they are large, and leave the cache soon. Of more a
product is shared among threads, which costs more than it saves."""


def projected(embeddings: Sequence[msgspec.Raw]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the projections of n embeddings [n, PROJECTIONS], NaN where there is none, and where one is wrong [n].

    Wrong is what is no array of numbers, empty, or of more than LARGEST dimensions.
    """
    found = np.full((len(embeddings), len(PROJECTIONS)), np.nan)
    wrong = np.zeros(len(embeddings), dtype=np.bool_)
    for start in range(0, len(embeddings), _AT_ONCE):
        # Nearly always all have as many dimensions.
        by_size: dict[int, tuple[list[int], list[list[float]]]] = {}
        for row, raw in enumerate(embeddings[start : start + _AT_ONCE], start=start):
            if not is_given(raw):
                continue
            vector = _vector(raw)
            if 0 < len(vector) <= LARGEST:
                rows, vectors = by_size.setdefault(len(vector), ([], []))
                rows.append(row)
                vectors.append(vector)
            else:
                wrong[row] = True
        for rows, vectors in by_size.values():
            found[rows] = projections(np.array(vectors))
    return found, wrong


def _vector(raw: msgspec.Raw) -> list[float]:
    try:
        return _VECTOR.decode(raw)
    except msgspec.MsgspecError:
        return []
