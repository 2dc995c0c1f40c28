"""What people read: an alert's evidence as JSON and in words, and the messages that routes deliver."""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from detectors.fields import SchemaMonitor
from detectors.readings import Transition

__all__ = [
    "ALERTS_SHOWN",
    "DRIFT",
    "Alert",
    "Audience",
    "Incident",
    "describe",
    "evidence_of",
    "fingerprint",
    "group_of",
    "incident_message",
    "iso",
    "message",
    "severity_of",
    "sureness",
]

DRIFT = "StrandlineDrift"
"""The alert name of everything that monitors find."""
ALERTS_SHOWN = 50
"""Alerts that a message holds; of the rest it tells the number."""
COLLAPSE = 0.3
"""A fall of the mean confidence by more than this is a page."""
_DAY_US = 86_400_000_000
_YEAR_DAYS = 365
_NEVER_YEARS = 1_000_000
_UNPROMISED = "outside the budget of false alarms: nobody promises how often this detector is wrong"

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Audience:
    """Where what concerns a model is sent, and what every message about it names.

    ``update_seconds``: what is new of an incident that fires already is sent at most this often; 0: at once.
    """

    routes: tuple[str, ...]
    owner: str = ""
    runbook: str = ""
    external_url: str = ""
    update_seconds: float = 0


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert as it stands; times in microseconds since 1970."""

    fingerprint: str
    incident_id: int | None
    model: str
    labels: Json
    state: str
    severity: str
    evidence: Json
    starts_us: int | None
    ends_us: int | None
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Incident:
    """What fires together on one model."""

    id: int
    model: str
    state: str
    severity: str
    title: str
    opened_at: datetime
    resolved_at: datetime | None


def fingerprint(labels: Mapping[str, str]) -> str:
    """Return the identity of an alert: a hash of its labels, in any order, and of nothing else."""
    text = json.dumps(sorted(labels.items()), separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def iso(time_us: int) -> str:
    """Return a time in microseconds since 1970 as ISO 8601, UTC, in seconds."""
    try:
        return datetime.fromtimestamp(time_us // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return f"{time_us} µs"


def severity_of(transition: Transition) -> str:
    """Return "page" for a collapse of confidence and a broken schema, else "ticket"."""
    collapsed = transition.monitor == "confidence" and transition.before - transition.after > COLLAPSE
    broken = transition.monitor == SchemaMonitor.name and transition.component != SchemaMonitor.appeared
    return "page" if collapsed or broken else "ticket"


def evidence_of(model: str, transition: Transition, window_us: int) -> dict[str, Any]:
    """Return what a transition tells, as JSON: figures, and the sentences made of them."""
    return {
        "title": _title(model, transition),
        "sureness": ""
        if transition.to == "resolved"
        else _UNPROMISED
        if transition.outside_budget
        else sureness(transition.log_evidence, transition.log_threshold, window_us, calibrating=transition.calibrating),
        "since": iso(transition.since_window * window_us),
        "seen": iso((transition.window + 1) * window_us),
        "component": transition.component,
        "before": _number(transition.before),
        "after": _number(transition.after),
        "low": _number(transition.low),
        "high": _number(transition.high),
        "unit": transition.unit,
        "log_evidence": _number(transition.log_evidence),
        "log_threshold": _number(transition.log_threshold),
        "calibrating": transition.calibrating,
        "outside_budget": transition.outside_budget,
        "contributors": [
            {"label": each.label, "before": _number(each.before), "after": _number(each.after)}
            for each in transition.contributors
        ],
        "reason": transition.reason,
    }


def sureness(log_evidence: float, log_threshold: float, window_us: int, *, calibrating: bool) -> str:
    """Return in words how often chance alone would show such evidence.

    Evidence E of an e-detector comes by chance at most once in E windows on average (design §3).
    """
    if not math.isfinite(log_evidence):
        return ""
    days = math.exp(min(log_evidence, 100.0)) * window_us / _DAY_US
    ratio = math.exp(min(log_evidence - log_threshold, 100.0))
    times = f"{ratio:.1f} times the alarm level" if ratio < 1000 else "over 1,000 times the alarm level"
    words = f"expected by chance less than once in {_duration(days)} (evidence {times})"
    if calibrating:
        words += "; still calibrating: how much this stream wanders is not known yet, so that is no promise"
    return words


def describe(alert: Alert) -> str:
    """Return an alert's evidence in a few lines."""
    found = alert.evidence
    lines = [str(found.get("title", ""))]
    if "component" not in found:
        lines += [f"  {key}: {value}" for key, value in found.items() if key != "title"]
        return "\n".join(lines)
    before, after, low, high = (found[key] for key in ("before", "after", "low", "high"))
    if before is not None and after is not None:
        interval = "" if low is None or high is None else f" (95 % interval {_span(low, high, before - after)})"
        lines.append(f"  {_span(before, after, before - after, ' → ')} {found['unit']}{interval}")
    lines.append(f"  since {found['since']}, noticed {found['seen']}")
    if found["sureness"]:
        lines.append(f"  {found['sureness']}")
    if found.get("end"):
        lines.append(f"  over: {found['end']}")
    if alert.labels.get("segment"):
        lines.append(f"  segment {alert.labels['segment']}")
    lines.append(f"  version {alert.labels.get('version') or '(none)'}")
    for each in found["contributors"]:
        if each["label"] != found["component"] and each["before"] is not None and each["after"] is not None:
            change = _span(each["before"], each["after"], each["before"] - each["after"], " → ")
            lines.append(f"  also {each['label']}: {change}")
    return "\n".join(lines)


