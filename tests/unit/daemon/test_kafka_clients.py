import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import trustme

from daemon.kafka_clients import client_options
from daemon.kafka_tokens import ClientCredentials, TokenUnavailable
from daemon.settings import KafkaSettings, load
from daemon.settings.kafka_security import OauthSettings
from sinks.errors import BadSettings

SCRAM = "security.protocol = 'SASL_SSL'\nsasl.mechanism = 'SCRAM-SHA-512'\nsasl.username = 'ada'\n"
OAUTH = "security.protocol = 'SASL_SSL'\nsasl.mechanism = 'OAUTHBEARER'\n"


def kafka(tmp_path: Path, text: str) -> KafkaSettings:
    file = tmp_path / "config.toml"
    file.write_text(f"[kafka]\n{text}")
    return load(file).kafka


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("sasl.mechanism = 'PLAIN'", ["sasl.… is set", "security.protocol = 'PLAINTEXT'", "SASL_SSL"]),
        ("ssl.ca.location = 'ca.pem'", ["ssl.… is set", "does not encrypt"]),
        ("security.protocol = 'SASL_SSL'", ["needs sasl.mechanism", "SCRAM-SHA-512"]),
        (SCRAM, ["'SCRAM-SHA-512' needs sasl.password"]),
        (SCRAM + "sasl.password = 'x'\nsasl.oauthbearer.scope = 'a'", ["sasl.oauthbearer.… is set"]),
        (
            OAUTH + "sasl.oauthbearer.client.id = 'x'\nsasl.oauthbearer.token.endpoint.url = 'ftp://x'",
            ["needs sasl.oauthbearer.client.secret", "must start with https://"],
        ),
        ("security.protocol = 'SSL'\nssl.key.location = 'a'", ["ssl.certificate.location", "missing"]),
        ("security.protocol = 'SSL'\nssl.key.password = 'a'", ["ssl.certificate.location is missing"]),
        ("security.protocol = 'TLS'", ["kafka.security.protocol = 'TLS'", "SASL_PLAINTEXT"]),
        ("sasl.mechanism = 'GSSAPI'", ["kafka.sasl.mechanism = 'GSSAPI'", "OAUTHBEARER"]),
        ("ssl.truststore.location = 'a'", ["kafka.ssl.truststore", "no such key"]),
    ],
)
def test_contradictions_are_told_with_the_keys(tmp_path: Path, text: str, words: list[str]) -> None:
    with pytest.raises(BadSettings) as found:
        kafka(tmp_path, text)
    for word in words:
        assert word in str(found.value)


@pytest.mark.parametrize("text", ["sasl.password = 'horse'", "sasl.password = ['horse']", SCRAM + "sasl.password = 5"])
def test_a_password_is_never_shown(tmp_path: Path, text: str) -> None:
    with pytest.raises(BadSettings) as found:
        kafka(tmp_path, text)
    assert "horse" not in str(found.value)
    settings = kafka(tmp_path, SCRAM + "sasl.password = 'horse'")
    assert "horse" not in repr(settings) + settings.model_dump_json()
    assert client_options(settings)["sasl_plain_password"] == "horse"


def test_certificates_that_cannot_be_used_are_told_with_the_key(tmp_path: Path) -> None:
    authority = trustme.CA()
    (tmp_path / "no.pem").write_text("nothing")
    ours, other = authority.issue_cert("a@example.org"), authority.issue_cert("b@example.org")
    ours.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    other.private_key_pem.write_to_path(tmp_path / "key.pem")
    keys = f"ssl.certificate.location = '{tmp_path}/cert.pem'\nssl.key.location = '{tmp_path}/key.pem'"
    for text, word in (
        (f"ssl.ca.location = '{tmp_path}/missing.pem'", "missing.pem': No such file"),
        (f"ssl.ca.location = '{tmp_path}/no.pem'", "not in PEM format"),
        (keys, "do not fit together"),
    ):
        with pytest.raises(BadSettings, match=r"kafka\.ssl\..*location") as found:
            client_options(kafka(tmp_path, f"security.protocol = 'SSL'\n{text}"))
        assert word in str(found.value)


class Endpoint(BaseHTTPRequestHandler):
    answers: tuple[tuple[int, bytes], ...]
    asked = 0

    def do_POST(self) -> None:
        code, body = type(self).answers[min(type(self).asked, len(type(self).answers) - 1)]
        type(self).asked += 1
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(code)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def url() -> Iterator[str]:
    Endpoint.asked = 0
    server = HTTPServer(("127.0.0.1", 0), Endpoint)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/token"
    server.shutdown()
    thread.join()
    server.server_close()


def provider(url: str) -> ClientCredentials:
    given = {"token": {"endpoint": {"url": url}}, "client": {"id": "a", "secret": "horse"}}
    return ClientCredentials(OauthSettings.model_validate(given))


def test_a_token_is_kept_until_shortly_before_it_expires(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    Endpoint.answers = (
        (200, b'{"access_token": "one", "expires_in": 100}'),
        (200, b'{"access_token": "two", "expires_in": 100}'),
    )
    now = [1000.0]
    monkeypatch.setattr("daemon.kafka_tokens.time.monotonic", lambda: now[0])
    tokens = provider(url)
    assert [tokens.token(), tokens.token()] == ["one", "one"]
    now[0] += 79
    assert tokens.token() == "one"
    now[0] += 2
    assert tokens.token() == "two"


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        ((401, b""), "401; look at client.id"),
        ((503, b""), "503"),
        ((200, b"[]"), "access_token"),
        ((200, b"<"), "JSON"),
    ],
)
def test_an_endpoint_that_gives_no_token_is_named(url: str, answer: tuple[int, bytes], word: str) -> None:
    Endpoint.answers = (answer,)
    with pytest.raises(TokenUnavailable, match=r"token\.endpoint\.url") as found:
        provider(url).token()
    assert word in str(found.value)
    assert "horse" not in str(found.value)
