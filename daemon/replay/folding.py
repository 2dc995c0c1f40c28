"""Folding: the events of a chunk, counted per cohort and window as ingest counts them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

from daemon.accumulate import Accumulation
from daemon.buffer import NEVER, Cohort
from daemon.keeping import Keeping
from daemon.replay.chunks import Chunk, records_of
from daemon.settings import Settings
from detectors.registry import unlearnt_layout
from sinks.controls import ALWAYS, ControlRecord, Controls
from sinks.effects import DeadLetter

__all__ = ["Folded", "Folder", "Part", "Rejections", "layout_digest"]

_MOST_PARTS = 256
"""Windows that are counted at once: what is complete beyond that is put away."""
_NEVER_STALE = 2**62


@dataclass(frozen=True, slots=True)
class Part:
    """What a chunk adds to one window of one version, counted under the layout with the digest ``layout``."""

    model: str
    version: str
    window: int
    layout: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Rejections:
    """How many events were not usable for one reason, and the first of them."""

    count: int
    offset: int
    detail: str
    value: bytes | None


@dataclass(slots=True)
class Folded:
    """What came of a chunk. ``high_us``: its greatest event time, NEVER without any.

    ``late_from_us``: had the stream's greatest event time before the chunk been as much, some of these events would
    have been late, or late in another window.
    """

    high_us: int
    late_from_us: int = _NEVER_STALE
    records: int = 0
    parts: list[Part] = field(default_factory=list)
    rejected: dict[str, Rejections] = field(default_factory=dict)


def layout_digest(body: bytes) -> str:
    """Return what tells a layout, as stored, from others."""
    return blake2b(body, digest_size=16).hexdigest()


class Folder:
    """Folds chunks under the layouts that are known by then.

    ``news`` returns all cohorts that are registered, and the layouts published after the control record with the given
    number. A version that is not registered is counted under what it would start with if it were registered now;
    who closes its windows compares.
    """

    def __init__(
        self,
        settings: Settings,
        models: frozenset[str],
        news: Callable[[int], tuple[Sequence[tuple[int, str, str]], Sequence[ControlRecord]]],
    ) -> None:
        self._settings = settings
        self._models = models
        self._news = news
        self._controls = Controls(("layout",))
        self._last_id = 0
        self._guesses = 0
        self._by_name: dict[tuple[str, str], Cohort] = {}
        self._by_id: dict[int, Cohort] = {}
        self._digests: dict[int, str] = {}
        self._keeping = Keeping(settings)
        self._accumulation = Accumulation(settings, self._controls, self._of, self._by_id.__getitem__, nominating=False)

    def fold(self, chunk: Chunk, high_us: int = NEVER) -> Folded:
        """Count a chunk; ``high_us``: the greatest event time of its stream before it."""
        self._learn()
        folded = Folded(high_us)
        for records in records_of(chunk):
            folded.records += len(records)
            folded.high_us = self._accumulation.add(chunk.topic, chunk.stream, records, folded.high_us)
            if self._accumulation.windows > _MOST_PARTS:
                self._put_away(chunk, folded)
        self._put_away(chunk, folded)
        return folded

    def _learn(self) -> None:
        cohorts, records = self._news(self._last_id)
        self._by_name.clear()
        self._by_id.clear()
        for number, model, version in cohorts:
            self._remember(number, model, version)
        for record in records:
            self._controls.add(record)
            self._last_id = record.id

    def _of(self, model: str, version: str) -> Cohort | None:
        known = self._by_name.get((model, version))
        if known is not None:
            return known
        if len(self._by_name) >= self._settings.detection.models_cap:
            return None
        newest = max((each.id for each in self._by_name.values() if each.model == model and each.id > 0), default=None)
        record = None if newest is None else self._controls.latest("layout", newest)
        body = unlearnt_layout().to_json().encode() if record is None else record.body
        # Numbers of what is only guessed are negative, and each is used once.
        self._guesses += 1
        self._controls.add(ControlRecord(-self._guesses, "layout", -self._guesses, model, ALWAYS, body))
        return self._remember(-self._guesses, model, version)

    def _remember(self, number: int, model: str, version: str) -> Cohort:
        cohort = Cohort(number, model, version, self._settings.of(model))
        self._by_name[model, version] = self._by_id[number] = cohort
        return cohort

    def _put_away(self, chunk: Chunk, folded: Folded) -> None:
        effects = self._accumulation.effects()
        late = self._accumulation.traffic()["late"] > 0
        for part in effects.parts:
            cohort = self._by_id[part.cohort_id]
            # What is too old for Kafka's timestamp is late whatever was before it, which tells where it is counted.
            late_from = NEVER if late and chunk.timed else _late_from(cohort, part.window, late=late)
            folded.late_from_us = min(folded.late_from_us, late_from)
            if not self._models or cohort.model in self._models:
                digest = self._digest(part.layout_id)
                folded.parts.append(Part(cohort.model, cohort.version, part.window, digest, part.body))
        for letter in effects.dead_letters:
            self._reject(folded, letter)
        self._accumulation.clear()

    def _digest(self, layout_id: int) -> str:
        digest = self._digests.get(layout_id)
        if digest is None:
            digest = self._digests[layout_id] = layout_digest(self._controls.body(layout_id))
        return digest

    def _reject(self, folded: Folded, letter: DeadLetter) -> None:
        known = folded.rejected.get(letter.reason)
        if known is None:
            value = self._keeping.dead_letter(letter.value)
            folded.rejected[letter.reason] = Rejections(1, letter.offset, letter.detail, value)
        else:
            folded.rejected[letter.reason] = Rejections(known.count + 1, known.offset, known.detail, known.value)


def _late_from(cohort: Cohort, window: int, *, late: bool) -> int:
    """Return the greatest event time before a chunk from which on its part of ``window`` would be another one."""
    length = cohort.settings.window_us
    # A late event is counted in the window that was open when it came: that of the time before, if it was greater.
    return window * length if late else (window + 1) * length + cohort.settings.lateness_us
