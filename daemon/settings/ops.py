"""Where the daemon tells how it is."""

from typing import Annotated

from pydantic import Field

from daemon.settings.section import Section

__all__ = ["OpsSettings"]


class OpsSettings(Section):
    """The listener for health and metrics. It has no secrets to tell and no switches; port 0: none."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 9469
