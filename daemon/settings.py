"""The configuration, as ``config.toml`` describes it: every key, checked; nothing unknown passes."""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from sinks.errors import BadSettings

__all__ = [
    "AlertSettings",
    "DetectionSettings",
    "IngestSettings",
    "KafkaSettings",
    "ModelSettings",
    "PostgresSettings",
    "RetentionSettings",
    "RouteSettings",
    "SelectionSettings",
    "Settings",
    "load",
]

MICROSECONDS = 1_000_000
_DAY_SECONDS = 86_400
_UNITS = {"hour": 3600, "day": _DAY_SECONDS, "week": 7 * _DAY_SECONDS, "year": 365 * _DAY_SECONDS}
_BUDGET = re.compile(r"^(\d+(?:\.\d+)?) per (?:(\d+) )?(hour|day|week|year)s?$")

Seconds = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class KafkaSettings(_Section):
    """Where events come from."""

    bootstrap_servers: tuple[str, ...] = ("localhost:9092",)
    topics: Annotated[tuple[str, ...], Field(min_length=1)] = ("predictions",)
    group: str = "strandline"
    assignment: Literal["group", "static"] = "group"
    start: Literal["earliest", "latest"] = "earliest"
    session_timeout_seconds: Seconds = 30
    fetch_wait_seconds: Seconds = 0.05


class PostgresSettings(_Section):
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


class IngestSettings(_Section):
    """How events are read, counted and committed."""

    workers: Count = 1
    commit_seconds: Seconds = 0.3
    commit_events: Count = 200_000
    poll_records: Count = 500
    buffer_events: Count = 8192
    idle_seconds: Seconds = 30
    lease_seconds: Seconds = 15
    max_event_bytes: Count = 1_048_576
    max_payload_bytes: Count = 262_144
    max_ahead_seconds: Seconds = 300
    max_behind_seconds: Seconds = 7 * _DAY_SECONDS
    dead_letter_bytes: Annotated[int, Field(ge=0)] = 4096
    dead_letters_kept: Annotated[int, Field(ge=0)] = 1000


class DetectionSettings(_Section):
    """What is watched, and up to how many."""

    for_windows: Annotated[int, Field(ge=0)] = 0
    segments_cap: Annotated[int, Field(ge=1, le=256)] = 256
    classes_cap: Count = 1000
    models_cap: Count = 1000


class SelectionSettings(_Section):
    """How samples are drawn for labelling."""

    secret: str = "change me"  # noqa: S105 - a default that `check` warns of, not a secret
    payload: bool = True


class RouteSettings(_Section):
    """A way that alerts go."""

    name: Annotated[str, Field(min_length=1)]
    type: Literal["log", "webhook"]
    url: str = ""


class AlertSettings(_Section):
    """What is sent when something fires."""

    repeat_hours: Seconds = 24
    external_url: str = ""
    routes: tuple[RouteSettings, ...] = (RouteSettings(name="log", type="log"),)

    @field_validator("routes")
    @classmethod
    def _routes_make_sense(cls, routes: tuple[RouteSettings, ...]) -> tuple[RouteSettings, ...]:
        names = [route.name for route in routes]
        if len(set(names)) < len(names):
            message = f"every route needs a name of its own, found {names}"
            raise ValueError(message)
        for route in routes:
            if route.type == "webhook" and not route.url.startswith(("http://", "https://")):
                message = f"the webhook {route.name!r} needs a url that starts with http:// or https://"
                raise ValueError(message)
        return routes


class RetentionSettings(_Section):
    """How long each kind of row is kept."""

    windows_days: Count = 90
    candidates_days: Count = 30
    payloads_days: Count = 30
    dead_letters_days: Count = 30
    outbox_days: Count = 14
    queue_days: Count = 365
    alerts_days: Count = 365


class ModelSettings(_Section):
    """The settings of one model, or of all that have none of their own."""

    kind: Literal["classifier", "regressor"] = "classifier"
    window_seconds: Count = 300
    lateness_seconds: Annotated[float, Field(ge=0)] = 60
    false_alarms: str = "1 per 30 days"
    segments: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    labels_per_day: Count = 500
    expected_events_per_day: Count = 100_000
    owner: str = ""
    runbook: str = ""

    @field_validator("false_alarms")
    @classmethod
    def _budget_can_be_read(cls, text: str) -> str:
        if not _BUDGET.match(text) or float(text.split(maxsplit=1)[0]) == 0:
            message = 'expected "<number> per <number> hours|days|weeks|years", for example "1 per 30 days"'
            raise ValueError(message)
        return text

    @property
    def window_us(self) -> int:
        """Length of a window in microseconds."""
        return self.window_seconds * MICROSECONDS

    @property
    def lateness_us(self) -> int:
        """Lateness in microseconds."""
        return round(self.lateness_seconds * MICROSECONDS)

    @property
    def budget_windows(self) -> float:
        """Windows in the time in which one false alarm is allowed."""
        match = _BUDGET.match(self.false_alarms)
        if match is None:
            raise BadSettings(self.false_alarms)
        alarms, number, unit = match.groups()
        return int(number or 1) * _UNITS[unit] / float(alarms) / self.window_seconds

    @property
    def windows_per_day(self) -> float:
        """Windows in a day."""
        return _DAY_SECONDS / self.window_seconds


class Settings(_Section):
    """Everything that can be set."""

    kafka: KafkaSettings = KafkaSettings()
    postgres: PostgresSettings = PostgresSettings()
    ingest: IngestSettings = IngestSettings()
    detection: DetectionSettings = DetectionSettings()
    selection: SelectionSettings = SelectionSettings()
    alerts: AlertSettings = AlertSettings()
    retention: RetentionSettings = RetentionSettings()
    model: Mapping[str, ModelSettings] = {}

    @field_validator("model", mode="before")
    @classmethod
    def _template_first(cls, tables: object) -> object:
        """Lay each model's own settings over those of the template ``"*"``."""
        if not isinstance(tables, dict) or not all(isinstance(table, dict) for table in tables.values()):
            return tables
        template = tables.get("*", {})
        return {name: {**template, **table} for name, table in tables.items()}

    def of(self, model: str) -> ModelSettings:
        """Return the settings in force for ``model``."""
        return self.model.get(model) or self.model.get("*") or _DEFAULT_MODEL


_DEFAULT_MODEL = ModelSettings()


def load(path: Path | None) -> Settings:
    """Return the settings of the file at ``path``, or the defaults if there is none.

    Raises
    ------
    BadSettings
        The file cannot be read, is not TOML, or holds what is not understood: every fault at once, each with
        file, key, value and what was expected.
    """
    if path is None:
        return Settings()
    try:
        return Settings.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise BadSettings(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BadSettings(f"{path}: not UTF-8 text ({error.reason} at byte {error.start})") from error
    except tomllib.TOMLDecodeError as error:
        raise BadSettings(f"{path}: not TOML: {error}") from error
    except ValidationError as error:
        faults = "\n".join(f"  {path}: {_describe(fault)}" for fault in error.errors())
        raise BadSettings("\n" + faults) from error


def _describe(fault: Mapping[str, object]) -> str:
    place = fault["loc"]
    key = ".".join(str(step) for step in place) if isinstance(place, tuple) else str(place)
    if fault["type"] == "extra_forbidden":
        return f"{key}: there is no such key"
    if key == "postgres.url":
        return f"{key}: {str(fault['msg']).removeprefix('Value error, ')}"
    return f"{key} = {fault['input']!r}: {str(fault['msg']).removeprefix('Value error, ')}"
