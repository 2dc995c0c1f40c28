"""Registering models and versions: each (model, version) is a cohort with a layout from its first event on."""

from collections.abc import Callable

from detectors.layout import Layout
from detectors.state import CohortState
from sinks.controls import ALWAYS, lock_exclusive, publish
from sinks.database import Connection, transaction
from sinks.errors import BadSettings
from sinks.statements import statement
from sinks.windows import uncompress

__all__ = ["check_windows", "find", "latest_layout", "list_all", "models", "newest_version", "register", "state"]


def list_all(connection: Connection) -> list[tuple[int, str, str]]:
    """Return (id, model, version) of every cohort."""
    return [(row[0], row[1], row[2]) for row in connection.execute(statement("cohorts", "all"))]


def models(connection: Connection) -> list[str]:
    """Return the name of every model."""
    return [row[0] for row in connection.execute(statement("cohorts", "windows_of_models"))]


def find(connection: Connection, model: str, version: str) -> int | None:
    """Return the id of a version of a model; None if there is no such version."""
    row = connection.execute(statement("cohorts", "find"), [model, version]).fetchone()
    return None if row is None else int(row[0])


def latest_layout(connection: Connection, model: str, version: str) -> Layout | None:
    """Return the layout that was published last for a version of a model; None if there is no such version."""
    cohort_id = find(connection, model, version)
    found = (
        None if cohort_id is None else connection.execute(statement("cohorts", "latest_control"), ["layout", cohort_id])
    )
    body = None if found is None else found.fetchone()
    return None if body is None else Layout.from_json(body[0].decode())


def state(connection: Connection, cohort_id: int) -> CohortState | None:
    """Return the state of a cohort's detectors; None before the first window is closed."""
    row = connection.execute(statement("cohorts", "state"), [cohort_id]).fetchone()
    return None if row is None or row[0] is None else CohortState.from_bytes(uncompress(row[0]))


def newest_version(connection: Connection, model: str) -> str | None:
    """Return the version of ``model`` that was registered last; None if there is none."""
    row = connection.execute(statement("cohorts", "newest_version"), [model]).fetchone()
    return None if row is None else str(row[0])


def register(
    connection: Connection, model: str, version: str, *, window_seconds: int, layout: Layout, cap: int
) -> int | None:
    """Return the cohort's id, making it if need be; None if there are ``cap`` cohorts already.

    A new version starts on the layout and the reference of the version before it, the model's first on
    ``layout``.

    Raises
    ------
    BadSettings
        The model is registered with windows of another length.
    """
    with transaction(connection):
        # The lock is also what makes ids of control records visible in order.
        lock_exclusive(connection)
        known = find(connection, model, version)
        if known is not None:
            return known
        counted = connection.execute(statement("cohorts", "count")).fetchone()
        if counted is not None and counted[0] >= cap:
            return None
        connection.execute(statement("cohorts", "add_model"), [model, window_seconds])
        _check_window(connection, model, window_seconds)
        row = connection.execute(statement("cohorts", "add"), [model, version]).fetchone()
        if row is None:
            message = "INSERT … RETURNING gave no row"
            raise RuntimeError(message)
        cohort_id = int(row[0])
        bodies = {"layout": layout.to_json().encode()}
        predecessor = connection.execute(statement("cohorts", "predecessor"), [model, cohort_id]).fetchone()
        if predecessor is not None:
            for kind in ("layout", "reference"):
                found = connection.execute(statement("cohorts", "latest_control"), [kind, predecessor[0]]).fetchone()
                if found is not None:
                    bodies[kind] = found[0]
        for kind, body in bodies.items():
            publish(connection, kind=kind, model=model, cohort_id=cohort_id, effective_from=ALWAYS, body=body)
        return cohort_id


def check_windows(connection: Connection, wanted: Callable[[str], int]) -> None:
    """Raise BadSettings if a registered model's windows have another length (seconds) than is ``wanted`` of it."""
    for model, seconds in connection.execute(statement("cohorts", "windows_of_models")):
        if wanted(model) != seconds:
            raise BadSettings(_window_message(model, wanted(model), seconds))


def _check_window(connection: Connection, model: str, wanted: int) -> None:
    row = connection.execute(statement("cohorts", "window_seconds"), [model]).fetchone()
    if row is not None and row[0] != wanted:
        raise BadSettings(_window_message(model, wanted, row[0]))


def _window_message(model: str, wanted: int, found: int) -> str:
    return (
        f'model."{model}".window_seconds = {wanted}: this model is registered with windows of {found} s, and all '
        f"that is stored of it counts in them. Set it back to {found}, or give the model another name."
    )
