"""The settings of a model."""

import math
import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Annotated, Literal

from pydantic import Field, field_validator

from daemon.settings.calibration import Calibration, checked, curve_of
from daemon.settings.inside import inside
from daemon.settings.privacy import PrivacySettings
from daemon.settings.section import DAY_SECONDS, MICROSECONDS, YEAR_SECONDS, Names, Section
from detectors.curves import Curve
from detectors.learning import LEAST_CYCLES
from detectors.reference import LEARNING_WINDOWS
from detectors.registry import MONITORS
from detectors.season import DAY_HOURS, WEEK_HOURS, Season
from sinks.errors import BadSettings

__all__ = ["AUTO", "ModelSettings", "ReferenceSettings"]

AUTO = "auto"
"""The tolerance that is derived from the reference."""

_TRAILING = "trailing"
_HOURS = {"fixed": 0, _TRAILING: 0, "same-hour": DAY_HOURS, "same-hour-of-week": WEEK_HOURS}
_UNITS = {"hour": 3600, "day": DAY_SECONDS, "week": 7 * DAY_SECONDS, "year": YEAR_SECONDS}
_MOST_OFTEN, _LEAST_OFTEN = 3600, 100 * YEAR_SECONDS
_BUDGET = re.compile(r"^(\d+(?:\.\d+)?) per (?:(\d+) )?(hour|day|week|year)s?$")


class ReferenceSettings(Section):
    """What the windows of a model are compared with: always the same, or what is usual at the hour, or was lately."""

    kind: Literal["fixed", "same-hour", "same-hour-of-week", "trailing"] = "fixed"
    days: Annotated[int, Field(ge=LEAST_CYCLES, le=366)] = 7

    @property
    def hours(self) -> int:
        """The hours that are told apart."""
        return _HOURS[self.kind]


class ModelSettings(Section):
    """What is watched of a model, how closely, and for whom."""

    kind: Literal["classifier", "regressor", "detector", "text", "ranking"] = "classifier"
    window_seconds: Annotated[int, Field(ge=1, le=7 * DAY_SECONDS)] = 300
    lateness_seconds: Annotated[float, Field(ge=0, le=7 * DAY_SECONDS)] = 60
    false_alarms: str = "1 per 30 days"
    tolerance: Mapping[str, object] = {}
    calibration: Calibration = ()
    reference: ReferenceSettings = ReferenceSettings()
    segments: Names = ()
    classes: Names = ()
    labels_per_day: Annotated[int, Field(ge=1, le=10_000_000)] = 500
    expected_events_per_day: Annotated[int, Field(ge=1, le=10**12)] = 100_000
    owner: str = ""
    runbook: str = ""
    privacy: PrivacySettings = PrivacySettings()

    @field_validator("false_alarms")
    @classmethod
    def _budget_can_be_read(cls, text: str) -> str:
        if not _BUDGET.match(text) or not _MOST_OFTEN <= _seconds_of(text) <= _LEAST_OFTEN:
            message = (
                'expected "<number> per <number> hours|days|weeks|years", for example "1 per 30 days", '
                "between once an hour and once in 100 years"
            )
            raise ValueError(message)
        return text

    @field_validator("tolerance")
    @classmethod
    def _tolerances_can_be_kept(cls, tolerance: Mapping[str, object]) -> Mapping[str, object]:
        faults = [((name,), fault) for name, value in tolerance.items() if (fault := _fault(name, value))]
        if faults:
            raise inside("tolerance", faults)
        return tolerance

    @field_validator("calibration")
    @classmethod
    def _confidences_can_be_calibrated(cls, calibration: Calibration) -> Calibration:
        return checked(calibration)

    @property
    def curve(self) -> Curve | None:
        """What a confidence is calibrated by; None if it is counted as it is said."""
        return curve_of(self.calibration)

    @property
    def tolerances(self) -> dict[str, float]:
        """The tolerances that are set, by monitor; those of others are derived."""
        return {name: float(value) for name, value in self.tolerance.items() if isinstance(value, int | float)}

    @property
    def season(self) -> Season | None:
        """What repeats, if windows are compared with the same hour."""
        return Season(self.window_seconds, self.reference.hours) if self.reference.hours else None

    @property
    def trails(self) -> bool:
        """Whether the reference is learnt again and again, from the days before."""
        return self.reference.kind == _TRAILING

    def reference_fault(self, kept_days: float) -> str:
        """Return why the reference could not be learnt; ``kept_days``: how long closed windows are kept."""
        if self.season is None and not self.trails:
            return ""
        if self.season is not None and self.window_seconds > _UNITS["hour"]:
            return f"windows of {self.window_seconds} s are longer than an hour"
        if self.reference.days * self.windows_per_day < LEARNING_WINDOWS:
            return f"reference.days = {self.reference.days}: expected at least {LEARNING_WINDOWS} windows in them"
        least = LEAST_CYCLES * self.reference.hours // 24
        if self.reference.days < least:
            return (
                f"reference.days = {self.reference.days}: expected at least {least}, {LEAST_CYCLES} times all its hours"
            )
        if self.reference.days >= kept_days:
            return f"reference.days = {self.reference.days}: expected less than retention.windows_days = {kept_days:g}"
        return ""

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
        return _seconds_of(self.false_alarms) / self.window_seconds

    @property
    def windows_per_day(self) -> float:
        """Windows in a day."""
        return DAY_SECONDS / self.window_seconds


def _fault(monitor: str, value: object) -> str:
    """Return what is wrong with a monitor's tolerance; nothing if it can be kept."""
    units = {each.name: each.unit for each in MONITORS}
    if monitor not in units:
        near = get_close_matches(monitor, units, 1)
        return f"there is no such monitor; expected one of {', '.join(units)}" + (
            f"; did you mean {near[0]}?" if near else ""
        )
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if value == AUTO or (number and 0 < float(str(value)) < 1):
        return ""
    return f'expected "{AUTO}" or a number of {units[monitor]}, more than 0, less than 1'


def _seconds_of(budget: str) -> float:
    """Return in how many seconds one false alarm is allowed."""
    match = _BUDGET.match(budget)
    if match is None:
        raise BadSettings(budget)
    alarms, number, unit = match.groups()
    return int(number or 1) * _UNITS[unit] / float(alarms) if float(alarms) else math.inf
