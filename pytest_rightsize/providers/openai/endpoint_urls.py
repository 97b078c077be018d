"""URLs of an endpoint, to ask and not to show; pure."""

from urllib.parse import urlsplit, urlunsplit

__all__ = ["CHAT", "address_below", "lacks_version"]

CHAT = "chat/completions"


def address_below(base_url: str, name: str = CHAT) -> str:
    """The URL of `name` below the base: a query, as Azure's `api-version`, stays at the end.

    A base that already ends in `chat/completions` is taken as it is meant.
    """
    parts = urlsplit(base_url)
    path = parts.path.rstrip("/").removesuffix(f"/{CHAT}")
    return urlunsplit((parts.scheme, parts.netloc, f"{path}/{name}", parts.query, ""))


def lacks_version(base_url: str) -> bool:
    """Whether the URL has no path, where nearly all servers have `/v1`."""
    return urlsplit(base_url).path.strip("/") == ""
