"""What events cause besides moving a position: part rows, candidates, dead letters. Written in one transaction."""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from sinks.database import Connection
from sinks.statements import statement

__all__ = ["NEVER_SEEN", "NOVEL_EVENTS", "Candidate", "DeadLetter", "Effects", "PartRow", "Partition", "write"]

NEVER_SEEN = "never_seen"
"""The reason of a candidate that is one of the first of a value that was never seen."""
NOVEL_EVENTS = 5
"""How many events of each never-seen value become candidates for that alone."""

NOVEL_VALUES_KEPT = 1000
"""Never-seen values of one model that are told and nominated for, until retention makes room; more are only counted."""

Partition = tuple[str, int]
"""Topic and number."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An event that could not be used; ``reason`` is one word, ``detail`` is for people."""

    topic: str
    partition: int
    offset: int
    reason: str
    detail: str
    value: bytes


@dataclass(frozen=True, slots=True)
class PartRow:
    """What one commit adds to one window of one cohort."""

    cohort_id: int
    window: int
    layout_id: int
    events: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Candidate:
    """An event that may be worth a label. ``nominated`` (π₁) and ``wanted`` (π) are None without a draw.

    ``novel``: the never-seen value it is one of the first of; whether it is among the very first, and so
    certain to be queued, is decided where it is written. ``digest``: what it would be known by if it was forgotten.
    """

    model: str
    version: str
    event_id: str
    topic: str
    partition: int
    offset: int
    event_time_us: int
    window: int
    prediction: str | None
    confidence: float | None
    expected_error: float
    reason: str
    nominated: float | None
    wanted: float | None
    select_draw: float
    order_draw: float
    event: bytes | None
    truncated: bool
    novel: str | None = None
    digest: bytes = field(default=b"", compare=False)


@dataclass(slots=True)
class Effects:
    """Everything a stretch of events causes."""

    parts: list[PartRow] = field(default_factory=list)
    candidates: list[Candidate] = field(default_factory=list)
    dead_letters: list[DeadLetter] = field(default_factory=list)
    tombstones: dict[Partition, int] = field(default_factory=dict)


def write(
    connection: Connection,
    effects: Effects,
    *,
    dead_letters_kept: int,
    dead_letter_bytes: Callable[[bytes], bytes | None],
) -> None:
    """Write ``effects``; to be called in the transaction that moves the positions."""
    if effects.parts:
        rows = [(p.cohort_id, p.window, p.layout_id, p.events, p.body) for p in effects.parts]
        connection.execute(statement("ledger", "add_parts"), _columns(rows))
    if effects.dead_letters:
        _write_dead_letters(connection, effects.dead_letters, dead_letters_kept, dead_letter_bytes)
    if effects.tombstones:
        skipped = [(topic, number, "tombstone", n) for (topic, number), n in sorted(effects.tombstones.items())]
        connection.execute(statement("ledger", "count_skipped"), _columns(skipped))
    candidates = _grant_novel(connection, _not_forgotten(connection, effects.candidates))
    if candidates:
        _write_candidates(connection, candidates)


def _columns(rows: Sequence[tuple[object, ...]]) -> list[list[object]]:
    return [list(column) for column in zip(*rows, strict=True)]


def _write_dead_letters(
    connection: Connection, letters: list[DeadLetter], kept: int, bytes_of: Callable[[bytes], bytes | None]
) -> None:
    """Keep the first of each partition and reason whole, the rest as a range of offsets and a count."""
    groups: dict[tuple[str, int, str], list[DeadLetter]] = defaultdict(list)
    for letter in sorted(letters, key=lambda each: (each.topic, each.partition, each.reason, each.offset)):
        groups[letter.topic, letter.partition, letter.reason].append(letter)
    counts = [(*key, len(group)) for key, group in groups.items()]
    totals = connection.execute(statement("ledger", "count_dead_letters"), _columns(counts)).fetchall()
    rows: list[tuple[object, ...]] = []
    for topic, partition, reason, total in totals:
        group = groups[topic, partition, reason]
        room = max(0, kept - (total - len(group)))
        for each in group[:room]:
            offset, size = each.offset, len(each.value)
            rows.append((topic, partition, offset, offset, 1, reason, each.detail, size, bytes_of(each.value)))
        if rest := group[room:]:
            volume = sum(len(each.value) for each in rest)
            first, last = rest[0].offset, rest[-1].offset
            rows.append((topic, partition, first, last, len(rest), reason, rest[0].detail, volume, None))
    connection.execute(statement("ledger", "add_dead_letters"), _columns(rows))


def _not_forgotten(connection: Connection, candidates: list[Candidate]) -> list[Candidate]:
    """Return the candidates, without those of events that were to be forgotten and came again."""
    if not candidates:
        return candidates
    digests = [each.digest for each in candidates]
    found = set(connection.execute(statement("ledger", "forgotten"), [digests]).fetchall())
    # Of one model, or of all of them.
    return [each for each in candidates if not found & {(each.digest, None), (each.digest, each.model)}]


def _grant_novel(connection: Connection, candidates: list[Candidate]) -> list[Candidate]:
    """Return the candidates, without those of never-seen values that have had their events already."""
    asked = Counter((each.model, "classes", each.novel) for each in candidates if each.novel is not None)
    if not asked:
        return candidates
    first = {(each.model, "classes", each.novel): each for each in reversed(candidates) if each.novel is not None}
    rows = [(*key, first[key].version, 0, first[key].window, first[key].event_id) for key in sorted(first)]
    connection.execute(
        statement("ledger", "add_novel_values"), [sorted({row[0] for row in rows}), NOVEL_VALUES_KEPT, *_columns(rows)]
    )
    found = connection.execute(statement("ledger", "lock_novel_values"), _columns(sorted(first))).fetchall()
    room = {(model, kind, value): NOVEL_EVENTS - taken for model, kind, value, taken in found}
    granted: Counter[tuple[str, str, str]] = Counter()
    kept: list[Candidate] = []
    for each in candidates:
        if each.novel is None:
            kept.append(each)
            continue
        key = (each.model, "classes", each.novel)
        if granted[key] < room.get(key, 0):
            granted[key] += 1
            kept.append(replace(each, reason=NEVER_SEEN))
        elif each.nominated is not None:
            kept.append(replace(each, novel=None))
    if granted:
        more = [(*key, granted[key]) for key in sorted(granted)]
        connection.execute(statement("ledger", "nominate_novel_values"), _columns(more))
    return kept


def _write_candidates(connection: Connection, candidates: list[Candidate]) -> None:
    # In the order of their key, so that two workers with the same events wait for each other, not deadlock.
    ordered = sorted(candidates, key=lambda each: (each.model, each.event_id, each.topic, each.partition, each.offset))
    rows = [
        (
            each.model, each.version, each.event_id, each.topic, each.partition, each.offset, each.event_time_us,
            each.window, each.prediction, each.confidence, each.expected_error, each.reason, each.nominated,
            each.wanted, each.select_draw, each.order_draw,
        )
        for each in ordered
    ]  # fmt: skip
    made = connection.execute(statement("ledger", "add_candidates"), _columns(rows)).fetchall()
    # Of an event delivered twice the first one is kept, and so is the first one's payload.
    payloads = {(each.model, each.event_id): each for each in reversed(ordered) if each.event is not None}
    stored = [
        (identity, payloads[model, event_id].event, payloads[model, event_id].truncated)
        for identity, model, event_id in made
        if (model, event_id) in payloads
    ]
    if stored:
        connection.execute(statement("ledger", "add_payloads"), _columns(stored))
