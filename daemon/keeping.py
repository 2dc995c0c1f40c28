"""What of an event may be kept: with a candidate, as a dead letter, and in the name of a segment."""

from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Literal

from daemon.events import without_payload
from daemon.redaction import Redaction, derived_key, keyed_hash
from daemon.settings import PrivacySettings, Settings

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Keeping"]

_TAG = "tags."
_HASHES_KEPT = 10_000
_MODELS_KEPT = 10_000


class _Rules:
    """What may be kept of one model's events."""

    def __init__(self, privacy: PrivacySettings, key: bytes) -> None:
        self.payload: Literal["inline", "reference", "none"] = privacy.payload
        self.redaction = Redaction(privacy.drop_fields, privacy.hash_fields, key)
        self.hidden = frozenset({*privacy.drop_fields, *privacy.hash_fields})
        self.hashed_tags = frozenset(path.removeprefix(_TAG) for path in privacy.hash_fields if path.startswith(_TAG))


class Keeping:
    """The answers of ``[privacy]`` and ``[dead_letters]``, each model's own settings over the general ones."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        secret = settings.selection.secret.get_secret_value()
        key = derived_key(secret, "strandline hash_fields")
        self._forget_key = derived_key(secret, "strandline forget")
        self._rules: Callable[[str], _Rules] = lru_cache(_MODELS_KEPT)(
            lambda model: _Rules(settings.privacy_of(model), key)
        )
        # Whose event it was to be cannot be told of one that cannot be read: all models' fields are kept out.
        everyone = [settings.privacy, *(settings.privacy_of(name) for name in settings.model)]
        dropped = {path for each in everyone for path in each.drop_fields}
        hashed = {path for each in everyone for path in each.hash_fields}
        self._letters = Redaction(dropped, hashed, key, anywhere=True)
        self._redacts_letters = bool(dropped or hashed)
        self.hashes_tags = any(path.startswith(_TAG) for path in hashed)
        # A tag that makes segments comes again and again.
        self.hashed: Callable[[str], str] = lru_cache(_HASHES_KEPT)(lambda text: keyed_hash(key, text))

    def with_candidate(self, model: str, value: bytes) -> tuple[bytes | None, bool]:
        """Return what is stored of a candidate's event, None for nothing, and whether large fields are missing."""
        if self._rules(model).payload != "inline":
            return None, False
        truncated = len(value) > self._settings.ingest.max_payload_bytes
        return self.shown(model, without_payload(value) if truncated else value), truncated

    def shown(self, model: str, value: bytes) -> bytes | None:
        """Return the event as it may be stored or shown; None if it cannot be redacted."""
        return self._rules(model).redaction.redacted(value)

    def by_reference(self, model: str) -> bool:
        """Say whether the model's events are read from Kafka when a labeler asks for one."""
        return self._rules(model).payload == "reference"

    def hidden(self, model: str) -> frozenset[str]:
        """Return the paths whose values must not be kept as they are, and so are not watched."""
        return self._rules(model).hidden

    def dead_letter(self, value: bytes) -> bytes | None:
        """Return the first bytes of an event that could not be used, as they may be kept; None for none."""
        limit = self._settings.dead_letters.bytes
        if limit == "off":
            return None
        if self._redacts_letters:
            if len(value) > self._settings.ingest.max_event_bytes:
                return None
            redacted = self._letters.redacted(value)
            return None if redacted is None else redacted[:limit]
        return value[:limit]

    def hashed_tags(self, model: str) -> frozenset[str]:
        """Return the tags of a model that are counted under their hash."""
        return self._rules(model).hashed_tags

    def digest(self, event_id: str) -> bytes:
        """Return the 16 bytes by which an event is known that was to be forgotten."""
        return blake2b(event_id.encode(), key=self._forget_key, digest_size=16).digest()
