"""Records in, accepted events out as columns: many at a time where all are regular, else one by one.

Both ways decide the same; only the second tells what is wrong with a record. For each event as little Python runs
as can be: whole lists go through functions that are written in C.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from dataclasses import fields as dataclass_fields
from datetime import datetime
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from daemon.carried import Kept
from daemon.decoders.registry import Decoder, ManyDecoder
from daemon.events import MILLISECONDS_FROM, TIME_END_US, Event, Rejected, parse_time
from daemon.expected import Expected, Probabilities
from daemon.kinds import CLASSIFIER, Own, said
from daemon.records import Records
from daemon.repeated import distinct
from daemon.settings import ModelSettings
from daemon.slots import FieldColumns, Tags
from detectors.columns import DEFECTS

__all__ = ["DEFECT", "Cohort", "Taken", "Taking"]

DEFECT = {name: 1 << bit for bit, name in enumerate(DEFECTS)}
"""The bit of each defect."""
_MANY_BYTES = 4 << 20
"""Records that are larger together are taken in pieces: looking at many at a time needs a copy of them."""
_AT_ONCE = 500
"""Records that are taken together: all that is made of them fits into the processor's cache."""
_PIECE = 32
"""Records that are taken one by one if one of them is not regular."""


@dataclass(frozen=True, slots=True, eq=False)
class Cohort:
    """One version of one model, as it is registered."""

    id: int
    model: str
    version: str
    settings: ModelSettings


