"""A batch of events as columns: what decoding hands to everything that counts."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

__all__ = ["DEFECTS", "DRAWS", "UNIT", "Categories", "Columns", "fixed_point", "uniform"]

UNIT = 2**32
"""Sums are kept in units of 1 / UNIT, as integers: addition is then exact in any order."""

DRAWS = ("nominate", "select", "sample", "order")
"""The independent uniform draws of an event, in the order of the columns of ``Columns.hashes``."""

DEFECTS = (
    "clamped",
    "time_without_zone",
    "probabilities_invalid",
    "confidence_invalid",
    "number_not_finite",
)
"""What may be wrong with an event that is accepted all the same; bit i of ``Columns.defects`` is DEFECTS[i]."""


@dataclass(frozen=True, slots=True)
class Categories:
    """A column of text values: ``names[codes[i]]`` is the value of event i, code -1 means it has none."""

    codes: NDArray[np.int64]
    names: tuple[str, ...]

    def positions(self, labels: Mapping[str, int], other: int) -> NDArray[np.int64]:
        """Return each event's position in ``labels``, ``other`` for unknown values, -1 where it has none."""
        table = np.array([labels.get(name, other) for name in self.names] + [-1], dtype=np.int64)
        return table[self.codes]


@dataclass(frozen=True, slots=True)
class Columns:
    """n events of one cohort, i.e. of one (model, version).

    ``confidence``, ``margin``: float64 [n] in [0, 1], NaN where unknown. ``predicted``: the predicted class.
    ``tags``: the values of the tags that make segments. ``hashes``: uint64 [n, 4], a uniform draw for each of
    DRAWS. ``defects``: uint32 [n], bits as in DEFECTS.
    """

    confidence: NDArray[np.float64]
    margin: NDArray[np.float64]
    predicted: Categories
    tags: Mapping[str, Categories]
    hashes: NDArray[np.uint64]
    defects: NDArray[np.uint32]

    def __len__(self) -> int:
        return len(self.confidence)

    def take(self, rows: NDArray[np.intp]) -> "Columns":
        """Return the events at ``rows``, in that order."""
        return Columns(
            confidence=self.confidence[rows],
            margin=self.margin[rows],
            predicted=replace(self.predicted, codes=self.predicted.codes[rows]),
            tags={key: replace(tag, codes=tag.codes[rows]) for key, tag in self.tags.items()},
            hashes=self.hashes[rows],
            defects=self.defects[rows],
        )


def fixed_point(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return ``values`` (finite, within ±2³⁰) in units of 1 / UNIT, rounded down; NaN becomes 0."""
    return np.floor(np.nan_to_num(values, nan=0.0) * UNIT).astype(np.int64)


def uniform(hashes: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Return hashes as numbers in [0, 1): their upper 53 bits."""
    return (hashes >> np.uint64(11)).astype(np.float64) * 2.0**-53
