"""Left alone: a daemon under a steady load for as long as you like, then without PostgreSQL, then without Kafka.

Real Apache Kafka and PostgreSQL, and `strandline run` with its supervisor: 50 models of 20 segments each, windows of
half a minute, and so short a retention that rows leave during the run. What counts is what grows, what is lost, and
what `status` and /readyz say; times depend on what else the machine does.
"""

import argparse
import itertools
import math
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.load import SEGMENT_TAG, Load, end_offsets
from benchmarks.observing import ROOT, Observer, Sample
from benchmarks.report import Goal, print_json, print_table
from daemon.demo.processes import Service, free_port
from sinks.database import upgrade
from tests.services import ApacheKafka, Postgres

TOPIC, PARTITIONS = "soak", 4
CONFIG = """
[kafka]
bootstrap_servers = ["{bootstrap}"]
topics = ["{topic}"]
[postgres]
url = "{url}"
[ops]
port = {port}
[retention]
windows_days = {days}
candidates_days = {days}
payloads_days = {days}
dead_letters_days = {days}
outbox_days = {days}
queue_days = {days}
alerts_days = {days}
[model."*"]
segments = ["{tag}"]
window_seconds = {window}
lateness_seconds = 5
labels_per_day = 500
expected_events_per_day = 8_640_000
"""
GOALS = (
    Goal("rss_growth_ratio_ingest", 1.1, at_most=True),
    Goal("rss_growth_ratio_jobs", 1.1, at_most=True),
    Goal("rss_growth_ratio_supervisor", 1.1, at_most=True),
    Goal("table_growth_ratio", 1.2, at_most=True),
    Goal("events_lost", 0, at_most=True),
    Goal("events_twice", 0, at_most=True),
    Goal("dead_letters", 0, at_most=True),
    Goal("false_problems", 0, at_most=True),
    Goal("outage_noticed_seconds_postgres", 60, at_most=True),
    Goal("outage_noticed_seconds_kafka", 60, at_most=True),
    Goal("recovered_seconds_postgres", 120, at_most=True),
    Goal("recovered_seconds_kafka", 120, at_most=True),
    Goal("rss_outage_ratio", 1.1, at_most=True),
)
_PATIENCE_SECONDS = 600.0
_QUARTERS = 4
_SMALL_ROWS = 500
"""Tables of fewer rows are not compared: a handful more is no growth."""
_UNSETTLED = ("queue_item", "candidate", "payload")
"""What waits for people stays until they come: as much as the labelling budget allows."""
_PROCESSES = ("ingest-0", "jobs", "supervisor")


@dataclass(frozen=True, slots=True)
class Plan:
    """How long and how much."""

    minutes: float
    outage_seconds: float
    sample_seconds: float
    window_seconds: int
    retention_seconds: float
    rate: int


@dataclass(frozen=True, slots=True)
class Outage:
    """How an outage went: seconds until it was told everywhere, and until all was well again by itself."""

    noticed: float
    recovered: float
    samples: list[Sample]


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    parser.add_argument("--quick", action="store_true", help="about two minutes")
    parser.add_argument("--minutes", type=float, default=30, help="of load before the outages (default: 30)")
    parser.add_argument("--outage-minutes", type=float, default=5, help="without each service (default: 5)")
    parser.add_argument("--rate", type=int, default=5000, help="events a second (default: 5000)")
    parser.add_argument("--log", type=Path, help="keep the daemon's log here")
    arguments = parser.parse_args()
    if arguments.quick:
        plan = Plan(0.5, 10, 5, 5, 120, arguments.rate)
    else:
        retention = max(arguments.minutes / 3, arguments.outage_minutes) * 60 + 60
        plan = Plan(arguments.minutes, arguments.outage_minutes * 60, 10, 30, retention, arguments.rate)
    figures, rows = run(plan, arguments.log)
    title = f"{plan.rate:,} events/s for {plan.minutes:g} minutes, then {plan.outage_seconds:g} s without each service"
    print_table(title, ["", "first quarter", "third quarter", "last quarter"], rows)
    reached = {goal.figure: goal for goal in GOALS}
    outcome = {True: "held", False: "not held"}
    print_table(
        "figures",
        ["", "", "goal"],
        [
            [name, f"{value:,.2f}", outcome[reached[name].held(value)] if name in reached else ""]
            for name, value in figures.items()
        ],
    )
    if arguments.json:
        print_json("soak", figures, GOALS)


