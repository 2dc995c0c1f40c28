"""How confluent-kafka reaches the brokers: its options, and what is told when it does not.

The names of the settings are Kafka's own, and so are librdkafka's.
"""

import logging
import ssl
import time
from collections import deque
from collections.abc import Callable, Collection
from itertools import count
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException

from daemon.kafka_clients import BOOTSTRAP_MS, REQUEST_MS, KafkaUnavailable, login_failed, tls_context
from daemon.kafka_tokens import ClientCredentials, TokenUnavailable
from daemon.settings import KafkaSettings
from daemon.settings.kafka_security import SslSettings
from sinks.errors import BadSettings

__all__ = ["LOG", "client_options", "reach", "unavailable"]

LOG = logging.getLogger("librdkafka")
_FIRST_TRY_SECONDS = 0.5
_CAUSES_KEPT = 20
# Its own pauses grow to 10 s: too long to wait for a broker that is back.
_RECONNECT_MS = 2000
# What hopeless connections end with; what else there is follows from it.
_LOGIN, _TLS = _DECISIVE = KafkaError._AUTHENTICATION, KafkaError._SSL  # noqa: SLF001 - so it names its own errors
_NONE_LEFT, _BAD_OPTION = KafkaError._ALL_BROKERS_DOWN, KafkaError._INVALID_ARG  # noqa: SLF001


def reach(settings: KafkaSettings, options: dict[str, Any]) -> Consumer:
    """Return a consumer with these options beside the settings' own, once a broker has let it in.

    Raises
    ------
    BadSettings
        A certificate or key cannot be read, or the library does not take a number.
    KafkaUnavailable
        No broker answered in time, or none let us in: it tells the cause, and the key to look at.
    """
    causes: deque[KafkaError] = deque(maxlen=_CAUSES_KEPT)
    every = {**client_options(settings), **options, "logger": LOG, "error_cb": causes.append}
    # What is told in our own error need not stand in the log, too.
    LOG.disabled = True
    try:
        consumer = Consumer(every)
        try:
            _wait_for_answer(consumer, settings, causes)
        except KafkaException as error:
            consumer.close()
            cause = next((each for each in causes if each.code() in _DECISIVE), (*causes, error.args[0])[0])
            raise unavailable(settings, cause) from error
    except KafkaException as error:
        if error.args[0].code() == _BAD_OPTION:
            raise BadSettings(f"kafka: {error.args[0].str()}") from error
        raise unavailable(settings, error.args[0]) from error
    finally:
        LOG.disabled = False
    return consumer


def unavailable(settings: KafkaSettings, error: KafkaError) -> KafkaUnavailable:
    """Return our own error for one of librdkafka's."""
    return KafkaUnavailable(f"{', '.join(settings.bootstrap_servers)}: {_explain(settings, error)}")


def _wait_for_answer(consumer: Consumer, settings: KafkaSettings, causes: Collection[KafkaError]) -> None:
    """Ask until an answer comes; the last KafkaException is raised when time is up, or the cause found.

    Each try takes longer than the one before: an answer that comes after its try has ended is thrown away, and a
    broker may be far away; but what stands in the way is only told between tries. Where nothing is told to stand in
    the way there is more time: what it learns from a first broker it asks the others for again.
    """
    began = time.monotonic()
    for doubled in count():
        try:
            consumer.list_topics(settings.topics[0], timeout=_FIRST_TRY_SECONDS * 2**doubled)
        except KafkaException:
            # The causes are told in here: there are no records before anything is subscribed to.
            consumer.poll(0)
            patience_ms = BOOTSTRAP_MS if causes else REQUEST_MS
            if time.monotonic() - began > patience_ms / 1000 or any(each.code() in _DECISIVE for each in causes):
                raise
        else:
            return


def client_options(settings: KafkaSettings) -> dict[str, Any]:
    """Return the options of any client of these settings."""
    options: dict[str, Any] = {
        "bootstrap.servers": ",".join(settings.bootstrap_servers),
        "client.id": "strandline",
        "security.protocol": settings.security.protocol,
        "reconnect.backoff.max.ms": _RECONNECT_MS,
        "topic.metadata.refresh.interval.ms": 30_000,
        "allow.auto.create.topics": False,
    }
    if settings.encrypted:
        options |= _tls_options(settings.ssl)
    if settings.authenticated:
        options["sasl.mechanism"] = settings.sasl.mechanism
        if settings.sasl.mechanism == "OAUTHBEARER":
            options["oauth_cb"] = _token_source(settings)
        else:
            options["sasl.username"] = settings.sasl.username
            options["sasl.password"] = settings.sasl.password.get_secret_value()
    return options


def _tls_options(settings: SslSettings) -> dict[str, Any]:
    # What cannot be read is told as for the other client.
    tls_context(settings)
    ours = ssl.get_default_verify_paths()
    given = {
        # The library has certificates of authorities compiled in where it looks for them: elsewhere than we do.
        "ssl.ca.location": settings.ca.location or ours.cafile or ours.capath,
        "ssl.certificate.location": settings.certificate.location,
        "ssl.key.location": settings.key.location or settings.certificate.location,
        "ssl.key.password": settings.key.password.get_secret_value(),
    }
    options = {name: value for name, value in given.items() if value}
    return {**options, "ssl.endpoint.identification.algorithm": settings.endpoint.identification.algorithm}


def _token_source(settings: KafkaSettings) -> Callable[[str], tuple[str, float, str, dict[str, str]]]:
    tokens = ClientCredentials(settings.sasl.oauthbearer)
    try:
        # The library would wait for a first one, and not tell why there is none.
        tokens.token()
    except TokenUnavailable as error:
        raise KafkaUnavailable(f"{', '.join(settings.bootstrap_servers)}: {error}") from error

    def give(_config: str) -> tuple[str, float, str, dict[str, str]]:
        try:
            token, seconds = tokens.expiring_token()
        except TokenUnavailable as error:
            LOG.error("%s", error)  # noqa: TRY400 - it is raised, too
            raise
        return token, time.time() + seconds, settings.sasl.oauthbearer.client.id, {}

    return give


def _explain(settings: KafkaSettings, error: KafkaError) -> str:
    reason = error.str()
    if error.code() == _LOGIN and "unsupported" in reason.lower():
        return f"authentication failed: look at kafka.sasl.mechanism ({reason})"
    if error.code() == _LOGIN:
        return login_failed(settings)
    if error.code() == _TLS and "certificate verify failed" in reason:
        # Which of both, it does not tell.
        keys = "kafka.ssl.ca.location, kafka.bootstrap_servers and kafka.ssl.endpoint.identification.algorithm"
        return f"the broker's certificate is not trusted, or the certificate is for another host: look at {keys}"
    if error.code() == _TLS:
        return f"no TLS connection: look at kafka.security.protocol and kafka.ssl ({reason})"
    if error.code() == _NONE_LEFT:
        protocol = settings.security.protocol
        return f"{reason}: they do not answer, or do not speak {protocol} there; look at kafka.security.protocol"
    return reason
