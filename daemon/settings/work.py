"""How events are read and counted, what is watched, drawn and kept."""

from typing import Annotated

from pydantic import Field, SecretStr

from daemon.settings.section import DAY_SECONDS, Count, Days, Seconds, Section

__all__ = ["DetectionSettings", "IngestSettings", "RetentionSettings", "SelectionSettings"]


class IngestSettings(Section):
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
    max_behind_seconds: Seconds = 7 * DAY_SECONDS


class DetectionSettings(Section):
    """What is watched, and up to how many."""

    for_windows: Annotated[int, Field(ge=0)] = 0
    segments_cap: Annotated[int, Field(ge=1, le=256)] = 256
    classes_cap: Count = 1000
    fields_cap: Count = 100
    models_cap: Count = 1000

    @property
    def layout_caps(self) -> dict[str, int]:
        """The caps on what the layout of one model holds."""
        return {
            "segments_cap": self.segments_cap,
            "classes_cap": self.classes_cap,
            "fields_cap": self.fields_cap,
        }


class SelectionSettings(Section):
    """How samples are drawn for labelling."""

    secret: SecretStr = SecretStr("change me")


class RetentionSettings(Section):
    """How long each kind of row is kept."""

    windows_days: Days = 90
    candidates_days: Days = 30
    payloads_days: Days = 30
    dead_letters_days: Days = 30
    outbox_days: Days = 14
    queue_days: Days = 365
    alerts_days: Days = 365
    versions_days: Days = 365
