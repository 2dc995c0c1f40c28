"""The whole configuration, as ``config.toml`` describes it: every key, checked; nothing unknown passes."""

import os
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from pydantic import ValidationError, field_validator, model_validator

from daemon.settings.alerts import AlertSettings
from daemon.settings.events import TopicEventSettings
from daemon.settings.faults import faults_of
from daemon.settings.model import ModelSettings
from daemon.settings.monitors import MonitorSettings
from daemon.settings.ops import OpsSettings
from daemon.settings.privacy import DeadLetterSettings, PrivacySettings
from daemon.settings.section import Section
from daemon.settings.services import KafkaSettings, PostgresSettings
from daemon.settings.sources import Sources, lay_environment, lay_option, read_file
from daemon.settings.work import DetectionSettings, IngestSettings, RetentionSettings, SelectionSettings
from detectors.adapters.watch import Adapter
from detectors.registry import MONITORS
from sinks.errors import BadSettings

__all__ = ["Settings", "gather", "is_pattern", "load", "validate"]

_WILDCARDS = "*?["


class Settings(Section):
    """Everything that can be set. ``model`` holds what was set under each name or pattern, the most specific last."""

    kafka: KafkaSettings = KafkaSettings()
    postgres: PostgresSettings = PostgresSettings()
    events: TopicEventSettings = TopicEventSettings()
    ingest: IngestSettings = IngestSettings()
    detection: DetectionSettings = DetectionSettings()
    selection: SelectionSettings = SelectionSettings()
    privacy: PrivacySettings = PrivacySettings()
    dead_letters: DeadLetterSettings = DeadLetterSettings()
    alerts: AlertSettings = AlertSettings()
    retention: RetentionSettings = RetentionSettings()
    ops: OpsSettings = OpsSettings()
    monitor: tuple[MonitorSettings, ...] = ()
    model: Mapping[str, ModelSettings] = {}

    @field_validator("monitor")
    @classmethod
    def _monitors_have_names_of_their_own(cls, monitors: tuple[MonitorSettings, ...]) -> tuple[MonitorSettings, ...]:
        taken = [monitor.name for monitor in MONITORS]
        for each in monitors:
            if each.title in taken:
                message = f"expected a name of its own for every monitor, found {each.title!r} twice; see monitor.name"
                raise ValueError(message)
            taken.append(each.title)
        return monitors

    @field_validator("model")
    @classmethod
    def _most_specific_last(cls, models: Mapping[str, ModelSettings]) -> Mapping[str, ModelSettings]:
        """Sort "*" before longer patterns, and those before names; of two as long the later wins."""
        return {name: models[name] for name in sorted(models, key=lambda name: (not is_pattern(name), len(name)))}

    @model_validator(mode="after")
    def _segments_may_be_kept(self) -> "Settings":
        for name in self.model:
            if fault := self.privacy_of(name).contradiction(self.of(name).segments):
                message = f'privacy of model."{name}": {fault}'
                raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _references_can_be_learnt(self) -> "Settings":
        for name in self.model:
            of = self.of(name)
            if fault := of.reference_fault(self.retention.windows_days):
                message = f'model."{name}".reference.kind = "{of.reference.kind}": {fault}'
                raise ValueError(message)
        return self

    def of(self, model: str) -> ModelSettings:
        """Return the settings in force for ``model``: those of every pattern it matches, key by key."""
        merged: dict[str, object] = {}
        for name, own in self.model.items():
            if name == model or fnmatchcase(model, name):
                merged = _laid_over(merged, own.model_dump(exclude_unset=True))
        return ModelSettings.model_validate(merged)

    def monitors_of(self, model: str) -> tuple[Adapter, ...]:
        """Return the detectors of other libraries that watch ``model``."""
        return tuple(each.adapter() for each in self.monitor if each.model == model or fnmatchcase(model, each.model))

    def privacy_of(self, model: str) -> PrivacySettings:
        """Return what is kept of the events of ``model``."""
        return self.of(model).privacy.laid_over(self.privacy)


def _laid_over(below: Mapping[str, object], above: Mapping[str, object]) -> dict[str, object]:
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        merged[key] = _laid_over(under, value) if isinstance(under, dict) and isinstance(value, dict) else value
    return merged


def is_pattern(name: str) -> bool:
    """Tell whether a name of settings stands for several models, as a file name may in a shell."""
    return any(each in name for each in _WILDCARDS)


def gather(path: Path | None, environment: Mapping[str, str] = os.environ) -> Sources:
    """Return what the file at ``path`` and the environment say, and where, before any of it is checked.

    Raises
    ------
    BadSettings
        The file cannot be read, or is not TOML.
    """
    sources = read_file(path)
    lay_environment(sources, Settings, environment)
    return sources


def validate(sources: Sources) -> Settings:
    """Return the settings that ``sources`` make.

    Raises
    ------
    BadSettings
        Something is not understood: every fault at once, each with place, key, value and what was expected.
    """
    faults = list(sources.faults)
    try:
        settings = Settings.model_validate(sources.table)
    except ValidationError as error:
        faults += faults_of(error, Settings, sources)
    if faults:
        raise BadSettings("".join(f"\n  {fault}" for fault in faults))
    return settings


def load(
    path: Path | None, environment: Mapping[str, str] = os.environ, *, given: Sequence[str] = (), option: str = "--set"
) -> Settings:
    """Return the settings in force: the defaults, over them the file at ``path``, over both the environment.

    Over all of them lies what is ``given`` on the command line with ``option``, each as key=value.

    Raises
    ------
    BadSettings
        As :func:`gather` and :func:`validate` say.
    """
    sources = gather(path, environment)
    for each in given:
        lay_option(sources, each, option)
    return validate(sources)
