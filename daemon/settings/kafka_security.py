"""How Kafka is spoken to securely, under the names that Kafka's own clients give these settings."""

from collections.abc import Iterator
from typing import Literal, Self

from pydantic import SecretStr, model_validator

from daemon.settings.section import Section

__all__ = ["KafkaSecurity", "OauthSettings", "SaslSettings", "SslSettings"]

_EMPTY = SecretStr("")


class _Protocol(Section):
    protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"


class _Location(Section):
    location: str = ""


class _Key(Section):
    location: str = ""
    password: SecretStr = _EMPTY


class _Identification(Section):
    algorithm: Literal["https", "none"] = "https"


class _Endpoint(Section):
    identification: _Identification = _Identification()


class SslSettings(Section):
    """Certificates: whose the broker's must be, and ours if the broker asks for one. All files are PEM."""

    ca: _Location = _Location()
    certificate: _Location = _Location()
    key: _Key = _Key()
    endpoint: _Endpoint = _Endpoint()


class _Url(Section):
    url: str = ""


class _Token(Section):
    endpoint: _Url = _Url()


class _Client(Section):
    id: str = ""
    secret: SecretStr = _EMPTY


class OauthSettings(Section):
    """Where tokens come from: OAuth 2.0, client credentials (RFC 6749, 4.4)."""

    token: _Token = _Token()
    client: _Client = _Client()
    scope: str = ""


class SaslSettings(Section):
    """Who we are to the broker."""

    mechanism: Literal["", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"] = ""
    username: str = ""
    password: SecretStr = _EMPTY
    oauthbearer: OauthSettings = OauthSettings()


class KafkaSecurity(Section):
    """The part of the Kafka settings that is about encryption and authentication."""

    security: _Protocol = _Protocol()
    ssl: SslSettings = SslSettings()
    sasl: SaslSettings = SaslSettings()

    @property
    def encrypted(self) -> bool:
        """Whether brokers are spoken to by TLS."""
        return self.security.protocol in {"SSL", "SASL_SSL"}

    @property
    def authenticated(self) -> bool:
        """Whether we tell brokers by SASL who we are."""
        return self.security.protocol.startswith("SASL_")

    @model_validator(mode="after")
    def _no_contradictions(self) -> Self:
        faults = [*self._faults_of_protocol(), *self._faults_of_certificates(), *self._faults_of_sasl()]
        if faults:
            raise ValueError("; ".join(faults))
        return self

    def _faults_of_protocol(self) -> Iterator[str]:
        protocol = self.security.protocol
        if not self.encrypted and self.ssl != SslSettings():
            yield f"ssl.… is set, but security.protocol = {protocol!r} does not encrypt: expected 'SSL' or 'SASL_SSL'"
        if not self.authenticated and self.sasl != SaslSettings():
            wanted = "expected 'SASL_PLAINTEXT' or 'SASL_SSL'"
            yield f"sasl.… is set, but security.protocol = {protocol!r} does not authenticate: {wanted}"

    def _faults_of_certificates(self) -> Iterator[str]:
        if self.ssl.key.location and not self.ssl.certificate.location:
            yield "ssl.key.location is set, and ssl.certificate.location, whose key it is, is missing"
        if self.ssl.key.password.get_secret_value() and not self.ssl.certificate.location:
            yield "ssl.key.password is set, and ssl.certificate.location is missing"

    def _faults_of_sasl(self) -> Iterator[str]:
        if not self.authenticated:
            return
        if not self.sasl.mechanism:
            known = "'PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512' or 'OAUTHBEARER'"
            yield f"security.protocol = {self.security.protocol!r} needs sasl.mechanism: expected {known}"
            return
        oauth = self.sasl.oauthbearer
        needed: dict[str, str] = {
            "sasl.username": self.sasl.username,
            "sasl.password": self.sasl.password.get_secret_value(),
        }
        if self.sasl.mechanism == "OAUTHBEARER":
            needed = {
                "sasl.oauthbearer.token.endpoint.url": oauth.token.endpoint.url,
                "sasl.oauthbearer.client.id": oauth.client.id,
                "sasl.oauthbearer.client.secret": oauth.client.secret.get_secret_value(),
            }
            if oauth.token.endpoint.url and not oauth.token.endpoint.url.startswith(("http://", "https://")):
                yield "sasl.oauthbearer.token.endpoint.url must start with https:// or http://"
        elif oauth != OauthSettings():
            yield f"sasl.oauthbearer.… is set, but sasl.mechanism = {self.sasl.mechanism!r}: expected 'OAUTHBEARER'"
        for key, value in needed.items():
            if not value:
                yield f"sasl.mechanism = {self.sasl.mechanism!r} needs {key}"
