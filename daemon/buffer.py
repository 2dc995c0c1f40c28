"""Decoded events, waiting to be counted together: lists that become columns.

The only Python loop that runs for each event is here. What it computes for an event depends on that event and
on its partition's watermark alone, never on the batch.
"""

from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from daemon.decoders.registry import Decoders
from daemon.events import MAX_NAME, MAX_PROBABILITIES, NULL, Event, Rejected, parse_time
from daemon.keeping import Keeping
from daemon.kinds import Own, Said, said
from daemon.settings import MICROSECONDS, ModelSettings, Settings
from detectors.columns import DEFECTS, DRAWS, Categories, Columns
from detectors.probabilities import top_two
from sinks.effects import DeadLetter

__all__ = ["NEVER", "Batch", "Buffer", "Cohort", "Record"]

NEVER = -(2**62)
"""The greatest event time of a partition that has seen none."""
_DAY_US = 86_400 * MICROSECONDS
_DEFECT = {name: np.uint32(1 << bit) for bit, name in enumerate(DEFECTS)}
_CLAMPED, _NO_ZONE, _NOT_FINITE = (int(_DEFECT[name]) for name in ("clamped", "time_without_zone", "number_not_finite"))
_BAD_CONFIDENCE = int(_DEFECT["confidence_invalid"])
_BAD_PROBABILITIES = int(_DEFECT["probabilities_invalid"])
_LAST_TIME_MS = 2**53
_NAN = float("nan")
_DAYS_KEPT = 1000
"""Keys kept at once: a stream of wild dates must not fill the memory."""
_Features = msgspec.Raw | None
_Tags = Mapping[str, str] | None
_Row = tuple[int, int, str, bytes, int, int, int, bool, int, _Features, _Tags, Own | None, float, int, int, bytes]
# Source, offset, id, value, cohort, time, watermark before it, behind, defects, features, tags, numbers,
# confidence, number of probabilities, class, draws.


class Record(Protocol):
    """What a Kafka client gives for one record."""

    @property
    def offset(self) -> int:
        """Its position in the partition."""
        ...

    @property
    def timestamp(self) -> int:
        """Milliseconds since 1970; -1 if the broker has none."""
        ...

    @property
    def value(self) -> bytes | None:
        """The event; None for a tombstone."""
        ...


@dataclass(frozen=True, slots=True)
class Cohort:
    """One version of one model, as it is registered."""

    id: int
    model: str
    version: str
    settings: ModelSettings


@dataclass(frozen=True, slots=True)
class Batch:
    """n decoded events of any cohorts: ``columns`` and, beside them, where each came from.

    ``time_us``: int64 [n]; ``high_us``: int64 [n], the greatest event time of its partition before it;
    ``behind``: bool [n], older than anything that is counted; ``cohorts``: int64 [n]. ``features`` (JSON),
    ``tags`` and ``own`` (the numbers it says) are still to be read, since the layout tells which of them.
    """

    columns: Columns
    cohorts: NDArray[np.int64]
    time_us: NDArray[np.int64]
    high_us: NDArray[np.int64]
    behind: NDArray[np.bool_]
    sources: Sequence[tuple[str, int]]
    source_of: Sequence[int]
    offsets: Sequence[int]
    ids: Sequence[str]
    values: Sequence[bytes]
    features: Sequence[_Features]
    tags: Sequence[_Tags]
    own: Sequence[Own | None]


