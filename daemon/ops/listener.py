"""The listener for health and metrics: apart from any pages, and without secrets."""

import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import TracebackType
from typing import Self

import structlog

from daemon.settings import OpsSettings
from sinks.errors import BadSettings

__all__ = ["Answer", "Listener"]

log = structlog.get_logger()

_POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Answer:
    """What a path answers."""

    body: bytes
    status: HTTPStatus = HTTPStatus.OK
    content_type: str = "text/plain; charset=utf-8"


class Listener:
    """Serves ``paths`` on a thread, from ``__enter__`` on. A path's function is given the request's Accept header.

    Raises
    ------
    BadSettings
        Address or port cannot be had.
    """

    def __init__(self, settings: OpsSettings, paths: Mapping[str, Callable[[str], Answer]]) -> None:
        try:
            self._server = _Server(settings.host, settings.port, paths)
        except OSError as error:
            raise BadSettings(
                f"ops.host = {settings.host!r}, ops.port = {settings.port}: {error.strerror or error}. Choose another "
                "port (--ops-port, where several processes share the configuration), or 0 for no listener"
            ) from error
        self._thread = Thread(target=self._server.serve_forever, args=(_POLL_SECONDS,), name="ops", daemon=True)
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        self.address = f"http://{host}:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, host: str, port: int, paths: Mapping[str, Callable[[str], Answer]]) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.paths = paths
        super().__init__((host, port), _Handler)

    def server_bind(self) -> None:
        # Not HTTPServer's, which asks the name service for our name.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]

    def handle_error(self, request: object, client_address: object) -> None:
        fault = sys.exception()
        # A client that goes away is none.
        if not isinstance(fault, OSError):
            log.error("ops.request_failed", exc_info=fault)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    server_version = "strandline"
    sys_version = ""
    timeout = 10

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        answer_of = self.server.paths.get(path)
        if answer_of is None:
            known = ", ".join(self.server.paths)
            self._send(Answer(f"There is no {path} here. There are: {known}\n".encode(), HTTPStatus.NOT_FOUND))
        else:
            self._send(answer_of(self.headers.get("Accept", "")))

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - as in the base class
        """Say nothing of each request: there is one every few seconds."""
