"""Decoded events, waiting to be counted together: lists that become columns.

The only Python loop that runs for each event is here. What it computes for an event depends on that event and
on its partition's watermark alone, never on the batch.
"""

from array import array
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from daemon.events import MAX_NAME, MAX_PROBABILITIES, Event, Rejected, decode, parse_time
from daemon.settings import MICROSECONDS, ModelSettings, Settings
from detectors.columns import DEFECTS, DRAWS, Categories, Columns, fixed_point
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
_EXACT = 2.0**53
_SUM_TOLERANCE = 1e-3


class Record(Protocol):
    """What a Kafka client gives for one record."""

    offset: int
    timestamp: int
    value: bytes | None


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
    ``behind``: bool [n], older than anything that is counted; ``cohorts``: int64 [n].
    """

    columns: Columns
    cohorts: NDArray[np.int64]
    time_us: NDArray[np.int64]
    high_us: NDArray[np.int64]
    behind: NDArray[np.bool_]
    sources: list[tuple[str, int]]
    source_of: list[int]
    offsets: list[int]
    ids: list[str]
    values: list[bytes]


@dataclass(slots=True)
class Buffer:
    """Decodes records into columns.

    ``cohort_of`` returns the registered cohort of (model, version), or None if there are too many.
    """

    settings: Settings
    cohort_of: Callable[[str, str], Cohort | None]
    dead_letters: list[DeadLetter] = field(default_factory=list)
    tombstones: dict[tuple[str, int], int] = field(default_factory=dict)
    _keys: dict[int, bytes] = field(default_factory=dict)
    _tag_keys: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        models = (self.settings.of("*"), *self.settings.model.values())
        self._tag_keys = tuple(sorted({key for model in models for key in model.segments}))
        self.clear()

    _sources: dict[tuple[str, int], int] = field(default_factory=dict)
    _source_of: list[int] = field(default_factory=list)
    _offsets: list[int] = field(default_factory=list)
    _ids: list[str] = field(default_factory=list)
    _values: list[bytes] = field(default_factory=list)
    _cohorts: list[int] = field(default_factory=list)
    _times: list[int] = field(default_factory=list)
    _highs: list[int] = field(default_factory=list)
    _behind: list[bool] = field(default_factory=list)
    _defects: list[int] = field(default_factory=list)
    _confidence: list[float] = field(default_factory=list)
    _digests: list[bytes] = field(default_factory=list)
    _classes: dict[str, int] = field(default_factory=dict)
    _class_codes: list[int] = field(default_factory=list)
    _tags: list[dict[str, int]] = field(default_factory=list)
    _tag_codes: list[list[int]] = field(default_factory=list)
    _probabilities: "array[float]" = field(default_factory=lambda: array("d"))
    _lengths: list[int] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self._ids)

    def clear(self) -> None:
        """Forget the events that wait, but not what was set aside."""
        self._sources, self._classes = {}, {}
        for column in (
            self._source_of,
            self._offsets,
            self._ids,
            self._values,
            self._cohorts,
            self._times,
            self._highs,
            self._behind,
            self._defects,
            self._confidence,
            self._digests,
            self._class_codes,
            self._lengths,
        ):
            column.clear()
        self._probabilities = array("d")
        self._tags = [{} for _ in self._tag_keys]
        self._tag_codes = [[] for _ in self._tag_keys]

    def add(self, topic: str, partition: int, records: Iterable[Record], high_us: int) -> int:
        """Decode one partition's records, in offset order; return the greatest event time after them."""
        source = self._sources.setdefault((topic, partition), len(self._sources))
        limits = self.settings.ingest
        ahead = round(limits.max_ahead_seconds * MICROSECONDS)
        behind = round(limits.max_behind_seconds * MICROSECONDS)
        for record in records:
            value = record.value
            if value is None:
                self.tombstones[topic, partition] = self.tombstones.get((topic, partition), 0) + 1
                continue
            try:
                if len(value) > limits.max_event_bytes:
                    raise Rejected("too_large", f"{len(value)} bytes, the limit is {limits.max_event_bytes}")
                if record.timestamp < 0:
                    raise Rejected("no_kafka_time", f"the record's timestamp is {record.timestamp}")
                event, not_finite = decode(value)
                cohort = self.cohort_of(event.model, event.version)  # type: ignore[arg-type] # decode made it text
                if cohort is None:
                    raise Rejected("too_many_models", f"the limit is {self.settings.detection.models_cap}")
                predicted = _class_of(event, cohort.settings)
                time, no_zone = parse_time(event.time)
            except Rejected as rejected:
                letter = DeadLetter(topic, partition, record.offset, rejected.reason, rejected.detail, value)
                self.dead_letters.append(letter)
                continue
            defects = (_NOT_FINITE if not_finite else 0) | (_NO_ZONE if no_zone else 0)
            kafka_time = min(record.timestamp, _LAST_TIME_MS) * 1000
            if time > kafka_time + ahead:
                time = kafka_time
                defects |= _CLAMPED
            too_old = time < kafka_time - behind
            # The window that is open when the first event of a partition is too old is that of Kafka's time.
            self._highs.append(kafka_time if too_old and high_us == NEVER else high_us)
            if time > high_us and not too_old and not defects & _CLAMPED:
                high_us = time
            self._source_of.append(source)
            self._offsets.append(record.offset)
            self._ids.append(event.id)
            self._values.append(value)
            self._cohorts.append(cohort.id)
            self._times.append(time)
            self._behind.append(too_old)
            self._digests.append(blake2b(event.id.encode(), digest_size=8 * len(DRAWS), key=self._key(time)).digest())
            self._add_values(event, predicted, cohort.settings, defects)
        return high_us

    def _add_values(self, event: Event, predicted: str | None, model: ModelSettings, defects: int) -> None:
        confidence = event.confidence
        if confidence is None:
            confidence = np.nan
        elif not 0.0 <= confidence <= 1.0:
            confidence, defects = np.nan, defects | _BAD_CONFIDENCE
        self._confidence.append(confidence)
        probabilities = event.probabilities
        if probabilities is not None and not _countable(probabilities, model.classes):
            probabilities, defects = None, defects | _BAD_PROBABILITIES
        if probabilities:
            self._probabilities.extend(probabilities.values() if isinstance(probabilities, dict) else probabilities)
        self._lengths.append(len(probabilities) if probabilities else 0)
        self._defects.append(defects)
        classes = self._classes
        self._class_codes.append(-1 if predicted is None else classes.setdefault(predicted, len(classes)))
        for position, key in enumerate(self._tag_keys):
            tag = event.tags.get(key) if event.tags and key in model.segments else None
            known = self._tags[position]
            code = -1 if tag is None else known.setdefault(_tag_text(tag), len(known))
            self._tag_codes[position].append(code)

    def batch(self) -> Batch:
        """Return what waits, as columns."""
        # Adding 0 turns -0 into 0: they compare equal, but their bytes differ.
        confidence = np.array(self._confidence, dtype=np.float64) + 0.0
        defects = np.array(self._defects, dtype=np.uint32)
        lengths = np.array(self._lengths, dtype=np.int64)
        top, second, valid = _top_two(np.frombuffer(self._probabilities, dtype=np.float64), lengths)
        defects |= np.where((lengths > 0) & ~valid, _DEFECT["probabilities_invalid"], np.uint32(0))
        columns = Columns(
            confidence=np.where(np.isnan(confidence), top, confidence),
            margin=top - second,
            predicted=Categories(np.array(self._class_codes, dtype=np.int64), tuple(self._classes)),
            tags={
                key: Categories(np.array(codes, dtype=np.int64), tuple(names))
                for key, codes, names in zip(self._tag_keys, self._tag_codes, self._tags, strict=True)
            },
            hashes=np.frombuffer(b"".join(self._digests), dtype="<u8").reshape(-1, len(DRAWS)),
            defects=defects,
        )
        return Batch(
            columns=columns,
            cohorts=np.array(self._cohorts, dtype=np.int64),
            time_us=np.array(self._times, dtype=np.int64),
            high_us=np.array(self._highs, dtype=np.int64),
            behind=np.array(self._behind, dtype=np.bool_),
            sources=list(self._sources),
            source_of=self._source_of.copy(),
            offsets=self._offsets.copy(),
            ids=self._ids.copy(),
            values=self._values.copy(),
        )

    def _key(self, time_us: int) -> bytes:
        day = time_us // _DAY_US
        key = self._keys.get(day)
        if key is None:
            if len(self._keys) > 1000:
                self._keys.clear()
            secret = self.settings.selection.secret.encode()
            key = self._keys[day] = blake2b(f"strandline draw {day}".encode(), key=secret[:64], digest_size=32).digest()
        return key


