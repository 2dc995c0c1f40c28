"""What happens in the demo, and whether it was noticed: windows counted from the first one."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

__all__ = [
    "CAMERAS",
    "INJECTED",
    "LENGTH",
    "WINDOW_SECONDS",
    "Change",
    "Fired",
    "Outcome",
    "clock",
    "false_alarms",
    "judge",
    "under_way",
]

WINDOW_SECONDS = 300
CAMERAS = ("north", "south")
NOTICED_WITHIN = 5
"""Windows in which a change must be noticed."""


@dataclass(frozen=True, slots=True)
class Change:
    """Something that goes wrong from window ``first`` up to, but not including, ``end``.

    ``monitor``: the one that must notice it in the whole model; ``share``: the part of the traffic that unseen
    digits make up; ``blur``: how much, and which ``camera``.
    """

    name: str
    title: str
    first: int
    end: int
    monitor: str
    camera: str = ""
    blur: float = 0.0
    share: float = 0.0


# Before the first change the monitors measure, over 20 windows, how much this stream wanders.
INJECTED = (
    Change("blur", "the south camera blurs", 25, 30, "confidence", camera="south", blur=1.9),
    Change("unseen", "eights arrive, never shown in training", 45, 50, "classes", share=0.6),
)
LENGTH = 59
"""Windows of the whole story."""


@dataclass(frozen=True, slots=True)
class Fired:
    """An alarm that fired: in which window, by which monitor, in which segment."""

    window: int
    monitor: str
    segment: str
    title: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """A change, and the alarm that told of it in time, if one did."""

    change: Change
    noticed: Fired | None

    @property
    def delay(self) -> int | None:
        """Windows of the change that it took, the one that told included."""
        return None if self.noticed is None else self.noticed.window - self.change.first + 1


def under_way(window: int) -> Change | None:
    """Return what is wrong in a window, if anything is."""
    return next((change for change in INJECTED if change.first <= window < change.end), None)


def judge(fired: Iterable[Fired]) -> list[Outcome]:
    """Return, for each injected change, the first alarm of the whole model that told of it in time."""
    alarms = sorted(fired, key=lambda alarm: alarm.window)
    return [
        Outcome(
            change,
            next(
                (
                    alarm
                    for alarm in alarms
                    if alarm.monitor == change.monitor
                    and not alarm.segment
                    and change.first <= alarm.window < change.first + NOTICED_WITHIN
                ),
                None,
            ),
        )
        for change in INJECTED
    ]


def false_alarms(fired: Iterable[Fired]) -> list[Fired]:
    """Return the alarms that fired before anything was wrong."""
    return [alarm for alarm in fired if alarm.window < INJECTED[0].first]


def clock(time_us: int) -> str:
    """Return an event time as hours and minutes, UTC."""
    return datetime.fromtimestamp(time_us // 1_000_000, UTC).strftime("%H:%M")
