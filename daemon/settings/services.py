"""The services the daemon talks to: Kafka and PostgreSQL."""

from typing import Annotated, Literal

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from pydantic import Field, SecretStr, ValidationInfo, field_validator

from daemon.settings.section import Seconds, Section

__all__ = ["KafkaSettings", "PostgresSettings"]


class KafkaSettings(Section):
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

    url: SecretStr = SecretStr("postgresql://localhost/strandline")
    password: SecretStr = SecretStr("")

    @field_validator("url")
    @classmethod
    def _url_can_be_read(cls, url: SecretStr) -> SecretStr:
        try:
            conninfo_to_dict(url.get_secret_value())
        except ProgrammingError:
            # What libpq says of it could tell the password.
            message = 'expected a PostgreSQL URL such as "postgresql://user@host:5432/database"'
            raise ValueError(message) from None
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
