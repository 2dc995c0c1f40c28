from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from daemon.settings import Settings
from daemon.status import Status, collect
from detectors.registry import unlearnt_layout
from sinks.controls import ALWAYS, publish
from sinks.database import Connection, connect
from sinks.processes import Problem, ProcessState, Sign, beat
from tests.rows import add_items, add_model

SETTINGS = Settings()
NOW = datetime.now(UTC) - timedelta(hours=1)


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    with connect(database, name="test") as opened:
        yield opened


def sign(pid: int, role: str, *problems: Problem, state: ProcessState = "running") -> Sign:
    return Sign(pid, f"{role}-{pid}", role, state, problems, NOW)


def found(connection: Connection) -> list[tuple[str, str]]:
    return [(each.kind, each.text) for each in collect(connection, SETTINGS).problems]


@pytest.fixture
def well(connection: Connection) -> Status:
    """Processes, a partition that is read, and nothing to complain of."""
    add_model(connection)
    add_items(connection, 3)
    connection.execute(
        "INSERT INTO partition (topic, partition, owner, lease_until, event_high_us, next_offset, high_water)"
        " VALUES ('predictions', 0, 'me', now() + interval '1 minute', 1760000000000000, 5, 5)"
    )
    beat(connection, "here", [sign(1, "ingest"), sign(2, "jobs")])
    return collect(connection, SETTINGS)


def test_nothing_was_ever_read(connection: Connection) -> None:
    assert found(connection) == [
        ("run", "no ingest process runs: nothing is read"),
        ("run", "no jobs process runs: no window closes"),
        ("run", "nothing was ever read from predictions"),
    ]


def test_all_is_well(well: Status) -> None:
    assert well.problems == []
    figures = well.as_dict()
    told = {name: figures[name] for name in ("well", "partitions", "ingest_processes", "queue", "learning")}
    assert told == {"well": True, "partitions": 1, "ingest_processes": 1, "queue": {"pending": 3}, "learning": 1}
    assert len(well.lines) <= 11
    assert ("models", "1 (1 versions), 1 still learn their reference") in well.lines


@pytest.mark.usefixtures("well")
def test_partitions_at_the_same_event_time_are_told(connection: Connection) -> None:
    connection.execute(
        "INSERT INTO partition (topic, partition, owner, lease_until, event_high_us, next_offset, high_water)"
        " SELECT topic, 1, owner, lease_until, event_high_us, next_offset, high_water FROM partition"
    )
    figures = collect(connection, SETTINGS).as_dict()
    assert (figures["partitions"], figures["partition_spread_seconds"]) == (2, 0.0)


@pytest.mark.usefixtures("well")
def test_a_stopped_partition_and_incidents_are_told(connection: Connection) -> None:
    connection.execute("UPDATE partition SET stopped_reason = 'the topic was recreated'")
    connection.execute(
        "INSERT INTO incident (model, state, severity, title) VALUES ('digits', 'firing', 'page', 'it fell')"
    )
    assert found(connection) == [
        ("partition", "predictions/0 is stopped: the topic was recreated"),
        ("incident", "firing incidents: 1"),
    ]


@pytest.mark.usefixtures("well")
def test_what_processes_say_is_told_with_what_to_do(connection: Connection) -> None:
    beat(connection, "here", [sign(1, "ingest", Problem("kafka", "broker:9092: gone\0", NOW))])
    (problem,) = collect(connection, SETTINGS).problems
    assert problem.text == "ingest-1 on here: Kafka does not answer (broker:9092: gone)"
    assert problem.since == NOW
    assert "kafka.bootstrap_servers" in str(problem.as_dict()["do"])


@pytest.mark.usefixtures("well")
def test_a_process_that_stopped_is_no_news_but_one_that_is_lost_is_until_it_is_replaced(connection: Connection) -> None:
    beat(connection, "there", [sign(7, "ingest"), sign(8, "ingest", state="stopped")])
    connection.execute("UPDATE process SET seen_at = now() - interval '1 minute' WHERE host = 'there'")
    assert found(connection) == [("process", "ingest-7 on there is not heard of any more")]
    later = Sign(9, "ingest-9", "ingest", "running", (), datetime.now(UTC) + timedelta(seconds=1))
    beat(connection, "elsewhere", [later])
    assert found(connection) == []
    connection.execute("UPDATE process SET seen_at = now() - interval '1 minute'")
    assert [kind for kind, _ in found(connection)] == ["run", "run"]


@pytest.mark.usefixtures("well")
def test_reading_that_falls_behind_is_told(connection: Connection) -> None:
    connection.execute("UPDATE partition SET high_water = 1005, event_high_us = extract(epoch FROM now()) * 1e6")
    assert found(connection) == []
    connection.execute("UPDATE partition SET event_high_us = event_high_us - 3600 * 1000000::bigint")
    ((kind, text),) = found(connection)
    assert kind == "behind"
    assert text.startswith("1,000 records wait in Kafka, and events are read 3,60")


@pytest.mark.usefixtures("well")
def test_a_partition_that_holds_back_the_windows_is_told(connection: Connection) -> None:
    connection.execute(
        "INSERT INTO partition (topic, partition, owner, lease_until, event_high_us, next_offset, high_water)"
        " VALUES ('predictions', 1, 'me', now() + interval '1 minute', 1760000900000000, 5, 5)"
    )
    assert found(connection) == [("spread", "predictions/0 is 900 s behind the others and holds back the windows")]


@pytest.mark.usefixtures("well")
def test_partitions_may_be_equally_far(connection: Connection) -> None:
    connection.execute(
        "INSERT INTO partition (topic, partition, owner, lease_until, event_high_us, next_offset, high_water)"
        " SELECT topic, 1, owner, lease_until, event_high_us, next_offset, high_water FROM partition"
    )
    assert found(connection) == []


@pytest.mark.usefixtures("well")
def test_caps_that_are_reached_are_told(connection: Connection) -> None:
    layout = replace(unlearnt_layout(), segments=("", "region=eu", "region=us"))
    publish(
        connection, kind="layout", model="digits", cohort_id=1, effective_from=ALWAYS, body=layout.to_json().encode()
    )
    assert collect(connection, SETTINGS).figures["caps_reached"] == {}
    capped = Settings.model_validate({"detection": {"segments_cap": 3, "models_cap": 1}})
    told = collect(connection, capped)
    assert told.figures["caps_reached"] == {"segments_cap": ["digits"]}
    assert ("caps reached", "segments_cap by digits: what is beyond is counted as other") in told.lines
    assert told.problems == []
    connection.execute("INSERT INTO dead_letter_total VALUES ('predictions', 0, 'too_many_models', 1234)")
    (problem,) = collect(connection, capped).problems
    assert problem.text == "models_cap = 1 is reached: 1,234 events of further models and versions are dead letters"
    assert "detection.models_cap" in str(problem.as_dict()["do"])
    assert found(connection) == []


@pytest.mark.usefixtures("well")
def test_a_stuck_outbox_is_told(connection: Connection) -> None:
    connection.execute("INSERT INTO outbox (key, route, model, body) VALUES ('a', 'log', 'digits', '{}')")
    assert found(connection) == []
    connection.execute("UPDATE outbox SET created_at = now() - interval '1 hour'")
    assert found(connection) == [("outbox", "1 notifications wait and are not sent")]
    connection.execute("UPDATE outbox SET attempts = 3, last_error = 'refused'")
    assert found(connection) == [("outbox", "1 notifications wait for another try (3 so far): refused")]
