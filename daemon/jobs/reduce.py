"""Reduce: close windows in order, update the detectors, and write what they found; all of it in one transaction.

Any process may reduce any cohort: the cohort's row is the lock, and there is no leader.
"""

from functools import partial

import structlog

from daemon.audiences import audience_of
from daemon.closing import LAYOUT_MARGIN, Closing
from daemon.settings import ModelSettings, Settings
from detectors.cohort import CohortState, Step
from detectors.layout import Layout
from detectors.reference import Reference
from detectors.summary import Summary
from sinks import alerts, metrics
from sinks.controls import ALWAYS, ControlRecord, Controls, lock_exclusive, next_free_window, publish
from sinks.database import Connection, transaction
from sinks.ledger import watermark
from sinks.statements import statement
from sinks.windows import (
    Layouts,
    PartAfterClosing,
    compress,
    history,
    merge_parts,
    reaches_back,
    stored_between,
    uncompress,
)

__all__ = ["ReduceJob"]

log = structlog.get_logger()

_WINDOWS_AT_ONCE = 50
_LONGEST_SECONDS = 1800.0
"""More than is computed between two statements: detectors of other libraries simulate their thresholds for minutes."""
_KINDS = ("layout", "reference")


class ReduceJob:
    """Closes what is due. ``publishing=False``: a replay, in which the control log is given."""

    def __init__(self, settings: Settings, *, publishing: bool = True) -> None:
        self._settings = settings
        self._publishing = publishing
        self._controls = Controls(_KINDS)
        for monitor in settings.monitor:
            # So that it is told before the first.
            metrics.MONITOR_FAULTS.labels(monitor.title)

    def run_once(self, connection: Connection) -> int:
        """Close all windows that are due now; return how many."""
        try:
            return self._run(connection)
        except BaseException:
            # It may have read records of its own that were rolled back.
            self._controls = Controls(_KINDS)
            raise

    def _run(self, connection: Connection) -> int:
        high = watermark(connection, self._settings.kafka.topics)
        if high is None:
            return 0
        # Watermarks first, parts after: nothing can arrive in a window that this watermark closes.
        cohorts = connection.execute(statement("windows", "cohorts_with_parts")).fetchall()
        layouts = Layouts(connection)
        closed = 0
        for cohort_id, model, version, oldest in cohorts:
            settings = self._settings.of(model)
            bound = (high - settings.lateness_us) // settings.window_us
            while oldest < bound:
                done = self._reduce(connection, layouts, cohort_id, model, version, bound)
                closed += done
                metrics.WINDOWS.inc(done)
                if done < _WINDOWS_AT_ONCE:
                    break
        return closed

    def _reduce(
        self, connection: Connection, layouts: Layouts, cohort_id: int, model: str, version: str, bound: int
    ) -> int:
        with transaction(connection, idle_seconds=_LONGEST_SECONDS):
            # The model's row before the control lock, as everywhere: alerts and publishing below need both.
            connection.execute(statement("alerts", "lock_model"), [model])
            row = connection.execute(statement("windows", "lock_cohort"), [cohort_id]).fetchone()
            if row is None:
                return 0
            reduced, stored = row
            self._controls.refresh(connection)
            due = connection.execute(
                statement("windows", "due_windows"), [cohort_id, bound, _WINDOWS_AT_ONCE]
            ).fetchall()
            cohort = _Cohort(connection, layouts, self._controls, self._settings, cohort_id, model, version)
            state = None if stored is None else CohortState.from_bytes(uncompress(stored))
            for (window,) in due:
                if reduced is not None and window <= reduced:
                    raise PartAfterClosing(f"{model} {version}: window {window}, closed up to {reduced}")
                state = cohort.close(window, state, publishing=self._publishing)
                reduced = window
            if state is not None:
                body = compress(state.to_bytes())
                connection.execute(statement("windows", "save_state"), [reduced, body, cohort_id])
            return len(due)


