"""The proxy that the environment names for a URL, if there is one; its password stays in a `Secret`."""

import os
import urllib.request
from dataclasses import dataclass
from urllib.parse import urlsplit

from pytest_rightsize.providers.secret_texts import Secret

__all__ = ["Proxy", "ProxyError", "proxy_for"]


class ProxyError(Exception):
    """The proxy that the environment names cannot be used; the message names the variable and repeats no value."""


@dataclass(frozen=True, kw_only=True)
class Proxy:
    """A proxy's URL, which may hold a password, and the variable it stands in."""

    url: Secret
    variable: str


def proxy_for(url: str) -> Proxy | None:
    """The proxy by HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY; raises ProxyError for one that cannot be used.

    Read once, as aiohttp would read them for every request. Like curl it takes `host:port` for a proxy of HTTP.
    """
    parts = urlsplit(url)
    if urllib.request.proxy_bypass(parts.hostname or ""):
        return None
    schemes = [scheme for scheme in (parts.scheme, "all") if urllib.request.getproxies().get(scheme)]
    if not schemes:
        return None
    value = Secret(urllib.request.getproxies()[schemes[0]])
    names = (f"{schemes[0]}_proxy", f"{schemes[0]}_proxy".upper())
    variable = next((name for name in names if os.environ.get(name)), "the system")
    if "://" not in value.reveal():
        value = Secret(f"http://{value.reveal()}")
    kind = value.reveal().partition("://")[0].lower()
    if kind not in ("http", "https"):
        raise ProxyError(f"the proxy in {variable} is one of {kind}, and only those of http are known: set another")
    return Proxy(url=value, variable=variable)
