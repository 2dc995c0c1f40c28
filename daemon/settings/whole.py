"""The whole configuration, as ``config.toml`` describes it: every key, checked; nothing unknown passes."""

import tomllib
from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError, field_validator

from daemon.settings.alerts import AlertSettings
from daemon.settings.events import TopicEventSettings
from daemon.settings.model import ModelSettings
from daemon.settings.section import Section
from daemon.settings.services import KafkaSettings, PostgresSettings
from daemon.settings.work import DetectionSettings, IngestSettings, RetentionSettings, SelectionSettings
from sinks.errors import BadSettings

__all__ = ["Settings", "load"]


class Settings(Section):
    """Everything that can be set."""

    kafka: KafkaSettings = KafkaSettings()
    postgres: PostgresSettings = PostgresSettings()
    events: TopicEventSettings = TopicEventSettings()
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
