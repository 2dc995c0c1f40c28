"""What happens in a process: each occurrence's line in the log and its metric, together."""

import time
from collections import Counter
from collections.abc import Mapping

import structlog

from daemon.ops.health import Health
from detectors.columns import DEFECTS
from sinks import metrics
from sinks.effects import Effects

__all__ = ["committed", "fenced", "job_done", "job_failed", "service_back", "service_unavailable"]

log = structlog.get_logger()


def committed(effects: Effects, traffic: Mapping[str, int], seconds: float) -> None:
    """Tell that ingest committed ``effects``; ``traffic``: events by the names of TrafficBlock.sums."""
    metrics.EVENTS.inc(traffic["events"] + traffic["late"])
    metrics.LATE.inc(traffic["late"])
    for defect in DEFECTS:
        if traffic[defect]:
            metrics.DEFECT.labels(defect).inc(traffic[defect])
    metrics.CANDIDATES.inc(len(effects.candidates))
    metrics.COMMIT_SECONDS.observe(seconds)
    metrics.LAST_COMMIT.set(time.time())
    if effects.dead_letters:
        reasons = Counter(letter.reason for letter in effects.dead_letters)
        for reason, count in reasons.items():
            metrics.DEAD_LETTERS.labels(reason).inc(count)
        log.warning("ingest.dead_letters", count=len(effects.dead_letters), reasons=dict(reasons))


def fenced(why: str) -> None:
    """Tell that a commit was given up; what it held is read again."""
    metrics.FENCED.inc()
    log.info("ingest.fenced", why=why)


def service_unavailable(health: Health, service: str, why: str) -> None:
    """Tell that a try to reach ``service``, "database" or "kafka", failed; the log has it once, until it is back."""
    metrics.UNAVAILABLE.labels(service).inc()
    if health.problem(service, why):
        log.warning("service.unavailable", service=service, why=why)


def service_back(health: Health, service: str) -> None:
    """Tell that ``service`` answered, if it had been away."""
    if health.solved(service):
        log.info("service.back", service=service)


def job_done(name: str, done: int, seconds: float) -> None:
    """Tell that a run of a job succeeded, and how much it did."""
    metrics.JOB_SECONDS.labels(name).observe(seconds)
    metrics.JOB_SUCCESS.labels(name).set(time.time())
    if done:
        log.debug("job.done", job=name, done=done)


def job_failed(health: Health, name: str, error: Exception) -> None:
    """Tell that a run of a job failed; the log has it once, until it succeeds."""
    metrics.JOB_FAILURES.labels(name).inc()
    detail = f"{name}: {str(error).strip() or type(error).__name__}"
    if health.problem("job", detail, of=name):
        log.warning("job.failed", job=name, error=str(error).strip(), kind=type(error).__name__)