def group_of(incident_id: int) -> str:
    """Return what the messages of an incident, sent in order, have in common."""
    return f"incident-{incident_id}"


def incident_message(incident: Incident, alerts: Sequence[Alert], audience: Audience, *, status: str) -> dict[str, Any]:
    """Return the message about an incident's alerts, the most telling ones first."""
    url = f"{audience.external_url.rstrip('/')}/incidents/{incident.id}" if audience.external_url else ""
    return message(
        kind="incident",
        group=group_of(incident.id),
        status=status,
        model=incident.model,
        severity=incident.severity,
        title=incident.title,
        alerts=sorted(alerts, key=weight, reverse=True),
        audience=audience,
        url=url,
        incident=incident.id,
    )


def message(
    *,
    kind: str,
    group: str,
    status: str,
    model: str,
    severity: str,
    title: str,
    alerts: Sequence[Alert],
    audience: Audience,
    url: str = "",
    incident: int | None = None,
) -> dict[str, Any]:
    """Return what a route is given: all that any of them may want to show."""
    shown = alerts[:ALERTS_SHOWN]
    text = [f"{status.upper()} ({severity}): {title}", *(describe(alert) for alert in shown)]
    if len(alerts) > len(shown):
        text.append(f"… and {len(alerts) - len(shown)} more")
    text += [f"{name}: {value}" for name, value in _ends(audience, url) if value]
    return {
        "kind": kind,
        "group": group,
        "incident": incident,
        "status": status,
        "model": model,
        "severity": severity,
        "title": title,
        "text": "\n".join(text),
        "owner": audience.owner,
        "runbook": audience.runbook,
        "url": url,
        "external_url": audience.external_url,
        "truncated": len(alerts) - len(shown),
        "alerts": [
            {
                "fingerprint": alert.fingerprint,
                "status": "resolved" if alert.state == "resolved" else "firing",
                "severity": alert.severity,
                "labels": dict(alert.labels),
                "title": alert.evidence.get("title", title),
                "text": describe(alert),
                "starts": None if alert.starts_us is None else iso(alert.starts_us),
                "ends": None if alert.ends_us is None or alert.state != "resolved" else iso(alert.ends_us),
            }
            for alert in shown
        ],
    }


def weight(alert: Alert) -> float:
    """Return how much an alert tells: pages first, then by evidence over its alarm level, then those without any."""
    if alert.evidence.get("outside_budget"):
        return -1.0
    level, found = alert.evidence.get("log_threshold"), alert.evidence.get("log_evidence")
    told = found - level if found is not None and level is not None else 0.0
    return (1e6 if alert.severity == "page" else 0.0) + float(told)


def _ends(audience: Audience, url: str) -> list[tuple[str, str]]:
    return [("owner", audience.owner), ("runbook", audience.runbook), ("more", url)]


def _title(model: str, transition: Transition) -> str:
    if transition.outside_budget:
        return f"{model}: {_outside(transition)} (outside the budget)"
    subject = transition.component.removesuffix(" rising").removesuffix(" falling")
    before, after = transition.before, transition.after
    where = f" in {transition.segment}" if transition.segment else ""
    if not (math.isfinite(before) and math.isfinite(after)):
        verb = "is no longer watched as it was" if transition.to == "resolved" else "changed"
        return f"{model}: {subject or transition.monitor} {verb}{where}"
    if transition.to == "resolved":
        now, reference = _span(after, before, before - after, " where the reference is ").split(" ", 1)
        return f"{model}: {subject} is back at {now}{where}, {reference}"
    verb = "fell" if after < before else "rose"
    return f"{model}: {subject} {verb} from {_span(before, after, before - after, ' to ')}{where}"


def _outside(transition: Transition) -> str:
    """Return what an adapter says: that something changed, which need not be the mean that is shown with it."""
    if transition.to == "resolved":
        return f"{transition.monitor}: {transition.reason}"
    before, after = transition.before, transition.after
    figures = f", {_span(before, after, before - after, ' → ')}" if math.isfinite(before) else ""
    return f"{transition.monitor} found a change ({transition.component}{figures})"


def _span(low: float, high: float, difference: float, between: str = " to ") -> str:
    """Return two numbers with as many digits as it takes to see a difference of that size."""
    digits = 2 if difference == 0 else min(8, max(2, 1 - math.floor(math.log10(abs(difference)))))
    return f"{low:.{digits}f}{between}{high:.{digits}f}"


def _number(value: float) -> float | None:
    # JSON knows neither NaN nor infinities.
    return float(value) if math.isfinite(value) else None


def _duration(days: float) -> str:
    if days < 2:
        return f"{max(1, round(days * 24))} hours"
    if days < 2 * _YEAR_DAYS:
        return f"{round(days):,} days"
    years = days / _YEAR_DAYS
    return f"{round(years):,} years" if years < _NEVER_YEARS else "a million years"
