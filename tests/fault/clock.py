"""``strandline`` in a process whose wall clock is set an hour forth, and then two hours back.

``python -m tests.fault.clock --config my.toml run --role ingest``. The monotonic clock, and those of PostgreSQL and
Kafka, go on as ever.
"""

import time
from datetime import datetime, tzinfo
from typing import Self

from apscheduler.schedulers import base
from apscheduler.triggers import interval

from daemon.__main__ import main
from daemon.ops import health, signs, standing

__all__ = ["STEPS", "install"]

STEPS = (12.0, 12.0)
"""Seconds until it is set forth, and from then until it is set back."""
_HOUR = 3600.0


class _Stepping(datetime):
    """Reads the wall clock by way of ``time.time``, as that stands in here."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Self:
        return cls.fromtimestamp(time.time(), tz)


def install() -> None:
    """Put the clock into this process."""
    wall, began = time.time, time.monotonic()

    def stepping() -> float:
        since = time.monotonic() - began
        return wall() + (0.0 if since < STEPS[0] else _HOUR if since < sum(STEPS) else -_HOUR)

    time.time = stepping
    for module in (base, interval, health, signs, standing):
        vars(module)["datetime"] = _Stepping


if __name__ == "__main__":
    install()
    main()
