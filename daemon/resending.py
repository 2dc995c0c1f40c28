"""Sending dead letters again: the original records, judged first by the configuration that is in force now."""

from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from kafka import KafkaProducer
from kafka.errors import KafkaError

from daemon.buffer import NEVER, Buffer, Cohort
from daemon.kafka_clients import REQUEST_MS, KafkaUnavailable, reaching
from daemon.records import Records
from daemon.rereading import RecordReader, WholeRecord
from daemon.settings import Settings
from sinks.dead_letters import Letter

__all__ = ["HEADER", "Judge", "Resender", "Verdict"]

HEADER = "strandline-resent-from"
"""The header that tells where a record was first: topic/partition/offset."""
_SEND_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What would become of a dead letter's records now. ``accepted``: their number; ``why``: of what is not."""

    letter: Letter
    accepted: int
    why: str


class Judge:
    """Reads dead letters' records and says which of them would be accepted now.

    ``known`` are the registered (model, version); looking at records registers no more.
    """

    def __init__(self, settings: Settings, records: RecordReader, known: set[tuple[str, str]]) -> None:
        self._records = records

        def cohort_of(model: str, version: str) -> Cohort | None:
            if (model, version) not in known and len(known) >= settings.detection.models_cap:
                return None
            return Cohort(0, model, version, settings.of(model))

        self._buffer = Buffer(settings, cohort_of)

    def verdict(self, letter: Letter) -> Verdict:
        """Say what would become of a dead letter."""
        if not letter.dense:
            why = f"{letter.count} of the {letter.last - letter.first + 1} records there; which is not known"
            return Verdict(letter, 0, why)
        found = accepted = 0
        why = ""
        for record in self._records.read((letter.topic, letter.partition), letter.first, letter.last):
            found += 1
            fault = self._fault(letter, record)
            accepted += not fault
            why = why or fault
        missing = letter.count - found
        return Verdict(letter, accepted, why or (f"{missing} no longer in Kafka" if missing else ""))

    def accepted(self, letter: Letter) -> Iterator[WholeRecord]:
        """Yield the records of a dead letter that would be accepted now."""
        for record in self._records.read((letter.topic, letter.partition), letter.first, letter.last):
            if not self._fault(letter, record):
                yield record

    def _fault(self, letter: Letter, record: WholeRecord) -> str:
        """Say what is wrong with a record; nothing if it would be accepted."""
        if record.value is None:
            return "a tombstone"
        self._buffer.add(letter.topic, letter.partition, Records.of([record]), NEVER)
        letters, self._buffer.dead_letters = self._buffer.dead_letters, []
        self._buffer.clear()
        return f"{letters[0].reason}: {letters[0].detail}" if letters else ""


class Resender:
    """Produces records again, with key, headers, timestamp and (in their topic) partition; closed by ``with``."""

    def __init__(self, settings: Settings) -> None:
        with reaching(settings.kafka) as options:
            self._producer = KafkaProducer(
                **options,
                acks="all",
                allow_auto_create_topics=False,
                max_request_size=2 * settings.ingest.max_event_bytes,
                max_block_ms=REQUEST_MS,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._producer.close(timeout=_SEND_SECONDS)

    def send(self, letter: Letter, records: Iterator[WholeRecord], topic: str) -> int:
        """Send records to ``topic``; return their number once Kafka has them all.

        Raises
        ------
        KafkaUnavailable
            It did not take one of them; those before it were sent.
        """
        count = 0
        try:
            for record in records:
                origin = f"{letter.topic}/{letter.partition}/{record.offset}"
                self._producer.send(
                    topic,
                    record.value,
                    key=record.key,
                    headers=[*record.headers, (HEADER, origin.encode())],
                    partition=letter.partition if topic == letter.topic else None,
                    timestamp_ms=record.timestamp if record.timestamp >= 0 else None,
                ).get(_SEND_SECONDS)
                count += 1
        except KafkaError as error:
            raise KafkaUnavailable(f"{topic}: {error}") from error
        return count
