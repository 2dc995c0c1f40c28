"""How sure events say that the model was: confidence and probabilities as columns."""

from collections.abc import Sequence
from itertools import chain

import msgspec
import numpy as np
from numpy.typing import NDArray

from daemon.events import MAX_PROBABILITIES
from daemon.expected import Expected, Probabilities
from daemon.taking import DEFECT, Cohort, Taken

__all__ = ["told_confidence", "told_probabilities"]

_BAD_CONFIDENCE, _BAD_PROBABILITIES = (
    np.uint32(DEFECT[name]) for name in ("confidence_invalid", "probabilities_invalid")
)


def told_confidence(given: Sequence[float | None], defects: NDArray[np.uint32]) -> NDArray[np.float64]:
    """Return the confidence that events tell, NaN for none; what can be none is noted in ``defects``."""
    if given.count(None) == len(given):
        return np.full(len(given), np.nan)
    told = np.array([each is not None for each in given], dtype=np.bool_)
    confidence = np.array(given, dtype=np.float64)
    wrong = told & ~((confidence >= 0.0) & (confidence <= 1.0))
    defects[wrong] |= _BAD_CONFIDENCE
    return np.where(wrong, np.nan, confidence)


def told_probabilities(
    taken: Taken, expected: Expected | None, defects: NDArray[np.uint32]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the probabilities that can be counted, and how many each event has.

    That there are too many or too few is noted in ``defects``.
    """
    shares = None if expected is None else expected.shares(taken.probabilities)
    if shares is not None:
        return _some(shares, defects)
    given = _plain(taken.probabilities, expected)
    counts = [0 if each is None else len(each) for each in given]
    # An object of some probabilities can be counted whatever the model: the usual case needs no look at each.
    if set(map(type, given)) != {dict} or not 0 < min(counts) <= max(counts) <= MAX_PROBABILITIES:
        good = [_countable(each, cohort) for each, cohort in zip(given, taken.cohorts, strict=True)]
        defects[~np.array(good)] |= _BAD_PROBABILITIES
        given = [each if fine else None for each, fine in zip(given, good, strict=True)]
        counts = [0 if each is None else len(each) for each in given]
    flat = list(chain.from_iterable([each.values() if isinstance(each, dict) else each for each in given if each]))
    return np.array(flat, dtype=np.float64), np.array(counts, dtype=np.int64)


def _plain(given: Sequence[Probabilities | msgspec.Struct], expected: Expected | None) -> Sequence[Probabilities]:
    if expected is None:
        return given  # type: ignore[return-value] # there are slots only where some are expected
    return [expected.plain(each) for each in given]


def _some(shares: NDArray[np.float64], defects: NDArray[np.uint32]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return what is given of ``shares`` [n, classes], as told_probabilities."""
    missing = np.isnan(shares)
    if not missing.any():
        return shares.ravel(), np.full(len(shares), shares.shape[1], dtype=np.int64)
    counts = (~missing).sum(axis=1)
    defects[counts == 0] |= _BAD_PROBABILITIES
    return shares[~missing], counts


def _countable(probabilities: Probabilities, cohort: Cohort) -> bool:
    """Say whether there are none, or as many as there can be: an array has one for each configured class."""
    if probabilities is None:
        return True
    classes = cohort.settings.classes
    if classes and isinstance(probabilities, list):
        return len(probabilities) == len(classes)
    return 0 < len(probabilities) <= max(MAX_PROBABILITIES, len(classes))
