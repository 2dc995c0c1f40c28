"""Events with known ids and content, a topic full of them, and what of a database must not depend on faults."""

import json
import random
from collections.abc import Iterator

import psycopg
from kafka import KafkaProducer

from tests.services import ApacheKafka

PARTITIONS = 6
MODELS = ("alpha", "beta", "gamma", "delta")
REGIONS = ("eu", "us", "asia", "africa")
CLASSES = tuple("abcdefgh")
WINDOW_SECONDS = 60
START_SECONDS = 1_760_000_040 - 1_760_000_040 % WINDOW_SECONDS
BROKEN = (b"{", b'{"id": "x"}', b"\xff\xfe", b'{"id": "n", "time": 1e999, "model": "alpha", "prediction": "a"}')


def events(count: int, windows: int, *, seed: int, changes_at: int) -> Iterator[tuple[int, float, bytes]]:
    """Yield (partition, time in seconds, value), in order of time; from window ``changes_at`` on things drift."""
    chance = random.Random(seed)
    for number in range(count):
        time = START_SECONDS + number * windows * WINDOW_SECONDS / count
        if number % 1000 == 777:
            yield number % PARTITIONS, time, BROKEN[number // 1000 % len(BROKEN)]
            continue
        drifted = (time - START_SECONDS) // WINDOW_SECONDS >= changes_at
        yield number % PARTITIONS, time, _event(number, time, chance, drifted=drifted)


def _event(number: int, time: float, chance: random.Random, *, drifted: bool) -> bytes:
    model = MODELS[number % len(MODELS)]
    sure = chance.betavariate(9, 2) if not (drifted and model == "alpha") else chance.betavariate(4, 4)
    confidence = 0.2 + 0.8 * sure
    predicted = chance.choice(CLASSES)
    if drifted and model == "beta" and chance.random() < 0.2:
        predicted = "h"
    if drifted and model == "gamma" and chance.random() < 0.02:
        predicted = f"new-{chance.randrange(3)}"
    # Some events come late, some so late that their window is closed in their partition.
    when = time - (chance.random() * 90 if number % 50 == 0 else 0)
    event = {
        "id": f"event-{number}",
        "time": when,
        "model": model,
        "version": "1",
        "prediction": predicted,
        "confidence": round(confidence, 6),
        "tags": {"region": REGIONS[number // 7 % len(REGIONS)]},
    }
    return json.dumps(event).encode()


def reference_rows(count: int, *, seed: int) -> Iterator[str]:
    """Yield the rows of a reference file of the model alpha."""
    chance = random.Random(seed)
    for number in range(count):
        yield _event(number * len(MODELS), START_SECONDS, chance, drifted=False).decode()


def fill(kafka: ApacheKafka, topic: str, stream: Iterator[tuple[int, float, bytes]], windows: int) -> dict[int, int]:
    """Create the topic, send everything, and last an event a partition that closes all windows; return the ends."""
    kafka.create_topic(topic, PARTITIONS, {"retention.ms": "-1"})
    producer = KafkaProducer(bootstrap_servers=kafka.bootstrap, linger_ms=50, batch_size=262_144)
    ends = dict.fromkeys(range(PARTITIONS), 0)
    for partition, time, value in stream:
        producer.send(topic, value, partition=partition, timestamp_ms=round(time * 1000))
        ends[partition] += 1
    after = START_SECONDS + (windows + 10) * WINDOW_SECONDS
    for partition in ends:
        last = {"id": f"last-{partition}", "time": after, "model": "alpha", "version": "1", "prediction": "a"}
        producer.send(topic, json.dumps(last).encode(), partition=partition, timestamp_ms=after * 1000)
        ends[partition] += 1
    producer.flush()
    producer.close()
    return ends


EXACT = {
    "positions": "SELECT topic, partition, next_offset, event_high_us FROM partition ORDER BY 1, 2",
    "closed windows": """
        SELECT model, version, "window", layout_id, events, summary, readings
        FROM closed_window JOIN cohort ON cohort.id = cohort_id ORDER BY 1, 2, 3""",
    "detector state": "SELECT model, version, reduced_window, state FROM cohort ORDER BY 1, 2",
    "alert transitions": """
        SELECT fingerprint, "window", state, evidence::text FROM alert_transition ORDER BY 1, 2, 3""",
    "dead letters": """
        SELECT topic, partition, first_offset, last_offset, reason, count, value FROM dead_letter ORDER BY 1, 2, 3""",
    "candidates": """
        SELECT model, event_id, topic, partition, "offset", "window", prediction, confidence, expected_error,
               nominated, wanted, select_draw, order_draw
        FROM candidate WHERE nominated IS NOT NULL ORDER BY 1, 2""",
    "never-seen values": "SELECT model, kind, value, nominated FROM novel_value ORDER BY 1, 2, 3",
}
"""What must be the same, row for row and byte for byte, with and without faults."""


def differences(faulty: str, quiet: str) -> list[str]:
    """Return what differs between two databases, in words."""
    found: list[str] = []
    with psycopg.connect(faulty) as one, psycopg.connect(quiet) as other:
        for name, query in EXACT.items():
            mine, theirs = one.execute(query.encode()).fetchall(), other.execute(query.encode()).fetchall()
            if mine != theirs:
                only = [str(row)[:300] for row in mine if row not in set(theirs)][:3]
                missing = [str(row)[:300] for row in theirs if row not in set(mine)][:3]
                found.append(
                    f"{name}: {len(mine)} and {len(theirs)} rows; only with faults: {only}, without: {missing}"
                )
    return found


def copy_control_log(source: str, target: str) -> None:
    """Give ``target`` the models, cohorts and control records of ``source``, under the same ids."""
    columns = {
        "model": "name, window_seconds",
        "cohort": "id, model, version",
        "control": "id, kind, cohort_id, model, effective_from, body",
    }
    with psycopg.connect(source) as read, psycopg.connect(target) as write:
        for table, names in columns.items():
            places = ", ".join(["%s"] * (names.count(",") + 1))
            rows = read.execute(f"SELECT {names} FROM {table} ORDER BY 1".encode()).fetchall()
            with write.cursor() as cursor:
                cursor.executemany(
                    f"INSERT INTO {table} ({names}) OVERRIDING SYSTEM VALUE VALUES ({places})".encode(),
                    rows,
                )
