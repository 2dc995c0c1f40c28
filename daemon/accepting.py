"""Accepting what a model does now as its new normal: a reference made of its recent windows."""

from dataclasses import dataclass
from functools import partial

from detectors.learning import LEAST_CYCLES, made
from detectors.readings import FIRING
from detectors.reference import Reference
from detectors.season import Season
from detectors.state import CohortState
from sinks import cohorts
from sinks.controls import lock_exclusive, publish
from sinks.database import Connection, transaction
from sinks.errors import BadData, NotFound
from sinks.statements import statement
from sinks.windows import Layouts, compress, stored_between, uncompress, window_back

__all__ = ["LEAST_EVENTS", "Accepted", "accept"]

LEAST_EVENTS = 1000
"""A reference of fewer events tells nothing."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """What was accepted: the reference and its number, of which version, and its ``first`` and ``last`` window."""

    reference: Reference
    number: int
    version: str
    first: int
    last: int


def accept(
    connection: Connection,
    model: str,
    version: str | None = None,
    *,
    windows: int | None = None,
    season: Season | None = None,
) -> Accepted:
    """Make a reference of the closed windows since the change that fires now, or of the last ``windows``.

    Without a ``version`` it is the newest one's. The reference is in force from the next window that is closed; it
    ends the alarms that fire until then. With a ``season`` it is one by hour.

    Raises
    ------
    NotFound
        There is no such model or version.
    BadData
        Nothing fires and no number of windows is given, or they, or the events in them, are too few.
    """
    if version is None:
        version = cohorts.newest_version(connection, model)
    found = None if version is None else cohorts.find(connection, model, version)
    if found is None or version is None:
        raise NotFound(f"model {model!r}" + (f" with a version {version!r}" if version else ""))
    with transaction(connection):
        # In the order in which reduce takes them: who closes a window waits, and goes on with what is accepted here.
        connection.execute(statement("alerts", "lock_model"), [model])
        row = connection.execute(statement("windows", "hold_cohort"), [found]).fetchone()
        if row is None or row[0] is None:
            raise BadData(f"{model}: no window of this version has been closed yet")
        last = int(row[0])
        state = None if row[1] is None else CohortState.from_bytes(uncompress(row[1]))
        first = _change(state) if windows is None else window_back(connection, found, windows)
        if first is None:
            raise BadData(f"{model}: nothing fires; say how many of the last windows are normal: --windows N")
        if season is not None and season.cycles(last + 1 - first) < LEAST_CYCLES:
            raise BadData(
                f"{model}: it is compared with the same hour, and {last + 1 - first} windows do not hold all hours "
                f"{LEAST_CYCLES} times: wait, or take more of them: --windows N"
            )
        layout = cohorts.latest_layout(connection, model, version)
        if layout is None or layout.sample_size:
            raise BadData(f"{model}: its fields and edges are still being learnt")
        read = partial(stored_between, connection, Layouts(connection), found, first, last)
        reference = made(layout, read, "accepted", season)
        events = int(reference.summary.events[0])
        if events < LEAST_EVENTS:
            raise BadData(
                f"{model}: {events} events in {reference.windows} windows; a reference needs at least {LEAST_EVENTS}"
            )
        lock_exclusive(connection)
        body = compress(reference.to_bytes())
        number = publish(connection, kind="reference", model=model, cohort_id=found, effective_from=last + 1, body=body)
    return Accepted(reference, number, version, first, last)


def _change(state: CohortState | None) -> int | None:
    """Return where the latest of the changes that fire began; None if nothing fires."""
    monitors = () if state is None else state.monitors.values()
    begun = [int(mine.since[mine.status == FIRING].max()) for mine in monitors if (mine.status == FIRING).any()]
    return max(begun, default=None)
