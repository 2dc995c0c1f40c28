"""Who is told about a model: from the settings to what every message carries."""

from daemon.settings import Settings
from sinks.alerts import Audience

__all__ = ["audience_of"]


def audience_of(settings: Settings, model: str) -> Audience:
    """Return where alerts about ``model`` go; "*" stands for Strandline itself."""
    own = settings.of(model)
    alerts = settings.alerts
    routes = tuple(route.name for route in alerts.routes)
    return Audience(routes, own.owner, own.runbook, alerts.external_url, alerts.update_seconds)
