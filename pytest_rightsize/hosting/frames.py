"""Messages between the processes of one session: a length of 4 bytes, then a JSON object; nothing in one is executed.

A frame that is too large, cut off or no JSON object is a FrameError, and so is the end of the stream within a frame.
"""

import json
import struct
from collections.abc import Mapping
from typing import Any, Protocol

from pytest_rightsize.strict_json import loads

__all__ = ["LARGEST", "FrameError", "Message", "frame_of", "read_frame"]

Message = Mapping[str, Any]
LARGEST = 64 * 1024**2
"""The most bytes of one frame."""
_LENGTH = struct.Struct(">I")


class FrameError(Exception):
    """What came is no frame, or what is to be sent cannot be one; the text is a clause."""


class Readable(Protocol):
    """A blocking stream of bytes."""

    def read(self, size: int, /) -> bytes | None:
        """So many bytes, fewer only at the end."""


def frame_of(message: Message, *, largest: int = LARGEST) -> bytes:
    """The message as a frame; raises FrameError if it is no JSON, or too large."""
    try:
        body = json.dumps(message, allow_nan=False, separators=(",", ":")).encode("ascii")
    except (TypeError, ValueError, RecursionError) as error:
        raise FrameError(f"it is no JSON ({type(error).__name__})") from None
    if len(body) > largest:
        raise FrameError(f"it has {len(body):,} bytes, and {largest:,} are the most")
    return _LENGTH.pack(len(body)) + body


def read_frame(stream: Readable, *, largest: int = LARGEST) -> dict[str, Any] | None:
    """The next message, None at the end of the stream; raises FrameError, and OSError where reading fails."""
    head = stream.read(_LENGTH.size)
    if not head:
        return None
    if len(head) < _LENGTH.size:
        raise FrameError("it was cut off")
    (length,) = _LENGTH.unpack(head)
    if length > largest:
        raise FrameError(f"it has {length:,} bytes, and {largest:,} are the most")
    body = stream.read(length)
    if body is None or len(body) < length:
        raise FrameError("it was cut off")
    try:
        message = loads(body)
    except ValueError as error:
        raise FrameError(f"it is no JSON ({error})") from None
    if not isinstance(message, dict):
        raise FrameError("it is no JSON object")
    return message
