"""Answers what the thread of the tests asks through httpx without a connection: half the time of a served test else.

Most SDKs send by `HTTPTransport.handle_request` of httpx or httpx2. While tests run, that method first asks whether the
request is for the endpoint of this process and can be answered where it is made. Everything else, and everything in a
project that has replaced that method or the one below it, goes its usual way.
"""

import functools
import os
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any
from weakref import WeakSet

from pytest_rightsize.served.endpoint import Received, Sent

__all__ = ["Shortcut"]

_LIBRARIES = ("httpx", "httpx2")
_METHOD = "handle_request"

Answer = Callable[[Received, FrameType | None], Sent | None]
"""The response to a request that is made at a frame; None where it must be sent."""


class Shortcut:
    """The replaced methods of a session, for requests to a port of this machine. Used by the thread of the tests."""

    def __init__(self, port: int, answer: Answer) -> None:
        self._port = port
        self._answer = answer
        # A forked child has a thread of the same number, and asks through the connection to this process.
        self._thread = (os.getpid(), threading.get_ident())
        self._seen: WeakSet[object] = WeakSet()
        # By library: the class, its own method, and ours.
        self._replaced: dict[str, tuple[Any, Any, Any]] = {}
        self._left_alone: set[str] = set()

    def look(self) -> None:
        """Replace the method of each library that has been imported since."""
        for name in _LIBRARIES:
            if name in sys.modules and name not in self._replaced and name not in self._left_alone:
                self._replace(name)

    def close(self) -> None:
        """Put the methods back, unless somebody else has replaced them meanwhile."""
        for transport_class, own, ours in self._replaced.values():
            if vars(transport_class).get(_METHOD) is ours:
                setattr(transport_class, _METHOD, own)
        self._replaced.clear()
        self._answer = _nothing

    def _replace(self, name: str) -> None:
        module = sys.modules[name]
        transport_class = getattr(module, "HTTPTransport", None)
        if transport_class is None:  # it is being imported
            return
        own = vars(transport_class).get(_METHOD)
        if not (_is_own(own, name) and _makes_responses(module)):
            # A tracer or a mock is there, which must see every request; or a version whose responses we do not know.
            self._left_alone.add(name)
            return

        @functools.wraps(own)
        def handle_request(transport: Any, request: Any) -> Any:
            __tracebackhide__ = True
            sent = self._sent(module, transport, request, sys._getframe(1))
            return own(transport, request) if sent is None else _response(module, sent)

        setattr(transport_class, _METHOD, handle_request)
        self._replaced[name] = (transport_class, own, handle_request)

    def _sent(self, module: Any, transport: object, request: Any, frame: FrameType | None) -> Sent | None:
        """What to answer a request of httpx, or None; raises what `answer` does."""
        url = request.url
        if url.port != self._port or url.host != "127.0.0.1" or (os.getpid(), threading.get_ident()) != self._thread:
            return None
        if "content-encoding" in request.headers or url.scheme != "http":
            return None
        pool = getattr(transport, "_pool", None)
        below = module.__name__.replace("httpx", "httpcore")
        if _METHOD in getattr(pool, "__dict__", {_METHOD}) or not _is_own(getattr(type(pool), _METHOD, None), below):
            return None  # a mock of the connections must see every request
        body = request.read()
        if not isinstance(request.stream, module.ByteStream) or b"".join(request.stream) != body:
            return None  # something sends another body than the request had
        received = Received(
            method=request.method,
            path=url.path,
            headers=request.headers,
            body=body,
            is_first=self._is_first(transport),
        )
        return self._answer(received, frame)

    def _is_first(self, transport: object) -> bool:
        """Whether it is the first request of a transport, which stands for its connection."""
        try:
            is_first = transport not in self._seen
            self._seen.add(transport)
        except TypeError:  # one of the user's own that has no hash
            return False
        return is_first


def _is_own(method: Any, package: str) -> bool:
    """Whether it is the code of the package itself: a mock or a tracer may bear the name of what it replaces."""
    module = sys.modules.get(getattr(method, "__module__", None) or "")
    if module is None or module.__name__.partition(".")[0] != package or hasattr(method, "__wrapped__"):
        return False
    return getattr(getattr(method, "__code__", None), "co_filename", "") == module.__file__


def _response(module: Any, sent: Sent) -> Any:
    """The response of httpx that a connection would have brought."""
    headers = {"content-type": sent.content_type, "content-length": str(len(sent.body)), **sent.headers}
    stream = module.ByteStream(sent.body)
    return module.Response(sent.status, headers=headers, stream=stream, extensions={"http_version": b"HTTP/1.1"})


def _makes_responses(module: Any) -> bool:
    """Whether this version of the library takes what `_response` makes."""
    try:
        response = _response(module, Sent(status=200, body=b"{}"))
        return bool(response.status_code == 200 and response.read() == b"{}" and response.json() == {})
    except Exception:
        return False


def _nothing(_received: Received, _frame: FrameType | None) -> None:
    return None
