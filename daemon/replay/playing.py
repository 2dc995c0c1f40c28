"""Playing history: chunks taken in by event time, windows closed in order, as a service does that keeps up.

A chunk is folded under the layouts that are known by then, before what lies ahead of it is closed. Where closing
publishes a layout, or the stream turns out to be later than was thought, it is folded again: what comes of an event
depends on the event and on what is in force for its window, not on how the history was cut, or how many fold it.
"""

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict
from functools import lru_cache, partial
from pathlib import Path
from typing import Protocol

from daemon.buffer import NEVER
from daemon.closing import LAYOUT_MARGIN, Closing
from daemon.replay.chunks import Chunk
from daemon.replay.folding import Folded, layout_digest
from daemon.replay.store import ClosedWindow, Progress, Store
from daemon.settings import Settings
from detectors.cohort import CohortState, Step
from detectors.layout import Layout
from detectors.reference import Reference
from detectors.registry import unlearnt_layout
from detectors.summary import Summary
from detectors.traffic import TrafficBlock
from sinks.controls import ALWAYS, ControlRecord, Controls
from sinks.windows import compress, uncompress

__all__ = ["Between", "Folding", "Player", "Stream"]

_FOREVER = 2**62
_REFERENCES_KEPT = 64


class Stream(Protocol):
    """History in the order in which it was written, such as a file. ``size``: where it ends, if that is known."""

    number: int
    name: str
    size: int | None

    def first_us(self) -> int:
        """Return the event time of its first event; NEVER if that is not known before it is folded."""
        ...

    def chunks(self, at: int) -> Iterable[Chunk]:
        """Yield what lies from ``at`` on, in order."""
        ...


class Folding(Protocol):
    """Folds chunks, perhaps several at a time."""

    def next(self, stream: int, progress: Mapping[int, Progress]) -> tuple[Chunk, Folded] | None:
        """Return the next chunk of a stream, folded as if nothing was before it; None at its end."""
        ...

    def again(self, chunks: Sequence[tuple[Chunk, int]]) -> list[Folded]:
        """Fold chunks again, each behind the greatest event time of its stream that is given with it."""
        ...


Between = tuple[int, int]
"""Event times, in microseconds: windows that begin before the first or end after the second are left out."""