class Buffer:
    """Decodes records into columns.

    ``cohort_of`` returns the registered cohort of (model, version), or None if there are too many.
    ``dead_letters`` and ``tombstones`` (their number by partition) are what was set aside.
    """

    def __init__(self, settings: Settings, cohort_of: Callable[[str, str], Cohort | None]) -> None:
        models = (settings.of("*"), *settings.model.values())
        self._settings = settings
        self._cohort_of = cohort_of
        self._keeping = Keeping(settings)
        self._decoders = Decoders(settings)
        self._ahead = round(settings.ingest.max_ahead_seconds * MICROSECONDS)
        self._behind = round(settings.ingest.max_behind_seconds * MICROSECONDS)
        self._tag_keys = tuple(sorted({key for model in models for key in model.segments}))
        self._day_keys: dict[int, bytes] = {}
        self.dead_letters: list[DeadLetter] = []
        self.tombstones: dict[tuple[str, int], int] = {}
        self.clear()

    def clear(self) -> None:
        """Forget the events that wait, but not what was set aside."""
        self._sources: dict[tuple[str, int], int] = {}
        self._classes: dict[str, int] = {}
        self._tags: list[dict[str, int]] = [{} for _ in self._tag_keys]
        self._tag_codes: list[list[int]] = [[] for _ in self._tag_keys]
        self._probabilities: array[float] = array("d")
        # One tuple for each event: appending to one list is much cheaper than to a dozen.
        self._rows: list[_Row] = []

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, topic: str, partition: int, records: Iterable[Record], high_us: int) -> int:
        """Decode one partition's records, in offset order; return the greatest event time after them."""
        source = self._sources.setdefault((topic, partition), len(self._sources))
        ahead, behind, digest_size = self._ahead, self._behind, 8 * len(DRAWS)
        append, extend, classes = self._rows.append, self._probabilities.extend, self._classes
        decode = self._decoders.of(topic).decode
        for record in records:
            value = record.value
            if value is None:
                self.tombstones[topic, partition] = self.tombstones.get((topic, partition), 0) + 1
                continue
            try:
                event, defects, cohort, says, time = self._decode(decode, value, record.timestamp)
            except Rejected as rejected:
                letter = DeadLetter(topic, partition, record.offset, rejected.reason, rejected.detail, value)
                self.dead_letters.append(letter)
                continue
            kafka_time = min(record.timestamp, _LAST_TIME_MS) * 1000
            if time > kafka_time + ahead:
                time = kafka_time
                defects |= _CLAMPED
            too_old = time < kafka_time - behind
            # The window that is open when the first event of a partition is too old is that of Kafka's time.
            high_before = kafka_time if too_old and high_us == NEVER else high_us
            if time > high_us and not too_old and not defects & _CLAMPED:
                high_us = time
            predicted, own, confidence = says
            if confidence is None:
                confidence = _NAN
            elif not 0.0 <= confidence <= 1.0:
                confidence, defects = _NAN, defects | _BAD_CONFIDENCE
            probabilities, count = event.probabilities, 0
            if probabilities is not None:
                if _countable(probabilities, cohort.settings.classes):
                    count = len(probabilities)
                    extend(probabilities.values() if isinstance(probabilities, dict) else probabilities)
                else:
                    defects |= _BAD_PROBABILITIES
            code = -1 if predicted is None else classes.setdefault(predicted, len(classes))
            if self._tag_keys:
                self._add_tags(event.tags or {}, cohort)
            key = self._day_keys.get(time // _DAY_US) or self._day_key(time // _DAY_US)
            digest = blake2b(event.id.encode(), digest_size=digest_size, key=key).digest()
            row = (source, record.offset, event.id, value, cohort.id, time, high_before, too_old)
            features = None if event.features is NULL else event.features
            append((*row, defects, features, event.tags, own, confidence, count, code, digest))
        return high_us

    def normal(self, topic: str, value: bytes) -> bytes:
        """Return a record that was taken as our own event: what is stored of it."""
        return self._decoders.of(topic).normal(value)

    def _decode(
        self, decode: Callable[[bytes], tuple[Event, bool]], value: bytes, timestamp: int
    ) -> tuple[Event, int, Cohort, Said, int]:
        """Return an event with its defects so far, its cohort, what it says, and its time; or raise Rejected."""
        if len(value) > self._settings.ingest.max_event_bytes:
            raise Rejected("too_large", f"{len(value)} bytes, the limit is {self._settings.ingest.max_event_bytes}")
        if timestamp < 0:
            raise Rejected("no_kafka_time", f"the record's timestamp is {timestamp}")
        event, not_finite = decode(value)
        cohort = self._cohort_of(event.model, event.version)  # type: ignore[arg-type] # decode made it text
        if cohort is None:
            raise Rejected("too_many_models", f"the limit is {self._settings.detection.models_cap}")
        says = said(event, cohort.settings.kind)
        time, no_zone = parse_time(event.time)
        return event, (_NOT_FINITE if not_finite else 0) | (_NO_ZONE if no_zone else 0), cohort, says, time

    def _add_tags(self, tags: Mapping[str, str], cohort: Cohort) -> None:
        segments = cohort.settings.segments
        hashed = self._keeping.hashed_tags(cohort.model) if self._keeping.hashes_tags else ()
        for key, codes, known in zip(self._tag_keys, self._tag_codes, self._tags, strict=True):
            tag = tags.get(key) if key in segments else None
            if tag is not None and key in hashed:
                tag = self._keeping.hashed(tag)
            codes.append(-1 if tag is None else known.setdefault(_tag_text(tag), len(known)))

    def _day_key(self, day: int) -> bytes:
        if len(self._day_keys) > _DAYS_KEPT:
            self._day_keys.clear()
        secret = self._settings.selection.secret.get_secret_value().encode()[:64]
        key = blake2b(f"strandline draw {day}".encode(), key=secret, digest_size=32).digest()
        self._day_keys[day] = key
        return key

    def batch(self) -> Batch:
        """Return what waits, as columns. There must be something."""
        columns = tuple(zip(*self._rows, strict=True))
        source_of, offsets, ids, values, cohorts, times, highs, behind, defects = columns[:9]
        features, tags, own, confidence, counts, codes, digests = columns[9:]
        known = np.array(confidence, dtype=np.float64)
        lengths = np.array(counts, dtype=np.int64)
        top, second, valid = top_two(np.frombuffer(self._probabilities, dtype=np.float64), lengths)
        flags = np.array(defects, dtype=np.uint32)
        flags |= np.where((lengths > 0) & ~valid, np.uint32(_BAD_PROBABILITIES), np.uint32(0))
        return Batch(
            columns=Columns(
                # Adding 0 turns -0 into 0: they compare equal, but their bytes differ.
                confidence=np.where(np.isnan(known), top, known) + 0.0,
                margin=top - second,
                predicted=Categories(np.array(codes, dtype=np.int64), tuple(self._classes)),
                tags={
                    key: Categories(np.array(codes, dtype=np.int64), tuple(names))
                    for key, codes, names in zip(self._tag_keys, self._tag_codes, self._tags, strict=True)
                },
                hashes=np.frombuffer(b"".join(digests), dtype="<u8").reshape(-1, len(DRAWS)),
                defects=flags,
                doubt=_doubt(own),
            ),
            cohorts=np.array(cohorts, dtype=np.int64),
            time_us=np.array(times, dtype=np.int64),
            high_us=np.array(highs, dtype=np.int64),
            behind=np.array(behind, dtype=np.bool_),
            sources=tuple(self._sources),
            source_of=source_of,
            offsets=offsets,
            ids=ids,
            values=values,
            features=features,
            tags=tags,
            own=own,
        )


def _doubt(own: Sequence[Own | None]) -> NDArray[np.float64] | None:
    """Return the expected errors that events tell themselves; None if there are none."""
    if not any(own):
        return None
    return np.array([_NAN if each is None else each.doubt for each in own], dtype=np.float64)


def _countable(probabilities: dict[str, float] | list[float], classes: tuple[str, ...]) -> bool:
    """Say whether there are as many probabilities as there can be: an array has one for each configured class."""
    if classes and isinstance(probabilities, list):
        return len(probabilities) == len(classes)
    return 0 < len(probabilities) <= max(MAX_PROBABILITIES, len(classes))


def _tag_text(tag: str) -> str:
    return tag[:MAX_NAME].replace("\x00", "\ufffd")
