"""The process of a host: `python -m pytest_rightsize.hosting`, started by the process that owns the session.

The first message on standard input says which rung it is; requests follow, and replies go to standard output. It ends
with the session that started it, however that ends. Nothing that comes is executed, but for the provider that the first
message names, which the owner's own process has loaded before.
"""

import ctypes
import os
import sys
import threading
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from typing import Any, BinaryIO

from pytest_rightsize.bounded_files import file_sha256
from pytest_rightsize.errors import RightsizeError, RungError
from pytest_rightsize.hosting.channel import Channel
from pytest_rightsize.hosting.frames import FrameError, Message, read_frame
from pytest_rightsize.hosting.host import Host
from pytest_rightsize.hosting.wire import (
    ClassesAt,
    class_at,
    error_to_plain,
    reply_to_plain,
    request_from_plain,
    rung_from_plain,
)
from pytest_rightsize.plain_data import plain_fields
from pytest_rightsize.providers.broken_providers import fault_of
from pytest_rightsize.providers.environment import error_words
from pytest_rightsize.providers.kept_program import has_gone
from pytest_rightsize.providers.own_threads import own_this_thread
from pytest_rightsize.records import Reply

__all__: list[str] = []

_LOOK_AT_OWNER_S = 0.5


def main() -> None:
    """Serve the session that started this process until it ends."""
    owner = os.getppid()
    reading, writing = _streams()
    own_this_thread()
    threading.Thread(target=_end_with, args=(owner,), name="hosting owner", daemon=True).start()
    first = read_frame(reading)
    if first is not None:
        _Process(first, reading, writing).serve()


def _streams() -> tuple[BinaryIO, BinaryIO]:
    """The streams to the owner; whatever is printed in this process goes to standard error."""
    reading, writing = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    os.close(nothing)
    return reading, writing


def _end_with(owner: int) -> None:
    """End when the owner has: a process that it forked may hold the stream open, whose end says so otherwise."""
    pause = threading.Event()
    while not has_gone(owner):
        pause.wait(_LOOK_AT_OWNER_S)
    os._exit(1)


def _give_memory_back() -> None:
    """Have the C library return what was freed: the GNU one keeps tens of megabytes for later."""
    with suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


class _Process:
    """One host and its owner's stream."""

    def __init__(self, first: Message, reading: BinaryIO, writing: BinaryIO) -> None:
        self._first = first
        self._name = str(first["rung"]["name"])
        self._asked: dict[int, Future[Reply]] = {}
        self._host: Host | None = None
        self._ended = threading.Event()
        self._channel = Channel(self._name, reading, writing, on_message=self._take, on_end=lambda _: os._exit(1))

    def serve(self) -> None:
        """Answer until the owner says that it is over."""
        try:
            self._host = self._made()
        except RightsizeError as error:
            self._channel.send({"unable": error_to_plain(error)})
        except Exception as error:
            message = f"rung {self._name!r}: its provider cannot be loaded in a host process ({error_words(error)})"
            fault = RungError(f"{message}; run with --rightsize-hosts=own", reason="load", permanent=True)
            self._channel.send({"unable": error_to_plain(fault)})
        self._channel.start()
        self._ended.wait()
        self._channel.finish(5.0)
        os._exit(0)  # a thread of an engine may still compute, and what it computes is wanted no more

    def _made(self) -> Host:
        first = self._first
        sys.path[:] = first["path"]
        if first["offline"] is not None:
            from pytest_rightsize.served.guard import Guard

            Guard(offline=first["offline"]).open()
        return Host(
            rung_from_plain(first["rung"]),
            class_at(first["provider"]),
            ClassesAt(first["meters"]),
            room=first["room"],
            budget_s=first["budget_s"],
            on_note=lambda text: self._channel.send({"note": text}),
            on_stall=lambda text: self._channel.send({"stall": text}),
        )

    def _take(self, message: Message) -> None:
        host = self._host
        if host is None:
            if "end" in message:
                self._ended.set()
            return
        if "ask" in message:
            number = message["ask"]
            if "identify" in message["request"]:
                # It may wait for a place on another machine, and the stream is read on meanwhile.
                threading.Thread(target=self._identify, args=(host, number), daemon=True).start()
                return
            future = self._asked[number] = self._ask(host, message["request"])
            future.add_done_callback(partial(self._answer, number))
        elif "cancel" in message:
            asked = self._asked.get(message["cancel"])
            if asked is not None:
                asked.cancel()
        else:
            meterings = [metering.to_dict() for metering in host.rest()]
            _give_memory_back()
            self._channel.send({"rested": meterings})
            if "end" in message:
                self._ended.set()

    def _identify(self, host: Host, number: int) -> None:
        """Tell the model's fingerprint, which is known where the model runs alone."""
        own_this_thread()
        try:
            identity = host.identity(file_sha256)
            told = {"identity": None if identity is None else plain_fields(identity)}
        except Exception as error:
            fault = error if isinstance(error, RightsizeError) else fault_of(error, self._name)
            told = {"error": error_to_plain(fault)}
        self._channel.send({"answer": number, **told})

    def _ask(self, host: Host, plain: Message) -> Future[Reply]:
        try:
            return host.ask(request_from_plain(plain))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            refused: Future[Reply] = Future()
            words = f"rung {self._name!r}: what came is no request ({type(error).__name__})"
            refused.set_exception(RungError(words, reason="request", alone=True))
            return refused

    def _answer(self, number: int, ended: Future[Reply]) -> None:
        self._asked.pop(number, None)
        host = self._host
        outcome: dict[str, Any] = {"answer": number}
        if ended.cancelled() or host is None:
            self._channel.send(outcome | {"cancelled": True})
            return
        error = ended.exception()
        if error is None:
            outcome |= {"waiting_room": host.waiting_room, "size_bytes": host.size_bytes}
            try:
                self._channel.send(outcome | {"reply": reply_to_plain(ended.result())})
                return
            except FrameError as refused:
                text = f"rung {self._name!r}: its reply cannot be handed over: {refused}"
                error = RungError(text, reason="bad_reply", alone=True)
        if not isinstance(error, RightsizeError):
            error = fault_of(error if isinstance(error, Exception) else RuntimeError(str(error)), self._name)
        self._channel.send(outcome | {"error": error_to_plain(error)})


if __name__ == "__main__":
    main()
