"""Whether something stands between a test and the network: a cassette, a blocker, a mock of the HTTP client.

Such a thing is there only while its test runs, so an answer must be waited for within the test. Nothing is undone here.
"""

import socket
import sys
from typing import Any

__all__ = ["Interception"]


class Interception:
    """Remembers how the network looked when the session began."""

    def __init__(self) -> None:
        self._socket: Any = socket.socket
        self._connect: Any = socket.socket.connect

    def is_there(self) -> bool:
        """Whether sockets or aiohttp's client have been replaced since."""
        if socket.socket is not self._socket or socket.socket.connect is not self._connect:
            return True
        client = sys.modules.get("aiohttp.client")
        # It has no session yet while another thread imports it.
        session_class = getattr(client, "ClientSession", None)
        if client is None or session_class is None:
            return False
        # A tracer that wraps the method for good shows the code that it wraps; a replacement shows its own, or none.
        code = getattr(getattr(session_class, "_request", None), "__code__", None)
        return getattr(code, "co_filename", None) != client.__file__