def _class_of(event: Event, model: ModelSettings) -> str | None:
    """Return the predicted class as text; None for a regression, whose predictions are numbers."""
    prediction = event.prediction
    if model.kind == "regressor":
        if isinstance(prediction, (str, bool)):
            raise Rejected("prediction_not_a_number", f"the model is a regressor, found {prediction!r}")
        return None
    if isinstance(prediction, str):
        return prediction
    if isinstance(prediction, bool):
        return "true" if prediction else "false"
    if isinstance(prediction, int):
        return str(prediction)
    # From 2⁵³ on a double is no longer one integer: two classes could be told apart no more.
    if prediction.is_integer() and abs(prediction) < _EXACT:
        return str(int(prediction))
    raise Rejected("prediction_not_a_class", f"expected text, an integer or a boolean, found {prediction!r}")


def _countable(probabilities: dict[str, float] | list[float], classes: tuple[str, ...]) -> bool:
    """Say whether there are as many probabilities as there can be: an array has one for each configured class."""
    if classes and isinstance(probabilities, list):
        return len(probabilities) == len(classes)
    return 0 < len(probabilities) <= max(MAX_PROBABILITIES, len(classes))


def _tag_text(tag: str) -> str:
    return tag[:MAX_NAME].replace("\x00", "\ufffd")


def _top_two(
    flat: NDArray[np.float64], lengths: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """Return each event's highest and second highest probability (NaN where unknown) and whether they are valid.

    Valid: none negative, none above 1, all together 1 to a thousandth. Summed in fixed point, since the order
    of a sum of floats would depend on the batch.
    """
    top, second = np.full(len(lengths), np.nan), np.full(len(lengths), np.nan)
    valid = np.zeros(len(lengths), dtype=np.bool_)
    some = np.flatnonzero(lengths)
    if not len(some):
        return top, second, valid
    sizes = lengths[some]
    starts = np.cumsum(sizes) - sizes
    highest = np.maximum.reduceat(flat, starts)
    inside = (np.minimum.reduceat(flat, starts) >= 0) & (highest <= 1)
    total = np.add.reduceat(fixed_point(np.clip(flat, 0.0, 1.0)), starts)
    valid[some] = inside & (np.abs(total - fixed_point(np.ones(1))) <= fixed_point(np.full(1, _SUM_TOLERANCE)))
    is_top = flat == np.repeat(highest, sizes)
    rest = np.maximum.reduceat(np.where(is_top, 0.0, flat), starts)
    tied = np.add.reduceat(is_top.astype(np.int64), starts) > 1
    top[some] = np.where(valid[some], highest, np.nan)
    second[some] = np.where(valid[some], np.where(tied, highest, rest), np.nan)
    return top, second, valid
