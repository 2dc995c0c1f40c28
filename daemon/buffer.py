"""Decoded events, waiting to be counted together: lists that become columns.

What is computed for an event depends on that event and on its partition's watermark alone, never on the batch.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import chain
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from numpy.typing import NDArray

from daemon.carried import Carried, Kept, Read
from daemon.decoders.registry import Decoders
from daemon.draws import KEY_BYTES, Texts, draws
from daemon.events import MAX_NAME, NULL, Event, Rejected
from daemon.expected import Wishes, expected_of
from daemon.keeping import Keeping
from daemon.kinds import Own
from daemon.records import Records
from daemon.repeated import distinct
from daemon.settings import MICROSECONDS, Settings
from daemon.slots import FieldColumns, joined
from daemon.surety import told_confidence, told_probabilities
from daemon.taking import DEFECT, Cohort, Taken, Taking
from detectors.columns import DRAWS, Categories, Columns
from detectors.probabilities import entropy, top_two
from sinks.effects import DeadLetter

if TYPE_CHECKING:
    from detectors.curves import Curve

__all__ = ["NEVER", "Batch", "Buffer", "Cohort"]

NEVER = -(2**62)
"""The greatest event time of a partition that has seen none."""
_DAY_US = 86_400 * MICROSECONDS
_CLAMPED, _BAD_PROBABILITIES = (np.uint32(DEFECT[name]) for name in ("clamped", "probabilities_invalid"))
_SAYS_NOTHING = Own()
_DOUBT = Own._fields.index("doubt")
_LAST_TIME_MS = 2**53
_DAYS_KEPT = 1000
"""Keys kept at once: a stream of wild dates must not fill the memory."""


@dataclass(frozen=True, slots=True)
class Batch:
    """n decoded events of any cohorts: ``columns`` and, beside them, where each came from.

    ``time_us``: int64 [n]; ``high_us``: int64 [n], the greatest event time of its partition before it;
    ``behind``: bool [n], older than anything that is counted; ``cohorts``: int64 [n].
    ``fields`` and ``own`` (float64 [n, Own], NaN where there is none; None if all are) are still to be read, since
    the layout tells which of them; so are ``embeddings``, ``members`` and ``shadows`` (none at all if all are
    null). ``event`` decodes one again: nearly all are only counted.
    """

    columns: Columns
    cohorts: NDArray[np.int64]
    time_us: NDArray[np.int64]
    high_us: NDArray[np.int64]
    behind: NDArray[np.bool_]
    sources: Sequence[tuple[str, int]]
    source_of: NDArray[np.int64]
    offsets: Sequence[int]
    values: Sequence[bytes]
    fields: Carried
    own: NDArray[np.float64] | None
    embeddings: Sequence[msgspec.Raw]
    members: Sequence[msgspec.Raw]
    shadows: Sequence[msgspec.Raw]
    event: Callable[[int], Event]


@dataclass(frozen=True, slots=True)
class _Piece:
    """Events that were taken together. ``probabilities``: one event's after the other, and how many each has."""

    source: int
    time_us: NDArray[np.int64]
    high_us: NDArray[np.int64]
    behind: NDArray[np.bool_]
    cohorts: NDArray[np.int64]
    codes: NDArray[np.int64]
    confidence: NDArray[np.float64]
    probabilities: tuple[NDArray[np.float64], NDArray[np.int64]]
    days: NDArray[np.int64]
    defects: NDArray[np.uint32]
    offsets: Sequence[int]
    ids: Texts
    values: Sequence[bytes]
    fields: FieldColumns | Kept
    own: NDArray[np.float64] | None
    embeddings: Sequence[msgspec.Raw]
    members: Sequence[msgspec.Raw]
    shadows: Sequence[msgspec.Raw]


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
        self._calibrates = any(model.calibration for model in models)
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
        self._curves: dict[int, Curve] = {}

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

    def expect(self, wishes: Sequence[Wishes]) -> None:
        """Be told what is read of the events that were counted: most that come are likely to hold the same.

        Nothing may wait.
        """
        assert not self._count
        expected = self._taking.expected
        if expected is None or not all(expected.covers(each) for each in wishes):
            self._taking.expected = expected_of(wishes)

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
            cohorts=_cohort_ids(taken.cohorts),
            codes=_codes(taken.predicted, self._classes),
            confidence=told_confidence(taken.confidence, defects),
            probabilities=told_probabilities(taken, self._taking.expected, defects),
            days=time // _DAY_US,
            defects=defects,
            offsets=taken.offsets,
            ids=Texts(taken.ids),
            values=taken.values,
            fields=taken.fields,
            own=np.array([each or _SAYS_NOTHING for each in taken.own]) if any(taken.own) else None,
            embeddings=_some(taken.embeddings),
            members=_some(taken.members),
            shadows=_some(taken.shadows),
        )
        self._add_tags(taken)
        if self._calibrates:
            for cohort in distinct(taken.cohorts):
                curve = None if cohort.id in self._curves else cohort.settings.curve
                if curve is not None:
                    self._curves[cohort.id] = curve
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

    def _draws(self) -> NDArray[np.uint64]:
        """Return the draws of all events, each by the key of its day; [n, draws]."""
        days = np.concatenate([piece.days for piece in self._pieces])
        present = np.unique(days) if days.min() < days.max() else days[:1]
        keys = np.array([np.frombuffer(self._day_key(day), dtype="<u8") for day in present.tolist()])
        return draws([piece.ids for piece in self._pieces], keys[np.searchsorted(present, days)], len(DRAWS))

    def _day_key(self, day: int) -> bytes:
        key = self._day_keys.get(day)
        if key is None:
            if len(self._day_keys) > _DAYS_KEPT:
                self._day_keys.clear()
            secret = self._settings.selection.secret.get_secret_value().encode()[:64]
            key = blake2b(f"strandline draw {day}".encode(), key=secret, digest_size=KEY_BYTES).digest()
            self._day_keys[day] = key
        return key

    def batch(self) -> Batch:
        """Return what waits, as columns. There must be something."""
        pieces = self._pieces
        known = np.concatenate([piece.confidence for piece in pieces])
        lengths = np.concatenate([piece.probabilities[1] for piece in pieces])
        flat = np.concatenate([piece.probabilities[0] for piece in pieces])
        top, second, valid = top_two(flat, lengths)
        flags = np.concatenate([piece.defects for piece in pieces])
        flags |= np.where((lengths > 0) & ~valid, _BAD_PROBABILITIES, np.uint32(0))
        sizes = [len(piece.time_us) for piece in pieces]
        source_of = np.repeat([piece.source for piece in pieces], sizes)
        sources = tuple(self._sources)
        values = list(chain.from_iterable(piece.values for piece in pieces))
        own = None
        if any(piece.own is not None for piece in pieces):
            nothing = [np.full((size, len(_SAYS_NOTHING)), np.nan) for size in sizes]
            own = np.concatenate(
                [none if piece.own is None else piece.own for piece, none in zip(pieces, nothing, strict=True)]
            )

        def event(row: int) -> Event:
            return self._decoders.of(sources[source_of[row]][0]).decode(values[row])[0]

        time_us = np.concatenate([piece.time_us for piece in pieces])
        cohorts = np.concatenate([piece.cohorts for piece in pieces])
        confidence = np.where(np.isnan(known), top, known)
        for cohort, curve in self._curves.items():
            mine = cohorts == cohort
            confidence[mine] = curve.of(confidence[mine])
        return Batch(
            columns=Columns(
                # Adding 0 turns -0 into 0: they compare equal, but their bytes differ.
                confidence=confidence + 0.0,
                margin=top - second,
                predicted=Categories(np.concatenate([piece.codes for piece in pieces]), tuple(self._classes)),
                tags={
                    key: Categories(np.array(codes, dtype=np.int64), tuple(names))
                    for key, codes, names in zip(self._tag_keys, self._tag_codes, self._tags, strict=True)
                },
                hashes=self._draws(),
                defects=flags,
                doubt=None if own is None else own[:, _DOUBT],
                entropy=entropy(flat, lengths, valid) if len(flat) else None,
                time_us=time_us,
            ),
            cohorts=cohorts,
            time_us=time_us,
            high_us=np.concatenate([piece.high_us for piece in pieces]),
            behind=np.concatenate([piece.behind for piece in pieces]),
            sources=sources,
            source_of=source_of,
            offsets=list(chain.from_iterable(piece.offsets for piece in pieces)),
            values=values,
            fields=self._fields(event),
            own=own,
            embeddings=_raws([piece.embeddings for piece in pieces], sizes),
            members=_raws([piece.members for piece in pieces], sizes),
            shadows=_raws([piece.shadows for piece in pieces], sizes),
            event=event,
        )

    def _fields(self, event: Callable[[int], Event]) -> Carried:
        read = [piece.fields for piece in self._pieces if isinstance(piece.fields, FieldColumns)]
        expected = self._taking.expected
        if expected is not None:
            return Read(expected.slots, joined(read), event)
        return Kept.joined([piece.fields for piece in self._pieces if isinstance(piece.fields, Kept)])


