import json
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from daemon.jobs.dispatch import DispatchJob
from daemon.settings import AlertSettings, RouteSettings, Settings
from sinks import outbox
from sinks.alerts import Audience, record
from sinks.database import Connection, connect
from sinks.routes import webhook
from tests.rows import add_model, transition

WINDOW_US = 300_000_000


class Receiver(ThreadingHTTPServer):
    """Answers posts with ``status``; keeps what it was sent. With ``hang`` set it answers when that is set."""

    daemon_threads = True

    def __init__(self) -> None:
        self.status = 200
        self.got: list[tuple[dict[str, str], Any]] = []
        self.hang: Event | None = None
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hook?token=secret"


class Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.server.hang is not None:
            self.server.hang.wait(10)
        self.server.got.append((dict(self.headers), body))
        self.send_response(self.server.status)
        self.send_header("Location", "http://127.0.0.1:1/elsewhere")
        self.send_header("Content-Length", "3")
        self.end_headers()
        self.wfile.write(b"ok\n")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    with connect(database, name="test") as opened:
        add_model(opened)
        yield opened


@pytest.fixture
def job(receiver: Receiver) -> Iterator[DispatchJob]:
    made = DispatchJob(settings(hook=receiver.url), jitter=lambda: 0.0)
    yield made
    made.close()


def settings(**urls: str) -> Settings:
    routes = tuple(
        RouteSettings(name=name, type="webhook", url=SecretStr(url), token=SecretStr("open sesame"))
        for name, url in urls.items()
    )
    return Settings(alerts=AlertSettings(routes=routes, external_url="https://strand/"))


def tell(connection: Connection, *routes: str, model: str = "digits", update_seconds: float = 0, **given: Any) -> None:
    audience = Audience(routes or ("hook",), "vision", "https://wiki/digits", "https://strand/", update_seconds)
    with connection.transaction():
        record(
            connection,
            model=model,
            version="1",
            window_us=WINDOW_US,
            transitions=[transition(**given)],
            audience=audience,
        )


def fire_and_resolve(connection: Connection, *routes: str) -> None:
    tell(connection, *routes)
    tell(connection, *routes, to="resolved", window=1005)


def make_due(connection: Connection) -> None:
    connection.execute("UPDATE outbox SET next_attempt_at = now()")


def test_alertmanagers_shape(connection: Connection, receiver: Receiver, job: DispatchJob) -> None:
    tell(connection, segment="region=eu")
    assert job.run_once(connection) == 1
    ((headers, body),) = receiver.got
    ((key, incident),) = connection.execute("SELECT key, (body ->> 'incident')::int FROM outbox").fetchall()
    assert headers["Idempotency-Key"] == key
    assert headers["Content-Type"] == "application/json"
    assert headers["Authorization"] == "Bearer open sesame"
    (alert,) = body.pop("alerts")
    labels = {
        "alertname": "StrandlineDrift",
        "model": "digits",
        "version": "1",
        "monitor": "confidence",
        "segment": "region=eu",
        "severity": "ticket",
        "owner": "vision",
    }
    summary = "digits: mean confidence fell from 0.93 to 0.71 in region=eu"
    description = alert["annotations"].pop("description")
    assert description.startswith(summary + "\n  0.93 → 0.71 points of confidence")
    annotations = {"summary": summary, "runbook_url": "https://wiki/digits"}
    assert alert.pop("fingerprint").isalnum()
    assert alert == {
        "status": "firing",
        "labels": labels,
        "annotations": annotations,
        "startsAt": "1970-01-04T11:10:00Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": f"https://strand/incidents/{incident}",
    }
    assert body == {
        "version": "4",
        "groupKey": f"incident-{incident}",
        "truncatedAlerts": 0,
        "status": "firing",
        "receiver": "hook",
        "groupLabels": {"model": "digits"},
        "commonLabels": labels,
        "commonAnnotations": {**annotations, "description": description},
        "externalURL": "https://strand/",
    }


