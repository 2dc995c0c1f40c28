"""What is kept of events, and of those that could not be used."""

from typing import Annotated, Literal

from pydantic import Field, field_validator

from daemon.settings.section import Names, Section

__all__ = ["DeadLetterSettings", "PrivacySettings"]

_NEEDED = ("id", "time", "model", "version", "prediction", "confidence")
"""Fields that are columns of what is stored: to drop them there and keep them here would promise too much."""


class PrivacySettings(Section):
    """What is kept of the events that are picked for labelling.

    Fields are named by their path in the event: ``features.ssn``. A path enters arrays: ``payload.people.email``
    is the e-mail address of each of the people.
    """

    payload: Literal["inline", "reference", "none"] = "inline"
    drop_fields: Names = ()
    hash_fields: Names = ()

    @field_validator("drop_fields", "hash_fields")
    @classmethod
    def _paths_can_be_kept_from(cls, paths: tuple[str, ...]) -> tuple[str, ...]:
        for path in paths:
            if not all(path.split(".")):
                message = f'{path!r}: expected names with a dot between, for example "features.ssn"'
                raise ValueError(message)
            if path in _NEEDED:
                message = f"{path!r}: without {', '.join(_NEEDED)} nothing can be counted or labelled"
                raise ValueError(message)
        return paths

    def laid_over(self, general: "PrivacySettings") -> "PrivacySettings":
        """Return ``general`` with what is said here in its place."""
        return general.model_copy(update={key: getattr(self, key) for key in self.model_fields_set})

    def contradiction(self, segments: tuple[str, ...]) -> str | None:
        """Say which of ``segments`` would be counted under a value that must not be kept; None if none would."""
        for tag in segments:
            if {"tags", f"tags.{tag}"} & {*self.drop_fields}:
                return f"the tag {tag!r} makes segments, so it cannot be in drop_fields; put it into hash_fields"
            if "tags" in self.hash_fields:
                return f'the tag {tag!r} makes segments: hash it by name, "tags.{tag}"'
        return None


class DeadLetterSettings(Section):
    """What is kept of events that could not be used."""

    bytes: Annotated[int, Field(ge=1, le=1_048_576)] | Literal["off"] = 4096
    kept: Annotated[int, Field(ge=0, le=1_000_000)] = 1000
