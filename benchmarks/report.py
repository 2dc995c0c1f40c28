"""How every benchmark reports: a table for people, and with --json one object as the last line."""

import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

__all__ = ["Goal", "print_json", "print_table"]


@dataclass(frozen=True, slots=True)
class Goal:
    """A figure that should be at least (or, with ``at_most``, at most) ``goal``."""

    figure: str
    goal: float
    at_most: bool = False

    def held(self, reached: float) -> bool:
        """Say whether ``reached`` is good enough."""
        return reached <= self.goal if self.at_most else reached >= self.goal


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table for people."""
    table = Table(*columns, title=title)
    for row in rows:
        table.add_row(*row)
    Console().print(table)


def print_json(benchmark: str, figures: Mapping[str, float], goals: Sequence[Goal]) -> None:
    """Print everything as one line of JSON. A goal that was not held is told, and is no failure of the run.

    Goals of figures that were not measured are left out.
    """
    outcomes = []
    for each in goals:
        if each.figure not in figures:
            continue
        reached = figures[each.figure]
        outcomes.append({"figure": each.figure, "goal": each.goal, "reached": reached, "held": each.held(reached)})
    machine = {"python": platform.python_version(), "machine": platform.machine(), "system": platform.system()}
    print(json.dumps({"benchmark": benchmark, "machine": machine, "figures": figures, "goals": outcomes}))