def test_a_resolve_tells_when_it_ended(connection: Connection, receiver: Receiver, job: DispatchJob) -> None:
    fire_and_resolve(connection)
    assert [job.run_once(connection) for _ in range(3)] == [1, 1, 0]
    assert [body["status"] for _, body in receiver.got] == ["firing", "resolved"]
    assert receiver.got[1][1]["alerts"][0]["endsAt"] == "1970-01-04T11:50:00Z"
    assert len({body["groupKey"] for _, body in receiver.got}) == 1
    assert len({headers["Idempotency-Key"] for headers, _ in receiver.got}) == 2


def grow(connection: Connection, number: int, **given: Any) -> None:
    tell(connection, segment=f"region={number}", window=1000 + number, update_seconds=300, **given)


def later(connection: Connection, seconds: float) -> None:
    """Let time pass, for the outbox."""
    connection.execute(
        "UPDATE outbox SET next_attempt_at = next_attempt_at - make_interval(secs => %(s)s),"
        " delivered_at = delivered_at - make_interval(secs => %(s)s)",
        {"s": seconds},
    )


def test_an_incident_that_grows_is_sent_at_most_once_in_a_while(
    connection: Connection, receiver: Receiver, job: DispatchJob
) -> None:
    def got() -> list[tuple[str, int]]:
        while job.run_once(connection):
            pass
        return [(body["status"], len(body["alerts"])) for _, body in receiver.got]

    # What comes before the first message could be sent is in it.
    grow(connection, 1)
    grow(connection, 2)
    assert got() == [("firing", 2)]
    for number in range(3, 20):
        grow(connection, number)
        assert got() == [("firing", 2)]
    later(connection, 301)
    assert got() == [("firing", 2), ("firing", 19)]
    grow(connection, 20)
    assert len(got()) == 2
    # From the last message on, not from the first.
    later(connection, 299)
    assert len(got()) == 2
    later(connection, 2)
    assert got()[2:] == [("firing", 20)]
    # A page is not kept waiting, and neither is the end, nor what fires last before it.
    grow(connection, 21)
    assert len(got()) == 3
    grow(connection, 22, before=0.95, after=0.5)
    assert got()[3:] == [("firing", 22)]
    assert "page" in {alert["labels"]["severity"] for alert in receiver.got[-1][1]["alerts"]}
    grow(connection, 23)
    for number in range(1, 24):
        tell(connection, segment=f"region={number}", to="resolved", window=1100, update_seconds=300)
    assert [status for status, _ in got()[4:]] == ["firing", "resolved"]
    # What returns is told at once.
    tell(connection, segment="region=1", window=1110, update_seconds=300)
    assert [status for status, _ in got()[6:]] == ["firing"]


def test_every_route_is_told_in_its_own_time(connection: Connection) -> None:
    for number in range(2):
        tell(connection, "hook", "down", segment=f"region={number}", window=1000 + number, update_seconds=300)
        if number == 0:
            [letter] = outbox.claim(connection, "down", limit=1, lease_seconds=300)
            outbox.failed(connection, letter, error="away", retry_seconds=5)
    rows = connection.execute(
        "SELECT route, count(*), max(jsonb_array_length(body -> 'alerts')) FROM outbox GROUP BY 1"
    )
    # What was tried may have arrived: it stays as it was, and the update follows it.
    assert sorted(rows) == [("down", 2, 2), ("hook", 1, 2)]


def test_a_resolve_waits_until_its_firing_has_arrived(
    connection: Connection, receiver: Receiver, job: DispatchJob
) -> None:
    receiver.status = 503
    fire_and_resolve(connection)
    for _ in range(5):
        assert job.run_once(connection) == 0
        make_due(connection)
    assert {body["status"] for _, body in receiver.got} == {"firing"}
    assert len(receiver.got) == 5
    receiver.status = 200
    assert [job.run_once(connection) for _ in range(2)] == [1, 1]
    assert [body["status"] for _, body in receiver.got[5:]] == ["firing", "resolved"]
    assert len({headers["Idempotency-Key"] for headers, _ in receiver.got[:6]}) == 1


