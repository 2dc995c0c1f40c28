"""The register of scenarios, and how one is played: its fault, then what must hold after it."""

import importlib
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from tests.fault import invariants
from tests.fault.oracle import Oracle
from tests.fault.services import Services
from tests.fault.trial import NotHeld, Trial

__all__ = ["ALL", "MINUTES", "SEED", "Scenario", "play", "scenario", "scenarios"]

ALL = invariants.ALL
SEED = 20_251_009
MINUTES = 15.0
_FULL = (300_000, 120)
_SHORT = (60_000, 48)


@dataclass(frozen=True)
class Scenario:
    """A fault, as a function on a trial.

    ``name`` is its number in the table, with a letter where that has several. ``must``: the invariants that are to
    hold afterwards; without any, the function itself sees to what must hold. ``quick``: it is among the tests, too.
    """

    name: str
    title: str
    fault: Callable[[Trial], None]
    must: Collection[str]
    quick: bool

    def answers_to(self, name: str) -> bool:
        """Tell whether this is what was asked for: "3" is all of 3a, 3b and so on."""
        return name in {self.name, self.name.rstrip("abcdefgh")}


_SCENARIOS: list[Scenario] = []


def scenario(
    name: str, title: str, *, must: Collection[str] = ALL, quick: bool = False
) -> Callable[[Callable[[Trial], None]], Callable[[Trial], None]]:
    """Register a function as a scenario."""

    def register(fault: Callable[[Trial], None]) -> Callable[[Trial], None]:
        _SCENARIOS.append(Scenario(name, title, fault, must, quick))
        return fault

    return register


def scenarios() -> list[Scenario]:
    """Return all there are, in the order of their numbers."""
    for path in sorted((Path(__file__).parent / "scenarios").glob("*.py")):
        importlib.import_module(f"tests.fault.scenarios.{path.stem}")
    return sorted(_SCENARIOS, key=lambda each: (int(each.name.rstrip("abcdefgh")), each.name))


def play(
    which: Scenario,
    services: Services,
    directory: Path,
    *,
    seed: int = SEED,
    client: str = "",
    full: bool,
    minutes: float = MINUTES,
) -> str:
    """Play a scenario, with its logs in ``directory``; return what it has to tell. ``minutes``: of a soak.

    Raises
    ------
    NotHeld
        Something that must hold does not.
    """
    oracle = Oracle(*(_FULL if full else _SHORT), seed)
    with Trial(services, directory, oracle, client=client, full=full) as trial:
        trial.minutes = minutes
        which.fault(trial)
        if which.must:
            trial.settle()
            if found := invariants.faults(trial, which.must):
                raise NotHeld("\n".join(found))
        else:
            trial.stop()
        return ", ".join(f"{name} {figure}" for name, figure in trial.told.items())
