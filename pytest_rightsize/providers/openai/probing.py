"""Asks an OpenAI-compatible endpoint for its list of models, to tell whether it would answer.

A URL, a key and a model's name come in, a Problem or None goes out; no model is called, so that it costs nothing.
"""

import json
from difflib import get_close_matches
from typing import Any
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener

from pytest_rightsize.providers import Problem

__all__ = ["probe_models"]

_TIMEOUT_S = 10.0
# Many servers have no such list, and answer requests all the same.
_NO_LIST = (404, 405, 501)


class _NoRedirects(HTTPRedirectHandler):
    """Refuses redirects: one would carry the key to a host that the ladder file does not name."""

    def redirect_request(self, *_: Any) -> None:
        """Follow none; the status is then reported."""


def probe_models(base_url: str, *, key: str, model: str, display_url: str, local_only: bool) -> Problem | None:
    """The reason why the endpoint at `base_url` would not answer for `model`, or None.

    The key appears in no text, and the endpoint is called `display_url` there. With `local_only` no proxy is used.
    """
    url = f"{display_url}/models"
    request = Request(f"{base_url}/models", headers={"Authorization": f"Bearer {key}"} if key else {})
    opener = build_opener(_NoRedirects, *([ProxyHandler({})] if local_only else []))
    try:
        with opener.open(request, timeout=_TIMEOUT_S) as response:
            listing = json.load(response)
        names = [str(entry["id"]) for entry in listing["data"]]
    except HTTPError as error:
        return _refused(url, error.code)
    except (KeyError, TypeError):
        return None
    except (OSError, ValueError) as error:
        reason = str(getattr(error, "reason", error))
        return Problem(
            what=f"{url} does not answer ({reason.replace(key, '***') if key else reason})",
            remedy="start the server, or correct base_url",
        )
    if not names or model in names:
        return None
    nearest = get_close_matches(model, names, n=3, cutoff=0.3) or names[:3]
    return Problem(what=f"{url} lists no model {model!r}", remedy=f"correct model: it has {', '.join(nearest)}")


def _refused(url: str, status: int) -> Problem | None:
    if status in _NO_LIST:
        return None
    if status in (401, 403):
        return Problem(
            what=f"{url} refuses the key", remedy="name the variable with a key that it takes in api_key_env"
        )
    return Problem(what=f"{url} answers with status {status}", remedy="look at the server's log, and try again")
