"""The ways that alerts go. A new one is one file here and one line in ROUTES."""

from collections.abc import Callable, Mapping
from typing import Any

from sinks.routes.log import LogRoute
from sinks.routes.route import DeliveryFailed, Message, Route
from sinks.routes.webhook import WebhookRoute

__all__ = ["ROUTES", "DeliveryFailed", "Message", "Route", "make"]

ROUTES: Mapping[str, Callable[..., Route]] = {
    "log": LogRoute,
    "webhook": WebhookRoute,
}
"""Makers of routes by their type; each takes ``name`` and the settings of its type."""


def make(kind: str, name: str, **settings: Any) -> Route:
    """Return a route of the type ``kind``; raises KeyError for a type there is not."""
    return ROUTES[kind](name, **settings)
