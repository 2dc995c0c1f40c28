"""A batch of events as columns: what decoding hands to everything that counts."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

__all__ = ["DEFECTS", "DRAWS", "UNIT", "Categories", "Columns", "Sightings", "fixed_point", "uniform"]

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

    def take(self, rows: NDArray[np.intp]) -> "Categories":
        """Return the values at ``rows``, in that order."""
        return replace(self, codes=self.codes[rows])

    def positions(self, labels: Mapping[str, int], other: int) -> NDArray[np.int64]:
        """Return each event's position in ``labels``, ``other`` for unknown values, -1 where it has none."""
        table = np.array([labels.get(name, other) for name in self.names] + [-1], dtype=np.int64)
        return table[self.codes]


@dataclass(frozen=True, slots=True)
class Sightings:
    """Which fields events had, known of those that were looked at as a whole.

    Reading an event skips what its layout does not count, so only a fixed part of all events, chosen by their
    hashes, is looked at. ``looked``: bool [n]. The event at ``rows[i]`` had the field ``fields.names[
    fields.codes[i]]``: its type ("number", "text", "boolean" or "other"), a space, and its path, e.g.
    "number features.age".
    """

    looked: NDArray[np.bool_]
    rows: NDArray[np.intp]
    fields: Categories

    def take(self, rows: NDArray[np.intp]) -> "Sightings":
        """Return the sightings in the events at ``rows`` (each at most once), in that order."""
        position = np.full(len(self.looked), -1, dtype=np.intp)
        position[rows] = np.arange(len(rows))
        found = position[self.rows]
        kept = found >= 0
        order = np.argsort(found[kept], kind="stable")
        codes = self.fields.codes[kept][order]
        return Sightings(self.looked[rows], found[kept][order], replace(self.fields, codes=codes))


@dataclass(frozen=True, slots=True)
class Columns:
    """n events of one cohort, i.e. of one (model, version).

    ``confidence``, ``margin``: float64 [n] in [0, 1], NaN where unknown. ``predicted``: the predicted class.
    ``tags``: the values of the tags that make segments. ``hashes``: uint64 [n, 4], a uniform draw for each of
    DRAWS. ``defects``: uint32 [n], bits as in DEFECTS. ``doubt``: float64 [n] in [0, 1], the expected error where an
    event tells it otherwise than by its confidence, else NaN; None if none does. ``entropy``: float64 [n] in [0, 1],
    that of the probabilities as a part of the largest possible, NaN where unknown as ``margin`` is; None if all are.
    ``time_us``: int64 [n], microseconds since 1970; None where the order of the events is lost.

    By path of the field ("features.age", "tags.region", "prediction", "uncertainty", "objects.count"):
    ``numbers``: float64 [n], NaN where missing. ``texts``: code -1 where missing; booleans are "true" and
    "false". ``wrong``: bool [n], where the field has a value of another type, where it is NaN or −1 too;
    fields without any such event are left out. A field of the layout that is in neither is missing in all events.
    ``sightings``: which fields there were at all; None if that is not known.
    """

    confidence: NDArray[np.float64]
    margin: NDArray[np.float64]
    predicted: Categories
    tags: Mapping[str, Categories]
    hashes: NDArray[np.uint64]
    defects: NDArray[np.uint32]
    doubt: NDArray[np.float64] | None = None
    time_us: NDArray[np.int64] | None = None
    numbers: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    texts: Mapping[str, Categories] = field(default_factory=dict)
    wrong: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)
    sightings: Sightings | None = None
    entropy: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.confidence)

    def take(self, rows: NDArray[np.intp]) -> "Columns":
        """Return the events at ``rows``, in that order."""
        return Columns(
            confidence=self.confidence[rows],
            margin=self.margin[rows],
            predicted=self.predicted.take(rows),
            tags={key: tag.take(rows) for key, tag in self.tags.items()},
            hashes=self.hashes[rows],
            defects=self.defects[rows],
            doubt=None if self.doubt is None else self.doubt[rows],
            time_us=None if self.time_us is None else self.time_us[rows],
            numbers={path: values[rows] for path, values in self.numbers.items()},
            texts={path: texts.take(rows) for path, texts in self.texts.items()},
            wrong={path: found[rows] for path, found in self.wrong.items()},
            sightings=None if self.sightings is None else self.sightings.take(rows),
            entropy=None if self.entropy is None else self.entropy[rows],
        )


def fixed_point(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return ``values`` (finite, within ±2³⁰) in units of 1 / UNIT, rounded down; NaN becomes 0."""
    scaled = values * UNIT
    unknown = np.isnan(values)
    if unknown.any():
        scaled[unknown] = 0.0
    # Rounded towards 0, which takes a third of the time that rounding down takes; then down.
    whole = scaled.astype(np.int64)
    whole -= whole > scaled
    return whole


def uniform(hashes: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Return hashes as numbers in [0, 1): their upper 53 bits."""
    return (hashes >> np.uint64(11)).astype(np.float64) * 2.0**-53
