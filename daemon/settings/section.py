"""What every section of the configuration shares."""

from functools import cache
from typing import Annotated

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)

from daemon.settings.secret import reveal, with_files

__all__ = ["DAY_SECONDS", "MICROSECONDS", "YEAR_SECONDS", "Days", "Names", "Section"]

MICROSECONDS = 1_000_000
DAY_SECONDS = 86_400
YEAR_SECONDS = 365 * DAY_SECONDS


def _each_once(texts: tuple[str, ...]) -> tuple[str, ...]:
    for at, text in enumerate(texts):
        if not text.strip() or text in texts[:at]:
            message = f"expected texts, none empty and none twice, found {text!r}" + (" twice" if text.strip() else "")
            raise ValueError(message)
    return texts


Days = Annotated[float, Field(gt=0, le=36_500)]
"""Up to a hundred years."""
Names = Annotated[tuple[str, ...], AfterValidator(_each_once)]
"""Texts that say nothing more when they are said twice."""


class Section(BaseModel):
    """A table of the configuration: what it does not know it refuses, and nothing changes it."""

    # What is wrong with an input may be told to anybody, the input may be a secret.
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, allow_inf_nan=False)

    @classmethod
    @cache
    def secrets(cls) -> tuple[str, ...]:
        """Return the keys that hold secrets; each may be given as a file, too."""
        return tuple(name for name, field in cls.model_fields.items() if field.annotation is SecretStr)

    @model_validator(mode="before")
    @classmethod
    def _secrets_in_files(cls, table: object) -> object:
        return with_files(table, cls.secrets()) if isinstance(table, dict) else table

    @field_validator("*", mode="before")
    @classmethod
    def _secrets_from_elsewhere(cls, value: object, key: ValidationInfo) -> object:
        return reveal(value) if key.field_name in cls.secrets() else value
