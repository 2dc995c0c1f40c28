"""The accumulation: what the events since the last commit add up to.

Decoded events are counted per (cohort, window) under the layout in force for that window, and drawn for
labelling at the rates in force for that window. Nothing here depends on how the events were batched.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from daemon.buffer import Batch, Buffer, Cohort
from daemon.fields import FieldReader
from daemon.keeping import Keeping
from daemon.records import Records
from daemon.settings import Settings
from detectors import selection
from detectors.classes import ClassesBlock
from detectors.columns import DRAWS, Columns, uniform
from detectors.folding import fold_into
from detectors.layout import Layout
from detectors.selection import Pace, SelectionBlock
from detectors.summary import Summary
from detectors.traffic import TrafficBlock
from sinks.controls import Controls
from sinks.effects import NEVER_SEEN, NOVEL_EVENTS, Candidate, DeadLetter, Effects, PartRow
from sinks.errors import Fenced, Outdated
from sinks.windows import compress

__all__ = ["Accumulation"]

NOVEL_VALUES = 64
"""Never-seen values of one model that one commit may nominate events for."""
_GROUP_EVENTS, _MOST_BUFFERS = 400, 8
"""Counting a group (a cohort's window) costs as much as reading a hundred events: where there are many groups, events
wait until each has several times as many, up to so many times what is buffered otherwise."""
_NOMINATE, _SELECT, _ORDER = (DRAWS.index(name) for name in ("nominate", "select", "order"))


@dataclass(slots=True)
class Accumulation:
    """Events in, effects out. ``cohort_of`` registers what is new; ``controls`` is the log as known.

    ``nominating=False``: events are only counted, none is drawn for labelling.
    """

    settings: Settings
    controls: Controls
    cohort_of: Callable[[str, str], Cohort | None]
    cohort_by_id: Callable[[int], Cohort]
    nominating: bool = True
    events: int = 0
    _buffer: Buffer = field(init=False)
    _room: int = field(init=False)
    _keeping: Keeping = field(init=False)
    _parts: dict[tuple[int, int], tuple[int, Summary]] = field(default_factory=dict)
    _candidates: list[Candidate] = field(default_factory=list)
    _novel: Counter[tuple[str, str]] = field(default_factory=Counter)
    _layouts: dict[int, Layout] = field(default_factory=dict)
    _readers: dict[int, FieldReader] = field(default_factory=dict)
    _paces: dict[tuple[str, int], int | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._keeping = Keeping(self.settings)
        self._buffer = Buffer(self.settings, self.cohort_of)
        self._room = self.settings.ingest.buffer_events

    def add(self, topic: str, partition: int, records: Records, high_us: int) -> int:
        """Take in one partition's records, in offset order; return its greatest event time after them."""
        before = len(self._buffer)
        high_us = self._buffer.add(topic, partition, records, high_us)
        self.events += len(self._buffer) - before
        if len(self._buffer) >= self._room:
            self._count()
        return high_us

    @property
    def windows(self) -> int:
        """How many windows, of all cohorts, hold what was counted so far."""
        return len(self._parts)

    def set_aside(self, letter: DeadLetter) -> None:
        """Take in an event that is not to be processed."""
        self._buffer.dead_letters.append(letter)

    def effects(self) -> Effects:
        """Return everything the events caused so far."""
        self._count()
        parts = [
            PartRow(cohort_id, window, layout_id, int(summary.events[0]), compress(summary.to_bytes()))
            for (cohort_id, window), (layout_id, summary) in sorted(self._parts.items(), key=lambda item: item[0])
        ]
        return Effects(parts, self._candidates, self._buffer.dead_letters, self._buffer.tombstones)

    def traffic(self) -> dict[str, int]:
        """Return how many events the effects hold, by the names of TrafficBlock.sums."""
        summaries = [summary for _, summary in self._parts.values()]
        return {
            name: sum(int(each.total(TrafficBlock.kind, name)[0]) for each in summaries) for name in TrafficBlock.sums
        }

    def clear(self) -> None:
        """Forget everything: it was committed, or will be read again."""
        self._buffer.clear()
        self._buffer.dead_letters, self._buffer.tombstones = [], {}
        self._parts, self._candidates = {}, []
        self._novel.clear()
        self._paces.clear()
        if len(self._layouts) > 2 * self.settings.detection.models_cap:
            # Most of them are not in force any more; those that are will be read again.
            self._layouts.clear()
            self._readers.clear()
        self.events = 0

    def still_in_force(self) -> bool:
        """Say whether every window in hand was counted under the records that are in force for it."""
        return all(
            self._layout_id(cohort_id, window) == layout_id
            for (cohort_id, window), (layout_id, _) in self._parts.items()
        ) and all(self._pace_id(model, window) == pace_id for (model, window), pace_id in self._paces.items())

    def _count(self) -> None:
        if not len(self._buffer):
            return
        batch = self._buffer.batch()
        self._buffer.clear()
        length, lateness = self._lengths(batch)
        windows = batch.time_us // length
        # Late: the watermark of the event's own partition had passed its window.
        late = batch.behind | ((windows + 1) * length + lateness <= batch.high_us)
        # Late events are counted in the window that was open when they came, under that window's layout.
        counted_in = np.where(late, np.where(batch.high_us > 0, batch.high_us, batch.time_us), batch.time_us)
        keys = np.stack([batch.cohorts, windows, counted_in // length, late.astype(np.int64)])
        order = np.arange(keys.shape[1])
        if (keys != keys[:, :1]).any():
            # The first key is the last that lexsort is given.
            order = np.lexsort(keys[::-1])
        ordered = keys[:, order]
        starts = np.flatnonzero((ordered[:, 1:] != ordered[:, :-1]).any(axis=0)) + 1
        usual = self.settings.ingest.buffer_events
        self._room = min(max(usual, _GROUP_EVENTS * (len(starts) + 1)), _MOST_BUFFERS * usual)
        readers: list[FieldReader] = []
        for rows in np.split(order, starts):
            cohort_id, window, open_window, is_late = keys[:, rows[0]].tolist()
            cohort = self.cohort_by_id(cohort_id)
            readers.append(self._count_group(batch, rows, cohort, window, open_window, late=bool(is_late)))
        self._buffer.expect(list(dict.fromkeys(readers)))

    def _lengths(self, batch: Batch) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the length of each event's windows, and how long they wait for late events; microseconds."""
        # Sorting is slow, and nearly all batches have one cohort.
        if (batch.cohorts == batch.cohorts[0]).all():
            present, inverse = batch.cohorts[:1], np.zeros(len(batch.cohorts), dtype=np.intp)
        else:
            present, inverse = np.unique(batch.cohorts, return_inverse=True)
        models = [self.cohort_by_id(int(cohort)).settings for cohort in present]
        lengths = np.array([model.window_us for model in models], dtype=np.int64)
        lateness = np.array([model.lateness_us for model in models], dtype=np.int64)
        return lengths[inverse], lateness[inverse]

    def _count_group(
        self, batch: Batch, rows: NDArray[np.intp], cohort: Cohort, window: int, open_window: int, *, late: bool
    ) -> FieldReader:
        """Count events of one group; return what read their fields."""
        layout_id, layout = self._layout(cohort, open_window)
        reader = self._readers.get(layout_id)
        if reader is None:
            reader = self._readers[layout_id] = FieldReader(layout, ignored=self._keeping.hidden(cohort.model))
        columns = reader.columns(batch, rows)
        part = self._parts.get((cohort.id, open_window))
        if part is None:
            part = self._parts[cohort.id, open_window] = (layout_id, Summary.empty(layout))
        elif part[0] != layout_id:
            raise Outdated("a layout for a window in hand was published")
        fold_into(part[1], columns, late=late)
        if self.nominating:
            self._nominate(batch, rows, columns, cohort, window, layout)
        return reader

    def _layout(self, cohort: Cohort, window: int) -> tuple[int, Layout]:
        layout_id = self._layout_id(cohort.id, window)
        layout = self._layouts.get(layout_id)
        if layout is None:
            layout = self._layouts[layout_id] = Layout.from_json(self.controls.body(layout_id).decode())
        return layout_id, layout

    def _layout_id(self, cohort_id: int, window: int) -> int:
        record = self.controls.in_force("layout", cohort_id, window)
        if record is None:
            raise Fenced(f"the version with the number {cohort_id} was deleted: nothing was heard of it for so long")
        return record.id

    def _pace(self, cohort: Cohort, window: int) -> Pace:
        pace_id = self._pace_id(cohort.model, window)
        if self._paces.setdefault((cohort.model, window), pace_id) != pace_id:
            raise Outdated("selection rates for a window in hand were published")
        if pace_id is not None:
            return Pace.from_json(self.controls.body(pace_id).decode())
        return selection.initial_pace(cohort.settings.labels_per_day, cohort.settings.expected_events_per_day)

    def _pace_id(self, model: str, window: int) -> int | None:
        record = self.controls.in_force("selection", model, window)
        return None if record is None else record.id

    def _nominate(
        self,
        batch: Batch,
        rows: NDArray[np.intp],
        columns: Columns,
        cohort: Cohort,
        window: int,
        layout: Layout,
    ) -> None:
        """Draw events for labelling, and take the first of each class that was never seen."""
        pace = self._pace(cohort, window)
        scored = SelectionBlock(layout.block(SelectionBlock.kind))
        nominated, wanted = selection.first_phase(pace, scored.weight(columns))
        errors = scored.expected_error(columns)
        draws = uniform(columns.hashes[:, _NOMINATE])
        drawn = draws < nominated
        uniform_part = draws < min(1.0, selection.OVERSAMPLING * pace.uniform)
        novel = self._novel_rows(columns, cohort, layout)
        for position in sorted({*np.flatnonzero(drawn).tolist(), *novel}):
            reason = "uniform" if uniform_part[position] else "uncertainty"
            self._candidates.append(
                self._candidate(
                    batch,
                    int(rows[position]),
                    cohort,
                    window,
                    reason=reason if drawn[position] else NEVER_SEEN,
                    draw=(float(nominated[position]), float(wanted[position])) if drawn[position] else None,
                    expected_error=float(errors[position]),
                    novel=novel.get(position),
                )
            )

    def _novel_rows(self, columns: Columns, cohort: Cohort, layout: Layout) -> dict[int, str]:
        """Return the events, by position, that are among the first of a class the layout does not know.

        A layout that still learns knows nothing yet, so nothing is new to it.
        """
        if layout.sample_size:
            return {}
        unseen = ClassesBlock(layout.block(ClassesBlock.kind)).unseen(columns)
        if unseen is None or not len(unseen[0]):
            return {}
        found: dict[int, str] = {}
        rows, values = unseen
        for row, code in zip(rows.tolist(), values.codes.tolist(), strict=True):
            value = values.names[code]
            key = (cohort.model, value)
            if self._novel[key] < NOVEL_EVENTS and (self._novel[key] or len(self._novel) < NOVEL_VALUES):
                self._novel[key] += 1
                found[row] = value
        return found

    def _candidate(
        self,
        batch: Batch,
        row: int,
        cohort: Cohort,
        window: int,
        *,
        reason: str,
        draw: tuple[float, float] | None,
        expected_error: float,
        novel: str | None,
    ) -> Candidate:
        columns = batch.columns
        topic, partition = batch.sources[batch.source_of[row]]
        code = int(columns.predicted.codes[row])
        confidence = float(columns.confidence[row])
        event_id = batch.event(row).id
        normal = self._buffer.normal(topic, batch.values[row])
        event, truncated = self._keeping.with_candidate(cohort.model, normal)
        return Candidate(
            model=cohort.model,
            version=cohort.version,
            event_id=event_id,
            topic=topic,
            partition=partition,
            offset=batch.offsets[row],
            event_time_us=int(batch.time_us[row]),
            window=window,
            prediction=None if code < 0 else columns.predicted.names[code],
            confidence=None if np.isnan(confidence) else confidence,
            expected_error=expected_error,
            reason=reason,
            nominated=None if draw is None else draw[0],
            wanted=None if draw is None else draw[1],
            select_draw=float(uniform(columns.hashes[row : row + 1, _SELECT])[0]),
            order_draw=float(uniform(columns.hashes[row : row + 1, _ORDER])[0]),
            event=event,
            truncated=truncated,
            novel=novel,
            digest=self._keeping.digest(event_id),
        )
