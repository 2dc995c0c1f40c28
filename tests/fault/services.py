"""An Apache Kafka that can also be reached through a proxy, and what all trials share."""

from dataclasses import dataclass
from pathlib import Path

from daemon.demo.processes import free_port
from tests.fault.proxy import Proxy
from tests.services import ApacheKafka, Postgres

__all__ = ["ProxiedKafka", "Services"]


class ProxiedKafka(ApacheKafka):
    """Listens a second time, and tells clients that come that way the address of a proxy: so all they do goes by it."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._behind, self._before = free_port(), free_port()

    @property
    def proxied(self) -> str:
        """Where clients connect that go through the proxy, as host:port."""
        return f"127.0.0.1:{self._before}"

    def proxy(self) -> Proxy:
        """Return the proxy, to be entered."""
        return Proxy(("127.0.0.1", self._behind), self._before)

    def _listeners(self) -> dict[str, str]:
        return {**super()._listeners(), "PROXIED": f"127.0.0.1:{self._behind}"}

    def _more_properties(self) -> str:
        return (
            f"advertised.listeners=PLAINTEXT://{self.bootstrap},PROXIED://{self.proxied}\n"
            "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT,CONTROLLER:PLAINTEXT\n"
        )


@dataclass(frozen=True)
class Services:
    """Kafka and PostgreSQL. Whoever stops one of them starts it again."""

    kafka: ProxiedKafka
    postgres: Postgres
