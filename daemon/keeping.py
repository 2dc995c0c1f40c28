"""What of an event may be kept: with a candidate, as a dead letter, and in the name of a segment."""

from functools import lru_cache
from hashlib import blake2b

from daemon.events import without_payload
from daemon.redaction import Redaction, derived_key, keyed_hash
from daemon.settings import Settings

__all__ = ["Keeping"]

_TAG = "tags."
_HASHES_KEPT = 10_000


class Keeping:
    """The answers of ``[privacy]`` and ``[dead_letters]``, each model's own settings over the general ones."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        key = derived_key(settings.selection.secret, "strandline hash_fields")
        self._forget_key = derived_key(settings.selection.secret, "strandline forget")
        names = {"*", *settings.model}
        self._privacy = {name: settings.privacy_of(name) for name in names}
        self._redactions = {
            name: Redaction(each.drop_fields, each.hash_fields, key) for name, each in self._privacy.items()
        }
        # Whose event it was to be cannot be told of one that cannot be read: all models' fields are kept out.
        self._letters = Redaction(
            {path for each in self._privacy.values() for path in each.drop_fields},
            {path for each in self._privacy.values() for path in each.hash_fields},
            key,
            anywhere=True,
        )
        self._redacts_letters = any(each.drop_fields or each.hash_fields for each in self._privacy.values())
        self._hashed_tags = {
            name: frozenset(path.removeprefix(_TAG) for path in each.hash_fields if path.startswith(_TAG))
            for name, each in self._privacy.items()
        }
        self.hashes_tags = any(self._hashed_tags.values())
        # A tag that makes segments comes again and again.
        self.hashed = lru_cache(_HASHES_KEPT)(lambda text: keyed_hash(key, text))

    def with_candidate(self, model: str, value: bytes) -> tuple[bytes | None, bool]:
        """Return what is stored of a candidate's event, None for nothing, and whether large fields are missing."""
        if self._privacy[self._name(model)].payload != "inline":
            return None, False
        truncated = len(value) > self._settings.ingest.max_payload_bytes
        return self.shown(model, without_payload(value) if truncated else value), truncated

    def shown(self, model: str, value: bytes) -> bytes | None:
        """Return the event as it may be stored or shown; None if it cannot be redacted."""
        return self._redactions[self._name(model)].redacted(value)

    def by_reference(self, model: str) -> bool:
        """Say whether the model's events are read from Kafka when a labeler asks for one."""
        return self._privacy[self._name(model)].payload == "reference"

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
        return self._hashed_tags[self._name(model)]

    def digest(self, event_id: str) -> bytes:
        """Return the 16 bytes by which an event is known that was to be forgotten."""
        return blake2b(event_id.encode(), key=self._forget_key, digest_size=16).digest()

    def _name(self, model: str) -> str:
        return model if model in self._privacy else "*"
