"""What is sent when something fires, and where to."""

from typing import Annotated, Literal

from pydantic import Field, SecretStr, field_validator

from daemon.settings.secret import Secret
from daemon.settings.section import Seconds, Section

__all__ = ["AlertSettings", "RouteSettings"]


class RouteSettings(Section):
    """A way that alerts go."""

    name: Annotated[str, Field(min_length=1)]
    type: Literal["log", "webhook"]
    url: Secret = SecretStr("")
    token: Secret = SecretStr("")


class AlertSettings(Section):
    """What is sent when something fires."""

    repeat_hours: Seconds = 24
    external_url: str = ""
    routes: tuple[RouteSettings, ...] = (RouteSettings(name="log", type="log"),)

    @field_validator("routes")
    @classmethod
    def _routes_make_sense(cls, routes: tuple[RouteSettings, ...]) -> tuple[RouteSettings, ...]:
        names = [route.name for route in routes]
        if len(set(names)) < len(names):
            message = f"every route needs a name of its own, found {names}"
            raise ValueError(message)
        for route in routes:
            if route.type == "webhook" and not route.url.get_secret_value().startswith(("http://", "https://")):
                message = f"the webhook {route.name!r} needs a url that starts with http:// or https://"
                raise ValueError(message)
        return routes
