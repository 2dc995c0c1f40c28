from collections.abc import Iterator
from typing import Any

import pytest

from sinks import alerts, incidents
from sinks.alerts import Audience, record
from sinks.database import Connection, connect
from tests.rows import add_model, transition

WINDOW_US = 300_000_000
SURENESS = (
    "expected by chance less than once in 565 days (evidence 2.7 times the alarm level); still calibrating: how much "
    "this stream wanders is not known yet, so that is no promise"
)
AUDIENCE = Audience(("log", "hook"), owner="vision", runbook="https://wiki/digits", external_url="https://strand")


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    with connect(database, name="test") as opened:
        add_model(opened)
        yield opened


def tell(connection: Connection, *given: dict[str, Any], version: str = "1", model: str = "digits") -> None:
    with connection.transaction():
        record(
            connection,
            model=model,
            version=version,
            window_us=WINDOW_US,
            transitions=[transition(**each) for each in given],
            audience=AUDIENCE,
        )


def sent(connection: Connection, route: str = "hook") -> list[Any]:
    rows = connection.execute("SELECT key, body FROM outbox WHERE route = %s ORDER BY id", [route]).fetchall()
    assert len({key for key, _ in rows}) == len(rows)
    return [body for _, body in rows]


def test_one_incident_from_many_alerts(connection: Connection) -> None:
    tell(connection, *({"segment": f"region={n}"} for n in range(60)), {"after": 0.5})
    (incident,) = incidents.list_incidents(connection)
    assert (incident.state, incident.severity, incident.model) == ("firing", "page", "digits")
    assert incident.title == "digits: mean confidence fell from 0.93 to 0.50 (and 60 more)"
    (message,) = sent(connection)
    assert (len(message["alerts"]), message["truncated"]) == (50, 11)
    assert message["alerts"][0]["severity"] == "page"
    assert sent(connection, "log") == [message]


def test_what_a_person_reads(connection: Connection) -> None:
    tell(connection, {"segment": "region=eu", "calibrating": True})
    (message,) = sent(connection)
    assert message["title"] == "digits: mean confidence fell from 0.93 to 0.71 in region=eu"
    assert message["text"].splitlines() == [
        "FIRING (ticket): digits: mean confidence fell from 0.93 to 0.71 in region=eu",
        "digits: mean confidence fell from 0.93 to 0.71 in region=eu",
        "  0.93 → 0.71 points of confidence (95 % interval 0.70 to 0.72)",
        "  since 1970-01-04T11:10:00Z, noticed 1970-01-04T11:25:00Z",
        f"  {SURENESS}",
        "  segment region=eu",
        "  version 1",
        "  also share of class 8 rising: 0.10 → 0.20",
        "owner: vision",
        "runbook: https://wiki/digits",
        f"more: https://strand/incidents/{message['incident']}",
    ]


def test_an_alarm_outside_the_budget_says_so_wherever_it_shows(connection: Connection) -> None:
    unknown = float("nan")
    adapter = {
        "monitor": "river.ADWIN on confidence",
        "component": "mean confidence",
        "unit": "mean",
        "log_evidence": unknown,
        "log_threshold": unknown,
        "contributors": (),
        "outside_budget": True,
    }
    tell(connection, adapter)
    title = "digits: river.ADWIN on confidence found a change (mean confidence, 0.93 → 0.71) (outside the budget)"
    unpromised = "outside the budget of false alarms: nobody promises how often this detector is wrong"
    (message,) = sent(connection)
    assert (message["severity"], message["title"]) == ("ticket", title)
    assert message["text"].splitlines()[:5] == [
        f"FIRING (ticket): {title}",
        title,
        "  0.93 → 0.71 mean (95 % interval 0.70 to 0.72)",
        "  since 1970-01-04T11:10:00Z, noticed 1970-01-04T11:25:00Z",
        f"  {unpromised}",
    ]
    assert [(each["title"], unpromised in each["text"]) for each in message["alerts"]] == [(title, True)]
    (incident,) = incidents.list_incidents(connection)
    story = incidents.story(connection, incident.id)
    assert story is not None
    assert [alert.evidence["outside_budget"] for alert in story.alerts] == [True]
    assert [each.title for each in story.transitions] == [title]
    # What has evidence is told first.
    tell(connection, {"log_evidence": 11.0})
    (incident,) = incidents.list_incidents(connection)
    assert incident.title == "digits: mean confidence fell from 0.93 to 0.71 (and 1 more)"
    tell(connection, {**adapter, "to": "resolved", "window": 1005, "reason": "no other change in 12 windows"})
    story = incidents.story(connection, incident.id)
    assert story is not None
    over = "digits: river.ADWIN on confidence: no other change in 12 windows (outside the budget)"
    assert story.transitions[-1].title == over


