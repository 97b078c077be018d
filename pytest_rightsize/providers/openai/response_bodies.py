"""Reads the body of a response, up to a limit: an endpoint may send more than fits into memory, and compress it well.

Then it is parsed as JSON in the encoding that its header names.
"""

from typing import Any

from pytest_rightsize.records import Json
from pytest_rightsize.strict_json import loads

__all__ = ["DEFAULT_LIMIT_MB", "TooLargeError", "json_of", "read_body"]

DEFAULT_LIMIT_MB = 32.0


class TooLargeError(Exception):
    """The body, decompressed, is larger than the limit; what was read of it is dropped."""


async def read_body(response: Any, limit_bytes: float) -> bytes:
    """The body of an `aiohttp.ClientResponse`, decompressed as it comes; raises TooLargeError."""
    parts: list[bytes] = []
    size = 0
    async for part in response.content.iter_any():
        size += len(part)
        if size > limit_bytes:
            response.close()  # the rest is not fetched
            raise TooLargeError
        parts.append(part)
    return b"".join(parts)


def json_of(content: bytes, content_type: str) -> Json:
    """The JSON of an answer, in the encoding that it says; RFC 8259 wants UTF-8."""
    charset = content_type.lower().partition("charset=")[2].strip("\"' ;")
    if charset in ("", "utf-8", "utf8"):
        return loads(content)
    try:
        return loads(content.decode(charset))
    except LookupError:
        return loads(content)