@pytest.mark.parametrize("status", [302, 400, 429, 500])
def test_retries_wait_longer_each_time(
    connection: Connection, receiver: Receiver, job: DispatchJob, status: int
) -> None:
    receiver.status = status
    tell(connection)
    pauses = []
    for attempt in range(1, 5):
        assert job.run_once(connection) == 0
        row = connection.execute(
            "SELECT attempts, extract(epoch FROM next_attempt_at - now())::float8, last_error FROM outbox"
        ).fetchone()
        assert row is not None
        assert row[0] == attempt
        assert str(status) in row[2]
        pauses.append(row[1])
        assert job.run_once(connection) == 0
        make_due(connection)
    assert len(receiver.got) == 4
    assert pauses == pytest.approx([2.5, 5, 10, 20], abs=0.5)


def test_no_secret_is_told(connection: Connection, receiver: Receiver, job: DispatchJob) -> None:
    receiver.shutdown()
    receiver.server_close()
    tell(connection)
    assert job.run_once(connection) == 0
    row = connection.execute("SELECT last_error FROM outbox").fetchone()
    assert row is not None
    assert "ConnectError" in row[0]
    assert "secret" not in row[0]


def test_a_route_that_hangs_holds_up_no_other(
    connection: Connection, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook, "_TIMEOUT", httpx.Timeout(1.0))
    for model in ("a", "b", "c"):
        add_model(connection, model)
    with Receiver() as bad:
        bad.hang = Event()
        Thread(target=bad.serve_forever, args=[0.01], daemon=True).start()
        job = DispatchJob(settings(bad=bad.url, good=receiver.url), jitter=lambda: 0.0)
        for model in ("a", "b", "c"):
            tell(connection, "bad", "good", model=model)
        start = time.monotonic()
        assert job.run_once(connection) == 3
        # One time-out, not one for each message that waits.
        assert time.monotonic() - start < 2.5
        assert len(receiver.got) == 3
        bad.hang.set()
        job.close()
        bad.shutdown()
    attempts = connection.execute("SELECT attempts FROM outbox WHERE route = 'bad' ORDER BY id").fetchall()
    assert attempts == [(1,), (0,), (0,)]


def test_a_message_that_is_never_taken_does_not_stop_the_rest(connection: Connection) -> None:
    class Picky:
        name = "hook"

        def __init__(self) -> None:
            self.took: list[str] = []

        def send(self, message: Any, *, key: str) -> None:
            if message["model"] == "digits":
                raise ValueError("cannot be sent")
            self.took.append(message["model"])

        def close(self) -> None:
            pass

    add_model(connection, "other")
    tell(connection)
    tell(connection, model="other")
    picky = Picky()
    job = DispatchJob(Settings(), routes=[picky], jitter=lambda: 0.0)
    job.run_once(connection)
    connection.execute("UPDATE outbox SET next_attempt_at = now() WHERE attempts = 0")
    job.run_once(connection)
    assert picky.took == ["other"]
    errors = connection.execute("SELECT last_error FROM outbox ORDER BY id").fetchall()
    assert errors == [("ValueError: cannot be sent",), (None,)]


def test_two_dispatchers_share_the_work(database: str, connection: Connection) -> None:
    tell(connection)
    first = outbox.claim(connection, "hook", limit=10, lease_seconds=60)
    with connect(database, name="other") as other:
        assert len(first) == 1
        assert outbox.claim(other, "hook", limit=10, lease_seconds=60) == []
        # The first one dies: what it had claimed is due again.
        make_due(connection)
        assert [letter.attempts for letter in outbox.claim(other, "hook", limit=10, lease_seconds=60)] == [2]


def test_never_seen_values_are_sent(connection: Connection, receiver: Receiver, job: DispatchJob) -> None:
    connection.execute(
        "INSERT INTO novel_value (model, kind, value, version, nominated, first_window, first_event_id)"
        " VALUES ('digits', 'classes', 'ten', '1', 1, 1000, 'event-1')"
    )
    assert job.run_once(connection) == 1
    ((_, body),) = receiver.got
    assert body["commonLabels"]["severity"] == "notice"
    assert body["alerts"][0]["annotations"]["summary"] == "digits: a value never seen before in classes: 'ten'"


def test_the_log_takes_everything(connection: Connection) -> None:
    fire_and_resolve(connection, "log")
    job = DispatchJob(Settings())
    assert [job.run_once(connection) for _ in range(3)] == [1, 1, 0]
