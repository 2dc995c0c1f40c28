"""Rates of rare events, with how sure one may be of them."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

__all__ = ["Spent"]

_TAIL = 0.025
_BISECTIONS = 60


@dataclass(frozen=True, slots=True)
class Spent:
    """``alarms`` where at most ``allowed`` are expected."""

    alarms: int
    allowed: float

    @property
    def ratio(self) -> float:
        """What was measured over what was asked."""
        return self.alarms / self.allowed

    @property
    def interval(self) -> tuple[float, float]:
        """The exact 95 % interval of the ratio, if alarms come like a Poisson process (Garwood 1936).

        They do nearly, since evidence starts again from nothing after each.
        """
        few, many = self.alarms, self.alarms + 6.0 * np.sqrt(self.alarms) + 20.0
        low = 0.0 if few == 0 else _solve(lambda mean: 1.0 - _at_most(few - 1, mean), many, rising=True)
        high = _solve(lambda mean: _at_most(few, mean), many, rising=False)
        return low / self.allowed, high / self.allowed

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.ratio:.2f} ({low:.2f}–{high:.2f})"


def _at_most(count: int, mean: float) -> float:
    """Return the probability of at most ``count`` of a Poisson distribution."""
    numbers = np.arange(count + 1)
    log_factorials = np.concatenate([[0.0], np.cumsum(np.log(numbers[1:]))])
    return float(np.exp(numbers * np.log(mean) - mean - log_factorials).sum())


def _solve(tail: Callable[[float], float], high: float, *, rising: bool) -> float:
    """Return the mean at which ``tail``, which rises or falls with it, is 2.5 %."""
    low = 1e-9
    for _ in range(_BISECTIONS):
        middle = 0.5 * (low + high)
        if (tail(middle) < _TAIL) == rising:
            low = middle
        else:
            high = middle
    return 0.5 * (low + high)
