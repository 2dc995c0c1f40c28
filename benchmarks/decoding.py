"""Decoding speed: a foreign nested record read by paths, beside our own event with the same content.

One process, no I/O. Both go through the whole of ``Buffer.add``, 500 records a call: decoding, all checks of bad
input, and becoming columns. Rounds are interleaved; medians are shown.
"""

import argparse
import json
import random
import statistics
import time
from collections.abc import Callable, Sequence

import msgspec

from benchmarks.report import Goal, print_json, print_table
from daemon.buffer import NEVER, Buffer, Cohort
from daemon.records import Records
from daemon.settings import Settings

GOALS = (Goal("ratio_to_own_event", 0.75),)
_AT_ONCE = 500
START = 1_760_000_000
FIELDS = {
    "id": "request.id",
    "time": "meta.ts_ms",
    "model": "meta.model.name",
    "version": "meta.model.version",
    "prediction": "response.label",
    "probabilities": "response.scores",
    "features": "request.features",
    "tags": "meta.tags",
    "payload": "request.text",
}


def records(count: int) -> tuple[list[bytes], list[bytes]]:
    """Return the same predictions as our own events, and as nested records of another shape."""
    chance = random.Random(1)
    own, foreign = [], []
    for number in range(count):
        name, text, tags = f"{number:012x}", f"request number {number}", {"region": "eu", "app": "web"}
        features = {f"f{index}": round(chance.gauss(0, 1), 4) for index in range(10)}
        weights = [chance.random() ** 4 for _ in range(10)]
        scores = {str(index): round(weight / sum(weights), 5) for index, weight in enumerate(weights)}
        label, moment = max(scores, key=scores.__getitem__), START * 1000 + number
        event = {"id": name, "time": moment, "model": "bench", "version": "1", "prediction": label}
        event |= {"probabilities": scores, "features": features, "tags": tags, "payload": text}
        own.append(msgspec.json.encode(event))
        model = {"name": "bench", "version": "1"}
        record = {
            "meta": {"ts_ms": moment, "host": "node-7", "model": model, "tags": tags},
            "request": {"id": name, "text": text, "features": features},
            "response": {"label": label, "scores": scores, "latency_ms": 12.5},
        }
        foreign.append(msgspec.json.encode(record))
    return own, foreign


def through_buffer(events: dict[str, object]) -> Callable[[Sequence[bytes]], None]:
    """Return what takes records as an ingest worker with these settings of ``[events]`` does."""
    settings = Settings.model_validate({"events": events})
    cohort = Cohort(0, "bench", "1", settings.of("bench"))
    buffer = Buffer(settings, lambda _model, _version: cohort)

    def take(values: Sequence[bytes]) -> None:
        for start in range(0, len(values), _AT_ONCE):
            some = values[start : start + _AT_ONCE]
            buffer.add("topic", 0, Records(range(len(some)), [START * 1000] * len(some), some), NEVER)
            buffer.clear()

    return take


def loads(values: Sequence[bytes]) -> None:
    """Read records with the standard library, and do nothing with them."""
    for value in values:
        json.loads(value)


def seconds(read: Callable[[Sequence[bytes]], None], values: Sequence[bytes]) -> float:
    """Return the processor time that ``read`` takes for all values."""
    began = time.process_time()
    read(values)
    return time.process_time() - began


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    parser.add_argument("--quick", action="store_true", help="a few seconds")
    arguments = parser.parse_args()
    count, rounds = (20_000, 5) if arguments.quick else (100_000, 15)
    own, foreign = records(count)
    contenders: dict[str, tuple[Callable[[Sequence[bytes]], None], list[bytes]]] = {
        "our own event": (through_buffer({}), own),
        "mapped by paths": (through_buffer({"decoder": "json", "fields": FIELDS}), foreign),
        "json.loads, nothing else": (loads, foreign),
    }
    taken: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, (read, values) in contenders.items():
            taken[name].append(seconds(read, values))
    rates = {name: count / statistics.median(each) for name, each in taken.items()}
    base = rates["our own event"]
    rows = [
        [name, f"{len(values[0])}", f"{rates[name]:,.0f}", f"{rates[name] / base:.2f}"]
        for name, (_, values) in contenders.items()
    ]
    print_table(f"{count:,} records, median of {rounds}", ["", "bytes", "records/CPU-s", "to our own event"], rows)
    figures = {
        "ratio_to_own_event": rates["mapped by paths"] / base,
        "mapped_per_cpu_second": rates["mapped by paths"],
        "own_per_cpu_second": base,
    }
    if arguments.json:
        print_json("decoding", figures, GOALS)


if __name__ == "__main__":
    main()
