"""URLs of an endpoint: those to ask, and those to show, without any part that may be a secret; pure."""

import re
from collections.abc import Iterable
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from pytest_rightsize.providers.locality import host_of

__all__ = ["address_below", "holds_secret", "is_secret", "lacks_version", "masked", "without_secrets"]

# Names of headers and parameters that hold a key.
_SECRET = re.compile(r"auth|key|token|secret|cookie|signature|\bsig\b", re.IGNORECASE)
# Names such as max_tokens hold a number.
_COUNT = re.compile(r"tokens$", re.IGNORECASE)
_CHAT = "chat/completions"


def is_secret(name: str) -> bool:
    """Whether a header or a parameter of this name holds a key."""
    return bool(_SECRET.search(name)) and not _COUNT.search(name)


def holds_secret(url: str) -> bool:
    """Whether the URL itself contains a user name, a password or a key."""
    parts = urlsplit(url)
    return "@" in parts.netloc or any(_SECRET.search(name) for name, _ in parse_qsl(parts.query))


def without_secrets(url: str) -> str:
    """The URL to show and to tell endpoints apart by."""
    if host_of(url) is None:
        return "what is no URL"
    parts = urlsplit(url)
    query = urlencode([(name, value) for name, value in parse_qsl(parts.query) if not _SECRET.search(name)])
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path.rstrip("/"), query, ""))


def address_below(base_url: str, name: str = _CHAT) -> str:
    """The URL of `name` below the base: a query, as Azure's `api-version`, stays at the end.

    A base that already ends in `chat/completions` is taken as it is meant.
    """
    parts = urlsplit(base_url)
    path = parts.path.rstrip("/").removesuffix(f"/{_CHAT}")
    return urlunsplit((parts.scheme, parts.netloc, f"{path}/{name}", parts.query, ""))


def lacks_version(base_url: str) -> bool:
    """Whether the URL has no path, where nearly all servers have `/v1`."""
    return urlsplit(base_url).path.strip("/") == ""


def masked(text: str, secrets: Iterable[str]) -> str:
    """The text without the secrets, without passwords in URLs, and without what follows `Bearer`."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, "***")
    text = re.sub(r"(?<=://)[^/@\s]+@", "***@", text)
    return re.sub(r"(?i)\b(bearer|basic) [\w.~+/=-]{8,}", r"\1 ***", text)
