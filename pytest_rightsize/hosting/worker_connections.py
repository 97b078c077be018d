"""The owner's socket, over which other processes of the session ask its hosts.

It is a file of this user alone, or a port of this machine where there are no such files; whoever connects must know the
session's secret, which its processes get from xdist. A process that goes takes its questions with it, and no model.
"""

import hmac
import os
import secrets
import shutil
import socket
import tempfile
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from typing import Any

from pytest_rightsize.errors import RightsizeError
from pytest_rightsize.hosting.channel import Channel
from pytest_rightsize.hosting.frames import FrameError, Message, read_frame
from pytest_rightsize.hosting.hosts import Hosts
from pytest_rightsize.hosting.wire import error_to_plain, fault_to_plain
from pytest_rightsize.providers.own_threads import own_this_thread

__all__ = ["Listener"]

_GREETING_S = 10.0
_LARGEST_GREETING = 1024


class Listener:
    """Takes connections until it is closed."""

    def __init__(
        self,
        hosts: Hosts,
        *,
        by_file: bool = hasattr(socket, "AF_UNIX"),
        find: Callable[[str], object] = lambda _: None,
    ) -> None:
        """Listen; raises OSError where that is not allowed. `by_file` is for a socket that is a file.

        `find` adds a rung to the hosts that is asked and not among them, as the judge of a worker's test may be.
        """
        self._hosts = hosts
        self._find = find
        self._secret = secrets.token_hex(32)
        self._folder: str | None = None
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._is_closed = False
        bound = self._bind_file() if by_file else None
        self._socket, self._where = bound or self._bind_port()
        self._socket.listen(64)
        self._thread = threading.Thread(target=self._accept, name="hosting accepts", daemon=True)
        self._thread.start()

    @property
    def address(self) -> Mapping[str, Any]:
        """Where to connect to, with the secret, as plain data: `{"file" or "port": .., "secret": ..}`."""
        return {**self._where, "secret": self._secret}

    def close(self) -> None:
        """Take no connection any more, and end those that there are."""
        with self._lock:
            self._is_closed = True
            connections = [*self._connections]
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for connection in connections:
            _end(connection)
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _bind_file(self) -> tuple[socket.socket, dict[str, Any]] | None:
        """A socket that is a file; None where the folder for temporary files has too long a name for it."""
        folder = tempfile.mkdtemp(prefix="rightsize-")  # which nobody else may enter
        listening, path = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM), os.path.join(folder, "hosts")
        try:
            listening.bind(path)
            os.chmod(path, 0o600)  # a socket takes a text
        except OSError:
            listening.close()
            shutil.rmtree(folder, ignore_errors=True)
            return None
        self._folder = folder
        return listening, {"file": path}

    @staticmethod
    def _bind_port() -> tuple[socket.socket, dict[str, Any]]:
        listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listening.bind(("127.0.0.1", 0))
        return listening, {"port": listening.getsockname()[1]}

    def _accept(self) -> None:
        own_this_thread()
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with self._lock:
                if self._is_closed:
                    connection.close()
                    return
                self._connections.add(connection)
            threading.Thread(target=self._greet, args=(connection,), name="hosting greets", daemon=True).start()

    def _greet(self, connection: socket.socket) -> None:
        """Serve whoever knows the secret."""
        own_this_thread()
        reading = connection.makefile("rb")
        try:
            connection.settimeout(_GREETING_S)
            greeting = read_frame(reading, largest=_LARGEST_GREETING) or {}
            connection.settimeout(None)
        except (FrameError, OSError):
            greeting = {}
        if not hmac.compare_digest(str(greeting.get("secret")).encode(), self._secret.encode()):
            self._forget(connection)
            return
        _Asking(self._hosts, Channel, connection, reading, partial(self._forget, connection), self._find)

    def _forget(self, connection: socket.socket) -> None:
        with self._lock:
            self._connections.discard(connection)
        _end(connection)


class _Asking:
    """One process that asks. What it asked is not wanted any more when it has gone."""

    def __init__(
        self, hosts: Hosts, channel: Any, connection: socket.socket, reading: Any, forget: Any, find: Any
    ) -> None:
        self._hosts = hosts
        self._find = find
        self._forget = forget
        self._asked: dict[int, Future[Any]] = {}
        self._lock = threading.Lock()
        self._channel: Channel = channel(
            "asks", reading, connection.makefile("wb"), on_message=self._take, on_end=self._has_gone
        )
        self._channel.start()

    def _take(self, message: Message) -> None:
        """Raises for what is no message: then the connection ends."""
        if "ask" in message:
            number, rung, request = int(message["ask"]), message["rung"], message["request"]
            if isinstance(rung, str) and rung not in self._hosts:
                try:
                    self._find(rung)
                except RightsizeError as error:  # of this rung: all others are answered on
                    self._channel.send({"number": number, "outcome": {"error": error_to_plain(error)}})
                    return
            if rung not in self._hosts or not isinstance(request, dict):
                raise ValueError("no such rung")
            future = self._hosts.ask(self, rung, request)
            with self._lock:
                self._asked[number] = future
            future.add_done_callback(partial(self._answer, number))
        elif "cancel" in message:
            with self._lock:
                asked = self._asked.get(message["cancel"])
            if asked is not None:
                asked.cancel()
        elif message.get("leave") in self._hosts:
            self._hosts.leave(self, message["leave"])

    def _answer(self, number: int, ended: "Future[Any]") -> None:
        with self._lock:
            self._asked.pop(number, None)
        if ended.cancelled():
            return
        try:
            self._channel.send({"number": number, "outcome": ended.result()})
        except FrameError as error:
            fault = fault_to_plain(f"the reply cannot be handed over: {error}", "bad_reply")
            self._channel.send({"number": number, "outcome": {"error": fault}})

    def _has_gone(self, why: str | None) -> None:  # noqa: ARG002  # it has gone, whatever it said last
        with self._lock:
            asked = [*self._asked.values()]
        for future in asked:
            future.cancel()
        self._hosts.leave(self)
        self._forget()


def _end(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
