"""Where a process of the session asks for hosted rungs: at its own hosts, or at those of the session's owner."""

import itertools
import socket
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from typing import Any, Protocol

from pytest_rightsize.hosting.channel import Channel
from pytest_rightsize.hosting.frames import Message
from pytest_rightsize.hosting.hosts import Hosts
from pytest_rightsize.hosting.wire import fault_to_plain
from pytest_rightsize.meter_records import Metering

__all__ = ["Desk", "OwnDesk", "RemoteDesk"]

Outcome = Mapping[str, Any]


class Desk(Protocol):
    """Takes requests to hosted rungs, as plain data."""

    def ask(self, rung: str, request: Mapping[str, Any]) -> "Future[Outcome]":
        """The Future of the outcome, which may be cancelled; raises FrameError for what cannot be sent."""

    def leave(self, rung: str) -> None:
        """The rung is needed no more for now."""

    def meterings(self, rung: str) -> list[Metering]:
        """The rung's totals, as far as this process is to tell them."""

    def is_loading(self, rung: str) -> bool:
        """Whether the rung was asked, and has not answered since its model was last freed."""


class OwnDesk:
    """The desk of the process that owns the hosts."""

    def __init__(self, hosts: Hosts) -> None:
        self._hosts = hosts

    def ask(self, rung: str, request: Mapping[str, Any]) -> "Future[Outcome]":
        """See `Desk`."""
        return self._hosts.ask(self, rung, request)

    def leave(self, rung: str) -> None:
        """See `Desk`."""
        self._hosts.leave(self, rung)

    def meterings(self, rung: str) -> list[Metering]:
        """See `Desk`."""
        return self._hosts.meterings(rung)

    def is_loading(self, rung: str) -> bool:
        """See `Desk`."""
        return self._hosts.is_loading(rung)


class RemoteDesk:
    """The desk of a worker: it connects when it is first asked, and the owner tells the totals."""

    def __init__(self, address: Mapping[str, Any]) -> None:
        """Keep the address, as `Listener.address` gives it."""
        self._address = address
        self._numbers = itertools.count(1)
        self._asked: dict[int, Future[Outcome]] = {}
        self._lock = threading.Lock()
        self._channel: Channel | None = None
        self._has_gone = False

    def ask(self, rung: str, request: Mapping[str, Any]) -> "Future[Outcome]":
        """See `Desk`; an owner that has gone is a fault of the rung."""
        future: Future[Outcome] = Future()
        with self._lock:
            try:
                channel = self._connected()
            except OSError:
                self._has_gone = True
            number = next(self._numbers)
            if not self._has_gone:
                self._asked[number] = future
        if self._has_gone:
            self._settle_all([future])
            return future
        future.add_done_callback(partial(self._is_wanted_no_more, number))
        try:
            channel.send({"ask": number, "rung": rung, "request": request})
        except BaseException:
            with self._lock:
                self._asked.pop(number, None)
            raise
        return future

    def leave(self, rung: str) -> None:
        """See `Desk`."""
        if self._channel is not None:
            self._channel.send({"leave": rung})

    def meterings(self, rung: str) -> list[Metering]:  # noqa: ARG002  # the owner tells them
        """See `Desk`."""
        return []

    def is_loading(self, rung: str) -> bool:  # noqa: ARG002  # nobody looks at a worker
        """See `Desk`."""
        return False

    def _connected(self) -> Channel:
        if self._channel is None:
            connection = self._connect()
            self._channel = Channel(
                "worker",
                connection.makefile("rb"),
                connection.makefile("wb"),
                on_message=self._hear,
                on_end=partial(self._ended, connection),
            )
            self._channel.send({"secret": self._address["secret"]})
            self._channel.start()
        return self._channel

    def _connect(self) -> socket.socket:
        if "file" not in self._address:
            return socket.create_connection(("127.0.0.1", self._address["port"]))
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.connect(self._address["file"])
        return connection

    def _is_wanted_no_more(self, number: int, ended: "Future[Outcome]") -> None:
        if ended.cancelled() and self._channel is not None:
            with self._lock:
                self._asked.pop(number, None)
            self._channel.send({"cancel": number})

    def _hear(self, message: Message) -> None:
        with self._lock:
            future = self._asked.pop(message["number"], None)
        if future is not None and future.set_running_or_notify_cancel():
            future.set_result(message["outcome"])

    def _ended(self, connection: socket.socket, why: str | None) -> None:  # noqa: ARG002  # whatever the reason
        with self._lock:
            self._has_gone = True
            asked = [*self._asked.values()]
            self._asked.clear()
        self._settle_all(asked)
        with suppress(OSError):
            connection.close()

    @staticmethod
    def _settle_all(asked: "list[Future[Outcome]]") -> None:
        words = "the process that owns this session's models has ended, and with it the models"
        outcome = {"error": fault_to_plain(words, "crash", permanent=True)}
        for future in asked:
            if future.set_running_or_notify_cancel():
                future.set_result(outcome)
