"""Every way into a real Apache Kafka, and what is told when it stays shut."""

import threading
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from kafka import KafkaProducer
from kafka.admin import KafkaAdminClient

from daemon import kafka_clients
from daemon.kafka_clients import KafkaUnavailable, reaching
from daemon.settings import KafkaSettings
from daemon.sources.registry import source_of
from tests.harness import event, new_topic, send, wait_for
from tests.secure_kafka import CLIENT_ID, CLIENT_SECRET, KEY_PASSWORD, PASSWORD, USER, SecureKafka, token_endpoint
from tests.services import ApacheKafka

pytestmark = pytest.mark.consuming
Tables = dict[str, Any]


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureKafka]:
    with SecureKafka(tmp_path_factory.mktemp("secure")) as broker:
        yield broker


@pytest.fixture(scope="module")
def tokens() -> Iterator[str]:
    with token_endpoint() as url:
        yield url


@pytest.fixture(scope="module")
def topic(secure: SecureKafka) -> str:
    name = new_topic(secure, 1)
    send(secure, name, [(event(n, second=n), float(n)) for n in range(10)], [0])
    return name


def tls(secure: SecureKafka) -> Tables:
    return {"ca": {"location": str(secure.authority)}}


def mutual_tls(secure: SecureKafka) -> Tables:
    key = {"location": str(secure.key), "password": KEY_PASSWORD}
    return {**tls(secure), "certificate": {"location": str(secure.certificate)}, "key": key}


def login(mechanism: str, password: str = PASSWORD) -> Tables:
    return {"mechanism": mechanism, "username": USER, "password": password}


def bearer(url: str, secret: str = CLIENT_SECRET) -> Tables:
    oauth = {"token": {"endpoint": {"url": url}}, "client": {"id": CLIENT_ID, "secret": secret}, "scope": "events"}
    return {"mechanism": "OAUTHBEARER", "oauthbearer": oauth}


def settings_for(secure: SecureKafka, topic: str, protocol: str, **tables: object) -> KafkaSettings:
    return KafkaSettings.model_validate(
        {
            "bootstrap_servers": [secure.address(protocol)],
            "topics": [topic],
            "assignment": "static",
            "security": {"protocol": protocol},
            **tables,
        }
    )


def read(settings: KafkaSettings, count: int) -> list[bytes]:
    found: list[bytes] = []
    with closing(source_of(settings)(settings, poll_records=100, max_event_bytes=1000)) as source:
        source.partitions()
        until = time.monotonic() + 30
        while len(found) < count and time.monotonic() < until:
            poll = source.poll(0.1, 100)
            found += [value or b"" for records in poll.records.values() for value in records.values]
            for partition in source.assigned() if poll.rebalanced else ():
                source.seek(partition, 0)
    return found


@pytest.mark.parametrize("way", ["ssl", "plain", "scram-256", "scram-512 over ssl", "oauthbearer", "any host"])
def test_events_are_read_by_every_way_in(secure: SecureKafka, tokens: str, topic: str, client: str, way: str) -> None:
    ways: dict[str, tuple[str, Tables]] = {
        "ssl": ("SSL", {"ssl": mutual_tls(secure)}),
        "plain": ("SASL_PLAINTEXT", {"sasl": login("PLAIN")}),
        "scram-256": ("SASL_PLAINTEXT", {"sasl": login("SCRAM-SHA-256")}),
        "scram-512 over ssl": ("SASL_SSL", {"ssl": tls(secure), "sasl": login("SCRAM-SHA-512")}),
        "oauthbearer": ("SASL_SSL", {"ssl": tls(secure), "sasl": bearer(tokens)}),
        "any host": (
            "SASL_SSL",
            {
                "bootstrap_servers": [secure.address("SASL_SSL", "localhost")],
                "ssl": {**tls(secure), "endpoint": {"identification": {"algorithm": "none"}}},
                "sasl": login("PLAIN"),
            },
        ),
    }
    protocol, tables = ways[way]
    settings = settings_for(secure, topic, protocol, client=client, **tables)
    assert read(settings, 10) == [event(n, second=n) for n in range(10)]


def test_producers_and_administration_come_in_the_same_way(secure: SecureKafka, client: str) -> None:
    name = new_topic(secure, 1)
    settings = settings_for(secure, name, "SASL_SSL", client=client, ssl=tls(secure), sasl=login("SCRAM-SHA-512"))
    with reaching(settings) as options, closing(KafkaProducer(**options)) as producer:
        producer.send(name, b"one").get(30)
    with reaching(settings) as options, closing(KafkaAdminClient(**options)) as admin:
        assert name in admin.list_topics()
    assert read(settings, 1) == [b"one"]


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("password", ["authentication failed as 'reader' by SCRAM-SHA-512", "kafka.sasl.password"]),
        ("login", ["authentication failed as 'reader' by PLAIN", "kafka.sasl.password"]),
        ("secret", ["kafka.sasl.oauthbearer.token.endpoint.url", "answers 401", "client.secret"]),
        ("authority", ["certificate is not trusted", "kafka.ssl.ca.location"]),
        ("host", ["certificate is for another host", "kafka.ssl.endpoint.identification.algorithm"]),
    ],
)
def test_a_shut_door_is_told_with_the_key_to_look_at(
    secure: SecureKafka,
    tokens: str,
    topic: str,
    monkeypatch: pytest.MonkeyPatch,
    client: str,
    fault: str,
    words: list[str],
) -> None:
    monkeypatch.setattr(kafka_clients, "REQUEST_MS", 2000)
    scram = login("SCRAM-SHA-512")
    faults: dict[str, Tables] = {
        "password": {"ssl": tls(secure), "sasl": login("SCRAM-SHA-512", "wrong horse")},
        "login": {
            "bootstrap_servers": [secure.address("SASL_PLAINTEXT")],
            "security": {"protocol": "SASL_PLAINTEXT"},
            "sasl": login("PLAIN", "wrong horse"),
        },
        "secret": {"ssl": tls(secure), "sasl": bearer(tokens, "wrong staple")},
        "authority": {"ssl": {"ca": {"location": str(secure.stranger)}}, "sasl": scram},
        "host": {"bootstrap_servers": [secure.address("SASL_SSL", "localhost")], "ssl": tls(secure), "sasl": scram},
    }
    settings = settings_for(secure, topic, "SASL_SSL", client=client, **faults[fault])
    threads = threading.active_count()
    with pytest.raises(KafkaUnavailable) as found:
        source_of(settings)(settings, poll_records=1, max_event_bytes=1000)
    # The daemon tries on for as long as it takes.
    wait_for(lambda: threading.active_count() == threads)
    message = str(found.value)
    for word in words:
        assert word in message
    for secret in ("wrong", PASSWORD, CLIENT_SECRET):
        assert secret not in message
    # Passwords are changed on one side first; the daemon waits for the other.
    assert found.value.retryable


def test_records_are_read_whole_whatever_they_are_compressed_with(kafka: ApacheKafka, client: str) -> None:
    topic = new_topic(kafka, 1)
    codecs = ("gzip", "snappy", "lz4", "zstd")
    for codec in codecs:
        with closing(
            KafkaProducer(bootstrap_servers=kafka.bootstrap, compression_type=codec, linger_ms=50)
        ) as producer:
            for number in range(100):
                producer.send(topic, f"{codec} {number}".encode() * 10)
    settings = KafkaSettings.model_validate(
        {"bootstrap_servers": [kafka.bootstrap], "topics": [topic], "assignment": "static", "client": client}
    )
    assert read(settings, 400) == [f"{codec} {number}".encode() * 10 for codec in codecs for number in range(100)]
