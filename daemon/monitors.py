"""Detectors of other libraries, from the settings: what of events is kept for them, and whether they can be made."""

from daemon.settings import Settings
from detectors.adapters.kinds import KINDS
from detectors.adapters.memory import made
from detectors.layout import RawSpec
from sinks.errors import BadSettings

__all__ = ["check_monitors", "raw_spec"]


def raw_spec(settings: Settings, model: str) -> RawSpec | None:
    """Return what is kept of the events of ``model`` for the detectors that watch it; None if none does."""
    values = sorted({value for adapter in settings.monitors_of(model) for value in adapter.on})
    return RawSpec(settings.detection.sample_events, tuple(values)) if values else None


def check_monitors(settings: Settings) -> None:
    """Make every detector once.

    Raises
    ------
    BadSettings
        Its library does not take its arguments, or cannot be loaded.
    """
    for at, each in enumerate(settings.monitor):
        try:
            made(KINDS[each.kind], each.args)
        except (ImportError, ValueError, TypeError) as error:
            raise BadSettings(f"monitor[{at}]: {each.kind} cannot be made: {error}") from error
