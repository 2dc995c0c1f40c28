"""Incidents as people look at them: the list, and the story of one."""

from dataclasses import dataclass
from datetime import datetime

from sinks.database import Connection
from sinks.messages import Alert, Incident, group_of, weight
from sinks.statements import statement

__all__ = ["Delivery", "Story", "TransitionRow", "list_alerts", "list_incidents", "story"]

_STATES = ["firing", "resolved"]


@dataclass(frozen=True, slots=True)
class TransitionRow:
    """An alert's change of state. ``at``: when it was written, in the database's time."""

    at: datetime
    fingerprint: str
    window: int
    state: str
    title: str


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message to one route."""

    route: str
    key: str
    attempts: int
    created_at: datetime
    delivered_at: datetime | None
    last_error: str | None


@dataclass(frozen=True, slots=True)
class Story:
    """All that is known of an incident."""

    incident: Incident
    alerts: list[Alert]
    transitions: list[TransitionRow]
    deliveries: list[Delivery]


def list_incidents(
    connection: Connection, *, model: str | None = None, state: str | None = None, limit: int = 50
) -> list[Incident]:
    """Return incidents that fit: open ones first, then the newest."""
    values = {"model": model, "state": state, "limit": limit}
    return [Incident(*row) for row in connection.execute(statement("alerts", "list_incidents"), values)]


def list_alerts(
    connection: Connection, *, model: str | None = None, state: str | None = None, limit: int = 50
) -> list[Alert]:
    """Return alerts that fit, those that changed last first."""
    values = {"model": model, "state": state, "limit": limit}
    return [Alert(*row) for row in connection.execute(statement("alerts", "list_alerts"), values)]


def story(connection: Connection, incident_id: int) -> Story | None:
    """Return the story of one incident, its most telling alerts first; None if there is none."""
    row = connection.execute(statement("alerts", "incident"), [incident_id]).fetchone()
    if row is None:
        return None
    incident = Incident(*row)
    alerts = [
        Alert(*found) for found in connection.execute(statement("alerts", "alerts_of_incident"), [incident_id, _STATES])
    ]
    transitions = [
        TransitionRow(at, fingerprint, window, state, str(evidence.get("title", "")))
        for at, fingerprint, window, state, evidence in connection.execute(
            statement("alerts", "transitions"), [incident_id]
        )
    ]
    group = group_of(incident_id)
    deliveries = [
        Delivery(*found) for found in connection.execute(statement("alerts", "deliveries"), [incident.model, group])
    ]
    return Story(incident, sorted(alerts, key=weight, reverse=True), transitions, deliveries)