class _Cohort:
    """One cohort being reduced, in the transaction that holds its row."""

    def __init__(
        self,
        connection: Connection,
        layouts: Layouts,
        controls: Controls,
        settings: Settings,
        cohort_id: int,
        model: str,
        version: str,
    ) -> None:
        self._connection = connection
        self._layouts = layouts
        self._controls = controls
        self._all = settings
        self._settings: ModelSettings = settings.of(model)
        self._id = cohort_id
        self._model = model
        self._version = version
        self._references: dict[int, Reference] = {}
        self._closing = Closing(settings, model)

    def close(self, window: int, state: CohortState | None, *, publishing: bool) -> CohortState:
        layout_id, summary = merge_parts(self._connection, self._layouts, self._id, window)
        found = self._closing.step(
            summary, self._reference(window), state, window, lambda count: self._history(window, count)
        )
        self._store(window, layout_id, summary, found)
        for fault in found.faults:
            metrics.MONITOR_FAULTS.labels(fault.monitor).inc()
            log.error(
                "reduce.monitor_failed",
                model=self._model,
                version=self._version,
                window=window,
                monitor=fault.monitor,
                error=fault.reason,
            )
        for cap in self._closing.beyond(summary):
            metrics.BEYOND_CAP.labels(cap).inc()
        if found.transitions:
            alerts.record(
                self._connection,
                model=self._model,
                version=self._version,
                window_us=self._settings.window_us,
                transitions=found.transitions,
                audience=audience_of(self._all, self._model),
            )
        if publishing:
            if found.proposal is not None:
                self._publish("reference", window + 1, found.proposal.to_bytes())
                log.info("reduce.reference_learnt", model=self._model, version=self._version, window=window)
            self._relearn(window)
            self._grow(window, summary)
        return found.state

    def _history(self, window: int, count: int) -> list[tuple[int, Summary]]:
        return history(self._connection, self._layouts, self._id, window, count)

    def _reference(self, window: int) -> Reference | None:
        record = self._controls.in_force("reference", self._id, window)
        if record is None:
            return None
        return self._read(record)

    def _read(self, record: ControlRecord) -> Reference:
        reference = self._references.get(record.id)
        if reference is None:
            reference = self._references[record.id] = Reference.from_bytes(uncompress(record.body))
        return reference

    def _relearn(self, window: int) -> None:
        record = self._controls.latest("reference", self._id)
        known = None if record is None else self._read(record)
        learnt = self._closing.relearnt(
            known,
            ALWAYS if record is None else record.effective_from,
            self._controls.all("layout", self._id),
            self._latest_layout(),
            window,
            partial(reaches_back, self._connection, self._id),
            partial(stored_between, self._connection, self._layouts, self._id),
        )
        if learnt is not None:
            self._publish("reference", window + 1, learnt.to_bytes())
            log.info("reduce.reference_learnt", model=self._model, version=self._version, window=window)

    def _store(self, window: int, layout_id: int, summary: Summary, found: Step) -> None:
        self._connection.execute(
            statement("windows", "close_window"),
            [
                self._id,
                window,
                layout_id,
                int(summary.events[0]),
                compress(summary.closed().to_bytes()),
                compress(found.readings.to_bytes()),
            ],
        )

    def _grow(self, window: int, summary: Summary) -> None:
        """Publish a layout that knows what this window met and its own did not."""
        wanted = self._closing.grown(self._latest_layout(), summary, window, lambda count: self._history(window, count))
        if wanted is not None:
            self._publish("layout", None, wanted.to_json().encode())
            log.info("reduce.layout_grown", model=self._model, version=self._version, window=window)

    def _latest_layout(self) -> Layout:
        record = self._controls.latest("layout", self._id)
        if record is None:
            message = f"cohort {self._id} was registered without a layout"
            raise RuntimeError(message)
        return Layout.from_json(record.body.decode())

    def _publish(self, kind: str, effective_from: int | None, body: bytes) -> None:
        lock_exclusive(self._connection)
        if effective_from is None:
            effective_from = next_free_window(self._connection, self._model) + LAYOUT_MARGIN
        else:
            body = compress(body)
        publish(
            self._connection,
            kind=kind,
            model=self._model,
            cohort_id=self._id,
            effective_from=effective_from,
            body=body,
        )
        self._controls.refresh(self._connection)
