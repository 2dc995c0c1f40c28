"""What detecting tells people and alerts: the readings of a window, and the transitions of its alarms."""

from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors.arrays import pack, unpack

__all__ = ["STATUSES", "Contributor", "Effect", "EffectName", "Fault", "Reading", "Readings", "Transition"]

STATUSES = ("learning", "calibrating", "ok", "pending", "firing", "failed")
"""What ``Readings.status`` counts: the status of a monitor in a segment; readings store the index."""
LEARNING, CALIBRATING, OK, PENDING, FIRING, FAILED = range(len(STATUSES))

_FORMAT = 1


class Contributor(NamedTuple):
    """A component that moved: its name for people, its value in the reference and its value now."""

    label: str
    before: float
    after: float


class Fault(NamedTuple):
    """A monitor that is a detector of another library and could not take a window: its name, and what was raised."""

    monitor: str
    reason: str


class EffectName(NamedTuple):
    """Which effect size: of which monitor, of what (a field, or the predicted class), in which measure."""

    monitor: str
    subject: str
    measure: str


class Effect(NamedTuple):
    """By how much a distribution differs from the reference's."""

    subject: str
    measure: str
    value: float


@dataclass(frozen=True, slots=True)
class Reading:
    """One monitor's figures for one segment's window; numbers that are not known are NaN."""

    segment: str
    monitor: str
    unit: str
    status: str
    n: int
    estimate: float
    low: float
    high: float
    reference: float
    tolerance: float
    log_evidence: float
    log_threshold: float
    contributors: tuple[Contributor, ...]
    effects: tuple[Effect, ...] = ()


@dataclass(frozen=True, slots=True)
class Transition:
    """An alarm that began, or ended.

    ``to``: "pending", "firing" or "resolved" (of an alarm that was pending or firing; ``reason`` tells how).
    ``since_window``: where the change began by likelihood. ``before``: the value of ``component`` in the
    reference; ``after``: that in the windows since the change (when resolved: in this window) and [``low``,
    ``high``] its 95 % interval, in ``unit``; all NaN where a state was given up.
    ``calibrating``: the design effect was not known yet, so the budget is not promised.
    ``contributors``: up to five components that moved most, the most first. ``outside_budget``: of an adapter, whose
    alarms nobody has promised anything of; its evidence is NaN.
    """

    monitor: str
    segment: str
    to: str
    window: int
    since_window: int
    component: str
    before: float
    after: float
    low: float
    high: float
    unit: str
    log_evidence: float
    log_threshold: float
    calibrating: bool
    contributors: tuple[Contributor, ...]
    reason: str
    outside_budget: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Readings:
    """The figures of one cohort's window, every array [segments, monitors].

    ``estimate`` with its 95 % interval [``low``, ``high``], ``reference`` and ``tolerance`` are those of
    ``component``, the index of the component with the most evidence (``components[monitor][index]`` is its
    name), in the monitor's unit. A monitor alarms when ``log_evidence`` reaches ``log_threshold``.
    ``status`` is an index into STATUSES. Numbers that are not known are NaN. ``effects``: the effect sizes,
    float32 [segments, len(effect_names)].
    """

    segments: tuple[str, ...]
    monitors: tuple[str, ...]
    units: tuple[str, ...]
    components: tuple[tuple[str, ...], ...]
    effect_names: tuple[EffectName, ...]
    n: NDArray[np.int64]
    estimate: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    reference: NDArray[np.float64]
    tolerance: NDArray[np.float64]
    log_evidence: NDArray[np.float64]
    log_threshold: NDArray[np.float64]
    status: NDArray[np.int8]
    component: NDArray[np.int32]
    effects: NDArray[np.float32]

    def to_bytes(self) -> bytes:
        """Return the readings as bytes: equal readings give equal bytes."""
        meta = {
            "format": _FORMAT,
            "segments": self.segments,
            "monitors": self.monitors,
            "units": self.units,
            "components": self.components,
            "effect_names": self.effect_names,
        }
        return pack(meta, {name: getattr(self, name) for name in _ARRAYS})

    @classmethod
    def from_bytes(cls, data: bytes) -> "Readings":
        """Return the readings that :meth:`to_bytes` wrote; without effect sizes if there were none at the time.

        Raises
        ------
        ValueError
            They were written in another format.
        """
        meta, arrays = unpack(data)
        if meta["format"] != _FORMAT:
            raise ValueError(f"readings of format {meta['format']}, this version reads format {_FORMAT}")
        arrays.setdefault("effects", np.zeros((len(meta["segments"]), 0), dtype=np.float32))
        return cls(
            segments=tuple(meta["segments"]),
            monitors=tuple(meta["monitors"]),
            units=tuple(meta["units"]),
            components=tuple(tuple(names) for names in meta["components"]),
            effect_names=tuple(EffectName(*name) for name in meta.get("effect_names", ())),
            **{name: arrays[name] for name in _ARRAYS},
        )

    def rows(self) -> list[Reading]:
        """Return one reading for each segment and monitor, segment by segment."""
        return [
            self._row(segment, monitor)
            for segment in range(len(self.segments))
            for monitor in range(len(self.monitors))
        ]

    def _row(self, segment: int, monitor: int) -> Reading:
        at = segment, monitor
        names = self.components[monitor]
        estimate, reference = float(self.estimate[at]), float(self.reference[at])
        contributors = (Contributor(names[self.component[at]], reference, estimate),) if names else ()
        return Reading(
            segment=self.segments[segment],
            monitor=self.monitors[monitor],
            unit=self.units[monitor],
            status=STATUSES[self.status[at]],
            n=int(self.n[at]),
            estimate=estimate,
            low=float(self.low[at]),
            high=float(self.high[at]),
            reference=reference,
            tolerance=float(self.tolerance[at]),
            log_evidence=float(self.log_evidence[at]),
            log_threshold=float(self.log_threshold[at]),
            contributors=contributors,
            effects=tuple(
                Effect(name.subject, name.measure, float(value))
                for name, value in zip(self.effect_names, self.effects[segment], strict=True)
                if name.monitor == self.monitors[monitor]
            ),
        )


_ARRAYS = tuple(field.name for field in fields(Readings))[5:]
