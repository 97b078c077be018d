"""Reads the body of an HTTP response up to a limit: a server may send more than fits into memory."""

from typing import Any

__all__ = ["DEFAULT_LIMIT_MB", "TooLargeError", "read_body", "read_plain_body"]

DEFAULT_LIMIT_MB = 32.0


class TooLargeError(ValueError):
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


def read_plain_body(response: Any, limit_bytes: float = DEFAULT_LIMIT_MB * 1e6) -> bytes:
    """The body of a response of `urllib.request`, which asks for none that is compressed; raises TooLargeError."""
    body: bytes = response.read(int(limit_bytes) + 1)
    if len(body) > limit_bytes:
        raise TooLargeError(f"it sends more than {limit_bytes / 1e6:g} MB")
    return body