CohortOf = Callable[[str, str], Cohort | None]
Integers = NDArray[np.int64] | Sequence[int]
Reject = Callable[[int, bytes, Rejected], None]
"""Told of a record by its offset, its value, and what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Taken:
    """n accepted events in the order of their records, a column for each thing that is known of them.

    ``time_us``: microseconds since 1970, not yet compared with ``kafka_ms``, the record's timestamp. ``defects``:
    those that decoding found, bits as in DEFECT. ``probabilities``: in slots where some are expected. ``fields``:
    read already, where some are expected; else features as JSON and tags. ``embeddings``,
    ``members``, ``shadows``: still JSON.
    """

    offsets: Sequence[int]
    kafka_ms: Sequence[int]
    values: Sequence[bytes]
    ids: Sequence[str]
    cohorts: Sequence[Cohort]
    predicted: Sequence[str | None]
    own: Sequence[Own | None]
    confidence: Sequence[float | None]
    probabilities: Sequence[Probabilities | msgspec.Struct]
    fields: FieldColumns | Kept
    tags: Sequence[Tags]
    time_us: Integers
    defects: Integers
    embeddings: Sequence[msgspec.Raw]
    members: Sequence[msgspec.Raw]
    shadows: Sequence[msgspec.Raw]


_FIELDS = [each.name for each in dataclass_fields(Taken)].index("fields")


class Taking:
    """Takes records. ``cohort_of`` registers what is new, or returns None where there are too many.

    ``expected``: what most events hold; None if nothing is known.
    """

    def __init__(self, cohort_of: CohortOf, *, max_event_bytes: int, models_cap: int) -> None:
        self._cohort_of = cohort_of
        self._max_event_bytes = max_event_bytes
        self._models_cap = models_cap
        self.expected: Expected | None = None

    def take(self, decoder: Decoder, records: Records, reject: Reject) -> list[Taken]:
        """Return what is accepted of records that all have a value, in their order; ``reject`` is told of the rest."""
        pieces = (records[start : start + _AT_ONCE] for start in range(0, len(records), _AT_ONCE))
        return [each for piece in pieces for each in self._take(decoder, piece, reject)]

    def _take(self, decoder: Decoder, records: Records, reject: Reject) -> list[Taken]:
        found = self._many(decoder, records)
        if found is not None:
            return [found]
        if len(records) > _PIECE:
            pieces = (records[start : start + _PIECE] for start in range(0, len(records), _PIECE))
            return [each for piece in pieces for each in self._take(decoder, piece, reject)]
        return self._one_by_one(decoder, records, reject)

    def _many(self, decoder: Decoder, records: Records) -> Taken | None:
        """Return the events if every record is accepted, and none had to be read loosely; else None."""
        if not isinstance(decoder, ManyDecoder):
            return None
        values = [value or b"" for value in records.values]
        sizes = list(map(len, values))
        if max(sizes) > self._max_event_bytes or sum(sizes) > _MANY_BYTES or min(records.timestamps_ms) < 0:
            return None
        read = None if self.expected is None else decoder.decode_many(values, self.expected)
        events = decoder.decode_many(values, None) if read is None else read
        cohorts = None if events is None else self._cohorts(events)
        if events is None or cohorts is None:
            return None
        try:
            predicted, own, confidence = _said(events, cohorts)
            time_us, defects = _times([event.time for event in events])
        except Rejected:
            return None
        features, tags = [event.features for event in events], [event.tags for event in events]
        fields: FieldColumns | Kept
        if read is not None and self.expected is not None:
            # What was decoded as an event that is expected has slots there.
            fields = self.expected.slots.columns(features, tags)  # type: ignore[arg-type]
        else:
            fields = self._fields(features, tags)
        return Taken(
            records.offsets,
            records.timestamps_ms,
            values,
            [event.id for event in events],
            cohorts,
            predicted,
            own,
            confidence,
            [event.probabilities for event in events],
            fields,
            tags,
            time_us,
            defects,
            [event.embedding for event in events],
            [event.members for event in events],
            [event.shadow for event in events],
        )

    def _fields(self, features: Sequence[msgspec.Raw], tags: Sequence[Tags]) -> FieldColumns | Kept:
        """Return fields as they are carried on: read into columns where some are expected."""
        kept = Kept(features, tags)
        return kept if self.expected is None else kept.columns(self.expected.slots)

    def _cohorts(self, events: Sequence[Event]) -> list[Cohort] | None:
        models, versions = [event.model for event in events], [event.version for event in events]
        known: dict[tuple[str, str | int | None], Cohort] = {}
        names = [(models[0], versions[0])]
        if len(distinct(models)) > 1 or len(distinct(versions)) > 1:
            names = list(dict.fromkeys(zip(models, versions, strict=True)))
        for model, version in names:
            cohort = self._cohort_of(model, "" if version is None else str(version))
            if cohort is None:
                return None
            known[model, version] = cohort
        if len(known) == 1:
            return list(known.values()) * len(events)
        return [known[name] for name in zip(models, versions, strict=True)]

    def _one_by_one(self, decoder: Decoder, records: Records, reject: Reject) -> list[Taken]:
        rows: list[tuple[Any, ...]] = []
        features: list[msgspec.Raw] = []
        for offset, kafka_ms, given in zip(records.offsets, records.timestamps_ms, records.values, strict=True):
            value = given or b""
            try:
                event, defects, cohort = self._decode(decoder, value, kafka_ms)
                says = said(event, cohort.settings.kind)
                time, no_zone = parse_time(event.time)
            except Rejected as rejected:
                reject(offset, value, rejected)
                continue
            if no_zone:
                defects |= DEFECT["time_without_zone"]
            carried = (event.probabilities, event.tags, time, defects)
            raws = (event.embedding, event.members, event.shadow)
            rows.append((offset, kafka_ms, value, event.id, cohort, *says, *carried, *raws))
            features.append(event.features)
        if not rows:
            return []
        columns: list[Any] = list(zip(*rows, strict=True))
        columns.insert(_FIELDS, self._fields(features, columns[_FIELDS]))
        return [Taken(*columns)]

    def _decode(self, decoder: Decoder, value: bytes, timestamp: int) -> tuple[Event, int, Cohort]:
        """Return an event with its defects so far and its cohort; or raise Rejected."""
        if len(value) > self._max_event_bytes:
            raise Rejected("too_large", f"{len(value)} bytes, the limit is {self._max_event_bytes}")
        if timestamp < 0:
            raise Rejected("no_kafka_time", f"the record's timestamp is {timestamp}")
        event, not_finite = decoder.decode(value)
        cohort = self._cohort_of(event.model, event.version)  # type: ignore[arg-type] # decode made it text
        if cohort is None:
            raise Rejected("too_many_models", f"the limit is {self._models_cap}")
        return event, DEFECT["number_not_finite"] if not_finite else 0, cohort


def _said(
    events: Sequence[Event], cohorts: Sequence[Cohort]
) -> tuple[Sequence[str | None], Sequence[Own | None], Sequence[float | None]]:
    """Return what each event says, as columns; raises Rejected."""
    predicted = [event.prediction for event in events]
    plain = set(map(type, predicted)) == {str} and distinct([event.uncertainty for event in events]) == [None]
    # Nearly always these are classes, and nothing else is said.
    if plain and set(distinct([cohort.settings.kind for cohort in cohorts])) == {CLASSIFIER}:
        return predicted, [None] * len(events), [event.confidence for event in events]  # type: ignore[return-value]
    says = [said(event, cohort.settings.kind) for event, cohort in zip(events, cohorts, strict=True)]
    return tuple(zip(*says, strict=True))  # type: ignore[return-value] # three columns


def _times(times: Sequence[datetime | float]) -> tuple[Integers, Integers]:
    """Return parse_time of each: microseconds, and the defect of those without a zone; raises Rejected."""
    # Of one type no number is changed by becoming part of an array.
    if (types := set(map(type, times))) in ({float}, {int}):
        least, most = min(times), max(times)
        factor = _factor(least, most)  # type: ignore[arg-type]
        if factor is not None:
            scaled = np.array(times) * factor
            no_defects = np.zeros(len(times), dtype=np.int64)
            return (np.rint(scaled) if types == {float} else scaled).astype(np.int64), no_defects
    parsed = [parse_time(time) for time in times]
    return [time for time, _ in parsed], [DEFECT["time_without_zone"] if no_zone else 0 for _, no_zone in parsed]


def _factor(least: float, most: float) -> int | None:
    """Return what makes microseconds of all times from ``least`` to ``most``; None if they differ in it."""
    if least >= 0 and most < MILLISECONDS_FROM:
        return 1_000_000
    return 1000 if least >= MILLISECONDS_FROM and most < TIME_END_US // 1000 - 1 else None
