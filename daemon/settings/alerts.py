"""What is sent when something fires, and where to."""

from typing import Annotated, Literal

from pydantic import Field, SecretStr, ValidationInfo, field_validator

from daemon.settings.section import Section

__all__ = ["AlertSettings", "RouteSettings"]


class RouteSettings(Section):
    """A way that alerts go."""

    name: Annotated[str, Field(min_length=1)]
    type: Literal["log", "webhook"]
    url: Annotated[SecretStr, Field(validate_default=True)] = SecretStr("")
    token: SecretStr = SecretStr("")

    @field_validator("url")
    @classmethod
    def _webhooks_have_one(cls, url: SecretStr, others: ValidationInfo) -> SecretStr:
        if others.data.get("type") == "webhook" and not url.get_secret_value().startswith(("http://", "https://")):
            message = "expected a URL that starts with http:// or https://, for a webhook"
            raise ValueError(message)
        return url


class AlertSettings(Section):
    """What is sent when something fires."""

    update_seconds: Annotated[float, Field(ge=0, le=600)] = 300
    repeat_hours: Annotated[float, Field(gt=0, le=8760)] = 24
    external_url: str = ""
    routes: tuple[RouteSettings, ...] = (RouteSettings(name="log", type="log"),)

    @field_validator("routes")
    @classmethod
    def _names_differ(cls, routes: tuple[RouteSettings, ...]) -> tuple[RouteSettings, ...]:
        names = [route.name for route in routes]
        if len(set(names)) < len(names):
            message = f"expected a name of its own for every route, found {names}"
            raise ValueError(message)
        return routes
