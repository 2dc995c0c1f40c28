"""Decoded events, waiting to be counted together: lists that become columns.

What is computed for an event depends on that event and on its partition's watermark alone, never on the batch.
"""

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import chain

import msgspec
import numpy as np
from numpy.typing import NDArray

from daemon.decoders.registry import Decoders
from daemon.events import MAX_NAME, MAX_PROBABILITIES, NULL, Rejected
from daemon.keeping import Keeping
from daemon.kinds import Own
from daemon.records import Records
from daemon.settings import MICROSECONDS, Settings
from daemon.taking import DEFECT, Cohort, Probabilities, Taken, Taking
from detectors.columns import DRAWS, Categories, Columns
from detectors.probabilities import top_two
from sinks.effects import DeadLetter

__all__ = ["NEVER", "Batch", "Buffer", "Cohort"]

NEVER = -(2**62)
"""The greatest event time of a partition that has seen none."""
_DAY_US = 86_400 * MICROSECONDS
_CLAMPED, _BAD_CONFIDENCE, _BAD_PROBABILITIES = (
    np.uint32(DEFECT[name]) for name in ("clamped", "confidence_invalid", "probabilities_invalid")
)
_LAST_TIME_MS = 2**53
_DAYS_KEPT = 1000
"""Keys kept at once: a stream of wild dates must not fill the memory."""
_Features = msgspec.Raw | None
_Tags = Mapping[str, str] | None


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
    source_of: NDArray[np.int64]
    offsets: Sequence[int]
    ids: Sequence[str]
    values: Sequence[bytes]
    features: Sequence[_Features]
    tags: Sequence[_Tags]
    own: Sequence[Own | None]


