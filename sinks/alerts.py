"""Alerts and incidents: the transitions that detecting found, what they add up to, and the messages to send.

Everything of one model is done under its row's lock, in the transaction of the caller: a transition, its incident
and its messages exist together or not at all, and the messages of an incident have ids in their order.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from psycopg.types.json import Jsonb

from detectors.readings import Transition
from sinks.database import Connection, transaction
from sinks.messages import (
    DRIFT,
    Alert,
    Audience,
    Incident,
    evidence_of,
    fingerprint,
    group_of,
    incident_message,
    message,
    severity_of,
    weight,
)
from sinks.statements import statement

__all__ = ["Audience", "end_past", "notices", "pipeline_alert", "pipeline_resolved", "record", "repeats"]

REOPEN_US = 86_400_000_000
"""A change that returns within this long after its end belongs to the same incident."""
_NOTICES = 1000
_VALUES_SHOWN = 10
_SEVERITIES = ("notice", "ticket", "page")


def record(
    connection: Connection,
    *,
    model: str,
    version: str,
    window_us: int,
    transitions: Sequence[Transition],
    audience: Audience,
) -> None:
    """Write transitions of one (model, version), the incident they make, and what is to be sent of it.

    Call it in the transaction that writes the detectors' state. Transitions written before change nothing.
    """
    if not transitions:
        return
    connection.execute(statement("alerts", "lock_model"), [model])
    # What begins in a window comes before what ends in it: an incident does not close in between.
    ordered = sorted(transitions, key=lambda each: (each.window, each.to == "resolved"))
    for _, group in groupby(ordered, key=lambda each: each.window):
        changes = [_change_of(model, version, window_us, transition) for transition in group]
        _apply(connection, model, changes, audience)


def pipeline_alert(
    connection: Connection,
    name: str,
    labels: Mapping[str, str],
    title: str,
    evidence: Mapping[str, Any],
    severity: str,
    *,
    audience: Audience,
) -> None:
    """Fire an alert about Strandline's own work; does nothing while the one with these labels fires.

    Call it in the transaction that notes what it is about. All of the pipeline is one incident.
    """
    _pipeline(connection, name, labels, "firing", {"title": title, **evidence}, severity, audience)


def pipeline_resolved(connection: Connection, name: str, labels: Mapping[str, str], *, audience: Audience) -> None:
    """End an alert of the pipeline; does nothing if it does not fire."""
    _pipeline(connection, name, labels, "resolved", None, "ticket", audience)


def end_past(connection: Connection, name: str, *, hours: float, audience: Audience) -> int:
    """End the pipeline's alerts of this name that fired so long ago: of what happened once, no end is heard."""
    due = connection.execute(statement("alerts", "due_to_end"), [name, hours * 3600]).fetchall()
    for (labels,) in due:
        rest = {key: value for key, value in labels.items() if key != "alertname"}
        pipeline_resolved(connection, name, rest, audience=audience)
    return len(due)


def notices(connection: Connection, audience_of: Callable[[str], Audience]) -> int:
    """Write a message for the never-seen values that nobody has been told of; return the number of values."""
    with transaction(connection):
        rows = sorted(connection.execute(statement("alerts", "take_novel"), [_NOTICES]).fetchall())
        for (model, kind), found in groupby(rows, key=lambda row: (row[0], row[1])):
            values = [(row[2], row[3], row[4]) for row in found]
            _send_notice(connection, model, kind, values, audience_of(model))
    return len(rows)


def repeats(connection: Connection, *, hours: float, audience_of: Callable[[str], Audience]) -> int:
    """Write the message again for each incident that still fires after ``hours``; return how many."""
    due = connection.execute(statement("alerts", "due_repeats"), [hours * 3600]).fetchall()
    count = 0
    for incident_id, model in due:
        with transaction(connection):
            _lock(connection, model)
            # Another process may have done it, or the incident may be over, since we looked.
            still = connection.execute(statement("alerts", "due_repeats"), [hours * 3600]).fetchall()
            if (incident_id, model) in still:
                row = connection.execute(statement("alerts", "next_repeat"), [model, group_of(incident_id)]).fetchone()
                number = 0 if row is None else row[0]
                incident = Incident(*connection.execute(statement("alerts", "incident"), [incident_id]).fetchall()[0])
                _send_incident(connection, incident, audience_of(model), "firing", f"repeat-{number}")
                count += 1
    return count


