"""Two workers on real Apache Kafka, killed again and again: the result is that of one that never was."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg
import pytest

from daemon import references
from daemon.jobs.reduce import ReduceJob
from daemon.jobs.select import SelectJob
from daemon.settings import Settings, load
from detectors.summary import Summary
from sinks.database import connect
from sinks.windows import Layouts, uncompress
from tests.fault import oracle
from tests.services import ApacheKafka, Postgres

EVENTS = 300_000
WINDOWS = 200
CHANGES_AT = 130
BROKEN = len(range(777, EVENTS, 1000))
KILLS = 15
SEED = 20_251_009

CONFIG = """
[kafka]
bootstrap_servers = ["{bootstrap}"]
topics = ["{topic}"]
group = "{group}"
session_timeout_seconds = 6
[postgres]
url = "{url}"
[ingest]
idle_seconds = 1000
commit_seconds = 0.2
[ops]
port = 0
[model."*"]
window_seconds = 60
lateness_seconds = 20
segments = ["region"]
labels_per_day = 20000
expected_events_per_day = 200000
"""


def write_config(path: Path, **values: str) -> Settings:
    path.write_text(CONFIG.format(**values))
    return load(path)


@contextmanager
def process(config: Path, role: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run one part of the daemon as its own process; end it in good order."""
    with log.open("ab") as output:
        running = subprocess.Popen(
            [sys.executable, "-m", "daemon", "--config", str(config), "run", "--role", role],
            stdout=output,
            stderr=output,
        )
        try:
            yield running
        finally:
            if running.poll() is None:
                running.send_signal(signal.SIGTERM)
                running.wait(20)


def read_up_to(url: str, ends: dict[int, int]) -> bool:
    with psycopg.connect(url) as connection:
        rows: list[tuple[int, int]] = connection.execute("SELECT partition, next_offset FROM partition").fetchall()
    return dict(rows) == ends


def wait_until_read(url: str, ends: dict[int, int], seconds: float, log: Path) -> None:
    until = time.monotonic() + seconds
    while not read_up_to(url, ends):
        assert time.monotonic() < until, f"not read in time; the end of the log:\n{log.read_text()[-3000:]}"
        time.sleep(0.3)


def finish(settings: Settings, *, publishing: bool) -> None:
    """Close and decide whatever is left."""
    with connect(settings.postgres.conninfo, name="test") as connection:
        while ReduceJob(settings, publishing=publishing).run_once(connection):
            pass
        while SelectJob(settings, publish=publishing).run_once(connection):
            pass


def kill_at_random(config: Path, log: Path, url: str, ends: dict[int, int], chance: random.Random) -> int:
    """Keep two workers running, killing one at a random moment again and again; return how often in mid-work."""
    kills = 0
    with ExitStack() as stack:
        workers = [stack.enter_context(process(config, "ingest", log)) for _ in range(2)]
        while kills < KILLS:
            time.sleep(chance.uniform(0.3, 3.0))
            if read_up_to(url, ends):
                break
            victim = chance.randrange(2)
            os.kill(workers[victim].pid, signal.SIGKILL)
            workers[victim].wait()
            kills += 1
            workers[victim] = stack.enter_context(process(config, "ingest", log))
        wait_until_read(url, ends, 120, log)
    return kills


def counted_events(url: str) -> int:
    """Return how many events all stored summaries hold, on time and late."""
    with connect(url, name="test") as connection:
        layouts = Layouts(connection)
        stored = connection.execute(
            "SELECT layout_id, summary FROM closed_window UNION ALL SELECT layout_id, body FROM part"
        ).fetchall()
        summaries = [Summary.from_bytes(layouts[layout_id], uncompress(body)) for layout_id, body in stored]
    return sum(int(summary.events[0] + summary.total("traffic", "late")[0]) for summary in summaries)


@pytest.mark.timeout(600)
def test_killed_workers_lose_nothing_and_double_nothing(kafka: ApacheKafka, postgres: Postgres, tmp_path: Path) -> None:
    topic = f"killed-{time.time_ns()}"
    stream = oracle.events(EVENTS, WINDOWS, seed=SEED, changes_at=CHANGES_AT)
    ends = oracle.fill(kafka, topic, stream, WINDOWS)
    reference = tmp_path / "reference.jsonl"
    reference.write_text("\n".join(oracle.reference_rows(20_000, seed=SEED)))

    faulty, config, log = postgres.new_database(), tmp_path / "faulty.toml", tmp_path / "faulty.log"
    settings = write_config(config, bootstrap=kafka.bootstrap, topic=topic, group="faulty", url=faulty)
    with connect(faulty, name="test") as connection:
        references.build(settings, connection, reference, "alpha", "1")
    with process(config, "jobs", log):
        kills = kill_at_random(config, log, faulty, ends, random.Random(SEED))
    finish(settings, publishing=True)

    quiet, config, log = postgres.new_database(), tmp_path / "quiet.toml", tmp_path / "quiet.log"
    settings = write_config(config, bootstrap=kafka.bootstrap, topic=topic, group="quiet", url=quiet)
    oracle.copy_control_log(faulty, quiet)
    with process(config, "ingest", log):
        wait_until_read(quiet, ends, 120, log)
    finish(settings, publishing=False)

    assert kills == KILLS
    assert counted_events(faulty) == EVENTS - BROKEN + oracle.PARTITIONS
    assert oracle.differences(faulty, quiet) == []
    with psycopg.connect(faulty) as connection:
        check_the_whole(connection)
    assert layouts_grown(faulty) >= len(oracle.MODELS), "without control records in mid-stream little is proven"


def layouts_grown(url: str) -> int:
    """Return how many control records came into force in mid-stream."""
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT count(*) FROM control WHERE effective_from > 0").fetchone()
    return 0 if row is None else int(row[0])


def check_the_whole(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    """Check what must hold of the faulty run by itself, without comparing it to another."""

    def one(query: str) -> tuple[object, ...]:
        row = connection.execute(query.encode()).fetchone()
        assert row is not None
        return row

    assert one("SELECT sum(count) FROM dead_letter")[0] == BROKEN
    fired = one("SELECT count(*) FROM alert_transition WHERE state = 'firing'")[0]
    assert int(str(fired)) >= 2, "the streams drift: a run without alerts proves nothing"
    assert one("SELECT count(*) - count(DISTINCT (model, event_id)) FROM candidate")[0] == 0
    assert one("SELECT count(*) FROM candidate WHERE decision IS NULL")[0] == 0
    queued, items = one("SELECT (SELECT count(*) FROM candidate WHERE decision = 'queued'), count(*) FROM queue_item")
    assert queued == items
    assert int(str(items)) > 0
