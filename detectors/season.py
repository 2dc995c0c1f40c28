"""What repeats with the hour: of the day, or of the week."""

from dataclasses import dataclass

__all__ = ["DAY_HOURS", "WEEK_HOURS", "Season"]

DAY_HOURS, WEEK_HOURS = 24, 168
_HOUR_SECONDS = 3600
_EPOCH_HOUR = 3 * 24
"""Windows are counted from a Thursday on."""


@dataclass(frozen=True, slots=True)
class Season:
    """Windows of ``window_seconds`` are told apart by their hour: ``hours`` of them, in UTC, then they repeat."""

    window_seconds: int
    hours: int

    def hour(self, window: int) -> int:
        """Return the hour in which a window begins; 0 is midnight, in a week that of Monday."""
        return (window * self.window_seconds // _HOUR_SECONDS + _EPOCH_HOUR) % self.hours

    def cycles(self, windows: int) -> float:
        """Return how many times it repeats in so many windows, one after another."""
        return windows * self.window_seconds / (self.hours * _HOUR_SECONDS)
