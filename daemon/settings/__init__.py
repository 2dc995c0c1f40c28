"""The configuration: a file for each group of sections, and the whole that is made of them."""

from daemon.settings.alerts import AlertSettings, RouteSettings
from daemon.settings.events import EventSettings
from daemon.settings.model import ModelSettings
from daemon.settings.section import MICROSECONDS
from daemon.settings.services import KafkaSettings, PostgresSettings
from daemon.settings.whole import Settings, load
from daemon.settings.work import DetectionSettings, IngestSettings, RetentionSettings, SelectionSettings

__all__ = [
    "MICROSECONDS",
    "AlertSettings",
    "DetectionSettings",
    "EventSettings",
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
