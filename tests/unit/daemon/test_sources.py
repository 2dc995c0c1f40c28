import sys
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace

import pytest
from confluent_kafka import KafkaError, KafkaException, Message, TopicPartition

from daemon.__main__ import main
from daemon.kafka_clients import KafkaUnavailable
from daemon.settings import KafkaSettings
from daemon.sources import confluent
from daemon.sources.confluent import ConfluentSource
from daemon.sources.kafka_python import KafkaPythonSource
from daemon.sources.registry import source_of


def test_kafka_python_is_the_client_unless_another_is_wanted() -> None:
    assert source_of(KafkaSettings()) is KafkaPythonSource
    assert source_of(KafkaSettings(client="confluent")) is ConfluentSource


@pytest.mark.parametrize("command", ["check", "run"])
def test_a_client_that_is_not_installed_is_told_with_what_installs_it(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "config.toml"
    config.write_text("[kafka]\nclient = 'confluent'\n")
    for name in [name for name in sys.modules if name.startswith("daemon.sources.confluent")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "confluent_kafka", None)
    monkeypatch.setattr(sys, "argv", ["strandline", "--config", str(config), command])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert "kafka.client = 'confluent'" in told
    assert "pip install 'strandline[confluent]'" in told


class Library:
    """Gives what it is told to give, and notes from where it was to read."""

    def __init__(self) -> None:
        self.given: list[Message] = []
        self.assigned: list[dict[int, int]] = []
        self.partitions = 2

    def assign(self, partitions: Iterable[TopicPartition]) -> None:
        self.assigned.append({each.partition: each.offset for each in partitions})

    def list_topics(self, topic: str, timeout: float) -> SimpleNamespace:
        return SimpleNamespace(topics={topic: SimpleNamespace(partitions=dict.fromkeys(range(self.partitions)))})

    def consume(self, _most: int, _seconds: float) -> list[Message]:
        given, self.given = self.given, []
        return given


@pytest.fixture
def library() -> Library:
    return Library()


@pytest.fixture
def source(library: Library, monkeypatch: pytest.MonkeyPatch) -> ConfluentSource:
    monkeypatch.setattr(confluent, "reach", lambda *_: library)
    settings = KafkaSettings(topics=("topic",), assignment="static")
    source = ConfluentSource(settings, poll_records=500, max_event_bytes=1000)
    assert source.partitions() == {("topic", 0), ("topic", 1)}
    assert source.poll(0, 500).rebalanced
    for partition in (0, 1):
        source.seek(("topic", partition), 10)
    return source


def record(partition: int, offset: int) -> Message:
    return Message(topic="topic", partition=partition, offset=offset, value=b"x", timestamp=(1, offset * 1000))


def fault(partition: int, offset: int, code: int) -> Message:
    return Message(topic="topic", partition=partition, offset=offset, error=KafkaError(code))


def offsets(source: ConfluentSource) -> dict[int, list[int]]:
    return {number: list(records.offsets) for (_, number), records in source.poll(0, 500).records.items()}


def test_behind_what_cannot_be_read_nothing_is_taken_and_it_is_read_again(
    source: ConfluentSource, library: Library
) -> None:
    library.given = [record(0, 10), record(1, 10), fault(0, 11, KafkaError._BAD_MSG), record(0, 15), record(1, 11)]
    assert offsets(source) == {0: [10], 1: [10, 11]}
    with pytest.raises(KafkaUnavailable, match="Bad message format"):
        source.poll(0, 500)
    assert offsets(source) == {}
    assert library.assigned == [{0: 10, 1: 10}, {0: 11, 1: 12}]


def test_an_offset_out_of_range_counts_only_where_reading_goes_on(source: ConfluentSource, library: Library) -> None:
    library.given = [record(0, 10), fault(0, 5000, KafkaError._AUTO_OFFSET_RESET), fault(7, 3, KafkaError._BAD_MSG)]
    poll = source.poll(0, 500)
    assert (list(poll.records), dict(poll.out_of_range)) == ([("topic", 0)], {})
    library.given = [fault(0, 11, KafkaError._AUTO_OFFSET_RESET)]
    assert source.poll(0, 500).out_of_range == {("topic", 0): 11}
    assert library.assigned == [{0: 10, 1: 10}, {0: 11, 1: 10}]


def test_a_poll_that_fails_loses_nothing(
    source: ConfluentSource, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.given = [record(1, 10)]
    assert offsets(source) == {1: [10]}

    def fail(*_: object) -> None:
        raise KafkaException(KafkaError(KafkaError._FATAL))

    with monkeypatch.context() as failing:
        failing.setattr(library, "consume", fail)
        with pytest.raises(KafkaUnavailable):
            source.poll(0, 500)
    assert offsets(source) == {}
    assert library.assigned == [{0: 10, 1: 10}, {0: 10, 1: 11}]


def test_records_of_partitions_that_come_in_turns_are_put_together(source: ConfluentSource, library: Library) -> None:
    library.given = [record(0, 10), record(1, 10), record(0, 12), record(1, 30)]
    records = source.poll(0, 500).records
    assert {place: (each.offsets, each.timestamps_ms, each.values) for place, each in records.items()} == {
        ("topic", 0): ([10, 12], [10_000, 12_000], [b"x", b"x"]),
        ("topic", 1): ([10, 30], [10_000, 30_000], [b"x", b"x"]),
    }


def test_when_a_partition_is_new_nothing_is_read_before_it_is_said_from_where_on(
    source: ConfluentSource, library: Library
) -> None:
    library.given = [record(0, 10)]
    assert offsets(source) == {0: [10]}
    library.partitions = 3
    assert len(source.partitions()) == 3
    library.given = [record(0, 11)]
    poll = source.poll(0, 500)
    assert (poll.rebalanced, poll.records) == (True, {})
    source.seek(("topic", 2), 0)
    assert offsets(source) == {}
    assert library.assigned == [{0: 10, 1: 10}, {}, {2: 0}]
