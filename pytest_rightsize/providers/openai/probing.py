"""Asks an OpenAI-compatible endpoint for its list of models, to tell whether it would answer.

A URL, a key and a model's name come in, a Problem or None goes out; no model is called, so that it costs nothing.
"""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, OpenerDirector, ProxyHandler, Request, build_opener

from pytest_rightsize.providers import Problem
from pytest_rightsize.providers.bounded_bodies import read_plain_body
from pytest_rightsize.providers.openai.connections import ProxyError, proxy_for
from pytest_rightsize.providers.openai.endpoint_urls import address_below, lacks_version, masked, without_secrets
from pytest_rightsize.strict_json import loads

__all__ = ["probe_models"]

_TIMEOUT_S = 10.0
# Many servers have no such list, and answer requests all the same.
_NO_LIST = (404, 405, 501)


class _NoRedirects(HTTPRedirectHandler):
    """Refuses redirects: one would carry the key to a host that the ladder file does not name."""

    def redirect_request(self, *_: Any) -> None:
        """Follow none; the status is then reported."""


def probe_models(base_url: str, *, headers: Mapping[str, str], model: str, local_only: bool) -> Problem | None:
    """The reason why the endpoint at `base_url` would not answer for `model`, or None.

    `headers` have the key, which appears in no text. With `local_only` no proxy is used.
    """
    address = without_secrets(address_below(base_url, "models"))
    try:
        proxy = None if local_only else proxy_for(base_url)
    except ProxyError as error:
        return Problem(what=f"{address} cannot be reached: {error}", remedy="set the variable, or NO_PROXY")
    proxies = {} if proxy is None else {urlsplit(base_url).scheme: proxy.url}
    opener = build_opener(_NoRedirects, ProxyHandler(proxies))
    try:
        names = _names(opener, address_below(base_url, "models"), headers)
    except HTTPError as error:
        if error.code in _NO_LIST and lacks_version(base_url) and _has_list(opener, base_url, headers):
            base = without_secrets(base_url)
            return Problem(what=f"{base} lacks /v1", remedy=f"set base_url to {base}/v1")
        return _refused(address, error.code)
    except (KeyError, TypeError):
        return None
    except (OSError, ValueError) as error:
        reason = masked(str(getattr(error, "reason", error)), _secrets(headers))
        return Problem(what=f"{address} does not answer ({reason})", remedy="start the server, or correct base_url")
    if not names or any(_is_same(model, name) for name in names) or _takes_any_name(names):
        return None
    nearest = get_close_matches(model, names, n=3, cutoff=0.3) or names[:3]
    return Problem(what=f"{address} lists no model {model!r}", remedy=f"correct model: it has {', '.join(nearest)}")


def _names(opener: OpenerDirector, url: str, headers: Mapping[str, str]) -> list[str]:
    """The names in the list; raises KeyError or TypeError where it has another form."""
    with opener.open(Request(url, headers=dict(headers)), timeout=_TIMEOUT_S) as response:
        listing = loads(read_plain_body(response))
    return [str(entry["id"]) for entry in listing["data"]]


def _has_list(opener: OpenerDirector, base_url: str, headers: Mapping[str, str]) -> bool:
    """Whether there is a list below /v1."""
    try:
        return bool(_names(opener, address_below(base_url, "v1/models"), headers))
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _secrets(headers: Mapping[str, str]) -> list[str]:
    return [value.removeprefix("Bearer ") for value in headers.values()]


def _is_same(model: str, listed: str) -> bool:
    """Whether a name means the listed model.

    Ollama lists `llama3:latest` for `llama3`, Gemini `models/gemini-..`; what follows a colon at OpenRouter is a way to
    route, and is not listed.
    """
    asked, known = model.removeprefix("models/"), listed.removeprefix("models/")
    return asked == known or f"{asked}:latest" == known or ("/" in asked and asked.partition(":")[0] == known)


def _takes_any_name(names: Sequence[str]) -> bool:
    """Whether this is a server of one model, which lists its file and takes any name, as llama-server does."""
    return len(names) == 1 and (names[0].endswith(".gguf") or names[0].startswith(("/", "./")))


def _refused(url: str, status: int) -> Problem | None:
    if status in _NO_LIST:
        return None
    if status in (401, 403):
        return Problem(
            what=f"{url} refuses the key", remedy="name the variable with a key that it takes in api_key_env"
        )
    return Problem(what=f"{url} answers with status {status}", remedy="look at the server's log, and try again")
