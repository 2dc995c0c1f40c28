"""What is not wrong with a configuration, but could be a surprise some day: one line each."""

import os
from collections.abc import Collection, Iterator
from difflib import get_close_matches
from fnmatch import fnmatchcase
from ipaddress import ip_address

from psycopg.conninfo import conninfo_to_dict

from daemon.events import MAX_NAME
from daemon.settings import KafkaSettings, PostgresSettings, SelectionSettings, Settings, is_pattern

__all__ = ["about_models", "about_settings"]

_ENCRYPTED = {"require", "verify-ca", "verify-full"}


def about_settings(settings: Settings) -> list[str]:
    """Return what the settings alone tell."""
    return [
        *_kafka(settings.kafka),
        *_postgres(settings.postgres),
        *_selection(settings.selection),
        *_calibrations(settings),
    ]


def about_models(settings: Settings, registered: Collection[str]) -> Iterator[str]:
    """Yield the models whose settings nothing uses; ``registered`` are those that events came of."""
    for name in settings.model:
        key = f'model."{name}"'
        if not 0 < len(name) <= MAX_NAME:
            yield f"{key}: no event can be of this model: names have 1 to {MAX_NAME} characters"
        elif registered and name != "*" and not any(name == each or fnmatchcase(each, name) for each in registered):
            close = [] if is_pattern(name) else get_close_matches(name, registered, 1)
            yield f"{key}: no such model has sent events yet" + (f"; did you mean {close[0]}?" if close else "")


def _kafka(settings: KafkaSettings) -> Iterator[str]:
    far = [server for server in settings.bootstrap_servers if not _is_near(server.rpartition(":")[0] or server)]
    if far and not settings.encrypted:
        yield f"kafka.bootstrap_servers: events come from {', '.join(far)} as plain text; see kafka.security.protocol"


def _postgres(settings: PostgresSettings) -> Iterator[str]:
    given = conninfo_to_dict(settings.conninfo)
    hosts = str(given.get("hostaddr") or given.get("host") or os.environ.get("PGHOST", ""))
    far = [host for host in hosts.split(",") if not _is_near(host)]
    mode = str(given.get("sslmode") or os.environ.get("PGSSLMODE") or "prefer")
    if far and mode not in _ENCRYPTED:
        yield (
            f"postgres.url: with sslmode = {mode} the connection to {', '.join(far)} may be plain text; "
            "add ?sslmode=verify-full"
        )


def _selection(settings: SelectionSettings) -> Iterator[str]:
    if settings.secret == SelectionSettings().secret:
        yield "selection.secret is the default: a producer could choose which of its events are labelled"


def _calibrations(settings: Settings) -> Iterator[str]:
    for name, own in settings.model.items():
        if own.curve is not None:
            yield (
                f'model."{name}".calibration: confidences are calibrated before they are counted; references made '
                "before that, or with another calibration, need to be made anew"
            )


def _is_near(host: str) -> bool:
    """Tell whether a host is this machine; none, or a path, is a socket on it."""
    plain = host.strip().strip("[]")
    if not plain or plain.startswith(("/", "@")) or plain == "localhost":
        return True
    try:
        return ip_address(plain).is_loopback
    except ValueError:
        return False
