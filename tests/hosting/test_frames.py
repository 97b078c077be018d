"""Messages between processes: what is sent is what comes, and whatever else comes is refused."""

import io
import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_rightsize.hosting.frames import FrameError, frame_of, read_frame

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=40)
@given(st.lists(st.dictionaries(st.text(max_size=5), VALUES, max_size=3), max_size=3))
def test_messages_come_as_they_were_sent(messages: list[dict[str, Any]]) -> None:
    stream = io.BytesIO(b"".join(map(frame_of, messages)))
    assert [read_frame(stream) for _ in messages] == messages
    assert read_frame(stream) is None


def framed(body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + body


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        (b"\x00", "it was cut off"),
        (framed(b'{"a": 1}')[:-1], "it was cut off"),
        (struct.pack(">I", 65) + b"x" * 65, "it has 65 bytes, and 64 are the most"),
        (b"\xff" * 40, "it has 4,294,967,295 bytes, and 64 are the most"),
        (framed(b"[1]"), "it is no JSON object"),
        (framed(b"{"), "it is no JSON"),
        (framed(b'{"a": NaN}'), "it is no JSON"),
        (framed(b'{"a": 1e999}'), "it is no JSON"),
        (framed(b"\x80\x04\x95"), "it is no JSON"),  # as pickle begins
        (framed(b"\xff\xfe"), "it is no JSON"),
    ],
)
def test_what_is_no_message_is_refused(sent: bytes, why: str) -> None:
    with pytest.raises(FrameError, match=why):
        read_frame(io.BytesIO(sent), largest=64)


def test_a_message_nested_without_end_is_refused() -> None:
    with pytest.raises(FrameError, match=r"nested too deep|no JSON"):
        read_frame(io.BytesIO(framed(b'{"a":' + b"[" * 200_000)))


@settings(max_examples=50)
@given(st.binary(max_size=200))
def test_any_bytes_are_messages_or_refused(sent: bytes) -> None:
    stream = io.BytesIO(sent)
    try:
        while (message := read_frame(stream, largest=100)) is not None:
            assert isinstance(message, dict)
    except FrameError:
        pass


@pytest.mark.parametrize("value", [float("nan"), float("inf"), b"bytes", object(), {1, 2}])
def test_what_json_does_not_have_is_not_sent(value: object) -> None:
    with pytest.raises(FrameError, match="no JSON"):
        frame_of({"value": value})


def test_a_message_that_is_too_large_is_not_sent() -> None:
    with pytest.raises(FrameError, match=r"it has 110 bytes, and 100 are the most"):
        frame_of({"a": "x" * 102}, largest=100)
