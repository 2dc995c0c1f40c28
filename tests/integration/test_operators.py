"""What an operator does with dead letters, with stopped partitions, and with events that only Kafka holds."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaConsumer, TopicPartition
from typer.testing import CliRunner, Result

from daemon.cli.deadletters import ADVICE
from daemon.cli.main import app
from daemon.jobs.select import SelectJob
from daemon.settings import load
from sinks.database import Connection, connect
from sinks.errors import BadData, NotFound
from tests.broken_events import CASES, Dead
from tests.harness import START_SECONDS, event, new_topic, query, send, wait_for, working
from tests.services import ApacheKafka


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    with connect(database, name="test") as opened:
        yield opened


@pytest.fixture
def topic(kafka: ApacheKafka) -> str:
    return new_topic(kafka)


HIGH_US = (START_SECONDS + 3600) * 1_000_000


class Operator:
    """Somebody at the command line, with a configuration in a file."""

    def __init__(self, directory: Path, kafka: ApacheKafka, database: str, topic: str) -> None:
        self.file = directory / "config.toml"
        self._start = (
            f'[kafka]\nbootstrap_servers = ["{kafka.bootstrap}"]\ntopics = ["{topic}"]\ngroup = "{topic}"\n'
            f'session_timeout_seconds = 6\n[postgres]\nurl = "{database}"\n'
            '[model."*"]\nlabels_per_day = 1000\nexpected_events_per_day = 10\n'
        )
        self.configure()

    def configure(self, more: str = "") -> None:
        self.file.write_text(self._start + more)

    def __call__(self, *words: str, says: str | None = None) -> Result:
        return CliRunner().invoke(app, ["--config", str(self.file), *words], input=says)

    def told(self, *words: str, says: str | None = None) -> str:
        found = self(*words, says=says)
        assert found.exit_code == 0, found.output
        return found.stdout

    def json(self, *words: str) -> Any:
        return json.loads(self.told(*words, "--json"))


@pytest.fixture
def operator(tmp_path: Path, kafka: ApacheKafka, database: str, topic: str) -> Operator:
    return Operator(tmp_path, kafka, database, topic)


def records_of(kafka: ApacheKafka, topic: str, partition: int, start: int, count: int) -> list[Any]:
    tp = TopicPartition(topic, partition)
    found: list[Any] = []
    with closing(KafkaConsumer(bootstrap_servers=kafka.bootstrap)) as consumer:
        consumer.assign([tp])
        consumer.seek(tp, start)

        def all_there() -> bool:
            found.extend(consumer.poll(500).get(tp, ()))
            return len(found) >= count

        wait_for(all_there)
    return found


def test_dead_letters_are_shown_and_sent_again_once(
    kafka: ApacheKafka, database: str, topic: str, operator: Operator
) -> None:
    operator.configure("[detection]\nmodels_cap = 1\n[dead_letters]\nkept = 2\n")
    values = [event(0, second=0), *(event(number, second=number, version="2") for number in range(1, 14))]
    broken = b'{"id": "\x1b[31m", \xff'
    send(kafka, topic, [(value, at) for at, value in enumerate([*values, broken])], partitions=[0])
    with working(load(operator.file)):
        wait_for(lambda: query(database, "SELECT max(next_offset) FROM partition") == [(15,)])

    listed = operator.json("deadletters", "list")
    assert {(each["reason"], each["count"]) for each in listed} >= {("too_many_models", 1), ("not_utf8", 1)}
    assert sum(each["count"] for each in listed) == 14
    assert len(operator.json("deadletters", "list", "--reason", "not_utf8")) == 1
    shown = operator.told("deadletters", "show", f"{topic}/0/14")
    for words in ("not_utf8", "encode its JSON in UTF-8", '{"id": "\\x1b[31m", \\xff'):
        assert words in shown
    assert "\x1b" not in shown
    assert isinstance(operator("deadletters", "show", f"{topic}/0/0").exception, NotFound)
    for place in (topic, f"{topic}/0", f"{topic}/0/x", f"{topic}/99999999999/0"):
        assert isinstance(operator("deadletters", "show", place).exception, BadData)
    assert isinstance(operator("deadletters", "resend").exception, BadData)

    # Under the configuration that made them dead letters they would be some again: nothing is sent.
    told = operator.told("deadletters", "resend", "--topic", topic)
    assert "too_many_models: the limit is 1" in told
    assert "sent again" not in told
    operator.configure("[detection]\nmodels_cap = 9\n")
    assert "accepted now" in operator.told("deadletters", "resend", "--topic", topic, "--dry-run")
    refused = operator("deadletters", "resend", "--topic", topic, says="n\n")
    assert (refused.exit_code, "Send 13 records again?" in refused.output) == (1, True)
    assert query(database, "SELECT count(resent_at) FROM dead_letter") == [(0,)]
    assert "1 record was sent again" in operator.told("deadletters", "resend", f"{topic}/0/2")
    assert "12 records were sent again" in operator.told("deadletters", "resend", "--topic", topic, "--yes")
    assert "No dead letter waits" in operator.told("deadletters", "resend", "--reason", "too_many_models", "--yes")
    sent = records_of(kafka, topic, 0, 15, 13)
    places = [each.headers[-1][1].decode() for each in sent]
    assert places == [f"{topic}/0/{offset}" for offset in (2, 1, *range(3, 14))]
    assert {each.headers[-1][0] for each in sent} == {"strandline-resent-from"}
    assert sent[0].timestamp == (START_SECONDS + 2) * 1000
    with working(load(operator.file)):
        wait_for(lambda: query(database, "SELECT max(next_offset) FROM partition") == [(28,)])
    assert query(database, "SELECT count(*) FROM candidate WHERE version = '2'") == [(13,)]


def test_of_a_range_with_other_events_in_it_nothing_is_sent(
    kafka: ApacheKafka, topic: str, operator: Operator, connection: Connection
) -> None:
    send(kafka, topic, [(event(number, second=number), number) for number in range(4)], partitions=[0])
    connection.execute("INSERT INTO dead_letter VALUES (%s, 0, 1, 'bad_text', 3, 2, '', 9)", [topic])
    connection.execute("INSERT INTO dead_letter VALUES (%s, 0, 9, 'bad_text', 9, 1, '', 9)", [topic])
    told = operator.told("deadletters", "resend", "--topic", topic, "--yes")
    assert "2 of the 3 records there; which is not known" in told
    assert "1 no longer in Kafka" in told
    assert "sent again" not in told


def test_every_reason_has_its_advice() -> None:
    assert {case.outcome.reason for case in CASES if isinstance(case.outcome, Dead)} <= ADVICE.keys()
    assert {"too_many_models", "quarantined", "no_kafka_time", "too_large"} <= ADVICE.keys()


def test_a_stopped_partition_is_resumed_after_saying_what_that_means(
    kafka: ApacheKafka, database: str, topic: str, operator: Operator, connection: Connection
) -> None:
    send(kafka, topic, [(event(number, second=number), number) for number in range(3)], partitions=[1])
    connection.execute(
        "INSERT INTO partition (topic, partition, next_offset, event_high_us)"
        " VALUES (%(topic)s, 0, 0, %(high)s), (%(topic)s, 1, 900, NULL), (%(topic)s, 2, 0, %(high)s + 1)",
        {"topic": topic, "high": HIGH_US},
    )
    with working(load(operator.file)):
        wait_for(lambda: query(database, "SELECT count(*) FROM alert WHERE state = 'firing'") == [(1,)])
        listed = operator.json("partitions", "list")
        assert [(each["partition"], each["next"], each["lag"]) for each in listed] == [
            (0, 0, 0),
            (1, 900, 0),
            (2, 0, 0),
        ]
        assert "recreated or truncated" in listed[1]["stopped"]
        assert "recreated" in operator.told("partitions", "list")

        for words, fault in (
            (("resume", f"{topic}/0"), "not stopped"),
            (("resume", f"{topic}/1", "--from", "4"), "offsets 0 to 3"),
            (("resume", f"{topic}/1", "--from", "soon"), "expected earliest, latest, or an offset"),
            (("resume", topic), "expected TOPIC/NUMBER"),
        ):
            assert fault in str(operator("partitions", *words).exception)
        assert isinstance(operator("partitions", "resume", f"{topic}/7").exception, NotFound)
        latest = operator("partitions", "resume", f"{topic}/1", "--from", "latest", says="n\n")
        assert (latest.exit_code, "Not read: offsets 0 to 2" in latest.output) == (1, True)
        told = operator.told("partitions", "resume", f"{topic}/1", says="y\n")
        assert "read from 0: 3 records at once" in told
        assert "those from 0 to 2 are counted twice" in told
        wait_for(lambda: query(database, "SELECT next_offset FROM partition WHERE partition = 1") == [(3,)])
    assert query(database, "SELECT state FROM alert") == [("resolved",)]
    # Windows may have closed up to the others' event time: nothing of this partition may come into one of them.
    assert query(database, "SELECT event_high_us FROM partition WHERE partition = 1")[0][0] >= HIGH_US


def test_an_event_that_only_kafka_holds_is_shown_to_the_labeler_or_missed(
    kafka: ApacheKafka, database: str, topic: str, operator: Operator, connection: Connection
) -> None:
    operator.configure('privacy = {payload = "reference", drop_fields = ["tags.region"]}\n')
    settings = load(operator.file)
    send(kafka, topic, [(event(number, second=number), number) for number in range(2)], partitions=[0])
    with working(settings):
        wait_for(lambda: query(database, "SELECT count(*) FROM candidate") == [(2,)])
    SelectJob(settings).run_once(connection)
    assert query(database, "SELECT count(*) FROM payload") == [(0,)]
    item = operator.json("queue", "next")
    assert item["event"]["payload"] == f"picture {item['offset']}"
    assert item["event"]["tags"] == {}
    shown = operator.told("queue", "show", str(item["id"]))
    assert f"picture {item['offset']}" in shown
    assert "leased by" in shown
    assert isinstance(operator("queue", "show", "99").exception, NotFound)

    connection.execute('UPDATE candidate SET "offset" = 77')
    gone = operator.json("queue", "show", str(item["id"]))
    assert (gone["event"], gone["event_missing"]) == (
        None,
        f"Kafka no longer has the event: {topic}/0 at offset 77 is gone",
    )
    assert "Kafka no longer has the event" in operator.told("queue", "next")
    connection.execute("DELETE FROM candidate")
    assert "its candidate is gone" in operator.told("queue", "show", str(item["id"]))
    operator.configure('privacy = {payload = "none"}\n')
    assert "was not kept" in operator.told("queue", "show", str(item["id"]))
