"""The configuration: a file for each group of sections, and the whole that is made of them."""

from daemon.settings.alerts import AlertSettings, RouteSettings
from daemon.settings.events import EventSettings
from daemon.settings.model import ModelSettings
from daemon.settings.monitors import MonitorSettings
from daemon.settings.ops import OpsSettings
from daemon.settings.privacy import DeadLetterSettings, PrivacySettings
from daemon.settings.section import MICROSECONDS
from daemon.settings.services import KafkaSettings, PostgresSettings, check_server
from daemon.settings.sources import CONFIG_VARIABLE, PREFIX, Sources
from daemon.settings.whole import Settings, gather, is_pattern, load, validate
from daemon.settings.work import DetectionSettings, IngestSettings, RetentionSettings, SelectionSettings

__all__ = [
    "CONFIG_VARIABLE",
    "MICROSECONDS",
    "PREFIX",
    "AlertSettings",
    "DeadLetterSettings",
    "DetectionSettings",
    "EventSettings",
    "IngestSettings",
    "KafkaSettings",
    "ModelSettings",
    "MonitorSettings",
    "OpsSettings",
    "PostgresSettings",
    "PrivacySettings",
    "RetentionSettings",
    "RouteSettings",
    "SelectionSettings",
    "Settings",
    "Sources",
    "check_server",
    "gather",
    "is_pattern",
    "load",
    "validate",
]
