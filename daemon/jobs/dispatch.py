"""Dispatch: sends what waits in the outbox, at least once, in order for each incident."""

import random
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

import structlog

from daemon.audiences import audience_of
from daemon.settings import AlertSettings, RouteSettings, Settings
from sinks import metrics
from sinks.alerts import end_past, notices, repeats
from sinks.database import Connection
from sinks.outbox import Letter, claim, delivered, failed, put_back
from sinks.routes import DeliveryFailed, Route, make

__all__ = ["DispatchJob", "routes_of"]

log = structlog.get_logger()

_BATCH = 20
_LEASE_SECONDS = 300
_FIRST_RETRY_SECONDS = 5.0
_LAST_RETRY_SECONDS = 900.0


def routes_of(settings: AlertSettings) -> list[Route]:
    """Return the configured routes."""
    return [make(each.type, each.name, **_options(each)) for each in settings.routes]


def _options(route: RouteSettings) -> dict[str, str]:
    if route.type == "log":
        return {}
    return {"url": route.url.get_secret_value(), "token": route.token.get_secret_value()}


class DispatchJob:
    """Delivers messages, every route by itself: one that hangs or refuses holds up no other.

    Parameters
    ----------
    settings
        Who is told, and after how long again.
    routes
        Where to send; the configured ones if not given.
    jitter
        Numbers in [0, 1) that spread retries.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        routes: Iterable[Route] | None = None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._settings = settings
        self._routes = list(routes_of(settings.alerts) if routes is None else routes)
        self._jitter = jitter

    def run_once(self, connection: Connection) -> int:
        """Write the notices and repeats that are due, send what is; return how many messages were delivered."""
        notices(connection, lambda model: audience_of(self._settings, model))
        # What was lost stays lost: instead of being told again it ends.
        end_past(
            connection,
            "records_lost",
            hours=self._settings.alerts.repeat_hours,
            audience=audience_of(self._settings, "*"),
        )
        repeats(
            connection,
            hours=self._settings.alerts.repeat_hours,
            audience_of=lambda model: audience_of(self._settings, model),
        )
        batches = [
            (route, claim(connection, route.name, limit=_BATCH, lease_seconds=_LEASE_SECONDS)) for route in self._routes
        ]
        batches = [(route, letters) for route, letters in batches if letters]
        if not batches:
            return 0
        count = 0
        with ThreadPoolExecutor(len(batches), thread_name_prefix="route") as pool:
            sendings = [(letters, pool.submit(_send, route, letters)) for route, letters in batches]
            for letters, sending in sendings:
                count += self._note(connection, letters, *sending.result())
        return count

    def close(self) -> None:
        """Close the routes."""
        for route in self._routes:
            route.close()

    def _note(self, connection: Connection, letters: list[Letter], sent: int, error: str | None) -> int:
        for letter in letters[:sent]:
            delivered(connection, letter)
        metrics.NOTIFICATIONS.labels("delivered").inc(sent)
        if error is not None:
            metrics.NOTIFICATIONS.labels("failed").inc()
            letter = letters[sent]
            failed(connection, letter, error=error, retry_seconds=self._pause(letter.attempts))
            # A route that is down is not tried with every letter, nor do all wait for one that is never taken.
            for other in letters[sent + 1 :]:
                put_back(connection, other, retry_seconds=self._pause(1))
        return sent

    def _pause(self, attempts: int) -> float:
        longest = min(_LAST_RETRY_SECONDS, _FIRST_RETRY_SECONDS * 2.0 ** min(attempts - 1, 30))
        return longest * (0.5 + 0.5 * self._jitter())


def _send(route: Route, letters: list[Letter]) -> tuple[int, str | None]:
    """Send in order until one fails; return how many were sent, and what went wrong with the next."""
    for sent, letter in enumerate(letters):
        try:
            route.send(letter.body, key=letter.key)
        except DeliveryFailed as error:
            log.warning("dispatch.failed", route=route.name, key=letter.key, error=error.detail)
            return sent, error.detail
        except Exception as error:
            # A route that breaks is a fault in it, not a reason to stop the others.
            log.exception("dispatch.broken", route=route.name, key=letter.key)
            return sent, f"{type(error).__name__}: {error}"
    return len(letters), None