class Player:
    """Takes in streams and closes their windows. ``references``: those that models begin with."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        streams: Sequence[Stream],
        references: Mapping[str, Reference],
        between: Between = (-_FOREVER, _FOREVER),
    ) -> None:
        self._settings = settings
        self._store = store
        self._streams = streams
        self._references = references
        self._between = between
        self._controls = Controls(("layout", "reference"))
        for record in store.controls():
            self._controls.add(record)
        self._cohorts = {(model, version): number for number, model, version in store.cohorts()}
        self._closing: Callable[[str], Closing] = lru_cache(_REFERENCES_KEPT)(partial(Closing, settings))
        self._reference: Callable[[int], Reference] = lru_cache(_REFERENCES_KEPT)(
            lambda number: Reference.from_bytes(uncompress(self._controls.body(number)))
        )

    def play(self, folding: Folding, taken: Callable[[int], None], done: Callable[[Collection[Path]], None]) -> None:
        """Take in all that is left; ``taken`` is told how much each time, ``done`` which files are needed no more."""
        progress = self._begin()
        self._close(progress, folding)
        while going := [number for number, each in progress.items() if not each.ended]:
            # The one that is furthest behind, so that all come to a time together.
            number = min(going, key=lambda each: (progress[each].high_us, each))
            before = progress[number]
            progress[number] = self._take(number, before, folding.next(number, progress), folding)
            self._close(progress, folding)
            with self._store.transaction():
                files = self._store.drop_done_chunks()
            done(files)
            taken(progress[number].at - before.at)

    def _begin(self) -> dict[int, Progress]:
        progress = self._store.progress()
        with self._store.transaction():
            for each in self._streams:
                if each.number not in progress:
                    progress[each.number] = Progress(0, each.first_us())
                    self._store.set_progress(each.number, progress[each.number])
        return progress

    def _take(self, number: int, before: Progress, found: tuple[Chunk, Folded] | None, folding: Folding) -> Progress:
        """Take in a stream's next chunk; return how far the stream has come with it."""
        if found is None:
            after = Progress(before.at, before.high_us, ended=True)
            with self._store.transaction():
                self._store.set_progress(number, after)
            return after
        chunk, folded = found
        # What is known of a stream before its first chunk is the time of an event in it.
        high = before.high_us if before.at else NEVER
        if folded.late_from_us <= high:
            folded.parts = folding.again([(chunk, high)])[0].parts
        folded.parts = [each for each in folded.parts if self._within(each.model, each.window)]
        after = Progress(chunk.next, max(before.high_us, folded.high_us))
        with self._store.transaction():
            self._store.add_chunk(chunk, high, folded)
            self._store.set_progress(number, after)
        return after

    def _within(self, model: str, window: int) -> bool:
        length = self._settings.of(model).window_us
        return self._between[0] <= window * length and (window + 1) * length <= self._between[1]

    def _close(self, progress: Mapping[int, Progress], folding: Folding) -> None:
        """Close what all streams have passed."""
        high = min((each.high_us for each in progress.values() if not each.ended), default=_FOREVER)
        while True:
            with self._store.transaction():
                stale = self._close_until(high)
            if not stale:
                return
            # Only now, when all who fold see what was published.
            chunks = sorted(stale)
            folded = folding.again([self._store.chunk(each) for each in chunks])
            with self._store.transaction():
                for each, new in zip(chunks, folded, strict=True):
                    parts = [part for part in new.parts if self._within(part.model, part.window)]
                    self._store.replace_parts(each, parts)

    def _close_until(self, high: int) -> set[int]:
        """Close windows in the order in which they end; return the chunks to be folded again before it can go on."""
        due = sorted(
            (ends, model, version, window)
            for model, version, window in self._store.open_windows()
            if (ends := self._ends(model, window)) <= high
        )
        states: dict[int, tuple[int, CohortState]] = {}
        stale: set[int] = set()
        for _, model, version, window in due:
            cohort_id = self._cohorts.get((model, version)) or self._register(model, version)
            record = self._in_force("layout", cohort_id, window)
            parts = self._store.parts(model, version, window)
            digest = layout_digest(record.body)
            stale = {chunk for chunk, layout, _ in parts if layout != digest}
            if stale:
                break
            before = states[cohort_id][1] if cohort_id in states else self._state(cohort_id)
            summary = Summary.empty(self._store.layout(record.id))
            for _, _, body in parts:
                summary.add(Summary.from_bytes(summary.layout, uncompress(body)))
            self._store.drop_parts(model, version, window)
            states[cohort_id] = window, self._close_one(model, cohort_id, record.id, window, summary, before)
        for cohort_id, (window, state) in states.items():
            self._store.set_state(cohort_id, window, compress(state.to_bytes()))
        return stale

    def _ends(self, model: str, window: int) -> int:
        settings = self._settings.of(model)
        return (window + 1) * settings.window_us + settings.lateness_us

    def _in_force(self, kind: str, cohort_id: int, window: int) -> ControlRecord:
        record = self._controls.in_force(kind, cohort_id, window)
        if record is None:
            message = f"cohort {cohort_id} was registered without a {kind}"
            raise RuntimeError(message)
        return record

    def _state(self, cohort_id: int) -> CohortState | None:
        stored = self._store.state(cohort_id)
        return None if stored is None else CohortState.from_bytes(uncompress(stored))

    def _close_one(
        self, model: str, cohort_id: int, layout_id: int, window: int, summary: Summary, state: CohortState | None
    ) -> CohortState:
        closing = self._closing(model)
        history = partial(self._store.history, cohort_id, window)
        in_force = self._controls.in_force("reference", cohort_id, window)
        reference = None if in_force is None else self._reference(in_force.id)
        found = closing.step(summary, reference, state, window, history)
        self._store.add_closed(
            ClosedWindow(
                cohort_id,
                window,
                layout_id,
                int(summary.events[0]),
                int(summary.total(TrafficBlock.kind, "late")[0]),
                compress(summary.closed().to_bytes()),
                compress(found.readings.to_bytes()),
            ),
            [json.dumps(asdict(each)) for each in found.transitions],
        )
        self._publish(closing, model, cohort_id, window, summary, found)
        return found.state

    def _publish(
        self, closing: Closing, model: str, cohort_id: int, window: int, summary: Summary, found: Step
    ) -> None:
        """Put what was learnt in force where a service that keeps up would."""
        if found.proposal is not None:
            body = compress(found.proposal.to_bytes())
            self._controls.add(self._store.publish("reference", cohort_id, model, window + 1, body))
        latest = self._controls.latest("layout", cohort_id) or self._in_force("layout", cohort_id, window)
        history = partial(self._store.history, cohort_id, window)
        layout = Layout.from_json(latest.body.decode())
        self._relearn(closing, model, cohort_id, window, layout)
        wanted = closing.grown(layout, summary, window, history)
        if wanted is not None:
            # When a window closes, events of the one in which its lateness ends have come.
            newest = self._ends(model, window) // self._settings.of(model).window_us
            record = self._store.publish(
                "layout", cohort_id, model, newest + 1 + LAYOUT_MARGIN, wanted.to_json().encode()
            )
            self._controls.add(record)

    def _relearn(self, closing: Closing, model: str, cohort_id: int, window: int, layout: Layout) -> None:
        record = self._controls.latest("reference", cohort_id)
        known = None if record is None else self._reference(record.id)
        learnt = closing.relearnt(
            known,
            ALWAYS if record is None else record.effective_from,
            self._controls.all("layout", cohort_id),
            layout,
            window,
            partial(self._store.reaches_back, cohort_id),
            partial(self._store.between, cohort_id),
        )
        if learnt is not None:
            body = compress(learnt.to_bytes())
            self._controls.add(self._store.publish("reference", cohort_id, model, window + 1, body))

    def _register(self, model: str, version: str) -> int:
        """Register a version as its first window closes: on what its predecessor has, or on what was given."""
        cohort_id = self._store.add_cohort(model, version)
        older = max((number for (name, _), number in self._cohorts.items() if name == model), default=None)
        bodies = {"layout": unlearnt_layout().to_json().encode()}
        if older is not None:
            for kind in ("layout", "reference"):
                record = self._controls.latest(kind, older)
                if record is not None:
                    bodies[kind] = record.body
        elif (given := self._references.get(model)) is not None:
            bodies = {"layout": given.layout.to_json().encode(), "reference": compress(given.to_bytes())}
        for kind, body in bodies.items():
            self._controls.add(self._store.publish(kind, cohort_id, model, ALWAYS, body))
        self._cohorts[model, version] = cohort_id
        return cohort_id
