"""The directory of cohorts: which id a (model, version) has; registers those that are new."""

from collections.abc import Callable
from dataclasses import replace

from daemon.buffer import Cohort
from daemon.monitors import raw_spec
from daemon.settings import Settings
from detectors.registry import unlearnt_layout
from sinks import cohorts
from sinks.controls import Controls
from sinks.database import Connection

__all__ = ["CohortDirectory"]


class CohortDirectory:
    """Cohorts as known to this process. ``connection`` gives the connection in use at that moment."""

    def __init__(self, settings: Settings, controls: Controls, connection: Callable[[], Connection]) -> None:
        self._settings = settings
        self._controls = controls
        self._connection = connection
        self._by_name: dict[tuple[str, str], Cohort] = {}
        self._by_id: dict[int, Cohort] = {}
        self._full = False

    def of(self, model: str, version: str) -> Cohort | None:
        """Return the cohort of a model's version, registering it if it is new; None if there are too many."""
        cohort = self._by_name.get((model, version))
        if cohort is not None or self._full:
            return cohort
        settings = self._settings.of(model)
        cohort_id = cohorts.register(
            self._connection(),
            model,
            version,
            window_seconds=settings.window_seconds,
            layout=replace(unlearnt_layout(), raw=raw_spec(self._settings, model)),
            cap=self._settings.detection.models_cap,
        )
        if cohort_id is None:
            # Never asked again in this process: a flood of names must not become a flood of queries.
            self._full = True
            return None
        self._controls.refresh(self._connection())
        return self._remember(cohort_id, model, version)

    def by_id(self, cohort_id: int) -> Cohort:
        """Return a cohort by its id."""
        return self._by_id[cohort_id]

    def refresh(self) -> None:
        """Learn of all that are registered and of their control records, and forget those that are not any more."""
        registered = cohorts.list_all(self._connection())
        # In this order: what was registered in between has its records, and is met by name later.
        self._controls.refresh(self._connection())
        self._by_name.clear()
        self._by_id.clear()
        for cohort_id, model, version in registered:
            self._remember(cohort_id, model, version)
        self._full = False

    def _remember(self, cohort_id: int, model: str, version: str) -> Cohort:
        cohort = Cohort(cohort_id, model, version, self._settings.of(model))
        self._by_name[model, version] = self._by_id[cohort_id] = cohort
        return cohort
