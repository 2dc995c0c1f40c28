"""A receiver of webhooks, that keeps what it is sent in the order in which it came."""

import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

__all__ = ["Delivery", "Receiver"]


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message as it arrived: its key, and Alertmanager's body."""

    key: str
    body: dict[str, Any] = field(repr=False)


class Receiver:
    """Listens on 127.0.0.1 from ``__enter__`` on, each path a receiver of its own; answers 204."""

    def __init__(self) -> None:
        self._deliveries: dict[str, list[Delivery]] = {}
        self._lock = threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(handler) -> None:  # noqa: N805 - self is the receiver
                body = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
                with self._lock:
                    arrived = self._deliveries.setdefault(handler.path.strip("/"), [])
                    arrived.append(Delivery(handler.headers["Idempotency-Key"], body))
                handler.send_response(204)
                handler.end_headers()

            def log_message(handler, *_: object) -> None:  # noqa: N805
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="receiver")

    def url(self, name: str) -> str:
        """Return where the receiver ``name`` is."""
        return f"http://127.0.0.1:{self._server.server_port}/{name}"

    def deliveries(self, name: str) -> list[Delivery]:
        """Return what has arrived at ``name``."""
        with self._lock:
            return list(self._deliveries.get(name, ()))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
