"""Every broken event, through a real Kafka and a real worker: what it leaves in the store, and nothing else."""

import math
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing

import pytest
from kafka import KafkaProducer

from daemon.settings import IngestSettings, Settings
from detectors.columns import DEFECTS
from detectors.layout import Layout
from detectors.summary import Summary
from sinks.windows import uncompress
from tests.broken_events import CASES, MODELS, START, Case, Dead, Skipped, Taken, event
from tests.harness import query, settings_for, wait_for, working
from tests.services import ApacheKafka

PARTITIONS = 3
LARGEST_STORED = IngestSettings().max_payload_bytes
RECORD_MAX = str(32 << 20)
# So few events are expected, and so many labels can be given, that every event is drawn.
EVERYTHING = {"labels_per_day": 1000, "expected_events_per_day": 100}


def settings(kafka: ApacheKafka, database: str, topic: str, **sections: dict[str, object]) -> Settings:
    models = {name: {**model, **EVERYTHING} for name, model in MODELS.items()}
    # No partition is idle: what is late must hang on the events alone.
    return settings_for(kafka, database, topic, ingest={"idle_seconds": 3600}, model=models, **sections)


@pytest.fixture
def topic(kafka: ApacheKafka) -> str:
    name = f"broken-{time.time_ns()}"
    kafka.create_topic(name, PARTITIONS, {"retention.ms": "-1", "max.message.bytes": RECORD_MAX})
    return name


def send(
    kafka: ApacheKafka, topic: str, cases: list[Case], partitions: int = PARTITIONS
) -> list[tuple[Case, int, int]]:
    """Send them round robin, and return each with its partition and offset."""
    with closing(KafkaProducer(bootstrap_servers=kafka.bootstrap, max_request_size=32_000_000)) as producer:
        sent = [
            # A record may lack a key or a value, but not both.
            producer.send(topic, case.value, key=b"key", partition=at % partitions, timestamp_ms=case.timestamp)
            for at, case in enumerate(cases)
        ]
        producer.flush()
        places = [future.get(10) for future in sent]
    return [(case, place.partition, place.offset) for case, place in zip(cases, places, strict=True)]


def interleaved() -> Iterator[Case]:
    """Yield every broken event between good ones; first in each partition stands a good one."""
    for number in range(PARTITIONS):
        yield Case(f"first {number}", event(f"first {number}"), Taken())
    for number, case in enumerate(CASES):
        yield case
        yield Case(f"good {number}", event(f"good {number}"), Taken())


def counted(database: str) -> Counter[str]:
    """Return the sums of the traffic counters over all parts."""
    found: Counter[str] = Counter()
    rows = query(database, "SELECT control.body, part.body FROM part JOIN control ON control.id = layout_id")
    for layout, body in rows:
        summary = Summary.from_bytes(Layout.from_json(bytes(layout).decode()), uncompress(bytes(body)))
        for name in ("events", "late", *DEFECTS):
            found[name] += int(summary.total("traffic", name)[0])
    return found


def test_every_broken_event_has_its_outcome_and_no_other_is_touched(
    kafka: ApacheKafka, database: str, topic: str
) -> None:
    sent = send(kafka, topic, list(interleaved()))
    with working(settings(kafka, database, topic)) as worker:
        wait_for(lambda: query(database, "SELECT sum(next_offset)::int FROM partition") == [(len(sent),)])
        # It lives: what comes after all of them is counted as well.
        sent += send(kafka, topic, [Case("last", event("last"), Taken())], partitions=1)
        wait_for(lambda: query(database, "SELECT sum(next_offset)::int FROM partition") == [(len(sent),)])
        accepted = worker.committed_events

    dead = [(topic, *place, case.outcome.reason) for case, *place in sent if isinstance(case.outcome, Dead)]
    rows = query(database, "SELECT topic, partition, first_offset, reason FROM dead_letter ORDER BY 2, 3")
    assert rows == sorted(dead, key=lambda row: row[1:3])
    totals = query(database, "SELECT partition, reason, count FROM dead_letter_total")
    assert {row[:2]: row[2] for row in totals} == Counter((partition, reason) for _, partition, _, reason in dead)
    for case, partition, offset in sent:
        if isinstance(case.outcome, Dead):
            where = f"WHERE partition = {partition} AND first_offset = {offset}"
            [letter] = query(database, f"SELECT last_offset, count, size, value, detail FROM dead_letter {where}")
            assert case.value is not None
            assert letter[:4] == (offset, 1, len(case.value), case.value[:4096])
            assert case.outcome.words in letter[4]

    tombstones = Counter(partition for case, partition, _ in sent if isinstance(case.outcome, Skipped))
    rows = query(database, "SELECT topic, partition, reason, count FROM skipped_total")
    assert rows == [(topic, partition, "tombstone", count) for partition, count in tombstones.items()]

    taken = [(case, case.outcome) for case, *_ in sent if isinstance(case.outcome, Taken)]
    expected = Counter(defect for _, outcome in taken if not outcome.late for defect in outcome.defects)
    expected["late"] = sum(outcome.late for _, outcome in taken)
    expected["events"] = len(taken) - expected["late"]
    assert accepted == len(taken)
    assert counted(database) == expected

    rows = query(database, "SELECT event_id, event_time_us, prediction, confidence FROM candidate ORDER BY 1")
    assert rows == sorted(
        {
            (
                case.name,
                START * 1_000_000 + round(outcome.second * 1_000_000),
                outcome.predicted,
                None if math.isnan(outcome.confidence) else outcome.confidence,
            )
            for case, outcome in taken
        },
        key=lambda row: row[0],
    )
    rows = query(database, "SELECT count(*)::int, count(*) FILTER (WHERE truncated)::int FROM payload")
    large = sum(case.value is not None and len(case.value) > LARGEST_STORED for case, _ in taken)
    assert large
    assert rows == [(len({case.name for case, _ in taken}), large)]


