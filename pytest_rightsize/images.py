"""Tells what an image of a message is, from its first bytes: its format, width and height; pure, nothing is decoded.

A part of a message comes in, out goes what is wrong with it. What another format is, nobody here knows.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass

from pytest_rightsize.part_data import data_of_url
from pytest_rightsize.records import Json

__all__ = [
    "FORMATS",
    "LARGEST_BYTES",
    "MOST_PIXELS",
    "ImageSize",
    "image_format",
    "image_problem",
    "image_size",
    "image_url",
    "is_fetched",
]

LARGEST_BYTES = 20_000_000
"""The largest image that is sent; vendors take 5 MB to 20 MB."""
MOST_PIXELS = 64_000_000
"""The largest image that is decoded, here or by a browser: a small file may say that it is a picture of gigabytes."""
FORMATS = ("gif", "jpeg", "png", "webp")
"""The formats of pixels that every vendor takes; none of them can hold a script."""
_FIRST_BYTES = {b"\x89PNG\r\n\x1a\n": "png", b"\xff\xd8\xff": "jpeg", b"GIF87a": "gif", b"GIF89a": "gif"}
# Marks of JPEG before which no size stands: those without a length, and those that begin with C and have none.
_NO_SIZE = {0xC4, 0xC8, 0xCC}
# Before the size of a JPEG may stand what a camera wrote.
_LONGEST_HEADER = 2**22
_MEND = "give the image itself, as image_part(FILE) does"
_SHOWN_CHARACTERS = 60


@dataclass(frozen=True, kw_only=True)
class ImageSize:
    """Width and height in pixels."""

    width: int
    height: int


def image_format(data: bytes) -> str | None:
    """One of `FORMATS`, by the first bytes; None for anything else.

    >>> image_format(b"GIF89a..."), image_format(b"<svg>")
    ('gif', None)
    """
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    return next((name for start, name in _FIRST_BYTES.items() if data.startswith(start)), None)


def image_size(data: bytes) -> ImageSize | None:
    """Width and height of a PNG, GIF, JPEG or WebP, as its header says; None where that is not known."""
    kind = image_format(data)
    try:
        pair = {"png": _png, "gif": _gif, "jpeg": _jpeg, "webp": _webp}[kind](data) if kind else None
    except (struct.error, IndexError):
        return None
    return None if pair is None else ImageSize(width=pair[0], height=pair[1])


def _png(data: bytes) -> tuple[int, int]:
    width, height = struct.unpack_from(">II", data, 16)
    return width, height


def _gif(data: bytes) -> tuple[int, int]:
    width, height = struct.unpack_from("<HH", data, 6)
    return width, height


def _jpeg(data: bytes) -> tuple[int, int] | None:
    at, data = 2, data[:_LONGEST_HEADER]
    while data[at] == 0xFF:
        mark = data[at + 1]
        if 0xC0 <= mark <= 0xCF and mark not in _NO_SIZE:
            height, width = struct.unpack_from(">HH", data, at + 5)
            return width, height
        at += 1 if mark == 0xFF else 2 + int(struct.unpack_from(">H", data, at + 2)[0])
    return None


def _webp(data: bytes) -> tuple[int, int] | None:
    if data[12:16] == b"VP8X":
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if data[12:16] == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    if data[12:16] == b"VP8L":
        bits = int(struct.unpack_from("<I", data, 21)[0])
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    return None


def image_url(part: Mapping[str, Json]) -> str | None:
    """The URL of an image part; None where it has none."""
    inner = part.get("image_url")
    url = inner.get("url") if isinstance(inner, Mapping) else inner
    return url if isinstance(url, str) and url else None


def is_fetched(part: Mapping[str, Json]) -> bool:
    """Whether an endpoint has to fetch the image from elsewhere."""
    return not (image_url(part) or "").lower().startswith("data:")


def image_problem(part: Mapping[str, Json]) -> str | None:
    """Why no rung can be asked with the image, and what to do; None where nothing is known against it."""
    url = image_url(part)
    if url is None:
        return f"an image of the message has no URL: {_MEND}"
    scheme = url.partition(":")[0].lower()
    if scheme != "data":
        is_known = scheme in ("http", "https", "gs", "s3") and "://" in url
        return None if is_known else f"an image of the message has the URL {_shown(url)}, which is not fetched: {_MEND}"
    data = data_of_url(url)
    if data is None:
        return f"an image of the message has a URL whose data is not valid base64, {_head(url)}: {_MEND}"
    return _data_problem(data.data, data.media_type)


def _data_problem(data: bytes, media_type: str) -> str | None:
    if not data:
        return f"an image of the message is empty: {_MEND}"
    if len(data) > LARGEST_BYTES:
        return (
            f"an image of the message has {len(data):,} bytes, and {LARGEST_BYTES:,} bytes is the most that is sent: "
            f"make it smaller"
        )
    family, _, kind = media_type.partition("/")
    if family not in ("image", ""):
        return f"an image of the message has the type {media_type}, which is not a type of images: {_MEND}"
    if kind.replace("jpg", "jpeg") in (*FORMATS, "") and image_format(data) is None:
        return (
            f"an image of the message says that it is {media_type or 'an image'}, but it begins with {data[:8]!r}: "
            f"give a {', '.join(FORMATS[:-1])} or {FORMATS[-1]} file"
        )
    return None


def _head(url: str) -> str:
    """What a data URL says of its data, without that: nobody wants it in a report."""
    return _shown(f"{url.partition(',')[0]},...")


def _shown(url: str) -> str:
    return repr(url if len(url) <= _SHOWN_CHARACTERS else f"{url[:_SHOWN_CHARACTERS]}...")
