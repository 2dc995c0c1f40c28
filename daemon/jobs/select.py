"""Select: takes undecided candidates into the labelling queue, and sets the rates of the windows to come."""

from collections import Counter
from datetime import date

from daemon.jobs.pacing import SELECTION, Pacer
from daemon.settings import Settings
from detectors.selection import Pace, initial_pace, second_phase
from sinks.candidates import NEVER_SEEN, Candidate, Decision, decide, lock_model, models, queued, undecided
from sinks.controls import Controls
from sinks.database import Connection, transaction

__all__ = ["SelectJob"]

_BATCH = 2000


class SelectJob:
    """Decides every candidate exactly once, one model at a time under its lock; any number may run.

    Parameters
    ----------
    settings
        Budgets and expected traffic of the models.
    publish
        Whether to publish new rates; a replay takes those of its control log.
    """

    def __init__(self, settings: Settings, *, publish: bool = True) -> None:
        self._settings = settings
        self._controls = Controls(("selection",))
        self._pacer = Pacer(settings, self._controls) if publish else None

    def run_once(self, connection: Connection) -> int:
        """Decide what waits, publish the rates that are due; return how many items were queued."""
        count = 0
        for model in models(connection):
            if model.waiting:
                count += self._select(connection, model.name)
            if self._pacer is not None:
                self._pacer.pace(connection, model)
        return count

    def _select(self, connection: Connection, model: str) -> int:
        count = 0
        while True:
            with transaction(connection):
                if not lock_model(connection, model):
                    return count
                candidates = undecided(connection, model, _BATCH)
                if not candidates:
                    return count
                # Whatever was in force when ingest scored these is visible by now.
                self._controls.refresh(connection)
                used = Counter(queued(connection, model, (each.day for each in candidates)))
                count += decide(connection, [self._decision(model, each, used) for each in candidates])
            if len(candidates) < _BATCH:
                return count

    def _decision(self, model: str, candidate: Candidate, used: Counter[date]) -> Decision:
        """Decide one candidate from what was decided before it; ``used`` of the budgets is brought up to date."""
        certain = candidate.reason == NEVER_SEEN
        selected, propensity = 1.0, None
        drawn = False
        if candidate.nominated is not None and candidate.wanted is not None:
            exhausted = used[candidate.day] >= self._settings.of(model).labels_per_day
            pace = self._pace(model, candidate.window)
            selected = second_phase(pace, candidate.wanted, candidate.nominated, exhausted=exhausted)
            drawn = candidate.draw < selected
            # What is queued in any case says nothing about the others, unless the draw took it too.
            propensity = candidate.nominated * selected if drawn else None
        else:
            certain = True
        if drawn or certain:
            used[candidate.day] += 1
        return Decision(candidate, drawn or certain, selected, propensity, urgent=certain)

    def _pace(self, model: str, window: int) -> Pace:
        record = self._controls.in_force(SELECTION, model, window)
        if record is not None:
            return Pace.from_json(record.body.decode())
        of = self._settings.of(model)
        return initial_pace(of.labels_per_day, of.expected_events_per_day)