def test_it_resolves_when_its_last_alert_does(connection: Connection) -> None:
    tell(connection, {}, {"segment": "region=eu"})
    tell(connection, {"to": "resolved", "window": 1005})
    assert [message["status"] for message in sent(connection)] == ["firing"]
    tell(connection, {"to": "resolved", "window": 1006, "segment": "region=eu"})
    assert [message["status"] for message in sent(connection)] == ["firing", "resolved"]
    (incident,) = incidents.list_incidents(connection)
    assert incident.state == "resolved"
    assert incident.resolved_at is not None
    last = sent(connection)[-1]
    assert {alert["status"] for alert in last["alerts"]} == {"resolved"}
    assert {alert["ends"] for alert in last["alerts"]} == {"1970-01-04T11:50:00Z", "1970-01-04T11:55:00Z"}


def test_what_joins_is_told(connection: Connection) -> None:
    tell(connection, {})
    tell(connection, {"monitor": "classes", "component": "share of class 8 rising", "window": 1001})
    tell(connection, {"window": 1002}, version="2")
    assert [len(message["alerts"]) for message in sent(connection)] == [1, 2, 3]
    assert len({message["group"] for message in sent(connection)}) == 1
    assert len(incidents.list_incidents(connection)) == 1


def test_an_alert_that_ends_as_another_begins_keeps_the_incident_open(connection: Connection) -> None:
    tell(connection, {})
    tell(connection, {"to": "resolved", "window": 1005}, {"segment": "region=eu", "window": 1005})
    (incident,) = incidents.list_incidents(connection)
    assert (incident.state, incident.resolved_at) == ("firing", None)
    assert [message["status"] for message in sent(connection)] == ["firing", "firing"]


def test_telling_the_same_again_changes_nothing(connection: Connection) -> None:
    story = [{"to": "pending", "window": 999}, {}, {"to": "resolved", "window": 1005}]
    tell(connection, *story)
    before = sent(connection)
    tell(connection, *story)
    assert sent(connection) == before
    assert [message["status"] for message in before] == ["firing", "resolved"]
    assert connection.execute("SELECT count(*) FROM alert_transition").fetchone() == (3,)


def test_pending_alarms_tell_nobody(connection: Connection) -> None:
    tell(connection, {"to": "pending"})
    tell(connection, {"to": "resolved", "window": 1001})
    assert incidents.list_incidents(connection) == []
    assert sent(connection) == []
    assert [alert.state for alert in incidents.list_alerts(connection)] == ["resolved"]


@pytest.mark.parametrize(("windows_later", "incidents_then"), [(288, 1), (289, 2)])
def test_what_returns_within_a_day_reopens(connection: Connection, windows_later: int, incidents_then: int) -> None:
    tell(connection, {}, {"to": "resolved", "window": 1005})
    # A pending alarm in between does not move the end.
    tell(connection, {"to": "pending", "window": 1100}, {"to": "resolved", "window": 1101})
    tell(connection, {"window": 1005 + windows_later})
    found = incidents.list_incidents(connection)
    assert len(found) == incidents_then
    assert found[0].state == "firing"
    assert found[0].resolved_at is None
    assert [message["status"] for message in sent(connection)] == ["firing", "resolved", "firing"]


def test_identity_is_labels_not_values(connection: Connection) -> None:
    tell(connection, {}, {"to": "resolved", "window": 1005}, {"window": 1010, "before": 0.8, "after": 0.1})
    assert len(incidents.list_alerts(connection)) == 1
    tell(connection, {"window": 1011}, version="2")
    assert len(incidents.list_alerts(connection)) == 2


def test_models_have_incidents_of_their_own(connection: Connection) -> None:
    add_model(connection, "other")
    tell(connection, {})
    tell(connection, {}, model="other")
    assert len(incidents.list_incidents(connection)) == 2
    assert len(incidents.list_incidents(connection, model="other", state="firing")) == 1


@pytest.mark.parametrize(("before", "after", "severity"), [(0.93, 0.62, "page"), (0.93, 0.64, "ticket")])
def test_a_collapse_of_confidence_is_a_page(connection: Connection, before: float, after: float, severity: str) -> None:
    tell(connection, {"before": before, "after": after}, {"monitor": "classes", "before": 0.9, "after": 0.1})
    severities = {alert.labels["monitor"]: alert.severity for alert in incidents.list_alerts(connection)}
    assert severities == {"confidence": severity, "classes": "ticket"}


def test_unknown_figures_are_told_as_such(connection: Connection) -> None:
    nan = float("nan")
    tell(connection, {"before": nan, "after": nan, "low": nan, "high": nan, "log_evidence": float("-inf")})
    (message,) = sent(connection)
    assert message["title"] == "digits: mean confidence changed"


def test_nothing_is_left_of_a_transaction_that_fails(connection: Connection) -> None:
    with connection.transaction(force_rollback=True):
        tell(connection, {})
        assert len(sent(connection)) == 1
    assert sent(connection) == []
    assert incidents.list_alerts(connection) == []


