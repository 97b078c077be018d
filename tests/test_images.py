"""What an image is shows in its first bytes; what is none is told before any rung is asked."""

import base64
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_rightsize.images import LARGEST_BYTES, ImageSize, image_format, image_problem, image_size, is_fetched
from pytest_rightsize.records import Json


def png(width: int, height: int, colour: bytes = b"\xc8\x28\x28") -> bytes:
    """A PNG of one colour."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = (b"\0" + colour * width) * height
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def part(url: Json) -> dict[str, Json]:
    return {"type": "image_url", "image_url": {"url": url}}


def data_url(media_type: str, data: bytes) -> str:
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


JPEG = b"\xff\xd8\xff\xe0\x00\x04ab\xff\xff\xc4\x00\x03x\xff\xc2\x00\x0b\x08" + struct.pack(">HH", 30, 40) + b"\x03"
WEBP_X = b"RIFF....WEBPVP8X\x0a\0\0\0....\x27\0\0\x1d\0\0"
WEBP_LOSSY = b"RIFF....WEBPVP8 \0\0\0\0...\x9d\x01\x2a" + struct.pack("<HH", 40 | 0x4000, 30)
WEBP_LOSSLESS = b"RIFF....WEBPVP8L\0\0\0\0\x2f" + struct.pack("<I", 39 | 29 << 14)


@pytest.mark.parametrize(
    ("data", "kind", "size"),
    [
        (png(40, 30), "png", (40, 30)),
        (b"GIF89a" + struct.pack("<HH", 40, 30), "gif", (40, 30)),
        (JPEG, "jpeg", (40, 30)),
        (WEBP_X, "webp", (40, 30)),
        (WEBP_LOSSY, "webp", (40, 30)),
        (WEBP_LOSSLESS, "webp", (40, 30)),
        (png(40, 30)[:12], "png", None),
        (b"\xff\xd8\xff", "jpeg", None),
        (b"\xff\xd8\xff\xe0\x00\x04ab12", "jpeg", None),
        (b"RIFF....WEBPVP9 " + b"." * 40, "webp", None),
        (b"<svg/>", None, None),
        (b"", None, None),
    ],
)
def test_format_and_size_are_those_of_the_header(data: bytes, kind: str | None, size: tuple[int, int] | None) -> None:
    assert image_format(data) == kind
    assert image_size(data) == (None if size is None else ImageSize(width=size[0], height=size[1]))


@given(st.sampled_from([png(3, 3)[:20], JPEG[:8], b"\xff\xd8\xff", b"GIF89a", WEBP_X[:16]]), st.binary(max_size=60))
def test_broken_headers_have_no_size_and_break_nothing(start: bytes, rest: bytes) -> None:
    size = image_size(start + rest)
    assert size is None or (size.width >= 0 and size.height >= 0)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        (None, "has no URL"),
        ("", "has no URL"),
        ("cat.png", "has the URL 'cat.png', which is not fetched: give the image itself, as image_part(FILE) does"),
        ("x" * 61, f"has the URL '{'x' * 60}...', which is not fetched"),
        ("x" * 60, f"has the URL '{'x' * 60}', which is not fetched"),
        ("file:///etc/passwd", "which is not fetched"),
        ("stored:image/png;sha256=00;bytes=1", "which is not fetched"),
        ("data:image/svg+xml,<svg/>", "a URL whose data is not valid base64, 'data:image/svg+xml,...': give"),
        ("data:image/png;base64,%%%", "a URL whose data is not valid base64, 'data:image/png;base64,...': give"),
        ("data:image/png;base64,", "is empty"),
        (data_url("image/png", b"%PDF-1.7"), "says that it is image/png, but it begins with b'%PDF-1.7': give"),
        (data_url("image/jpg", b"<html>"), "says that it is image/jpg"),
        (data_url("application/pdf", b"%PDF-1.7"), "has the type application/pdf, which is not a type of images"),
        (
            data_url("image/png", png(1, 1).ljust(LARGEST_BYTES + 1)),
            "has 20,000,001 bytes, and 20,000,000 bytes is the most",
        ),
    ],
)
def test_what_no_rung_can_be_asked_with_is_named(url: Json, words: str) -> None:
    assert words in str(image_problem(part(url)))


@pytest.mark.parametrize(
    ("url", "fetched"),
    [
        (data_url("image/png", png(1, 1)), False),
        (data_url("image/png", png(1, 1).ljust(LARGEST_BYTES)), False),
        (data_url("image/jpg", png(1, 1)), False),  # many endpoints look at the bytes too
        (data_url("image/heic", b"what nobody here knows"), False),
        ("https://example.com/a.png", True),
        ("gs://bucket/a.png", True),
    ],
)
def test_nothing_is_known_against_these(url: str, *, fetched: bool) -> None:
    assert image_problem(part(url)) is None
    assert image_problem({"type": "image_url", "image_url": url}) is None
    assert is_fetched(part(url)) is fetched
