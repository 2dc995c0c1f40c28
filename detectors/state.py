"""What the detectors of one cohort remember: small arrays of a fixed size for each segment."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from detectors.adapters.state import AdapterState, from_stored, stored
from detectors.arrays import pack, unpack
from detectors.bets import BETS
from detectors.evidence import FLOOR
from detectors.monitors import Nulls
from detectors.readings import OK
from detectors.tolerance import Variation

__all__ = ["NO_WINDOW", "QUIET_WINDOWS", "CohortState", "MonitorState"]

NO_WINDOW = -1
"""In arrays of windows: none."""
QUIET_WINDOWS = 20
"""Windows without an alarm after which the design effect is measured."""
_FORMAT = 1


@dataclass(slots=True, eq=False)
class MonitorState:
    """The evidence of one monitor.

    ``log_r``: forward bets [segments, components, BETS]; ``log_reverse``: the bets that an alarm is over
    [segments, BETS]. ``status`` (OK, PENDING, FIRING of readings) [segments]; ``component``: which component
    the alarm is about; ``waited``: windows spent pending; ``since``: the first window of the alarm's change;
    ``steady``: the window since which no alarm has been firing, where the search for a change begins.
    ``mean`` and ``bound``: the nulls in force [segments, components]; ``varied``: what they came from.
    """

    names: tuple[str, ...]
    log_r: NDArray[np.float64]
    log_reverse: NDArray[np.float64]
    status: NDArray[np.int8]
    component: NDArray[np.int32]
    waited: NDArray[np.int32]
    since: NDArray[np.int64]
    steady: NDArray[np.int64]
    mean: NDArray[np.float64]
    bound: NDArray[np.float64]
    varied: Variation

    @classmethod
    def fresh(cls, names: tuple[str, ...], nulls: Nulls, varied: Variation, window: int) -> "MonitorState":
        """Return the state before any evidence, ``window`` being the first."""
        segments, components = nulls.bound.shape
        return cls(
            names=names,
            log_r=np.full((segments, components, BETS), FLOOR),
            log_reverse=np.full((segments, BETS), FLOOR),
            status=np.full(segments, OK, dtype=np.int8),
            component=np.zeros(segments, dtype=np.int32),
            waited=np.zeros(segments, dtype=np.int32),
            since=np.full(segments, NO_WINDOW, dtype=np.int64),
            steady=np.full(segments, window, dtype=np.int64),
            mean=nulls.mean,
            bound=nulls.bound,
            varied=varied,
        )

    def copy(self) -> "MonitorState":
        """Return a copy whose arrays may be changed (``varied`` never is)."""
        return MonitorState(
            names=self.names,
            **{name: getattr(self, name).copy() for name in _MONITOR_ARRAYS},
            varied=self.varied,
        )

    def rows(self, segments: slice) -> "MonitorState":
        """Return the state of some of the segments."""
        varied = {name: array[segments] for name, array in self.varied.arrays().items()}
        return MonitorState(
            names=self.names,
            **{name: getattr(self, name)[segments] for name in _MONITOR_ARRAYS},
            varied=Variation.from_arrays(varied, ""),
        )

    def joined(self, other: "MonitorState") -> "MonitorState":
        """Return this state with the segments of ``other`` appended."""
        mine, others = self.varied.arrays(), other.varied.arrays()
        varied = {name: np.concatenate([mine[name], others[name]]) for name in mine}
        return MonitorState(
            names=self.names,
            **{name: np.concatenate([getattr(self, name), getattr(other, name)]) for name in _MONITOR_ARRAYS},
            varied=Variation.from_arrays(varied, ""),
        )


_MONITOR_ARRAYS = (
    "log_r",
    "log_reverse",
    "status",
    "component",
    "waited",
    "since",
    "steady",
    "mean",
    "bound",
)


@dataclass(slots=True, eq=False)
class CohortState:
    """The state of a cohort's detectors.

    ``reference``: digest of the reference it was made for, "" while learning. ``segments``: names, in order.
    ``learning``: windows counted so far for a reference. ``quiet``: each segment's last windows without an
    alarm [segments, QUIET_WINDOWS], the oldest first, NO_WINDOW in front, until it is
    ``calibrated``: the number of windows its variation was measured on, 0 until then [segments].
    ``tolerances``: by monitor, those that a person had set when the nulls in force were made; ``hour``: of the
    reference, for which they were made. ``adapters``: the detectors of other libraries, by name; no reference concerns
    them.
    """

    reference: str
    segments: tuple[str, ...]
    learning: tuple[int, ...]
    quiet: NDArray[np.int64]
    calibrated: NDArray[np.int32]
    monitors: dict[str, MonitorState] = field(default_factory=dict)
    tolerances: dict[str, float] = field(default_factory=dict)
    hour: int = 0
    adapters: dict[str, AdapterState] = field(default_factory=dict)

    @classmethod
    def fresh(cls, reference: str, segments: tuple[str, ...]) -> "CohortState":
        """Return the state before any window, without monitors."""
        rows = len(segments)
        return cls(
            reference,
            segments,
            (),
            np.full((rows, QUIET_WINDOWS), NO_WINDOW, dtype=np.int64),
            np.zeros(rows, dtype=np.int32),
        )

    def copy(self) -> "CohortState":
        """Return a copy whose arrays may be changed."""
        return CohortState(
            self.reference,
            self.segments,
            self.learning,
            self.quiet.copy(),
            self.calibrated.copy(),
            {name: monitor.copy() for name, monitor in self.monitors.items()},
            dict(self.tolerances),
            self.hour,
            dict(self.adapters),
        )

    def to_bytes(self) -> bytes:
        """Return the state as bytes: equal states give equal bytes."""
        meta = {
            "format": _FORMAT,
            "reference": self.reference,
            "segments": self.segments,
            "learning": self.learning,
            "monitors": {name: monitor.names for name, monitor in self.monitors.items()},
            "tolerances": self.tolerances,
            "hour": self.hour,
        }
        arrays: dict[str, NDArray[np.generic]] = {"quiet": self.quiet, "calibrated": self.calibrated}
        for name, monitor in self.monitors.items():
            arrays |= {f"{name}.{array}": getattr(monitor, array) for array in _MONITOR_ARRAYS}
            arrays |= {f"{name}.varied.{key}": array for key, array in monitor.varied.arrays().items()}
        if self.adapters:
            meta["adapters"], histories = stored(self.adapters)
            arrays |= histories
        return pack(meta, arrays)

    @classmethod
    def from_bytes(cls, data: bytes) -> "CohortState":
        """Return the state that :meth:`to_bytes` wrote.

        Raises
        ------
        ValueError
            It was written in another format.
        """
        meta, arrays = unpack(data)
        if meta["format"] != _FORMAT:
            raise ValueError(f"a detector state of format {meta['format']}, this version reads {_FORMAT}")
        monitors = {
            name: MonitorState(
                names=tuple(names),
                **{array: arrays[f"{name}.{array}"] for array in _MONITOR_ARRAYS},
                varied=Variation.from_arrays(arrays, f"{name}.varied."),
            )
            for name, names in meta["monitors"].items()
        }
        return cls(
            meta["reference"],
            tuple(meta["segments"]),
            tuple(meta["learning"]),
            arrays["quiet"],
            _windows_of(arrays["calibrated"]),
            monitors,
            meta.get("tolerances", {}),
            meta.get("hour", 0),
            from_stored(meta.get("adapters", {}), arrays),
        )


def _windows_of(calibrated: NDArray[np.generic]) -> NDArray[np.int32]:
    """Return on how many windows segments were calibrated; older states say only whether they were."""
    windows: NDArray[np.int32] = calibrated.astype(np.int32)
    return windows * QUIET_WINDOWS if calibrated.dtype == np.bool_ else windows
