"""Refuses what a page in a browser sends to the endpoint: only programs of this machine may ask. Pure."""

from collections.abc import Mapping

__all__ = ["why_foreign"]

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})


def why_foreign(headers: Mapping[str, str]) -> str | None:
    """Why a request is refused, or None: a web page sends it, or it was sent to a name that is made to point here."""
    origin = headers.get("Origin")
    if origin is not None:
        return f"a web page of {origin} asks: only programs of this machine are answered"
    host = headers.get("Host", "")
    name = host if host.endswith("]") else host.rpartition(":")[0] or host
    if name.lower() not in _LOOPBACK:
        return f"the host {host!r} is not this machine: ask 127.0.0.1"
    return None
