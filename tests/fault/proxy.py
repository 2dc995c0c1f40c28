"""A TCP proxy that passes bytes on until it is told to misbehave: to cut, delay, halve, swallow or fall silent."""

import asyncio
import threading
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self, TypeVar

__all__ = ["Proxy"]

_T = TypeVar("_T")
_CHUNK = 65_536
_Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class _Link:
    """One client's connection and ours to the server."""

    def __init__(self, client: _Stream, server: _Stream) -> None:
        self.client = client
        self.server = server
        self.silent = False
        self.swallows = False

    def cut(self) -> None:
        """End both connections without a good-bye."""
        for _, writer in (self.client, self.server):
            writer.transport.abort()


class Proxy:
    """Stands before a server; from ``__enter__`` on it listens on 127.0.0.1, on a thread of its own.

    Parameters
    ----------
    server
        Where it passes on to: host and port, or the path of a Unix socket.
    port
        Where it listens; any free port if not given.
    """

    def __init__(self, server: tuple[str, int] | str, port: int = 0) -> None:
        self._server_address = server
        self.port = port
        self.latency = 0.0
        """Seconds that every byte is on its way, in either direction; not less of them in a second."""
        self.refuses = False
        """Whether new connections are ended at once."""
        self.swallowed = 0
        """Replies that never arrived."""
        self.halved = 0
        """Messages of the server of which only a half arrived."""
        self._swallow_after: bytes | None = None
        self._halves = False
        self._links: set[_Link] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)

    def cut(self) -> None:
        """End all connections; new ones are welcome."""
        self._do(self._cut())

    def fall_silent(self) -> None:
        """Leave the connections that there are open, but pass nothing on any more, as a host does that is gone."""
        self._do(self._fall_silent())

    def halve_next(self) -> None:
        """Pass half of the server's next bytes on, then end that connection."""
        self._halves = True

    def swallow_reply_to(self, request: bytes) -> None:
        """Pass the next request that holds these bytes on, but not the reply to it: that connection ends instead."""
        self._swallow_after = request

    async def _cut(self) -> None:
        for link in self._links:
            link.cut()

    async def _fall_silent(self) -> None:
        for link in self._links:
            link.silent = True

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refuses:
            writer.transport.abort()
            return
        try:
            if isinstance(self._server_address, str):
                server = await asyncio.open_unix_connection(self._server_address)
            else:
                server = await asyncio.open_connection(*self._server_address)
        except OSError:
            writer.transport.abort()
            return
        link = _Link((reader, writer), server)
        self._links.add(link)
        try:
            await asyncio.gather(self._pass(link, link.client[0], server[1]), self._pass(link, server[0], writer))
        except OSError:
            pass
        finally:
            self._links.discard(link)
            link.cut()

    async def _pass(self, link: _Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on what comes in one direction until it ends; then end the other direction, too."""
        on_its_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        delivering = asyncio.ensure_future(self._deliver(on_its_way, writer))
        try:
            while data := await reader.read(_CHUNK):
                passed = self._to_server(link, data) if reader is link.client[0] else self._to_client(link, data)
                on_its_way.put_nowait((self._loop.time() + self.latency, passed))
            on_its_way.put_nowait((self._loop.time() + self.latency, b""))
            await delivering
        finally:
            delivering.cancel()
            link.cut()

    async def _deliver(self, on_its_way: "asyncio.Queue[tuple[float, bytes]]", writer: asyncio.StreamWriter) -> None:
        while True:
            due, data = await on_its_way.get()
            await asyncio.sleep(max(0.0, due - self._loop.time()))
            if not data:
                return
            writer.write(data)
            await writer.drain()

    def _to_server(self, link: _Link, data: bytes) -> bytes:
        if self._swallow_after is not None and self._swallow_after in data:
            self._swallow_after = None
            link.swallows = True
        return b"" if link.silent else data

    def _to_client(self, link: _Link, data: bytes) -> bytes:
        if link.swallows:
            self.swallowed += 1
            raise ConnectionAbortedError
        if self._halves:
            self._halves = False
            self.halved += 1
            link.client[1].write(data[: len(data) // 2])
            raise ConnectionAbortedError
        return b"" if link.silent else data

    def _do(self, what: Coroutine[Any, Any, _T]) -> _T:
        return asyncio.run_coroutine_threadsafe(what, self._loop).result(10)

    def __enter__(self) -> Self:
        self._thread.start()
        self._listening = self._do(asyncio.start_server(self._serve, "127.0.0.1", self.port))
        self.port = self._listening.sockets[0].getsockname()[1]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._do(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _close(self) -> None:
        self._listening.close()
        await self._cut()
        serving = asyncio.all_tasks(self._loop) - {asyncio.current_task(self._loop)}
        await asyncio.wait(serving, timeout=5) if serving else None
