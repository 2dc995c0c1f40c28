"""Detectors of other libraries, from the settings: what of events is kept for them, and whether they can be made."""

from daemon.settings import Settings
from detectors.adapters import batch, online
from detectors.adapters.kinds import KINDS
from detectors.adapters.memory import made
from detectors.layout import RawSpec
from sinks.errors import BadSettings

__all__ = ["check_monitors", "licences", "raw_spec"]

_ALIBI = (
    "alibi-detect is under the Business Source License: using it in production commercially has to be paid for; it "
    "needs numpy below 2 and 1 GB"
)


def raw_spec(settings: Settings, model: str) -> RawSpec | None:
    """Return what is kept of the events of ``model`` for the detectors that watch it; None if none does."""
    values = sorted({value for adapter in settings.monitors_of(model) for value in adapter.on})
    return RawSpec(settings.detection.sample_events, tuple(values)) if values else None


def licences(settings: Settings) -> list[str]:
    """Return what users of the configured libraries have to know: one of them is not free to use in production."""
    if any(KINDS[each.kind].extra == "alibi" for each in settings.monitor):
        return [_ALIBI]
    return []


def check_monitors(settings: Settings) -> None:
    """Make every detector once.

    Raises
    ------
    BadSettings
        Its library does not take its arguments, or cannot be loaded.
    """
    for at, each in enumerate(settings.monitor):
        try:
            kind = KINDS[each.kind]
            if kind.family == "test":
                batch.probe(kind, each.args, len(each.values))
            elif kind.family == "online":
                online.probe(kind, each.args, len(each.values))
            else:
                made(kind, each.args)
        except (ImportError, ValueError, TypeError) as error:
            raise BadSettings(f"monitor[{at}]: {each.kind} cannot be made: {error}") from error
