"""The services the daemon talks to: Kafka and PostgreSQL."""

import re
from typing import Annotated, Literal

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from pydantic import Field, SecretStr, ValidationInfo, field_validator

from daemon.settings.kafka_security import KafkaSecurity
from daemon.settings.section import Seconds, Section

__all__ = ["KafkaSettings", "PostgresSettings"]


_PORTS = re.compile(r"[\d,]*")


class KafkaSettings(KafkaSecurity):
    """Where events come from."""

    bootstrap_servers: tuple[str, ...] = ("localhost:9092",)
    topics: Annotated[tuple[str, ...], Field(min_length=1)] = ("predictions",)
    group: str = "strandline"
    assignment: Literal["group", "static"] = "group"
    start: Literal["earliest", "latest"] = "earliest"
    client: Literal["kafka-python", "confluent"] = "kafka-python"
    session_timeout_seconds: Seconds = 30
    fetch_wait_seconds: Seconds = 0.05


class PostgresSettings(Section):
    """Where everything is kept."""

    url: SecretStr = SecretStr("postgresql://localhost/strandline")
    password: SecretStr = SecretStr("")

    @field_validator("url")
    @classmethod
    def _url_can_be_read(cls, url: SecretStr) -> SecretStr:
        if not _can_be_read(url.get_secret_value()):
            message = (
                'expected a PostgreSQL URL such as "postgresql://user@host:5432/database"; '
                "@ and / in a password are written %40 and %2F"
            )
            raise ValueError(message)
        return url

    @field_validator("password")
    @classmethod
    def _one_password(cls, password: SecretStr, others: ValidationInfo) -> SecretStr:
        url = others.data.get("url")
        if password and url is not None and "password" in conninfo_to_dict(url.get_secret_value()):
            message = "expected a password here or in postgres.url, not in both"
            raise ValueError(message)
        return password

    @property
    def conninfo(self) -> str:
        """What libpq connects with, the password in it: a secret."""
        if not self.password:
            return self.url.get_secret_value()
        return make_conninfo(self.url.get_secret_value(), password=self.password.get_secret_value())


def _can_be_read(url: str) -> bool:
    """Tell whether libpq understands a URL as it was meant; else what it says of it would show the password.

    Of a password in which "@" and "/" stand as they are, it takes a part for the host or the port.
    """
    try:
        given = conninfo_to_dict(url)
    except ProgrammingError:
        return False
    host, port = str(given.get("host", "")), str(given.get("port", ""))
    return "@" not in host.removeprefix("@") and _PORTS.fullmatch(port) is not None
