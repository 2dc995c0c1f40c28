"""What every section of the configuration shares."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["DAY_SECONDS", "MICROSECONDS", "Count", "Seconds", "Section"]

MICROSECONDS = 1_000_000
DAY_SECONDS = 86_400

Seconds = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]


class Section(BaseModel):
    """A table of the configuration: what it does not know it refuses, and nothing changes it."""

    model_config = ConfigDict(extra="forbid", frozen=True)
