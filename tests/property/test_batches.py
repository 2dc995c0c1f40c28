"""What is computed for an event does not depend on the batch it came in, nor on how polls and commits were cut."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from daemon.accumulate import NOVEL_VALUES, Accumulation
from daemon.buffer import NEVER, Cohort
from daemon.records import Records
from daemon.settings import Settings
from detectors.disagreement import DISAGREEMENT, SHADOW
from detectors.layout import WHOLE, BlockSpec, Layout, RawSpec
from detectors.registry import BLOCKS, unlearnt_layout
from detectors.selection import Pace
from detectors.summary import Summary
from sinks.controls import ALWAYS, ControlRecord, Controls
from sinks.effects import NOVEL_EVENTS, Candidate, DeadLetter
from sinks.windows import uncompress
from tests.broken_events import CASES, DAY, START, event

WINDOW_SECONDS = 300
FIRST = START // WINDOW_SECONDS
PARTITIONS = 3
SIZES = (1, 7, 100, 8192)
VERSIONS = (("pets", "1"), ("pets", "2"), ("digits", ""), ("prices", "1"))
MODELS = {
    "*": {"labels_per_day": 1000, "expected_events_per_day": 5000},
    "pets": {"classes": ["cat", "dog", "bird"], "segments": ["region"]},
    "digits": {"segments": ["tier", "region"], "window_seconds": 60, "lateness_seconds": 5},
    "prices": {"kind": "regressor"},
}
SPECS = {
    "confidence": BlockSpec("confidence", edges=(0.3, 0.6, 0.9)),
    "classes": BlockSpec("classes", labels=("cat", "dog", "bird", "8")),
}
# A cohort begins to learn; from a later window on it knows something; from a still later one, other things.
LEARNING = unlearnt_layout()
FIELDS = (
    BlockSpec("number", edges=(0.0, 1.0), field="features.age"),
    BlockSpec("number", field="prediction"),
    BlockSpec("number", edges=(0.0, 0.5), field=DISAGREEMENT),
    BlockSpec("number", edges=(0.0,), field=SHADOW),
    BlockSpec("category", labels=("red", "true"), field="features.colour"),
    BlockSpec("category", labels=("eu",), field="tags.region"),
)
LEARNT = Layout((WHOLE, "region=eu"), (*(SPECS.get(kind, block.unlearnt()) for kind, block in BLOCKS.items()), *FIELDS))
RAW = RawSpec(5, ("confidence", "features.age", "prediction=cat", "tags.region=eu"))
LARGER = replace(LEARNT, segments=(WHOLE, "region=eu", "region=us", "tier=gold"), sample_size=5, raw=RAW)


@dataclass
class Record:
    offset: int
    timestamp: int
    value: bytes | None


Stream = dict[int, list[Record]]


@dataclass
class Result:
    """What a run left behind, put together over its commits."""

    parts: dict[tuple[int, int], Summary] = field(default_factory=dict)
    layouts: dict[tuple[int, int], int] = field(default_factory=dict)
    candidates: list[Candidate] = field(default_factory=list)
    dead_letters: list[DeadLetter] = field(default_factory=list)
    tombstones: Counter[tuple[str, int]] = field(default_factory=Counter)
    highs: dict[int, int] = field(default_factory=dict)

    def drawn(self) -> list[Candidate]:
        """Return what was drawn, without which of them were taken as the first of a value, too."""
        found = [replace(each, novel=None) for each in self.candidates if each.nominated is not None]
        return sorted(found, key=lambda each: (each.partition, each.offset))


def controls() -> Controls:
    """Return a log in which layouts and rates change at windows in the middle of the events."""
    log = Controls()
    bodies: list[tuple[str, int | None, str, int, str]] = []
    for number, (model, _) in enumerate(VERSIONS):
        first = START // (60 if model == "digits" else WINDOW_SECONDS)
        bodies += [
            ("layout", number, model, ALWAYS, LEARNING.to_json()),
            ("layout", number, model, first + 2, LEARNT.to_json()),
            ("layout", number, model, first + 4 + number, LARGER.to_json()),
        ]
    bodies += [
        ("selection", None, "pets", FIRST + 1, Pace(0.02, 0.1, 0.3).to_json()),
        ("selection", None, "pets", FIRST + 3, Pace(0.2, 0.0, 0.3).to_json()),
        ("selection", None, "digits", ALWAYS, Pace(0.01, 0.05, 0.2).to_json()),
    ]
    for number, (kind, cohort, model, window, body) in enumerate(bodies, start=1):
        log.add(ControlRecord(number, kind, cohort, model, window, body.encode()))
    return log


def stream(seed: int, count: int) -> Stream:
    """Return records of all kinds, a few of them broken, in partitions whose times run apart."""
    chance = Random(seed)
    partitions: Stream = {number: [] for number in range(PARTITIONS)}
    offsets = [chance.randrange(100) for _ in partitions]
    for number in range(count):
        partition = chance.randrange(PARTITIONS)
        now = START + number * 2100 / count + 40 * partition
        offsets[partition] += chance.choice([1, 1, 1, 5])
        value = _value(chance, number, now)
        partitions[partition].append(Record(offsets[partition], round(now * 1000), value))
    return partitions


def _value(chance: Random, number: int, now: float) -> bytes | None:
    if chance.random() < 0.05:
        small = [case for case in CASES if case.value is None or len(case.value) < 2000]
        return chance.choice(small).value
    model, version = chance.choice(VERSIONS)
    time = now - chance.choice([0, 0, 0, chance.random() * 100, chance.random() * 900])
    time = chance.choice([time] * 20 + [now + 10_000, now - 9 * DAY, 0])
    # Some ids come twice, with other values.
    name = f"event {chance.randrange(number + 1) if chance.random() < 0.05 else number}"
    fields: dict[str, object] = {"model": model, "version": version, "time": time}
    fields["tags"] = {"region": chance.choice(["eu", "us", "asia"]), "tier": chance.choice(["gold", "tin"])}
    fields["confidence"] = chance.choice([None, round(chance.random(), 3), 1.7])
    shares = [chance.random() for _ in range(3)]
    shares = [share / sum(shares) for share in shares]
    labels = dict(zip(("cat", "dog", "bird"), shares, strict=True))
    fields["probabilities"] = chance.choice([None, shares, labels, [0.5, 0.5], {"cat": 0.4}, []])
    new = f"new {chance.randrange(6)}"
    odd = chance.choice([None, True, "thirty", [1], 2**70, 10**400]) if chance.random() < 0.1 else chance.gauss(0, 1)
    colours = ["red", "blue", True, None, 7, "\ud83d\ude00"]
    fields["features"] = chance.choice([None, {}, {"age": odd}, {"age": odd, "colour": chance.choice(colours), "x": 1}])
    pair = chance.choice([{"cat": 0.2}, {"cat": 0.1, "dog": 0.9}, {"dog": 1}])
    fields["members"] = chance.choice([None, None, [{"cat": 0.6, "dog": 0.4}, pair]])
    fields["shadow"] = chance.choice([None, None, "cat", {"prediction": 8}, 0.5, True])
    fields["prediction"] = chance.random() if model == "prices" else chance.choice(["cat", "dog", "8", 8, True, new])
    return event(name, **fields)


def polls(partitions: Stream, chance: Random | None, size: int) -> Iterator[tuple[int, list[Record]]]:
    """Yield pieces of the partitions: of one size round robin, or of random sizes in a random order."""
    at = dict.fromkeys(partitions, 0)
    while left := [number for number, records in partitions.items() if at[number] < len(records)]:
        for number in left if chance is None else [chance.choice(left)]:
            most = size if chance is None else chance.choice([1, 2, 5, 40, 500])
            yield number, partitions[number][at[number] : at[number] + most]
            at[number] += most


def run(partitions: Stream, *, size: int, chance: Random | None = None, commits: float = 0.0) -> Result:
    """Take the records through an accumulation; ``commits``: how probable a commit is after each poll."""
    settings = Settings.model_validate({"model": MODELS, "ingest": {"buffer_events": size}})
    cohorts = {name: Cohort(at, *name, settings.of(name[0])) for at, name in enumerate(VERSIONS)}
    by_id = {cohort.id: cohort for cohort in cohorts.values()}
    accumulation = Accumulation(settings, controls(), lambda *name: cohorts.get(name), by_id.__getitem__)
    layouts = {1 + at: each for at, each in enumerate((LEARNING, LEARNT, LARGER) * len(VERSIONS))}
    result = Result(highs=dict.fromkeys(partitions, NEVER))

    def commit() -> None:
        effects = accumulation.effects()
        assert accumulation.still_in_force()
        for row in effects.parts:
            place = row.cohort_id, row.window
            assert result.layouts.setdefault(place, row.layout_id) == row.layout_id
            summary = Summary.from_bytes(layouts[row.layout_id], uncompress(row.body))
            assert row.events == summary.events[0]
            if place in result.parts:
                result.parts[place].add(summary)
            else:
                result.parts[place] = summary
        result.candidates += effects.candidates
        result.dead_letters += effects.dead_letters
        result.tombstones.update(effects.tombstones)
        accumulation.clear()

    for number, records in polls(partitions, chance, size):
        result.highs[number] = accumulation.add("topic", number, Records.of(records), result.highs[number])
        if chance is not None and chance.random() < commits:
            commit()
    commit()
    return result


def check_same(one: Result, other: Result) -> None:
    assert other.layouts == one.layouts
    assert other.parts.keys() == one.parts.keys()
    for place, summary in one.parts.items():
        assert other.parts[place].to_bytes() == summary.to_bytes(), place
    # Which events are the first of a new value hangs on the order of counting: see the test of it below.
    assert other.drawn() == one.drawn()
    ordered = [sorted(each.dead_letters, key=lambda letter: (letter.partition, letter.offset)) for each in (one, other)]
    assert ordered[1] == ordered[0]
    assert other.tombstones == one.tombstones
    assert other.highs == one.highs


@examples(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32), count=st.integers(0, 250), chance=st.randoms(use_true_random=False))
def test_the_result_is_the_same_for_every_size_of_batch_and_every_cut(seed: int, count: int, chance: Random) -> None:
    partitions = stream(seed, count)
    whole = run(partitions, size=SIZES[-1])
    for size in SIZES[:-1]:
        check_same(whole, run(partitions, size=size))
    check_same(whole, run(partitions, size=chance.randint(1, 50), chance=chance))
    check_same(whole, run(partitions, size=chance.randint(1, 50), chance=chance, commits=0.2))


def test_the_result_is_the_same_for_many_events_as_well() -> None:
    partitions = stream(seed=2, count=2000)
    whole = run(partitions, size=SIZES[-1])
    for size in (7, 100):
        check_same(whole, run(partitions, size=size))
    check_same(whole, run(partitions, size=500, chance=Random(2), commits=0.05))


def test_the_events_of_this_test_are_of_all_kinds() -> None:
    partitions = stream(seed=10, count=2000)
    result = run(partitions, size=100)
    assert {place[0] for place in result.parts} == set(range(len(VERSIONS)))
    assert len(set(result.layouts.values())) == 3 * len(VERSIONS)
    totals: Counter[str] = Counter()
    for summary in result.parts.values():
        for name in ("events", "late", "clamped", "probabilities_invalid", "confidence_invalid"):
            totals[name] += int(summary.total("traffic", name)[0])
        for spec in summary.layout.blocks:
            if spec.field:
                totals[f"wrong {spec.kind}"] += int(summary.cells(spec.kind, spec.field)[0, 0])
                totals[spec.field] += int(summary.cells(spec.kind, spec.field)[0, 1:].sum())
        totals["appeared"] += int(summary.total("fields", "appeared")[0])
    assert min(totals.values()) > 5
    assert len({letter.reason for letter in result.dead_letters}) >= 5
    assert result.tombstones
    drawn = [each for each in result.candidates if each.nominated is not None]
    assert {each.reason for each in drawn} >= {"uniform", "uncertainty"}
    assert len({each.nominated for each in drawn}) > 10
    records = sum(len(records) for records in partitions.values())
    assert totals["events"] + totals["late"] + len(result.dead_letters) + sum(result.tombstones.values()) == records


@examples(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32), size=st.integers(1, 300), chance=st.randoms(use_true_random=False))
def test_of_every_new_value_a_bounded_number_is_taken_in_a_commit(seed: int, size: int, chance: Random) -> None:
    # Which ones: the first in the order in which they are counted. That is the one thing that hangs on the batch.
    partitions = stream(seed, 250)
    result = run(partitions, size=size, chance=chance)
    taken = Counter((each.model, each.novel) for each in result.candidates if each.novel is not None)
    assert max(taken.values(), default=0) <= NOVEL_EVENTS
    assert len(taken) <= NOVEL_VALUES
    whole = run(partitions, size=SIZES[-1])
    assert taken == Counter((each.model, each.novel) for each in whole.candidates if each.novel is not None)
    for each in result.candidates:
        assert each.novel is None or each.novel == each.prediction
        assert (each.nominated is None) == (each.reason == "never_seen")


@pytest.mark.parametrize("size", SIZES)
def test_a_layout_is_the_one_in_force_for_the_window_and_not_for_the_batch(size: int) -> None:
    values = [event(str(at), model="pets", time=START + at * 30, tags={"region": "eu"}) for at in range(60)]
    records = [Record(at, (START + at * 30) * 1000, value) for at, value in enumerate(values)]
    result = run({0: records}, size=size)
    counted = defaultdict(list)
    for (_, window), summary in sorted(result.parts.items()):
        counted[summary.layout].append((window - FIRST, summary.events.tolist()))
    assert counted[LEARNING] == [(0, [10]), (1, [10])]
    assert counted[LEARNT] == [(2, [10, 10]), (3, [10, 10])]
    assert counted[LARGER] == [(4, [10, 10, 0, 0]), (5, [10, 10, 0, 0])]


def test_what_is_stored_of_a_candidate_is_the_event_as_it_came() -> None:
    result = run(stream(seed=3, count=500), size=64)
    assert result.candidates
    for each in result.candidates:
        assert each.event is not None
        assert not each.truncated
        assert json.loads(each.event)["id"] == each.event_id
