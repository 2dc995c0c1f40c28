"""Names that people type: an unknown one is told, with those that there are."""

from collections.abc import Iterable
from difflib import get_close_matches

from daemon.settings import Settings, is_pattern
from sinks import cohorts
from sinks.database import Connection
from sinks.errors import BadData

__all__ = ["check_model", "check_name"]

_SHOWN = 20


def check_name(option: str, given: str | None, known: Iterable[str]) -> None:
    """Check that what was given with ``option``, if anything, is one of ``known``.

    Raises
    ------
    BadData
        It is none; the message tells the nearest, and those there are.
    """
    names = sorted(set(known))
    if given is None or given in names:
        return
    near = get_close_matches(given, names, 1)
    meant = f"; did you mean {near[0]}?" if near else ""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    there_are = f"expected one of {', '.join(names[:_SHOWN])}{more}" if names else "there is none yet"
    raise BadData(f"{option} {given}: {there_are}{meant}")


def check_model(connection: Connection, settings: Settings, given: str | None) -> None:
    """Check that ``--model`` names a model that has sent events or is configured by its name; as ``check_name``."""
    configured = (name for name in settings.model if not is_pattern(name))
    check_name("--model", given, [*cohorts.models(connection), *configured])
