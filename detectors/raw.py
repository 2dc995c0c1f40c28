"""The values of single events that detectors of other libraries are fed with, and how they are named.

"confidence", "margin"; a number by its path ("features.age"); "PATH=VALUE", whether a text is that value
("prediction=cat", "tags.region=eu"), as 1 and 0.
"""

import numpy as np
from numpy.typing import NDArray

from detectors.bottomk import Sample
from detectors.columns import Categories, Columns
from detectors.layout import RawSpec

__all__ = ["is_truth", "ordered", "raw_values"]

_PREDICTION, _TAGS = "prediction", "tags."


def is_truth(name: str) -> bool:
    """Tell whether a value is 1 or 0, by its name."""
    return "=" in name


def raw_values(spec: RawSpec, columns: Columns) -> NDArray[np.float64]:
    """Return each event's time in microseconds and values [n, 1 + len(spec.values)]; NaN where it has none."""
    n = len(columns)
    # Microseconds since 1970 are exact in a float until the year 2255.
    time = np.full(n, np.nan) if columns.time_us is None else columns.time_us.astype(np.float64)
    return np.column_stack([time, *(_value(name, columns) for name in spec.values)])


def ordered(sample: Sample) -> NDArray[np.float64]:
    """Return the values [n, columns] of a sample's events in the order of their times, without these."""
    order = np.lexsort((sample.hashes, sample.values[:, 0]))
    return sample.values[order, 1:]


def _value(name: str, columns: Columns) -> NDArray[np.float64]:
    missing = np.full(len(columns), np.nan)
    if is_truth(name):
        path, _, wanted = name.partition("=")
        texts = _texts(path, columns)
        if texts is None:
            return missing
        known = np.array([text == wanted for text in texts.names] + [False])[texts.codes]
        return np.where(texts.codes < 0, np.nan, known)
    if name == "confidence":
        return columns.confidence
    if name == "margin":
        return columns.margin
    return columns.numbers.get(name, missing)


def _texts(path: str, columns: Columns) -> Categories | None:
    if path == _PREDICTION:
        return columns.predicted
    found = columns.texts.get(path)
    return columns.tags.get(path.removeprefix(_TAGS)) if found is None and path.startswith(_TAGS) else found
