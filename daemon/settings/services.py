"""The services the daemon talks to: Kafka and PostgreSQL."""

from typing import Annotated, Literal

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict
from pydantic import Field, field_validator

from daemon.settings.kafka_security import KafkaSecurity
from daemon.settings.section import Seconds, Section

__all__ = ["KafkaSettings", "PostgresSettings"]


class KafkaSettings(KafkaSecurity):
    """Where events come from."""

    bootstrap_servers: tuple[str, ...] = ("localhost:9092",)
    topics: Annotated[tuple[str, ...], Field(min_length=1)] = ("predictions",)
    group: str = "strandline"
    assignment: Literal["group", "static"] = "group"
    start: Literal["earliest", "latest"] = "earliest"
    session_timeout_seconds: Seconds = 30
    fetch_wait_seconds: Seconds = 0.05


class PostgresSettings(Section):
    """Where everything is kept."""

    url: str = "postgresql://localhost/strandline"

    @field_validator("url")
    @classmethod
    def _url_can_be_read(cls, url: str) -> str:
        try:
            conninfo_to_dict(url)
        except ProgrammingError:
            # What libpq says of it, and what was found, could tell the password.
            message = 'expected a PostgreSQL URL such as "postgresql://user@host:5432/database"'
            raise ValueError(message) from None
        return url