@dataclass(frozen=True, slots=True)
class _Piece:
    """Events that were taken together. ``probabilities``: all of them as doubles, and how many each event has."""

    source: int
    time_us: NDArray[np.int64]
    high_us: NDArray[np.int64]
    behind: NDArray[np.bool_]
    cohorts: NDArray[np.int64]
    codes: NDArray[np.int64]
    confidence: NDArray[np.float64]
    probabilities: tuple[bytes, NDArray[np.int64]]
    hashes: NDArray[np.uint64]
    defects: NDArray[np.uint32]
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
        self._taking = Taking(
            cohort_of, max_event_bytes=settings.ingest.max_event_bytes, models_cap=settings.detection.models_cap
        )
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
        self._count = 0
        self._sources: dict[tuple[str, int], int] = {}
        self._classes: dict[str, int] = {}
        self._tags: list[dict[str, int]] = [{} for _ in self._tag_keys]
        self._tag_codes: list[list[int]] = [[] for _ in self._tag_keys]
        self._pieces: list[_Piece] = []

    def __len__(self) -> int:
        return self._count

    def add(self, topic: str, partition: int, records: Records, high_us: int) -> int:
        """Decode one partition's records, in offset order; return the greatest event time after them."""
        source = self._sources.setdefault((topic, partition), len(self._sources))
        full = records.without_tombstones()
        if tombstones := len(records) - len(full):
            self.tombstones[topic, partition] = self.tombstones.get((topic, partition), 0) + tombstones

        def reject(offset: int, value: bytes, rejected: Rejected) -> None:
            letter = DeadLetter(topic, partition, offset, rejected.reason, rejected.detail, value)
            self.dead_letters.append(letter)

        if full:
            for taken in self._taking.take(self._decoders.of(topic), full, reject):
                high_us = self._add(source, taken, high_us)
        return high_us

    def normal(self, topic: str, value: bytes) -> bytes:
        """Return a record that was taken as our own event: what is stored of it."""
        return self._decoders.of(topic).normal(value)

    def _add(self, source: int, taken: Taken, high_us: int) -> int:
        time = np.array(taken.time_us, dtype=np.int64)
        kafka_time = np.minimum(np.array(taken.kafka_ms, dtype=np.int64), _LAST_TIME_MS) * 1000
        defects = np.array(taken.defects, dtype=np.uint32)
        clamped = time - kafka_time > self._ahead
        time = np.where(clamped, kafka_time, time)
        defects[clamped] |= _CLAMPED
        too_old = time - kafka_time < -self._behind
        high = np.maximum.accumulate(np.concatenate([[high_us], np.where(too_old | clamped, NEVER, time)]))
        piece = _Piece(
            source=source,
            time_us=time,
            # The window that is open when the first event of a partition is too old is that of Kafka's time.
            high_us=np.where(too_old & (high[:-1] == NEVER), kafka_time, high[:-1]),
            behind=too_old,
            cohorts=np.array([cohort.id for cohort in taken.cohorts], dtype=np.int64),
            codes=_codes(taken.predicted, self._classes),
            confidence=_confidence(taken.confidence, defects),
            probabilities=_probabilities(taken, defects),
            hashes=self._draws(taken.ids, time // _DAY_US),
            defects=defects,
            offsets=taken.offsets,
            ids=taken.ids,
            values=taken.values,
            features=[None if each is NULL else each for each in taken.features],
            tags=taken.tags,
            own=taken.own,
        )
        self._add_tags(taken)
        self._pieces.append(piece)
        self._count += len(time)
        return int(high[-1])

    def _add_tags(self, taken: Taken) -> None:
        for key, codes, known in zip(self._tag_keys, self._tag_codes, self._tags, strict=True):
            found = [
                tags.get(key) if tags and key in cohort.settings.segments else None
                for tags, cohort in zip(taken.tags, taken.cohorts, strict=True)
            ]
            if self._keeping.hashes_tags:
                hidden = self._keeping.hashed_tags
                found = [
                    tag if tag is None or key not in hidden(cohort.model) else self._keeping.hashed(tag)
                    for tag, cohort in zip(found, taken.cohorts, strict=True)
                ]
            codes.extend(_codes(found, known, _tag_text).tolist())

    def _draws(self, ids: Sequence[str], days: NDArray[np.int64]) -> NDArray[np.uint64]:
        """Return the draws of events, each by the key of its day; [n, draws]."""
        # The key takes longer than the id: each day's is worked in once, and copied.
        hashers = {day: blake2b(digest_size=8 * len(DRAWS), key=self._day_key(day)) for day in set(days.tolist())}
        digests = []
        for name, day in zip(ids, days.tolist(), strict=True):
            hasher = hashers[day].copy()
            hasher.update(name.encode())
            digests.append(hasher.digest())
        return np.frombuffer(b"".join(digests), dtype="<u8").reshape(-1, len(DRAWS))

    def _day_key(self, day: int) -> bytes:
        key = self._day_keys.get(day)
        if key is None:
            if len(self._day_keys) > _DAYS_KEPT:
                self._day_keys.clear()
            secret = self._settings.selection.secret.get_secret_value().encode()[:64]
            key = blake2b(f"strandline draw {day}".encode(), key=secret, digest_size=32).digest()
            self._day_keys[day] = key
        return key

    def batch(self) -> Batch:
        """Return what waits, as columns. There must be something."""
        pieces = self._pieces
        known = np.concatenate([piece.confidence for piece in pieces])
        lengths = np.concatenate([piece.probabilities[1] for piece in pieces])
        flat = np.frombuffer(b"".join(piece.probabilities[0] for piece in pieces), dtype=np.float64)
        top, second, valid = top_two(flat, lengths)
        flags = np.concatenate([piece.defects for piece in pieces])
        flags |= np.where((lengths > 0) & ~valid, _BAD_PROBABILITIES, np.uint32(0))
        own = list(chain.from_iterable(piece.own for piece in pieces))
        return Batch(
            columns=Columns(
                # Adding 0 turns -0 into 0: they compare equal, but their bytes differ.
                confidence=np.where(np.isnan(known), top, known) + 0.0,
                margin=top - second,
                predicted=Categories(np.concatenate([piece.codes for piece in pieces]), tuple(self._classes)),
                tags={
                    key: Categories(np.array(codes, dtype=np.int64), tuple(names))
                    for key, codes, names in zip(self._tag_keys, self._tag_codes, self._tags, strict=True)
                },
                hashes=np.concatenate([piece.hashes for piece in pieces]),
                defects=flags,
                doubt=_doubt(own),
            ),
            cohorts=np.concatenate([piece.cohorts for piece in pieces]),
            time_us=np.concatenate([piece.time_us for piece in pieces]),
            high_us=np.concatenate([piece.high_us for piece in pieces]),
            behind=np.concatenate([piece.behind for piece in pieces]),
            sources=tuple(self._sources),
            source_of=np.repeat([piece.source for piece in pieces], [len(piece.ids) for piece in pieces]),
            offsets=list(chain.from_iterable(piece.offsets for piece in pieces)),
            ids=list(chain.from_iterable(piece.ids for piece in pieces)),
            values=list(chain.from_iterable(piece.values for piece in pieces)),
            features=list(chain.from_iterable(piece.features for piece in pieces)),
            tags=list(chain.from_iterable(piece.tags for piece in pieces)),
            own=own,
        )


def _codes(texts: Sequence[str | None], known: dict[str, int], kept: Callable[[str], str] = str) -> NDArray[np.int64]:
    """Return the code of each text, as it is ``kept``, -1 for None; new ones get the next codes in ``known``."""
    code_of: dict[str | None, int] = {}
    for text in dict.fromkeys(texts):
        code_of[text] = -1 if text is None else known.setdefault(kept(text), len(known))
    return np.array([code_of[text] for text in texts], dtype=np.int64)


def _confidence(given: Sequence[float | None], defects: NDArray[np.uint32]) -> NDArray[np.float64]:
    """Return the confidence that events tell, NaN for none; what can be none is noted in ``defects``."""
    told = np.array([each is not None for each in given], dtype=np.bool_)
    if not told.any():
        return np.full(len(given), np.nan)
    confidence = np.array(given, dtype=np.float64)
    wrong = told & ~((confidence >= 0.0) & (confidence <= 1.0))
    defects[wrong] |= _BAD_CONFIDENCE
    return np.where(wrong, np.nan, confidence)


def _probabilities(taken: Taken, defects: NDArray[np.uint32]) -> tuple[bytes, NDArray[np.int64]]:
    """Return the probabilities that can be counted as doubles, and how many each event has.

    That there are too many or too few is noted in ``defects``.
    """
    given = taken.probabilities
    counts = [0 if each is None else len(each) for each in given]
    # An object of some probabilities can be counted whatever the model: the usual case needs no look at each.
    if set(map(type, given)) != {dict} or not 0 < min(counts) <= max(counts) <= MAX_PROBABILITIES:
        good = [_countable(each, cohort) for each, cohort in zip(given, taken.cohorts, strict=True)]
        defects[~np.array(good)] |= _BAD_PROBABILITIES
        given = [each if fine else None for each, fine in zip(given, good, strict=True)]
        counts = [0 if each is None else len(each) for each in given]
    flat = list(chain.from_iterable([each.values() if isinstance(each, dict) else each for each in given if each]))
    return struct.pack(f"{len(flat)}d", *flat), np.array(counts, dtype=np.int64)


def _doubt(own: Sequence[Own | None]) -> NDArray[np.float64] | None:
    """Return the expected errors that events tell themselves; None if there are none."""
    if not any(own):
        return None
    return np.array([np.nan if each is None else each.doubt for each in own], dtype=np.float64)


def _countable(probabilities: Probabilities, cohort: Cohort) -> bool:
    """Say whether there are none, or as many as there can be: an array has one for each configured class."""
    if probabilities is None:
        return True
    classes = cohort.settings.classes
    if classes and isinstance(probabilities, list):
        return len(probabilities) == len(classes)
    return 0 < len(probabilities) <= max(MAX_PROBABILITIES, len(classes))


def _tag_text(tag: str) -> str:
    return tag[:MAX_NAME].replace("\x00", "\ufffd")
