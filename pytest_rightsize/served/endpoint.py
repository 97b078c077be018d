"""The loopback HTTP server of a session, in a thread and an event loop of its own.

In come requests of this machine; out go the bodies that `answer` makes of them. It knows nothing of tests.
"""

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakSet

from pytest_rightsize import clocks
from pytest_rightsize.providers.late_certificates import load_aiohttp
from pytest_rightsize.providers.own_threads import own_this_thread

__all__ = ["Endpoint", "Received", "Sent"]

# Connections that wait to be taken: tests may open many at once.
_BACKLOG = 512
# An application keeps its connection for as long as the session lasts.
_KEEP_ALIVE_S = 3600.0
# A prompt may hold images.
_LARGEST_BODY = 256 * 1024**2


@dataclass(frozen=True, kw_only=True)
class Received:
    """One request: its path without the query, decoded; header names are read in any case.

    `is_first` says that it is the first on its connection.
    """

    method: str
    path: str
    headers: Mapping[str, str] = field(repr=False)  # the application's key is in them
    body: bytes
    is_first: bool = False


@dataclass(frozen=True, kw_only=True)
class Sent:
    """One response; if it `closes`, it is the last on its connection."""

    status: int
    body: bytes
    closes: bool = False
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


class Endpoint:
    """Listens from the moment it is made, on a port of chance of the loopback address. Raises OSError."""

    def __init__(self, answer: Callable[[Received], Awaitable[Sent]]) -> None:
        self._answer = answer
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self._socket.listen(_BACKLOG)
        self.port: int = self._socket.getsockname()[1]
        self.loop = asyncio.new_event_loop()
        # A loop looks up `time.monotonic` whenever it is asked, which a test may have frozen.
        self.loop.time = clocks.monotonic  # type: ignore[method-assign]  # of this one loop
        self._runner: Any = None
        self._closed = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="rightsize endpoint", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        own_this_thread()
        asyncio.set_event_loop(self.loop)
        self.loop.run_until_complete(self._serve())
        self.loop.close()

    async def _serve(self) -> None:
        """Until it is closed, which may be before it is open: a session may end in its conftest.py."""
        await self._open()
        await self._closed.wait()
        await self._runner.cleanup()

    async def _open(self) -> None:
        # Imported here, beside what the session does meanwhile: it takes a tenth of a second.
        load_aiohttp()
        from aiohttp import web

        known: WeakSet[object] = WeakSet()

        async def handle(request: web.BaseRequest) -> web.StreamResponse:
            connection = request.transport
            is_first = connection is not None and connection not in known
            if connection is not None:
                known.add(connection)
            sent = await self._answer(
                Received(
                    method=request.method,
                    path=request.path,
                    headers=request.headers,
                    body=await request.read(),
                    is_first=is_first,
                )
            )
            response = web.Response(
                status=sent.status, body=sent.body, content_type=sent.content_type, headers=sent.headers or None
            )
            if sent.closes:
                response.force_close()
            return response

        make: Any = web.BaseRequest

        def factory(*args: Any) -> web.BaseRequest:
            request: web.BaseRequest = make(*args, self.loop, client_max_size=_LARGEST_BODY)
            return request

        server = web.Server(handle, request_factory=factory, access_log=None, keepalive_timeout=_KEEP_ALIVE_S)
        self._runner = web.ServerRunner(server)
        await self._runner.setup()
        await web.SockSite(self._runner, self._socket).start()

    def call(self, function: Callable[..., object], *args: object) -> None:
        """Call it in the endpoint's thread, soon."""
        if not self.loop.is_closed():
            self.loop.call_soon_threadsafe(function, *args)

    def close(self) -> None:
        """Take no request any more."""
        if self.loop.is_closed():
            return
        self.loop.call_soon_threadsafe(self._closed.set)
        self._thread.join(5)
        self._socket.close()