def run(plan: Plan, kept_log: Path | None) -> tuple[dict[str, float], list[list[str]]]:
    """Do all of it; return the figures, and rows for people."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        for name in ("kafka", "postgres"):
            (place / name).mkdir()
        log = kept_log or place / "daemon.log"
        with ApacheKafka(place / "kafka") as kafka, Postgres(place / "postgres", upgrade) as postgres:
            kafka.create_topic(TOPIC, PARTITIONS)
            config, url, port = place / "config.toml", postgres.new_database(), free_port()
            days = plan.retention_seconds / 86_400
            config.write_text(
                CONFIG.format(
                    bootstrap=kafka.bootstrap, topic=TOPIC, url=url, port=port, days=f"{days:.6f}", tag=SEGMENT_TAG,
                    window=plan.window_seconds,
                )
            )  # fmt: skip
            command = [sys.executable, "-m", "daemon", "--config", str(config), "run"]
            with log.open("wb") as output:
                daemon = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=output)  # noqa: S603
            try:
                observer = Observer(daemon, config, url, port)
                return _soak(plan, observer, kafka, postgres)
            finally:
                daemon.terminate()
                daemon.wait(30)


def _soak(
    plan: Plan, observer: Observer, kafka: ApacheKafka, postgres: Postgres
) -> tuple[dict[str, float], list[list[str]]]:
    with Load(kafka.bootstrap, TOPIC, PARTITIONS, plan.rate):
        _wait_until(observer, lambda: observer.told().well)
        began, before = time.monotonic(), end_offsets(kafka.bootstrap, TOPIC, PARTITIONS)
        samples = _watch(plan, observer, plan.minutes * 60, at_least=_QUARTERS)
        produced = end_offsets(kafka.bootstrap, TOPIC, PARTITIONS) - before
        rate = produced / (time.monotonic() - began)
        outages = {
            name: _without(plan, observer, name, service)
            for name, service in (("postgres", postgres), ("kafka", kafka))
        }
    produced = end_offsets(kafka.bootstrap, TOPIC, PARTITIONS)
    _wait_until(observer, lambda: _read(observer) >= produced)
    metrics = observer.metrics()
    late = int(metrics["strandline_events_late_total"])
    counted = observer.total() + late
    figures = {
        "events_per_second": rate,
        "events_produced": produced,
        "events_counted": counted,
        "events_late": late,
        "events_lost": max(0, produced - counted),
        "events_twice": max(0, counted - produced),
        "windows_closed": len(observer.counted),
        "dead_letters": sum(value for name, value in metrics.items() if name.startswith("strandline_dead_letters_")),
        "process_restarts": sum(value for name, value in metrics.items() if "process_restarts" in name),
        **_growth(samples),
        **{f"outage_noticed_seconds_{name}": outage.noticed for name, outage in outages.items()},
        **{f"recovered_seconds_{name}": outage.recovered for name, outage in outages.items()},
        "rss_outage_ratio": max(_outage_ratio(samples, outage.samples) for outage in outages.values()),
    }
    return figures, _rows(samples)


def _read(observer: Observer) -> int:
    metrics = observer.metrics()
    return int(metrics.get("strandline_events_total", 0) + metrics.get("strandline_dead_letters_total", 0))


def _watch(plan: Plan, observer: Observer, seconds: float, at_least: int = 1) -> list[Sample]:
    samples: list[Sample] = []
    until = time.monotonic() + seconds
    while (began := time.monotonic()) < until or len(samples) < at_least:
        samples.append(_take(observer))
        time.sleep(max(0.0, plan.sample_seconds - (time.monotonic() - began)))
    return samples


def _take(observer: Observer) -> Sample:
    sample = observer.sample()
    print(sample.line(), file=sys.stderr, flush=True)
    return sample


def _without(plan: Plan, observer: Observer, name: str, service: Service) -> Outage:
    print(f"{observer.seconds:7.0f} s  {name} is stopped", file=sys.stderr, flush=True)
    service.stop()
    stopped = time.monotonic()
    check = "database" if name == "postgres" else name
    _wait_until(observer, lambda: _is_told(observer, check))
    noticed = time.monotonic() - stopped
    print(f"{observer.seconds:7.0f} s  told after {noticed:.1f} s", file=sys.stderr, flush=True)
    samples = _watch(plan, observer, plan.outage_seconds - noticed)
    service.start()
    started = time.monotonic()
    print(f"{observer.seconds:7.0f} s  {name} is back", file=sys.stderr, flush=True)
    _wait_until(observer, lambda: observer.told().well and _lag(observer) < 10 * plan.rate)
    recovered = time.monotonic() - started
    print(f"{observer.seconds:7.0f} s  all is well after {recovered:.1f} s", file=sys.stderr, flush=True)
    return Outage(noticed, recovered, [*samples, *_watch(plan, observer, 3 * plan.sample_seconds)])


def _is_told(observer: Observer, check: str) -> bool:
    told = observer.told()
    return check in told.failing and told.code != 0


def _lag(observer: Observer) -> float:
    lags = [value for name, value in observer.metrics().items() if "lag_records" in name]
    return sum(lags) if lags else math.inf


def _wait_until(observer: Observer, what: Callable[[], bool]) -> None:
    until = time.monotonic() + _PATIENCE_SECONDS
    while not what():
        # However long it takes: what is deleted unseen would look as if it were lost.
        sample = observer.sample()
        if time.monotonic() > until:
            message = f"waited too long; {sample.line()}"
            raise TimeoutError(message)
        time.sleep(0.5)


def _quarters(samples: Sequence[Sample]) -> list[Sequence[Sample]]:
    bounds = [len(samples) * number // _QUARTERS for number in range(_QUARTERS + 1)]
    return [samples[start:end] for start, end in itertools.pairwise(bounds)]


def _rss(samples: Sequence[Sample], process: str) -> float:
    return statistics.mean(each.rss[process] for each in samples if process in each.rss)


def _growth(samples: Sequence[Sample]) -> dict[str, float]:
    quarters = _quarters(samples)
    second_half = [*quarters[2], *quarters[3]]
    figures: dict[str, float] = {}
    for process in _PROCESSES:
        name = process.removesuffix("-0")
        figures[f"rss_growth_ratio_{name}"] = _rss(quarters[3], process) / _rss(quarters[0], process)
        figures[f"rss_slope_kib_per_minute_{name}"] = _slope(second_half, process) / 1024
        figures[f"rss_mib_{name}"] = _rss(quarters[3], process) / 2**20
    ratios = {name: last / third for name, (third, last) in _compared(quarters).items()}
    figures["table_growth_ratio"] = max(ratios.values(), default=1.0)
    figures["tables_mib"] = sum([*samples[-1].sizes.values(), *samples[-1].indexes.values()]) / 2**20
    figures["tables_size_ratio"] = _size(quarters[3]) / _size(quarters[2])
    false = {problem for each in samples for problem in (*each.told.problems, *each.told.failing)}
    figures["false_problems"] = len(false)
    figures["commit_ms_median"] = 1000 * statistics.median(
        each.commit_seconds for each in samples if not math.isnan(each.commit_seconds)
    )
    return figures


def _compared(quarters: list[Sequence[Sample]]) -> dict[str, tuple[float, float]]:
    """Return the most rows in the third and in the last quarter, of each table that is to stay as it is."""
    found = {}
    for name in quarters[3][-1].rows:
        third, last = (max(each.rows.get(name, 0) for each in quarter) for quarter in quarters[2:])
        if name not in _UNSETTLED and third >= _SMALL_ROWS:
            found[name] = (float(third), float(last))
    return found


def _size(samples: Sequence[Sample]) -> float:
    return max(sum([*each.sizes.values(), *each.indexes.values()]) for each in samples)


def _slope(samples: Sequence[Sample], process: str) -> float:
    """Return how fast a process grows, bytes a minute, by least squares."""
    points = [(each.at / 60, each.rss[process]) for each in samples if process in each.rss]
    return statistics.linear_regression(*zip(*points, strict=True)).slope if len(points) > 1 else 0.0


def _outage_ratio(samples: Sequence[Sample], outage: Sequence[Sample]) -> float:
    """Return how much larger than before the largest process became."""
    before = _quarters(samples)[3]
    return max(
        max(each.rss[process] for each in outage if process in each.rss) / max(each.rss[process] for each in before)
        for process in _PROCESSES
    )


def _rows(samples: Sequence[Sample]) -> list[list[str]]:
    quarters = _quarters(samples)
    shown = (quarters[0], quarters[2], quarters[3])
    rows = [
        [f"{process}, MiB", *(f"{_rss(quarter, process) / 2**20:.1f}" for quarter in shown)] for process in _PROCESSES
    ]
    for name in samples[-1].rows:
        counts = [max(each.rows.get(name, 0) for each in quarter) for quarter in shown]
        if max(counts) > 1:
            rows.append([f"{name}, rows", *(f"{count:,}" for count in counts)])
    rows.append(["all tables, MiB", *(f"{_size(quarter) / 2**20:.1f}" for quarter in shown)])
    return rows


if __name__ == "__main__":
    main()
