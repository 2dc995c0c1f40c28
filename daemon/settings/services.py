"""The services the daemon talks to: Kafka and PostgreSQL."""

import re
from typing import Annotated, Literal

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from pydantic import Field, SecretStr, ValidationInfo, field_validator

from daemon.settings.kafka_security import KafkaSecurity
from daemon.settings.section import Names, Section

__all__ = ["KafkaSettings", "PostgresSettings", "check_server"]


_PORTS = re.compile(r"[\d,]*")
_SERVER = re.compile(r"(\w+://)?([^\s:/,\[\]]+|\[[0-9A-Fa-f:.]+(%\w+)?\]):(?P<port>[0-9]{1,5})")


def check_server(text: str) -> None:
    """Check that a text names a Kafka broker.

    Raises
    ------
    ValueError
        It does not; the message says what was expected.
    """
    found = _SERVER.fullmatch(text)
    if found is None or not 0 < int(found["port"]) < 65_536:
        raise ValueError(f'expected host:port, such as "localhost:9092", found {text!r}')


class _Assignment(Section):
    strategy: Literal["range", "roundrobin", "cooperative-sticky"] = "range"


class _Partition(Section):
    assignment: _Assignment = _Assignment()


class KafkaSettings(KafkaSecurity):
    """Where events come from."""

    bootstrap_servers: Annotated[Names, Field(min_length=1)] = ("localhost:9092",)
    topics: Annotated[Names, Field(min_length=1)] = ("predictions",)
    group: str = "strandline"
    assignment: Literal["group", "static"] = "group"
    start: Literal["earliest", "latest"] = "earliest"
    client: Literal["kafka-python", "confluent"] = "kafka-python"
    session_timeout_seconds: Annotated[float, Field(gt=0, le=1800)] = 30
    max_poll_interval_seconds: Annotated[float, Field(gt=0, le=86_400)] = 300
    fetch_wait_seconds: Annotated[float, Field(gt=0, le=60)] = 0.05
    partition: _Partition = _Partition()

    @field_validator("bootstrap_servers")
    @classmethod
    def _servers_have_ports(cls, servers: tuple[str, ...]) -> tuple[str, ...]:
        for server in servers:
            check_server(server)
        return servers


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
