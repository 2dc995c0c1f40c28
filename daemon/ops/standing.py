"""How the processes stand, as the one that serves health sees them, and which checks fail."""

import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from daemon.ops.advice import advice
from daemon.ops.health import Report
from sinks.processes import Problem

__all__ = ["STALE_SECONDS", "Failing", "Standing", "failing"]

STALE_SECONDS = 30.0
"""A loop that has not turned for so long is told; its process is killed after twice that."""


@dataclass(frozen=True, slots=True)
class Standing:
    """One process. ``report``: what it said last, None before anything; ``down``: why it does not run."""

    name: str
    role: str
    report: Report | None = None
    down: Problem | None = None
    restarts: int = 0

    def silent_seconds(self) -> float:
        """Return for how long its loop has not turned."""
        return 0.0 if self.report is None else time.monotonic() - self.report.beat

    @property
    def up(self) -> bool:
        """Whether it runs and its loop turns."""
        return self.down is None and self.report is not None and self.silent_seconds() < STALE_SECONDS


@dataclass(frozen=True, slots=True)
class Failing:
    """A check that fails: where, what, since when; what to do follows from its kind."""

    kind: str
    process: str
    detail: str
    since: datetime

    def line(self) -> str:
        """Return it as one line of JSON."""
        told = {
            "check": self.kind,
            "process": self.process,
            "problem": self.detail,
            "since": self.since.isoformat(timespec="seconds"),
            "do": advice(self.kind),
        }
        return json.dumps(told, ensure_ascii=False)


def failing(standings: Iterable[Standing]) -> Iterator[Failing]:
    """Yield the checks of processes that fail."""
    for each in standings:
        report = each.report
        if each.down is not None:
            yield Failing(each.down.kind, each.name, each.down.detail, each.down.since)
            continue
        if report is None:
            yield Failing("starting", each.name, "has not said anything yet", datetime.now(UTC))
            continue
        if not each.up:
            silent = each.silent_seconds()
            since = datetime.fromtimestamp(time.time() - silent, UTC)
            yield Failing("hung", each.name, f"has a loop that has not turned for {silent:.0f} s", since)
        for problem in report.problems:
            yield Failing(problem.kind, each.name, problem.detail, problem.since)
        if report.state == "starting" and not report.problems:
            yield Failing("starting", each.name, "is starting", report.started_at)
