"""An Apache Kafka with every way in that can be set, and a token endpoint for one of them."""

import base64
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import parse_qs

import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from daemon.demo.processes import free_port
from tests.services import ApacheKafka

USER, PASSWORD = "reader", "correct horse"
CLIENT_ID, CLIENT_SECRET = "strandline", "battery staple"
KEY_PASSWORD = "of the key"
_MODULES = "org.apache.kafka.common.security"
_LOGINS = {
    "plain": f'{_MODULES}.plain.PlainLoginModule required user_{USER}="{PASSWORD}";',
    "scram-sha-256": f"{_MODULES}.scram.ScramLoginModule required;",
    "scram-sha-512": f"{_MODULES}.scram.ScramLoginModule required;",
    # Without a validator of its own Kafka takes tokens that nobody signed.
    "oauthbearer": f'{_MODULES}.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";',
}


class SecureKafka(ApacheKafka):
    """Beside PLAINTEXT it listens by SSL (and wants certificates of its clients), by SASL, and by both."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._ports = {name: free_port() for name in ("SSL", "SASL_PLAINTEXT", "SASL_SSL")}
        self.authority, self.stranger = directory / "ca.pem", directory / "stranger.pem"
        self.certificate, self.key = directory / "client.pem", directory / "client.key"
        self._keystore = directory / "broker.pem"
        authority = trustme.CA()
        authority.cert_pem.write_to_path(self.authority)
        trustme.CA().cert_pem.write_to_path(self.stranger)
        # Its certificate names the address, and not "localhost".
        broker, client = authority.issue_cert("127.0.0.1"), authority.issue_cert("client@example.org")
        chain = b"".join(each.bytes() for each in broker.cert_chain_pems)
        key = load_pem_private_key(broker.private_key_pem.bytes(), None)
        self._keystore.write_bytes(
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + chain,
        )
        self.certificate.write_bytes(b"".join(each.bytes() for each in client.cert_chain_pems))
        key = load_pem_private_key(client.private_key_pem.bytes(), None)
        locked = BestAvailableEncryption(KEY_PASSWORD.encode())
        self.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, locked))

    def address(self, protocol: str, host: str = "127.0.0.1") -> str:
        """Return where clients connect that speak this protocol."""
        return f"{host}:{self._ports[protocol]}"

    def _listeners(self) -> dict[str, str]:
        return {**super()._listeners(), **{name: self.address(name) for name in self._ports}}

    def _more_properties(self) -> str:
        lines = {
            "listener.security.protocol.map": ",".join(
                f"{name}:{name if name != 'CONTROLLER' else 'PLAINTEXT'}"
                for name in ("PLAINTEXT", "CONTROLLER", *self._ports)
            ),
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": self._keystore,
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": self.authority,
            "listener.name.ssl.ssl.client.auth": "required",
            "sasl.enabled.mechanisms": ",".join(name.upper() for name in _LOGINS),
        }
        for listener in ("sasl_plaintext", "sasl_ssl"):
            for mechanism, login in _LOGINS.items():
                lines[f"listener.name.{listener}.{mechanism}.sasl.jaas.config"] = login
        return "".join(f"{key}={value}\n" for key, value in lines.items())

    def _format_options(self) -> list[str]:
        credentials = [f"SCRAM-SHA-{bits}=[name={USER},password={PASSWORD}]" for bits in (256, 512)]
        return [part for each in credentials for part in ("--add-scram", each)]


class TokenEndpoint(BaseHTTPRequestHandler):
    """Gives an unsigned token to whoever shows the client's secret."""

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        wanted = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
        known = self.headers["Authorization"] == f"Basic {wanted}" and form["grant_type"] == ["client_credentials"]
        claims = {"sub": CLIENT_ID, "iat": time.time(), "exp": time.time() + 300, "scope": form.get("scope", [""])[0]}
        token = ".".join([_encode({"alg": "none"}), _encode(claims), ""])
        self.send_response(200 if known else 401)
        self.end_headers()
        self.wfile.write(json.dumps({"access_token": token, "expires_in": 300} if known else {}).encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _encode(part: dict[str, object]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


@contextmanager
def token_endpoint() -> Iterator[str]:
    """Run the token endpoint; its URL."""
    server = HTTPServer(("127.0.0.1", 0), TokenEndpoint)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/token"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
