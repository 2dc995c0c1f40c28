"""Every metric of ours: name, labels, and what it counts. Labels are bounded: never an event, a class or a segment.

What processes count themselves stands first: in a supervised process these are kept in files by the name of the
process, so that its successor counts on where it died, and the supervisor adds them up. What is read from the
database or known to the supervisor stands in :data:`READ`.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing import current_process

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, values

from detectors.columns import DEFECTS

__all__ = ["COUNTED", "READ", "Read", "Told", "told"]

if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
    values.ValueClass = values.MultiProcessValue(lambda: current_process().name)  # type: ignore[no-untyped-call]

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)

COUNTED = CollectorRegistry()
"""What this process counts."""

RECORDS = Counter(
    "strandline_poll_records", "Records that polls of Kafka returned, some of them again", registry=COUNTED
)
EVENTS = Counter("strandline_events", "Events counted and committed, late ones included", registry=COUNTED)
LATE = Counter("strandline_events_late", "Events committed after their window had closed", registry=COUNTED)
DEFECT = Counter("strandline_event_defects", "Events accepted in spite of a defect", ["defect"], registry=COUNTED)
DEAD_LETTERS = Counter("strandline_dead_letters", "Records that could not be used", ["reason"], registry=COUNTED)
CANDIDATES = Counter("strandline_candidates", "Events nominated for labelling", registry=COUNTED)
COMMIT_SECONDS = Histogram(
    "strandline_commit_duration_seconds",
    "Commits of ingest (their count is _count), from the effects to the answer",
    buckets=_SECONDS,
    registry=COUNTED,
)
LAST_COMMIT = Gauge(
    "strandline_last_commit_timestamp_seconds",
    "When ingest last committed, with or without events; Unix time",
    registry=COUNTED,
    multiprocess_mode="max",
)
FENCED = Counter(
    "strandline_fenced", "Commits given up because another worker or a new layout came first", registry=COUNTED
)
UNAVAILABLE = Counter(
    "strandline_service_unavailable", "Failed tries to reach a service", ["service"], registry=COUNTED
)
BEYOND_CAP = Counter(
    "strandline_windows_beyond_cap",
    "Closed windows in which more was met than a cap allows to be told apart: what is beyond is counted as other",
    ["cap"],
    registry=COUNTED,
)
MONITOR_FAULTS = Counter(
    "strandline_monitor_faults",
    "Windows that a monitor could not take, since the library whose detector it is raised an error",
    ["monitor"],
    registry=COUNTED,
)
WINDOWS = Counter("strandline_windows_closed", "Windows that were closed and judged", registry=COUNTED)
JOB_SECONDS = Histogram(
    "strandline_job_duration_seconds", "Runs of each job that succeeded", ["job"], buckets=_SECONDS, registry=COUNTED
)
JOB_FAILURES = Counter("strandline_job_failures", "Runs of each job that failed", ["job"], registry=COUNTED)
JOB_SUCCESS = Gauge(
    "strandline_job_last_success_timestamp_seconds",
    "When each job last succeeded; Unix time",
    ["job"],
    registry=COUNTED,
    multiprocess_mode="max",
)
NOTIFICATIONS = Counter("strandline_notifications", "Attempts to send a notification", ["outcome"], registry=COUNTED)

# What may happen is told as 0 until it does, so that the first time is an increase.
for _defect in DEFECTS:
    DEFECT.labels(_defect)
for _service in ("database", "kafka"):
    UNAVAILABLE.labels(_service)
for _cap in ("segments_cap", "classes_cap", "fields_cap"):
    BEYOND_CAP.labels(_cap)
for _outcome in ("delivered", "failed"):
    NOTIFICATIONS.labels(_outcome)


@dataclass(frozen=True, slots=True)
class Read:
    """A metric that is read when it is asked for. ``name`` without ``_total``."""

    name: str
    text: str
    labels: tuple[str, ...] = ()
    type: str = "gauge"


READ = {
    each.name.removeprefix("strandline_"): each
    for each in (
        Read("strandline_build_info", "1; the label tells the version", ("version",)),
        Read("strandline_ready", "1 if /readyz says so"),
        Read("strandline_process_up", "1 if the process runs and its loop turns", ("process",)),
        Read("strandline_process_restarts", "How often the process was started again", ("process",), "counter"),
        Read("strandline_database_up", "1 if the figures below could be read from the database"),
        Read("strandline_partition_lag_records", "Records in Kafka that are not committed", ("topic", "partition")),
        Read(
            "strandline_partition_watermark_age_seconds",
            "How far the partition's greatest event time lies in the past",
            ("topic", "partition"),
        ),
        Read("strandline_partitions_stopped", "Partitions left out until a person resumes them"),
        Read("strandline_partitions_unowned", "Partitions without a worker"),
        Read("strandline_cohorts_learning", "Model versions without a reference yet"),
        Read("strandline_candidates_undecided", "Candidates that wait for the draw of the second phase"),
        Read("strandline_queue_items", "Items of the labelling queue", ("state",)),
        Read("strandline_alerts_firing", "Alerts that are firing", ("severity",)),
        Read("strandline_outbox_waiting", "Notifications that are not delivered yet"),
        Read("strandline_outbox_failed", "Those of them that failed at least once"),
        Read("strandline_outbox_oldest_seconds", "Age of the oldest of them; 0 without any"),
    )
}
"""What is read when it is asked for, by name without ``strandline_``."""


@dataclass(frozen=True, slots=True)
class Told:
    """A metric as ``/metrics`` tells it."""

    name: str
    type: str
    labels: tuple[str, ...]
    text: str


def told() -> Iterator[Told]:
    """Yield every metric there is, with its name as it is queried."""
    for metric in (
        RECORDS, EVENTS, LATE, DEFECT, DEAD_LETTERS, CANDIDATES, COMMIT_SECONDS, LAST_COMMIT, FENCED, UNAVAILABLE,
        BEYOND_CAP, MONITOR_FAULTS, WINDOWS, JOB_SECONDS, JOB_FAILURES, JOB_SUCCESS, NOTIFICATIONS,
    ):  # fmt: skip
        (family,) = metric.describe()
        yield _told(family.name, family.type, tuple(metric._labelnames), family.documentation)  # noqa: SLF001
    for each in READ.values():
        yield _told(each.name, each.type, each.labels, each.text)


def _told(name: str, kind: str, labels: tuple[str, ...], text: str) -> Told:
    return Told(f"{name}_total" if kind == "counter" else name, kind, labels, text)
