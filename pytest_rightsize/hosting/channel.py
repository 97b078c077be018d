"""A two-way stream of messages: a thread reads what comes, another writes what is sent; sending never waits.

A peer that reads nothing for a while thus holds up nobody but itself.
"""

import threading
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Protocol

from pytest_rightsize.hosting.frames import FrameError, Message, Readable, frame_of, read_frame
from pytest_rightsize.providers.own_threads import own_this_thread

__all__ = ["Channel"]


class Writable(Protocol):
    """A blocking stream that takes bytes."""

    def write(self, data: bytes, /) -> object:
        """Take all of them."""

    def flush(self) -> object:
        """Pass on what was taken."""


class Channel:
    """One stream in each direction; `on_message` and `on_end` are called by the thread that reads."""

    def __init__(
        self,
        name: str,
        reading: Readable,
        writing: Writable,
        *,
        on_message: Callable[[Message], None],
        on_end: Callable[[str | None], None],
    ) -> None:
        """Take the streams; `start` begins. `on_end` gets why the stream is no good, or None at its end."""
        self._reading = reading
        self._writing = writing
        self._on_message = on_message
        self._on_end = on_end
        self._outgoing: SimpleQueue[bytes | None] = SimpleQueue()
        self._threads = [
            threading.Thread(target=target, name=f"hosting {what} {name}", daemon=True)
            for what, target in (("reads", self._read), ("writes", self._write))
        ]

    def start(self) -> None:
        """Begin to read and to write."""
        for thread in self._threads:
            thread.start()

    def send(self, message: Message) -> None:
        """Have the message written; raises FrameError if it cannot be a frame."""
        self._outgoing.put(frame_of(message))

    def finish(self, wait_s: float) -> None:
        """Write what waits, and write nothing after it."""
        self._outgoing.put(None)
        if threading.current_thread() not in self._threads:
            self._threads[1].join(wait_s)

    def _read(self) -> None:
        own_this_thread()
        why: str | None = None
        try:
            while (message := read_frame(self._reading)) is not None:
                self._on_message(message)
        except FrameError as error:
            why = str(error)
        except (OSError, ValueError):  # closed meanwhile
            pass
        except Exception as error:
            why = f"it is no message ({type(error).__name__})"
        self._outgoing.put(None)
        self._on_end(why)

    def _write(self) -> None:
        own_this_thread()
        with suppress(OSError, ValueError):  # nobody reads any more, which the other thread learns
            while (frame := self._outgoing.get()) is not None:
                self._writing.write(frame)
                self._writing.flush()
