"""For long at the highest rate, while a reader of the database holds an old snapshot."""

import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import psycopg

from benchmarks.load import SEGMENT_TAG, Load, end_offsets
from benchmarks.observing import Observer, Sample
from daemon.demo.processes import free_port
from tests.fault.scenario import scenario
from tests.fault.trial import NotHeld, Trial
from tests.services import ROOT

PARTITIONS = 4
RATE = 40_000
"""Events a second that are sent while few wait: more than are read here, so that nobody rests."""
FEW, MANY = 20_000, 60_000
PROCESSES = ("ingest-0", "jobs", "supervisor")
T_95 = 2.78
"""Of a slope through six points."""
SETTLED_MINUTES = 10
SETTLED = 1.1
"""How much larger the tables may become when the snapshot is gone and its dead rows are room again."""
CONFIG = """
[kafka]
bootstrap_servers = ["{bootstrap}"]
topics = ["{topic}"]
[postgres]
url = "{url}"
[ops]
port = {port}
[model."*"]
window_seconds = 60
[model."model-*"]
segments = ["{tag}"]
window_seconds = 10
lateness_seconds = 5
labels_per_day = 500
expected_events_per_day = 8_640_000
"""


@scenario("18", "a soak at the highest rate, an old snapshot held", must=())
def soak(trial: Trial) -> None:
    """Watch memory, commits and tables; then let the snapshot go, and see that the tables grow no further."""
    topic, kafka, seconds = f"{trial.topic}-soak", trial.services.kafka, trial.minutes * 60
    size = {"retention.bytes": str(512 << 20), "segment.bytes": str(64 << 20)}
    kafka.create_topic(topic, PARTITIONS, size)
    with running(trial, topic) as observer, Load(kafka.bootstrap, topic, PARTITIONS, RATE) as load:
        trial.wait_for(lambda: lag(trial) is not None, "anything read")
        with psycopg.connect(trial.url) as old:
            old.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            old.execute("SELECT count(*) FROM partition")
            samples = watch(trial, observer, load, seconds)
        with psycopg.connect(trial.url, autocommit=True) as connection:
            connection.execute("VACUUM")
        after = watch(trial, observer, load, seconds / 5)
        load.held.set()
        produced = end_offsets(kafka.bootstrap, topic, PARTITIONS)
        read = "SELECT sum(next_offset)::bigint FROM partition WHERE topic = %s"
        trial.wait_for(lambda: trial.query(read, topic) == [(produced,)], "all read")
        late = int(observer.metrics()["strandline_events_late_total"])
    trial.told["events/s"] = f"{produced / (samples[-1].at - samples[0].at + seconds / 5):,.0f}"
    found = [*memory(trial, samples[len(samples) // 2 :]), *commits(trial, samples), *tables(trial, samples, after)]
    [(counted,)] = trial.query(
        "SELECT (SELECT coalesce(sum(events), 0) FROM closed_window) + (SELECT coalesce(sum(events), 0) FROM part)"
    )
    if counted + late != produced:
        found.append(f"{counted} events are counted and {late} were late, {produced} were sent")
    if found:
        raise NotHeld("\n".join(found))


@contextmanager
def running(trial: Trial, topic: str) -> Iterator[Observer]:
    """Run the whole daemon on a topic of its own."""
    config, port = trial.directory / "soak.toml", free_port()
    config.write_text(
        CONFIG.format(bootstrap=trial.services.kafka.bootstrap, topic=topic, url=trial.url, port=port, tag=SEGMENT_TAG)
    )
    command = [sys.executable, "-m", "daemon", "--config", str(config), "run"]
    with (trial.directory / "soak.log").open("wb") as log:
        daemon = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)
    try:
        yield Observer(daemon, config, trial.url, port)
    finally:
        daemon.terminate()
        daemon.wait(30)


def lag(trial: Trial) -> int | None:
    """Return how many records wait, as far as fetches have told."""
    [(waiting,)] = trial.query("SELECT sum(high_water - next_offset)::bigint FROM partition")
    return None if waiting is None else int(waiting)


def watch(trial: Trial, observer: Observer, load: Load, seconds: float) -> list[Sample]:
    """Return some sixty samples; meanwhile see that there is always something to read, and never too much."""
    samples, until, due = [observer.sample()], time.monotonic() + seconds, 0.0
    while time.monotonic() < until:
        waiting = lag(trial) or 0
        if waiting > MANY:
            load.held.set()
        elif waiting < FEW:
            load.held.clear()
        if time.monotonic() > due:
            samples.append(observer.sample())
            due = time.monotonic() + max(2.0, seconds / 60)
        time.sleep(0.2)
    return [*samples, observer.sample()]


def memory(trial: Trial, samples: Sequence[Sample]) -> Iterator[str]:
    """See whether a process grows: by a line through the means of six stretches, since single samples hang together.

    In a shorter run models still learn what there is to watch, and that takes memory: the figures are told only.
    """
    for process in PROCESSES:
        points = [(each.at / 60, each.rss[process] / 2**20) for each in samples if process in each.rss]
        blocks = [points[len(points) * at // 6 : len(points) * (at + 1) // 6] for at in range(6)]
        x, y = zip(*([statistics.mean(each) for each in zip(*block, strict=True)] for block in blocks), strict=True)
        slope, start = statistics.linear_regression(x, y)
        rest = sum((b - slope * a - start) ** 2 for a, b in zip(x, y, strict=True))
        error = (rest / 4 / sum((a - statistics.mean(x)) ** 2 for a in x)) ** 0.5
        trial.told[f"{process} MB"] = f"{y[-1]:.0f}, {slope:+.2f} ± {T_95 * error:.2f} a minute"
        if trial.minutes >= SETTLED_MINUTES and slope > T_95 * error and slope * (x[-1] - x[0]) > 0.02 * y[-1]:
            yield f"{process} grows by {slope:.2f} ± {T_95 * error:.2f} MB a minute"


def commits(trial: Trial, samples: Sequence[Sample]) -> Iterator[str]:
    """State how long commits took, and see whether they take longer the older the snapshot is."""
    third = len(samples) // 3
    first, last = p99(samples[0], samples[third]), p99(samples[-third], samples[-1])
    trial.told["commit p99"] = f"{p99(samples[0], samples[-1]):g} s, at first {first:g} s, at last {last:g} s"
    if last > max(4 * first, 1.0):
        yield f"99 of 100 commits take {last} s at last, {first} s at first"


def p99(since: Sample, until: Sample) -> float:
    """Return the bound, in seconds, below which 99 of 100 commits between two samples lie."""
    name = "strandline_commit_duration_seconds_bucket "
    counts = {
        float(each.removeprefix(name)): value - since.metrics.get(each, 0.0)
        for each, value in until.metrics.items()
        if each.startswith(name)
    }
    return min(bound for bound, count in counts.items() if count >= 0.99 * counts[float("inf")])


def tables(trial: Trial, samples: Sequence[Sample], after: Sequence[Sample]) -> Iterator[str]:
    """See that no more room is taken once dead rows can be reused, and tell how much the snapshot has cost."""
    first, held, last = (
        sum([*each.sizes.values(), *each.indexes.values()]) / 2**20 for each in (samples[0], samples[-1], after[-1])
    )
    indexes = sum(after[-1].indexes.values()) / 2**20
    trial.told["tables MB"] = f"{first:.0f}, {held:.0f} under the snapshot, {last:.0f} after (indexes {indexes:.0f})"
    if last > SETTLED * held + 10:
        yield f"tables take {last:.0f} MB, and took {held:.0f} MB when the snapshot went"