def test_the_pipeline_is_one_incident(connection: Connection) -> None:
    lost = {"topic": "predictions", "partition": "3", "first": "7", "last": "9"}
    for _ in range(2):
        alerts.pipeline_alert(connection, "LostRange", lost, "lost 7 to 9", {"count": 3}, "page", audience=AUDIENCE)
    stopped = {"topic": "predictions", "partition": "4"}
    alerts.pipeline_alert(connection, "Stopped", stopped, "stopped", {}, "page", audience=AUDIENCE)
    (incident,) = incidents.list_incidents(connection)
    assert (incident.model, incident.severity) == ("", "page")
    assert [len(message["alerts"]) for message in sent(connection)] == [1, 2]
    assert "count: 3" in sent(connection)[0]["text"]
    for name, labels in (("Stopped", stopped), ("LostRange", lost), ("LostRange", lost)):
        alerts.pipeline_resolved(connection, name, labels, audience=AUDIENCE)
    assert [message["status"] for message in sent(connection)] == ["firing", "firing", "resolved"]
    alerts.pipeline_alert(connection, "Stopped", stopped, "stopped", {}, "page", audience=AUDIENCE)
    assert [each.state for each in incidents.list_incidents(connection)] == ["firing"]


def test_what_happened_once_ends_by_itself(connection: Connection) -> None:
    for number in ("3", "4"):
        labels = {"topic": "predictions", "partition": number}
        alerts.pipeline_alert(connection, "LostRange", labels, "lost", {}, "page", audience=AUDIENCE)
    connection.execute("UPDATE alert SET updated_at = now() - interval '25 hours' WHERE labels->>'partition' = '3'")
    assert alerts.end_past(connection, "Stopped", hours=24, audience=AUDIENCE) == 0
    assert [alerts.end_past(connection, "LostRange", hours=24, audience=AUDIENCE) for _ in range(2)] == [1, 0]
    states = connection.execute("SELECT labels->>'partition', state FROM alert ORDER BY 1").fetchall()
    assert states == [("3", "resolved"), ("4", "firing")]
    connection.execute("UPDATE alert SET updated_at = now() - interval '25 hours'")
    alerts.end_past(connection, "LostRange", hours=24, audience=AUDIENCE)
    assert sent(connection)[-1]["status"] == "resolved"


def add_novel(connection: Connection, *values: str) -> None:
    for value in values:
        connection.execute(
            "INSERT INTO novel_value (model, kind, value, version, nominated, first_window, first_event_id)"
            " VALUES ('digits', 'classes', %s, '1', 1, 1000, 'event-1')",
            [value],
        )


def test_never_seen_values_are_noticed_once(connection: Connection) -> None:
    add_novel(connection, "ten", "eleven")
    assert alerts.notices(connection, lambda _: AUDIENCE) == 2
    assert alerts.notices(connection, lambda _: AUDIENCE) == 0
    (message,) = sent(connection)
    assert message["title"] == "digits: 2 values never seen before in classes: 'eleven', 'ten'"
    assert message["severity"] == "notice"
    assert incidents.list_incidents(connection) == []
    add_novel(connection, "twelve")
    assert alerts.notices(connection, lambda _: AUDIENCE) == 1
    assert len(sent(connection)) == 2


def test_what_goes_on_is_sent_again(connection: Connection) -> None:
    tell(connection, {})
    assert alerts.repeats(connection, hours=24, audience_of=lambda _: AUDIENCE) == 0
    connection.execute("UPDATE outbox SET created_at = now() - interval '25 hours'")
    assert alerts.repeats(connection, hours=24, audience_of=lambda _: AUDIENCE) == 1
    assert alerts.repeats(connection, hours=24, audience_of=lambda _: AUDIENCE) == 0
    assert [message["status"] for message in sent(connection)] == ["firing", "firing"]
    connection.execute("UPDATE outbox SET created_at = now() - interval '25 hours'")
    tell(connection, {"to": "resolved", "window": 1005})
    connection.execute("UPDATE outbox SET created_at = now() - interval '25 hours'")
    assert alerts.repeats(connection, hours=24, audience_of=lambda _: AUDIENCE) == 0


def test_the_story_of_an_incident(connection: Connection) -> None:
    tell(connection, {}, {"segment": "region=eu", "after": 0.2}, {"to": "resolved", "window": 1005})
    (incident,) = incidents.list_incidents(connection)
    story = incidents.story(connection, incident.id)
    assert story is not None
    assert [alert.labels["segment"] for alert in story.alerts] == ["region=eu", ""]
    assert [each.state for each in story.transitions] == ["firing", "firing", "resolved"]
    assert [(each.route, each.delivered_at) for each in story.deliveries] == [("log", None), ("hook", None)]
    assert incidents.story(connection, 999) is None