@dataclass(frozen=True, slots=True)
class _Change:
    """One alert's change of state."""

    labels: Mapping[str, str]
    to: str
    window: int
    severity: str
    evidence: Mapping[str, Any]
    starts_us: int
    ends_us: int

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.labels)


def _change_of(model: str, version: str, window_us: int, transition: Transition) -> _Change:
    labels = {
        "alertname": DRIFT,
        "model": model,
        "version": version,
        "monitor": transition.monitor,
        "segment": transition.segment,
    }
    return _Change(
        labels,
        transition.to,
        transition.window,
        severity_of(transition),
        evidence_of(model, transition, window_us),
        transition.since_window * window_us,
        (transition.window + 1) * window_us,
    )


def _apply(connection: Connection, model: str, changes: Iterable[_Change], audience: Audience) -> None:
    """Write changes that belong to one moment, and at most one message of each kind about them."""
    gained: int | None = None
    ended: int | None = None
    for change in changes:
        key = [change.fingerprint, change.window, change.to]
        if connection.execute(statement("alerts", "recorded"), key).fetchone() is not None:
            continue
        before = _alert(connection, change.fingerprint)
        was = "resolved" if before is None else before.state
        if change.to == was or (change.to == "pending" and was == "firing"):
            continue
        incident_id = None if before is None else before.incident_id
        if change.to == "firing":
            incident_id = _incident_for(connection, model, change, before)
        transition_id = _write(connection, model, change, before, incident_id)
        if change.to == "firing":
            gained = transition_id
        elif was == "firing":
            ended = transition_id
    if gained is not None or ended is not None:
        _settle(connection, model, gained, ended, audience)


def _incident_for(connection: Connection, model: str, change: _Change, before: Alert | None) -> int:
    """Return the model's open incident; else the alert's last one, reopened if that is recent; else a new one."""
    row = connection.execute(statement("alerts", "open_incident"), [model]).fetchone()
    if row is not None:
        return int(row[0])
    ended_us = None if before is None else before.ends_us
    last = None if before is None else before.incident_id
    # Measured in the events' own time, so that a replay does the same.
    if last is not None and ended_us is not None and change.ends_us - ended_us <= REOPEN_US:
        connection.execute(statement("alerts", "reopen_incident"), [last])
        return last
    values = [model, change.severity, change.evidence["title"]]
    return int(connection.execute(statement("alerts", "add_incident"), values).fetchall()[0][0])


def _write(connection: Connection, model: str, change: _Change, before: Alert | None, incident_id: int | None) -> int:
    fired = before is not None and before.state == "firing"
    resolved = change.to == "resolved"
    starts_us = before.starts_us if before is not None and resolved else change.starts_us
    ends_us = change.ends_us if resolved and fired else None
    if before is not None and not fired and change.to != "firing":
        # A pending alarm, whatever comes of it, does not change when the alert last ended.
        ends_us = before.ends_us
    connection.execute(
        statement("alerts", "put_alert"),
        {
            "fingerprint": change.fingerprint,
            "incident_id": incident_id,
            "model": model,
            "labels": Jsonb(dict(change.labels)),
            "state": change.to,
            "severity": before.severity if before is not None and resolved else change.severity,
            "evidence": Jsonb(_shown_evidence(change, before)),
            "starts_us": starts_us,
            "ends_us": ends_us,
        },
    )
    involved = incident_id if change.to == "firing" or fired else None
    values = [change.fingerprint, involved, change.window, change.to, Jsonb(dict(change.evidence))]
    return int(connection.execute(statement("alerts", "add_transition"), values).fetchall()[0][0])


def _shown_evidence(change: _Change, before: Alert | None) -> dict[str, Any]:
    """Return what an alert shows: once it is over still what it fired for, and how it ended."""
    if before is None or change.to != "resolved" or before.state != "firing":
        return dict(change.evidence)
    return {**before.evidence, "end": change.evidence["title"]}


