"""References: made from a file, and explained."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np

from daemon.accepting import LEAST_EVENTS
from daemon.buffer import NEVER, Buffer, Cohort
from daemon.decoders.registry import decoder_of
from daemon.events import Rejected
from daemon.fields import FieldReader
from daemon.files import is_json_lines, records
from daemon.records import Records
from daemon.settings import Settings
from detectors import growth
from detectors.classes import ClassesBlock
from detectors.columns import Columns
from detectors.folding import fold_into
from detectors.layout import WHOLE, BlockSpec, Layout
from detectors.origins import Origin, origins
from detectors.reference import Reference
from detectors.registry import unlearnt_layout
from detectors.summary import Summary
from sinks import cohorts
from sinks.controls import lock_exclusive, next_free_window, publish
from sinks.database import Connection, transaction
from sinks.errors import BadData, NotFound
from sinks.windows import compress

__all__ = ["Built", "build", "explain", "read"]

_AT_ONCE = 4096
_SHOWN_FAULTS = 5


@dataclass(frozen=True, slots=True)
class Built:
    """What was built: for which version, on how many events, and from which window it is in force."""

    reference: Reference
    version: str
    events: int
    effective_from: int


def build(
    settings: Settings,
    connection: Connection,
    path: Path,
    model: str,
    version: str | None = None,
    *,
    progress: Callable[[int], None] = lambda _: None,
) -> Built:
    """Build the reference of a model's version from the file at ``path`` and publish it.

    Without a ``version`` it is for the newest one that is known; versions that come later start on it anyway.
    ``progress`` is called with the number of rows read so far.

    Raises
    ------
    BadData
        The file cannot be read, holds rows that are no events, or too few of them.
    """
    reference = read(settings, path, model, progress)
    if version is None:
        version = cohorts.newest_version(connection, model) or ""
    cohort_id = cohorts.register(
        connection,
        model,
        version,
        window_seconds=settings.of(model).window_seconds,
        layout=reference.layout,
        cap=settings.detection.models_cap,
    )
    if cohort_id is None:
        raise BadData(f"there are {settings.detection.models_cap} models already: see detection.models_cap")
    with transaction(connection):
        lock_exclusive(connection)
        effective_from = next_free_window(connection, model)
        bodies = {"layout": reference.layout.to_json().encode(), "reference": compress(reference.to_bytes())}
        for kind, body in bodies.items():
            publish(connection, kind=kind, model=model, cohort_id=cohort_id, effective_from=effective_from, body=body)
    return Built(reference, version, int(reference.summary.events[0]), effective_from)


def explain(
    settings: Settings,
    connection: Connection,
    cohort_id: int,
    model: str,
    reference: Reference,
    segment: str,
    hour: int,
) -> list[Origin]:
    """Return where each tolerance comes from with which ``segment`` is compared with ``reference`` in an ``hour``.

    While the reference is in force, what was measured of the live stream counts.

    Raises
    ------
    NotFound
        The reference does not know the segment, or the hour.
    """
    if not 0 <= hour < reference.hours:
        raise NotFound(f"hour {hour}; this reference has {reference.hours}, from 0")
    state = cohorts.state(connection, cohort_id)
    tolerances = settings.of(model).tolerances
    if state is not None and state.reference == reference.digest and segment in state.segments:
        row = np.array([state.segments.index(segment)], dtype=np.intp)
        asked = {name: mine for name, mine in state.monitors.items() if row[0] < len(mine.status)}
        measured = {name: mine.varied.take(row) for name, mine in asked.items()}
        return origins(reference, segment, measured, tolerances, hour)
    if segment not in reference.layout.segments:
        raise NotFound(f"segment {segment!r}; this reference has: {', '.join(reference.layout.segments[1:]) or 'none'}")
    return origins(reference, segment, {}, tolerances, hour)


def read(settings: Settings, path: Path, model: str, progress: Callable[[int], None]) -> Reference:
    """Return the reference that the file at ``path`` makes, without publishing it."""
    caps = settings.detection
    classes: set[str] = set()
    segments: set[str] = set()

    def counted(layout: Layout) -> Summary:
        summary = Summary.empty(layout)
        for columns in _columns(settings, path, model, layout, progress):
            fold_into(summary, columns)
            classes.update(columns.predicted.names)
            segments.update(f"{key}={name}" for key, tag in columns.tags.items() for name in tag.names)
        return summary

    # Three times over the file: which fields there are, what values they have, and how often they have them.
    summary = counted(unlearnt_layout())
    events = int(summary.events[0])
    if events < LEAST_EVENTS:
        raise BadData(f"{path}: {events} events; a reference needs at least {LEAST_EVENTS}")
    sampled = counted(growth.with_fields(summary, fields_cap=caps.fields_cap))
    finished = growth.finished(sampled, classes_cap=caps.classes_cap, pairs_cap=caps.pairs_cap)
    learnt = replace(finished, segments=(WHOLE, *sorted(segments)[: caps.segments_cap - 1]))
    learnt = learnt.with_block(BlockSpec(ClassesBlock.kind, tuple(sorted(classes)[: caps.classes_cap])))
    return Reference(learnt, counted(learnt).closed(), windows=0, calibration=None, source="file")


def _columns(
    settings: Settings, path: Path, model: str, layout: Layout, progress: Callable[[int], None]
) -> Iterator[Columns]:
    reader = FieldReader(layout, everything=True)
    cohort = Cohort(0, model, "", settings.of(model))
    own = settings.model_copy(update={"events": type(settings.events)()})
    buffer = Buffer(own, lambda _model, _version: cohort)
    rows = enumerate(_rows(settings, path, model), start=1)
    while some := list(islice(rows, _AT_ONCE)):
        numbers, values = zip(*some, strict=True)
        buffer.add(str(path), 0, Records(numbers, [0] * len(numbers), values), NEVER)
        _raise_faults(path, buffer)
        progress(numbers[-1])
        yield reader.columns(buffer.batch(), np.arange(len(buffer)))
        buffer.clear()


def _raise_faults(path: Path, buffer: Buffer) -> None:
    if buffer.dead_letters:
        shown = [
            f"  {path}, row {letter.offset}: {letter.reason}: {letter.detail}"
            for letter in buffer.dead_letters[:_SHOWN_FAULTS]
        ]
        raise BadData("Some rows are not events:\n" + "\n".join(shown))


def _rows(settings: Settings, path: Path, model: str) -> Iterator[bytes]:
    """Yield the file's rows as events; id and time may be missing there, the model is the given one."""
    # What was kept as it was sent is read as it would have been from Kafka.
    decoder = decoder_of(settings.events, settings) if is_json_lines(path) else None
    for number, record in records(path):
        try:
            event = json.loads(record if decoder is None else decoder.normal(record))
        except (ValueError, RecursionError) as error:
            raise BadData(f"{path}, line {number}: not JSON: {error}") from error
        except Rejected as rejected:
            raise BadData(f"{path}, line {number}: {rejected}") from rejected
        if not isinstance(event, dict):
            raise BadData(f"{path}, line {number}: expected a JSON object")
        if event.get("model", model) != model:
            raise BadData(f"{path}, row {number}: an event of the model {event['model']!r}, not of {model!r}")
        yield json.dumps({"id": f"row-{number}", "time": 0, **event, "model": model}).encode()
