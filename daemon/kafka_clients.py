"""How every Kafka client of ours reaches the brokers: its options, and what is told when it does not."""

import logging
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kafka.errors import (
    KafkaConnectionError,
    KafkaError,
    KafkaTimeoutError,
    RequestTimedOutError,
    SaslAuthenticationFailedError,
    UnsupportedSaslMechanismError,
)
from kafka.net.compat import KafkaNetClient

from daemon.kafka_tokens import ClientCredentials
from daemon.settings import KafkaSettings
from daemon.settings.kafka_security import SslSettings
from sinks.errors import BadSettings, StrandlineError

__all__ = [
    "BOOTSTRAP_MS",
    "REQUEST_MS",
    "KafkaUnavailable",
    "client_options",
    "heartbeat_ms",
    "login_failed",
    "reaching",
    "tls_context",
]

REQUEST_MS = 10_000
"""How long a broker may take to answer."""
BOOTSTRAP_MS = 5000
"""How long a first answer may take."""
_HEARTBEAT_MS = 3000
"""How often members of a group are heard of at least: so long it takes until all know that one came or went."""
_TIME_IS_UP = (KafkaTimeoutError, RequestTimedOutError)
_WRONG_HOST = {62, 64}
"""OpenSSL's X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH."""


class KafkaUnavailable(StrandlineError):
    """Kafka does not answer, or does not let us in."""

    retryable = True
    exit_code = 7


def heartbeat_ms(settings: KafkaSettings) -> int:
    """Return how often a member of the group is heard of, in milliseconds; four times in a session or more often."""
    return max(1, min(_HEARTBEAT_MS, round(settings.session_timeout_seconds * 1000) // 4))


def client_options(settings: KafkaSettings) -> dict[str, Any]:
    """Return the keyword arguments that kafka-python's consumer, producer and admin client have in common.

    Raises
    ------
    BadSettings
        A certificate or key cannot be read.
    """
    options: dict[str, Any] = {
        "bootstrap_servers": list(settings.bootstrap_servers),
        "client_id": "strandline",
        "security_protocol": settings.security.protocol,
        "bootstrap_timeout_ms": BOOTSTRAP_MS,
    }
    if settings.encrypted:
        options["ssl_context"] = tls_context(settings.ssl)
    if settings.authenticated:
        options["sasl_mechanism"] = settings.sasl.mechanism
        if settings.sasl.mechanism == "OAUTHBEARER":
            options["sasl_oauth_token_provider"] = ClientCredentials(settings.sasl.oauthbearer)
        else:
            options["sasl_plain_username"] = settings.sasl.username
            options["sasl_plain_password"] = settings.sasl.password.get_secret_value()
    return options


@contextmanager
def reaching(settings: KafkaSettings) -> Iterator[dict[str, Any]]:
    """Make a client in this context, from the options it gives: a failure is told with cause and key to look at.

    Raises
    ------
    BadSettings
        A certificate or key cannot be read.
    KafkaUnavailable
        No broker answered in time, or none let us in.
    """
    made: list[KafkaNetClient] = []

    def network(**options: Any) -> KafkaNetClient:
        made.append(KafkaNetClient(**options))
        return made[-1]

    with _failures() as causes:
        try:
            yield {**client_options(settings), "kafka_client": network}
        except KafkaError as error:
            # A client that could not be made leaves its thread and sockets behind.
            for each in made:
                each.close()
            reason = _explain(settings, causes[-1]) if causes else str(error)
            raise KafkaUnavailable(f"{', '.join(settings.bootstrap_servers)}: {reason}") from error


@contextmanager
def _failures() -> Iterator[list[Exception]]:
    """Collect why connections fail: kafka-python tries on until its time is up, and only its log tells the reasons."""
    causes: list[Exception] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            given = record.args if isinstance(record.args, tuple) else ()
            # That time is up is what follows from the others.
            causes.extend(each for each in given if isinstance(each, Exception) and not isinstance(each, _TIME_IS_UP))

    logger = logging.getLogger("kafka.net.manager")
    listener, level, propagate = Listener(), logger.level, logger.propagate
    logger.addHandler(listener)
    logger.setLevel(logging.WARNING)
    # What is told in our own error need not stand in the log, too.
    logger.propagate = False
    try:
        yield causes
    finally:
        logger.removeHandler(listener)
        logger.setLevel(level)
        logger.propagate = propagate


def _explain(settings: KafkaSettings, cause: Exception) -> str:
    origin = cause.__cause__ or cause.__context__
    reason = str(cause)
    if isinstance(cause, SaslAuthenticationFailedError):
        reason = login_failed(settings)
    elif settings.authenticated and type(cause) is KafkaConnectionError and origin is None:
        # The refusal itself is lost where it arrives together with the end of the connection.
        protocol = settings.security.protocol
        reason = f"{cause}. If the broker speaks {protocol} there (kafka.security.protocol), {login_failed(settings)}"
    elif isinstance(cause, UnsupportedSaslMechanismError):
        reason = f"authentication failed: look at kafka.sasl.mechanism ({cause})"
    elif isinstance(origin, ssl.SSLCertVerificationError) and origin.verify_code in _WRONG_HOST:
        keys = "kafka.bootstrap_servers or kafka.ssl.endpoint.identification.algorithm"
        reason = f"the broker's certificate is for another host: look at {keys} ({origin.verify_message})"
    elif isinstance(origin, ssl.SSLCertVerificationError):
        reason = f"the broker's certificate is not trusted: look at kafka.ssl.ca.location ({origin.verify_message})"
    elif isinstance(origin, ssl.SSLError):
        reason = f"no TLS connection: look at kafka.security.protocol and kafka.ssl ({origin})"
    return reason


def login_failed(settings: KafkaSettings) -> str:
    """Return what to tell of a broker that refuses who we say we are."""
    if settings.sasl.mechanism == "OAUTHBEARER":
        return "authentication failed: it refuses the token; look at kafka.sasl.oauthbearer"
    who = f"as {settings.sasl.username!r} by {settings.sasl.mechanism}"
    return f"authentication failed {who}: look at kafka.sasl.username and kafka.sasl.password"


def tls_context(settings: SslSettings) -> ssl.SSLContext:
    """Read certificates and keys.

    Raises
    ------
    BadSettings
        One cannot be read.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = settings.endpoint.identification.algorithm == "https"
    if authority := settings.ca.location:
        try:
            context.load_verify_locations(authority)
        except OSError as error:
            raise BadSettings(f"kafka.ssl.ca.location = {authority!r}: {_why(error)}") from error
    else:
        context.load_default_certs()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if certificate := settings.certificate.location:

        def password() -> str:
            # Without this OpenSSL would ask on the terminal.
            if not settings.key.password.get_secret_value():
                raise BadSettings("kafka.ssl.key.password is missing: the key is encrypted")
            return settings.key.password.get_secret_value()

        try:
            context.load_cert_chain(certificate, settings.key.location or None, password)
        except OSError as error:
            keys = "kafka.ssl.certificate.location, kafka.ssl.key.location and kafka.ssl.key.password"
            raise BadSettings(f"{keys} do not fit together: {_why(error)}") from error
    return context


def _why(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return f"not in PEM format, or not of this key ({error.reason or error})"
    return error.strerror or str(error)