def _some(raws: Sequence[msgspec.Raw]) -> Sequence[msgspec.Raw]:
    """Return what events carry in one field, none at all if all of it is null."""
    return raws if raws.count(NULL) < len(raws) else ()


def _raws(pieces: Sequence[Sequence[msgspec.Raw]], sizes: Sequence[int]) -> Sequence[msgspec.Raw]:
    """Return what all pieces carry in one field, one after the other, none at all if none carries any."""
    if not any(pieces):
        return ()
    return [raw for piece, size in zip(pieces, sizes, strict=True) for raw in piece or [NULL] * size]


def _cohort_ids(cohorts: Sequence[Cohort]) -> NDArray[np.int64]:
    if cohorts.count(cohorts[0]) == len(cohorts):
        return np.full(len(cohorts), cohorts[0].id, dtype=np.int64)
    return np.fromiter((cohort.id for cohort in cohorts), np.int64, len(cohorts))


def _codes(texts: Sequence[str | None], known: dict[str, int], kept: Callable[[str], str] = str) -> NDArray[np.int64]:
    """Return the code of each text, as it is ``kept``, -1 for None; new ones get the next codes in ``known``."""
    code_of: dict[str | None, int] = {}
    for text in distinct(texts):
        code_of[text] = -1 if text is None else known.setdefault(kept(text), len(known))
    return np.fromiter(map(code_of.__getitem__, texts), np.int64, len(texts))


def _tag_text(tag: str) -> str:
    return tag[:MAX_NAME].replace("\x00", "\ufffd")
