"""Tokens for SASL's OAUTHBEARER, from an OAuth 2.0 token endpoint."""

import threading
import time

import httpx
from kafka.errors import KafkaError
from kafka.net.sasl.oauth import AbstractTokenProvider

from daemon.settings.kafka_security import OauthSettings

__all__ = ["ClientCredentials", "TokenUnavailable"]

_ANSWER_SECONDS = 5.0
_MARGIN_SECONDS = 30.0
_LIFETIME_SECONDS = 300.0
"""Of a token whose endpoint does not tell."""


class TokenUnavailable(KafkaError):  # type: ignore[misc] # kafka-python is not typed
    """The token endpoint gives no token."""


class ClientCredentials(AbstractTokenProvider):  # type: ignore[misc] # kafka-python is not typed
    """Fetches tokens with the client's own credentials, and keeps each until shortly before it expires.

    It is asked on the client's I/O thread, which waits meanwhile: on every new connection and re-authentication.
    """

    def __init__(self, settings: OauthSettings) -> None:
        super().__init__()
        self._settings = settings
        self._lock = threading.Lock()
        self._token = ""
        self._expires = self._until = 0.0

    def token(self) -> str:
        """Return a token that is valid for a while; raises as ``expiring_token``."""
        return self.expiring_token()[0]

    def expiring_token(self) -> tuple[str, float]:
        """Return a token, and for how many seconds it is valid.

        Raises
        ------
        TokenUnavailable
            The endpoint does not answer, or not with a token.
        """
        with self._lock:
            if time.monotonic() >= self._until:
                self._token, lifetime = self._fetch()
                self._expires = time.monotonic() + lifetime
                self._until = self._expires - min(_MARGIN_SECONDS, lifetime / 5)
            return self._token, self._expires - time.monotonic()

    def _fetch(self) -> tuple[str, float]:
        url = self._settings.token.endpoint.url
        form = {"grant_type": "client_credentials"} | ({"scope": self._settings.scope} if self._settings.scope else {})
        credentials = (self._settings.client.id, self._settings.client.secret.get_secret_value())
        where = f"kafka.sasl.oauthbearer.token.endpoint.url = {url!r}"
        try:
            answer = httpx.post(url, data=form, auth=credentials, timeout=_ANSWER_SECONDS)
            answer.raise_for_status()
            body = answer.json()
            return str(body["access_token"]), float(body.get("expires_in", _LIFETIME_SECONDS))
        except httpx.HTTPStatusError as error:
            hint = "; look at client.id and client.secret" if error.response.is_client_error else ""
            raise TokenUnavailable(f"{where}: it answers {error.response.status_code}{hint}") from error
        except httpx.HTTPError as error:
            raise TokenUnavailable(f"{where}: {error}") from error
        except (ValueError, KeyError, TypeError) as error:
            raise TokenUnavailable(f"{where}: its answer is no JSON object with access_token") from error