def _settle(connection: Connection, model: str, gained: int | None, ended: int | None, audience: Audience) -> None:
    """Bring the open incident up to its alerts, and write what is to be sent of that."""
    row = connection.execute(statement("alerts", "open_incident"), [model]).fetchone()
    if row is None:
        return
    incident_id = int(row[0])
    firing = _alerts_of(connection, incident_id, "firing")
    told = max(firing, key=weight, default=None)
    more = f" (and {len(firing) - 1} more)" if len(firing) > 1 else ""
    values = {
        "id": incident_id,
        "state": "firing" if firing else "resolved",
        "severity": max((each.severity for each in firing), key=_SEVERITIES.index, default=None),
        "title": None if told is None else f"{told.evidence['title']}{more}",
    }
    incident = Incident(*connection.execute(statement("alerts", "update_incident"), values).fetchall()[0])
    if gained is not None and firing:
        _send_incident(connection, incident, audience, "firing", str(gained), every_seconds=audience.update_seconds)
    elif not firing:
        # What fired last is told before it is told to be over.
        connection.execute(statement("alerts", "send_updates_now"), {"model": model, "group": group_of(incident_id)})
        _send_incident(connection, incident, audience, "resolved", str(ended))


def _send_incident(
    connection: Connection,
    incident: Incident,
    audience: Audience,
    status: str,
    suffix: str,
    *,
    every_seconds: float = 0,
) -> None:
    """Write a message of an incident as it stands; with ``every_seconds``, the next one at most so often."""
    alerts = _alerts_of(connection, incident.id, status)
    body = incident_message(incident, alerts, audience, status=status)
    _send(connection, f"{body['group']}-{suffix}", incident.model, body, audience, every_seconds=every_seconds)


def _send_notice(
    connection: Connection, model: str, kind: str, values: Sequence[tuple[str, str, str]], audience: Audience
) -> None:
    shown = ", ".join(repr(value) for value, _, _ in values[:_VALUES_SHOWN])
    more = f" and {len(values) - _VALUES_SHOWN} more" if len(values) > _VALUES_SHOWN else ""
    noun = "a value" if len(values) == 1 else f"{len(values)} values"
    title = f"{model}: {noun} never seen before in {kind}: {shown}{more}"
    body = message(
        kind="notice",
        group=f"novel-{model}",
        status="firing",
        model=model,
        severity="notice",
        title=title,
        alerts=[],
        audience=audience,
    )
    body["values"] = [{"value": value, "version": version, "first_event_id": event} for value, version, event in values]
    key = fingerprint({"model": model, "kind": kind, **{f"value {value}": "" for value, _, _ in values}})
    _send(connection, f"novel-{key}", model, body, audience)


def _send(
    connection: Connection,
    key: str,
    model: str,
    body: Mapping[str, Any],
    audience: Audience,
    *,
    every_seconds: float = 0,
) -> None:
    values = {"key": key, "model": model, "body": Jsonb(dict(body)), "routes": list(audience.routes)}
    if every_seconds:
        values |= {"group": body["group"], "severity": body["severity"], "seconds": every_seconds}
    connection.execute(statement("alerts", "send_update" if every_seconds else "send"), values)


def _pipeline(
    connection: Connection,
    name: str,
    labels: Mapping[str, str],
    to: str,
    evidence: Mapping[str, Any] | None,
    severity: str,
    audience: Audience,
) -> None:
    identity = {"alertname": name, **labels}
    with transaction(connection):
        _lock(connection, "")
        known = _alert(connection, fingerprint(identity))
        fires = known is not None and known.state == "firing"
        if fires == (to == "firing"):
            return
        # These have no window: the database's time takes its place.
        now_us = int(connection.execute(statement("alerts", "now_us")).fetchall()[0][0])
        told = evidence if evidence is not None else ({} if known is None else known.evidence)
        _apply(connection, "", [_Change(identity, to, now_us, severity, told, now_us, now_us)], audience)


def _lock(connection: Connection, model: str) -> None:
    if model:
        connection.execute(statement("alerts", "lock_model"), [model])
    else:
        connection.execute(statement("alerts", "lock_pipeline"))


def _alert(connection: Connection, identity: str) -> Alert | None:
    row = connection.execute(statement("alerts", "alert"), [identity]).fetchone()
    return None if row is None else Alert(*row)


def _alerts_of(connection: Connection, incident_id: int, *states: str) -> list[Alert]:
    rows = connection.execute(statement("alerts", "alerts_of_incident"), [incident_id, list(states)])
    return [Alert(*row) for row in rows]
