"""What is left of an event after it was forgotten: nothing but a hash that only we can compute."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import zstandard
from psycopg.types.json import Jsonb
from typer.testing import CliRunner

from daemon.cli.main import app
from daemon.jobs.dispatch import DispatchJob
from daemon.jobs.reduce import ReduceJob
from daemon.jobs.select import SelectJob
from daemon.keeping import Keeping
from daemon.settings import Settings
from sinks import forgetting, queue
from sinks.controls import lock_shared
from sinks.database import Connection, connect
from sinks.errors import LeaseLost, NotFound
from sinks.schema import metadata
from tests.harness import event, new_topic, query, send, settings_for, wait_for, working
from tests.rows import add_candidates, add_items, add_model
from tests.services import ApacheKafka

PERSON = 'person-4711 "é"'


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    with connect(database, name="test") as opened:
        yield opened


def traces(connection: Connection, what: str) -> set[str]:
    """Return every column of every table that holds ``what``, however it is written there."""
    spellings = [what.encode(), json.dumps(what)[1:-1].encode(), json.dumps(what, ensure_ascii=False)[1:-1].encode()]
    found = set()
    columns = connection.execute(
        "SELECT table_name, column_name, data_type FROM information_schema.columns WHERE table_schema = 'public'"
    ).fetchall()
    assert len(columns) > 100
    for table, column, kind in columns:
        cast = f'"{column}"' if kind == "bytea" else f'"{column}"::text'
        for (value,) in connection.execute(f'SELECT {cast} FROM "{table}" WHERE "{column}" IS NOT NULL'.encode()):
            if any(each in plain for plain in _plain(value) for each in spellings):
                found.add(f"{table}.{column}")
    return found


def _plain(value: str | bytes) -> list[bytes]:
    if isinstance(value, str):
        return [value.encode()]
    if value.startswith(zstandard.FRAME_HEADER):
        return [zstandard.ZstdDecompressor().decompress(value)]
    return [value]


def forget(
    connection: Connection, settings: Settings, event_id: str = PERSON, **given: str | None
) -> forgetting.Forgotten:
    digest = Keeping(settings).digest(event_id)
    wanted = {"model": None, "who": "ada", "reason": None, **given}
    return forgetting.forget(connection, event_id, digest=digest, **wanted)  # type: ignore[arg-type]


def test_no_table_knows_a_forgotten_event_and_it_does_not_come_back(
    kafka: ApacheKafka, database: str, connection: Connection
) -> None:
    topic = new_topic(kafka)
    models = {"*": {"labels_per_day": 1000, "expected_events_per_day": 10, "segments": ["region"]}}
    settings = settings_for(kafka, database, topic, model=models)
    mine = event(0, second=1, id=PERSON)
    broken = mine.replace(b'"model"', b'"mode"')
    plain = [(event(number, second=number), number) for number in range(1, 30)]
    send(
        kafka,
        topic,
        [
            (mine, 1),
            (broken, 2),
            *plain,
            (event(99, second=1000), 1000),
            *[(event(number, second=1000), 1000) for number in (100, 101)],
        ],
    )
    with working(settings):
        wait_for(lambda: query(database, "SELECT sum(next_offset) FROM partition") == [(34,)])
        wait_for(lambda: ReduceJob(settings).run_once(connection) > 0)
        SelectJob(settings).run_once(connection)
        connection.execute(
            "INSERT INTO novel_value (model, kind, value, version, nominated, first_window, first_event_id)"
            " VALUES ('pets', 'classes', 'emu', '1', 1, 1, %s)",
            [PERSON],
        )
        DispatchJob(settings).run_once(connection)
        (leased,) = [
            item for item in queue.claim(connection, n=100, who="bob", lease_seconds=60) if item.event_id == PERSON
        ]
        known = {
            "candidate.event_id",
            "payload.event",
            "queue_item.event_id",
            "novel_value.first_event_id",
            "outbox.body",
        }
        assert traces(connection, PERSON) == known | {"dead_letter.value"}
        bodies = connection.execute(
            "SELECT body FROM closed_window JOIN part ON true UNION ALL SELECT state FROM cohort"
        )
        assert bodies.fetchall()

        done = forget(connection, settings, reason="ticket 1")
        tables = ("candidate", "payload", "queue_item", "novel_value", "dead_letter", "outbox")
        assert done.counts == dict.fromkeys(tables, 1)
        assert done.places == [(topic, 0, 0)]
        assert traces(connection, PERSON) == set()
        assert query(database, "SELECT who, reason, model, octet_length(digest) FROM forgotten") == [
            ("ada", "ticket 1", None, 16)
        ]

        # It counts as drawn and not answered, and whoever was labelling it is told.
        state = "SELECT state, propensity IS NOT NULL, lease_token FROM queue_item WHERE state = 'expired'"
        assert query(database, state) == [("expired", True, None)]
        assert leased.token is not None
        with pytest.raises(LeaseLost):
            queue.label(connection, leased.token, value="cat", who="bob")

        send(kafka, topic, [(mine, 1), (event(200, second=1001), 1001)], partitions=[0])
        wait_for(lambda: query(database, "SELECT count(*) FROM candidate WHERE event_id = 'event-200'") == [(1,)])
        assert traces(connection, PERSON) == set()
    again = forget(connection, settings)
    assert (again.counts, again.before is not None) == ({}, True)
    assert query(database, "SELECT count(*) FROM forgotten") == [(1,)]


def test_a_commit_under_way_is_waited_for(database: str, connection: Connection) -> None:
    add_model(connection)
    waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    with connect(database, name="ingest") as ingest, connect(database, name="forgets") as other:
        thread = threading.Thread(target=forget, args=(other, Settings(), "event-0"))
        with ingest.transaction():
            lock_shared(ingest)
            add_candidates(ingest, 1)
            thread.start()
            wait_for(lambda: query(database, waits) == [(1,)])
        thread.join(30)
        assert not thread.is_alive()
    assert query(database, "SELECT count(*) FROM forgotten") == [(1,)]
    assert traces(connection, "event-0") == set()


def test_only_the_event_that_was_meant_is_forgotten(database: str, connection: Connection) -> None:
    for model in ("digits", "pets"):
        add_model(connection, model)
        add_candidates(connection, 12, model=model, event_id=[f"event-{number}" for number in range(12)])
    add_items(connection, 12)
    (item,) = queue.claim(connection, n=1, who="bob", lease_seconds=60)
    assert item.token is not None
    queue.label(connection, item.token, value="8", who="bob", note=f"like {item.event_id}0 and {item.event_id}")
    letter = "INSERT INTO dead_letter VALUES ('t', 0, %s, 'bad_text', %s, 1, %s, 1, %s)"
    for offset, detail in enumerate((f"found '{item.event_id}'", f"found '{item.event_id}0'")):
        connection.execute(letter, [offset, offset, detail, detail.encode()])
    connection.execute(
        "INSERT INTO outbox (key, route, model, body) VALUES ('k', 'log', '', %s)",
        [Jsonb({"first_event_id": item.event_id, "title": "event-77"})],
    )
    done = forget(connection, Settings(), item.event_id, model="digits")
    assert done.counts == {"candidate": 1, "queue_item": 1, "label": 1, "dead_letter": 1, "outbox": 1}
    assert query(database, "SELECT count(*) FROM candidate") == [(23,)]
    assert query(database, "SELECT detail, value IS NULL FROM dead_letter ORDER BY 1") == [
        ("found '(forgotten)'", True),
        (f"found '{item.event_id}0'", False),
    ]
    assert query(database, "SELECT body FROM outbox") == [({"first_event_id": "(forgotten)", "title": "event-77"},)]
    assert query(database, "SELECT to_state FROM queue_audit ORDER BY id DESC LIMIT 1") == [("expired",)]
    assert traces(connection, item.event_id) >= {"candidate.event_id"}
    with pytest.raises(NotFound):
        forget(connection, Settings(), "event-5000")


def test_a_short_id_does_not_take_words_out_of_texts(database: str, connection: Connection) -> None:
    connection.execute(
        "INSERT INTO outbox (key, route, model, body) VALUES ('k', 'log', '', %s)",
        [Jsonb({"title": "class 8", "values": [{"value": "8", "first_event_id": "8"}]})],
    )
    assert forget(connection, Settings(), "8").counts == {"outbox": 1}
    wanted = {"title": "class 8", "values": [{"value": "8", "first_event_id": "(forgotten)"}]}
    assert query(database, "SELECT body FROM outbox") == [(wanted,)]


def test_the_command_says_what_was_done_and_what_is_out_of_reach(
    tmp_path: Path, database: str, connection: Connection
) -> None:
    add_model(connection)
    add_candidates(connection, 1)
    config = tmp_path / "config.toml"
    config.write_text(f'[postgres]\nurl = "{database}"\n')
    run = CliRunner()
    command = ["--config", str(config), "forget", "event-0"]
    first = run.invoke(app, [*command, "--who", "ada"])
    assert first.exit_code == 0
    assert ["candidate", "1"] in [line.split() for line in first.stdout.splitlines()]
    assert "Kafka (predictions/0 at offset 0)" in first.stdout
    again = run.invoke(app, command)
    assert (again.exit_code, "nothing has come since" in again.stdout) == (0, True)
    assert isinstance(run.invoke(app, [*command[:-1], "event-1"]).exception, NotFound)
    named = run.invoke(app, [*command, "--reason", "event-0 must go"])
    assert "names the event" in str(named.exception)


def test_every_column_that_is_made_for_ids_is_seen_to() -> None:
    named = {f"{table.name}.{each.name}" for table in metadata.tables.values() for each in table.columns}
    wanted = {"candidate.event_id", "queue_item.event_id", "novel_value.first_event_id"}
    assert {each for each in named if each.endswith("event_id")} == wanted, "sinks/forgetting.py has to know of it"