def test_beyond_the_cap_dead_letters_are_ranges_and_counts(kafka: ApacheKafka, database: str, topic: str) -> None:
    kept = 5
    cases = []
    for number in range(14):
        value = f"broken {number} and longer than is kept".encode()
        cases += [Case(f"good {number}", event(f"good {number}"), Taken()), Case("", value, Dead("not_json"))]
    cases.append(Case("", b"[]", Dead("wrong_shape")))
    sent = send(kafka, topic, cases, partitions=1)
    few = settings(kafka, database, topic, dead_letters={"kept": kept, "bytes": 9})
    with working(few):
        wait_for(lambda: query(database, "SELECT max(next_offset)::int FROM partition") == [(len(cases),)])

    columns = "first_offset, last_offset, count, size, value"
    rows = query(database, f"SELECT {columns} FROM dead_letter WHERE reason = 'not_json' ORDER BY 1")
    broken = [(offset, case.value) for case, _, offset in sent if case.outcome == Dead("not_json") and case.value]
    assert rows[:kept] == [(offset, offset, 1, len(value), value[:9]) for offset, value in broken[:kept]]
    # One range for each commit: together they tell of all the rest, and each just once.
    ranges, rest = rows[kept:], broken[kept:]
    assert all(value is None for *_, value in ranges)
    for first, last, count, size, _ in ranges:
        inside = [(offset, value) for offset, value in rest if first <= offset <= last]
        assert (inside[0][0], inside[-1][0]) == (first, last)
        assert (len(inside), sum(len(value) for _, value in inside)) == (count, size)
    assert sum(count for _, _, count, *_ in ranges) == len(rest)
    rows = query(database, "SELECT reason, count FROM dead_letter_total ORDER BY 1")
    assert rows == [("not_json", len(broken)), ("wrong_shape", 1)]
    assert query(database, "SELECT value FROM dead_letter WHERE reason = 'wrong_shape'") == [(b"[]",)]


def test_the_longest_names_fit_and_no_bytes_are_kept_if_none_are_wanted(
    kafka: ApacheKafka, database: str, topic: str
) -> None:
    # Four bytes each, and nothing in them to compress: keys of an index must not become too long for a page.
    def longest(seed: int) -> str:
        return "".join(chr(0x10000 + (seed + number * number * 7919) % 0x20000) for number in range(256))

    names = {"model": longest(1), "version": longest(2), "prediction": longest(3), "tags": {"region": longest(4)}}
    sent = send(
        kafka, topic, [Case("", event("", id=longest(5), **names), Taken()), Case("", b"{", Dead("not_json"))], 1
    )
    models = {"*": {"segments": ["region"], **EVERYTHING}}
    wanted = settings_for(kafka, database, topic, dead_letters={"bytes": "off"}, model=models)
    with working(wanted):
        wait_for(lambda: query(database, "SELECT max(next_offset)::int FROM partition") == [(len(sent),)])
    rows = query(database, "SELECT model, version, prediction, event_id FROM candidate")
    assert rows == [(names["model"], names["version"], names["prediction"], longest(5))]
    assert query(database, "SELECT size::int, value FROM dead_letter") == [(1, None)]
