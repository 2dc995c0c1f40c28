"""Events that are broken, huge, without bounds, or of a time that cannot be."""

import json
from collections.abc import Iterator

import psutil

from tests.fault.altering import alter, demand, event
from tests.fault.invariants import counted
from tests.fault.oracle import PARTITIONS, START_SECONDS, WINDOW_SECONDS, Sent
from tests.fault.scenario import scenario
from tests.fault.trial import NotHeld, Process, Trial

LARGE = 20_000_000
DEEP = 10_000
KEPT = 4096
"""Bytes of a dead letter that are kept."""
GROWTH = 160 << 20
"""Bytes that a worker may need beyond what good events need: for 20 MB, as Kafka's client copies them."""


@scenario("12", "corrupt bytes, 20 MB, 10,000 deep, a million tags")
def broken_and_huge(trial: Trial) -> None:
    """After the stream send what breaks decoders and fills memories; watch how large the worker becomes."""
    trial.start("jobs")
    worker = trial.start()
    trial.feed.up_to(1.0)
    trial.wait_until_read(1.0)
    before = rss(worker)
    trial.feed.more(usable(trial))
    for number, value in enumerate(broken(trial)):
        at = number % PARTITIONS
        trial.letters.append((at, trial.feed.ends[at], value[:KEPT]))
        trial.feed.more([(at, end(trial), value)])
    trial.feed.rest()
    largest = 0

    def read() -> bool:
        nonlocal largest
        largest = max(largest, rss(worker))
        return trial.offsets() == trial.feed.ends

    trial.wait_for(read, "all of it read")
    trial.told["MB before"], trial.told["MB at most"] = str(before >> 20), str(largest >> 20)
    if largest - before > GROWTH:
        raise NotHeld(f"the worker grew from {before >> 20} to {largest >> 20} MB")


def rss(process: Process) -> int:
    """Return the bytes of memory that a process takes."""
    return int(psutil.Process(process.pid).memory_info().rss)


def end(trial: Trial) -> float:
    """Return the time, in seconds, at which the oracle's stream ends."""
    return float(START_SECONDS + trial.oracle.windows * WINDOW_SECONDS)


def broken(trial: Trial) -> Iterator[bytes]:
    """Yield what cannot be used."""
    good = event("good", end(trial), "flooded")
    for _ in range(200):
        yield b"\xff" + trial.chance.randbytes(trial.chance.randrange(300))
        yield good[: trial.chance.randrange(1, len(good) - 1)]
    yield event("large", end(trial), "flooded", payload="x" * LARGE)
    yield event("tagged", end(trial), "flooded", tags={f"tag-{number}": "x" for number in range(1_000_000)})
    yield event("deep", end(trial), "flooded")[:-1] + b', "payload": ' + b"[" * DEEP + b"]" * DEEP + b"}"


def usable(trial: Trial) -> Iterator[Sent]:
    """Yield events with a million different tags and regions between them, a thousand each."""
    for number in range(1000):
        tags = {f"tag-{number * 1000 + each}": f"value-{each}" for each in range(999)}
        value = event(f"flood-{number}", end(trial), "flooded", tags={**tags, "region": f"region-{number}"})
        yield number % PARTITIONS, end(trial), value


@scenario("14", "late, shuffled, 1970, 2100, and long idle", must=(), quick=True)
def times_that_cannot_be(trial: Trial) -> None:
    """Leave one partition idle while windows close, then send it old events; in all of them times are out of order."""
    alter(trial, ("idle_seconds = 1000", "idle_seconds = 2"))
    jobs = trial.start("jobs")
    trial.start()
    trial.start()
    first, middle, last = (START_SECONDS + share * WINDOW_SECONDS for share in (0, 30, 60))
    trial.feed.more(out_of_order(trial, "early", first, middle, range(PARTITIONS)))
    trial.feed.more(out_of_order(trial, "busy", middle, last, range(PARTITIONS - 1)))
    closed = 'SELECT cohort_id, "window", events, summary FROM closed_window ORDER BY 1, 2'
    newest = 'SELECT max("window") >= %s FROM closed_window'
    trial.wait_for(lambda: trial.query(newest, last // WINDOW_SECONDS - 2) == [(True,)], "windows of the busy closed")
    before, highs = trial.query(closed), watermarks(trial)
    trial.feed.more(out_of_order(trial, "burst", first, middle, [PARTITIONS - 1]))
    trial.wait_for(lambda: trial.offsets() == trial.feed.ends, "the burst read")
    for number, high in watermarks(trial).items():
        if not highs[number] <= high <= (last + 400) * 1_000_000:
            raise NotHeld(f"the watermark of {number} went from {highs[number]} to {high}")
    trial.settle()
    demand(trial.query(closed)[: len(before)], before, "windows that had been closed")
    demand(jobs.says("PartAfterClosing") or jobs.says("job.failed"), False, "whether reduce failed")
    demand(counted(trial.url).total(), sum(trial.feed.ends.values()), "events counted")
    [(late,)] = trial.query("SELECT count(*) FROM candidate WHERE event_time_us < 86400000000")
    trial.told["candidates of 1970"] = str(late)


def watermarks(trial: Trial) -> dict[int, int]:
    """Return the greatest event time of each partition, in microseconds."""
    return dict(trial.query("SELECT partition, event_high_us FROM partition"))


def out_of_order(trial: Trial, name: str, start: float, stop: float, partitions: "range | list[int]") -> list[Sent]:
    """Return 3000 events between two times, a few of them early, late, of 1970 or of 2100."""
    sent = []
    for number in range(3000):
        when = start + (stop - start) * number / 3000
        told = when + trial.chance.choice([0] * 12 + [trial.chance.uniform(-90, 5), -3600])
        told = trial.chance.choice([told] * 40 + [0, 86_400.5, 4_102_444_800])
        value = json.loads(event(f"{name}-{number}", told, "timed", tags={"region": "eu"}))
        sent.append((partitions[number % len(partitions)], when, json.dumps(value).encode()))
    return sent
