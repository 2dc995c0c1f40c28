"""The settings of a model."""

import re
from typing import Annotated, Literal

from pydantic import Field, field_validator

from daemon.settings.privacy import PrivacySettings
from daemon.settings.section import DAY_SECONDS, MICROSECONDS, Count, Section
from sinks.errors import BadSettings

__all__ = ["ModelSettings"]

_UNITS = {"hour": 3600, "day": DAY_SECONDS, "week": 7 * DAY_SECONDS, "year": 365 * DAY_SECONDS}
_BUDGET = re.compile(r"^(\d+(?:\.\d+)?) per (?:(\d+) )?(hour|day|week|year)s?$")


class ModelSettings(Section):
    """What is watched of a model, how closely, and for whom."""

    kind: Literal["classifier", "regressor", "detector", "text", "ranking"] = "classifier"
    window_seconds: Count = 300
    lateness_seconds: Annotated[float, Field(ge=0)] = 60
    false_alarms: str = "1 per 30 days"
    segments: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    labels_per_day: Count = 500
    expected_events_per_day: Count = 100_000
    owner: str = ""
    runbook: str = ""
    privacy: PrivacySettings = PrivacySettings()

    @field_validator("false_alarms")
    @classmethod
    def _budget_can_be_read(cls, text: str) -> str:
        if not _BUDGET.match(text) or float(text.split(maxsplit=1)[0]) == 0:
            message = 'expected "<number> per <number> hours|days|weeks|years", for example "1 per 30 days"'
            raise ValueError(message)
        return text

    @property
    def window_us(self) -> int:
        """Length of a window in microseconds."""
        return self.window_seconds * MICROSECONDS

    @property
    def lateness_us(self) -> int:
        """Lateness in microseconds."""
        return round(self.lateness_seconds * MICROSECONDS)

    @property
    def budget_windows(self) -> float:
        """Windows in the time in which one false alarm is allowed."""
        match = _BUDGET.match(self.false_alarms)
        if match is None:
            raise BadSettings(self.false_alarms)
        alarms, number, unit = match.groups()
        return int(number or 1) * _UNITS[unit] / float(alarms) / self.window_seconds

    @property
    def windows_per_day(self) -> float:
        """Windows in a day."""
        return DAY_SECONDS / self.window_seconds
