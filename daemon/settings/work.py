"""How events are read and counted, what is watched, drawn and kept."""

from typing import Annotated

from pydantic import Field, SecretStr

from daemon.settings.section import DAY_SECONDS, YEAR_SECONDS, Days, Section

__all__ = ["DetectionSettings", "IngestSettings", "RetentionSettings", "SelectionSettings"]

LARGEST_BYTES = 268_435_456
"""256 MiB: well below the 1 GiB that PostgreSQL can hold in one value."""


class IngestSettings(Section):
    """How events are read, counted and committed."""

    workers: Annotated[int, Field(ge=1, le=1000)] = 1
    commit_seconds: Annotated[float, Field(gt=0, le=60)] = 0.3
    commit_events: Annotated[int, Field(ge=1, le=10_000_000)] = 200_000
    poll_records: Annotated[int, Field(ge=1, le=100_000)] = 500
    buffer_events: Annotated[int, Field(ge=1, le=1_000_000)] = 8192
    idle_seconds: Annotated[float, Field(gt=0, le=DAY_SECONDS)] = 30
    lease_seconds: Annotated[float, Field(gt=0, le=3600)] = 15
    max_event_bytes: Annotated[int, Field(ge=1, le=LARGEST_BYTES)] = 1_048_576
    max_payload_bytes: Annotated[int, Field(ge=1, le=LARGEST_BYTES)] = 262_144
    max_ahead_seconds: Annotated[float, Field(gt=0, le=YEAR_SECONDS)] = 300
    max_behind_seconds: Annotated[float, Field(gt=0, le=100 * YEAR_SECONDS)] = 7 * DAY_SECONDS


class DetectionSettings(Section):
    """What is watched, and up to how many."""

    for_windows: Annotated[int, Field(ge=0, le=1000)] = 0
    segments_cap: Annotated[int, Field(ge=1, le=256)] = 256
    classes_cap: Annotated[int, Field(ge=1, le=100_000)] = 1000
    fields_cap: Annotated[int, Field(ge=1, le=10_000)] = 100
    pairs_cap: Annotated[int, Field(ge=0, le=100_000)] = 200
    models_cap: Annotated[int, Field(ge=1, le=1_000_000)] = 1000
    sample_events: Annotated[int, Field(ge=1, le=10_000)] = 256

    @property
    def layout_caps(self) -> dict[str, int]:
        """The caps on what the layout of one model holds."""
        return {
            "segments_cap": self.segments_cap,
            "classes_cap": self.classes_cap,
            "fields_cap": self.fields_cap,
            "pairs_cap": self.pairs_cap,
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
