"""E-detectors: what bets have won since a change may have begun, as evidence that it did.

For each bet the Shiryaev–Roberts recursion ``R ← (1 + R)·exp(log-wealth)`` adds up the wealth of players who
began at every past window. While the null holds, R minus the number of windows is a supermartingale, so a
weighted mean of R over components and bets reaches A on average no earlier than after A windows, whatever the
dependence between components (Shin, Ramdas, Rinaldo 2022, "E-detectors: a nonparametric framework for
sequential change detection"; Shiryaev 1963, Roberts 1966 for the recursion). All in logarithms.
"""

import numpy as np
from numpy.typing import NDArray

from detectors.bets import CERTAIN, Bets, Moments, log_wealth

__all__ = [
    "CLEAR_THRESHOLD",
    "FLOOR",
    "accumulate",
    "advance",
    "component_evidence",
    "evidence",
    "reverse_wealth",
]

FLOOR = -700.0
"""The logarithm of a wealth that counts as none."""
CLEAR_THRESHOLD = 1000.0
"""An alarm may end when the reverse bet's evidence reaches this: at the edge, once in that many windows."""


def accumulate(
    log_r: NDArray[np.float64], gain: NDArray[np.float64], present: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Return ``log_r`` after one window's log-wealth ``gain``; unchanged where not ``present``."""
    return np.where(present, np.maximum(np.logaddexp(0.0, log_r) + gain, FLOOR), log_r)


def advance(
    log_r: NDArray[np.float64],
    bound: NDArray[np.float64],
    moments: Moments,
    tempered: NDArray[np.float64],
    *,
    exact: bool,
) -> NDArray[np.float64]:
    """Return the forward bets [segments, components, BETS] after one window.

    ``bound``, ``tempered`` (the factor on log-wealth): [segments, components].
    """
    active = bound < CERTAIN
    gain = tempered[..., None] * log_wealth(Bets.against(bound), moments, exact=exact)
    return accumulate(log_r, gain, (active & (moments.n > 0)[:, None])[..., None])


def reverse_wealth(
    bound: NDArray[np.float64],
    moments: Moments,
    tempered: NDArray[np.float64],
    *,
    exact: bool,
    rounding: float,
) -> NDArray[np.float64]:
    """Return one window's tempered log-wealth of the bets against "the mean is still at least ``bound``".

    One component a segment: ``bound``, ``tempered`` [segments], ``moments`` [segments, 1]; [segments, BETS].
    """
    turned = moments.where_reversed(np.ones((len(bound), 1), dtype=np.bool_), rounding)
    gain = log_wealth(Bets.against(1.0 - bound[:, None]), turned, exact=exact)
    return tempered[:, None] * gain[:, 0]


def component_evidence(log_r: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the logarithm of the mean over the last axis (the bets)."""
    return _log_mean(log_r)


def evidence(log_r: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the logarithm of the mean of R over components and bets, [segments].

    The weights are equal and fixed, over inactive components too, so that no later change of what is active
    can lend weight to what has already won.
    """
    return _log_mean(log_r.reshape(len(log_r), -1))


def _log_mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    top = values.max(axis=-1, keepdims=True)
    result: NDArray[np.float64] = top[..., 0] + np.log(np.exp(values - top).mean(axis=-1))
    return result
