"""Whether an OpenAI-compatible endpoint would answer, by asking for its list of models: that costs nothing."""

import json
from difflib import get_close_matches
from typing import Any
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener

from pytest_rightsize.providers import Problem

__all__ = ["probe_models"]

_PATIENCE_S = 10.0
# Many servers have no such list, and answer all the same.
_NO_LIST = (404, 405, 501)


class _Stay(HTTPRedirectHandler):
    """A redirect would carry the key to a host that nobody has named."""

    def redirect_request(self, *_: Any) -> None:
        """Follow none; the status is then told."""


def probe_models(base_url: str, *, key: str, model: str, shown: str, stays: bool) -> Problem | None:
    """What keeps the endpoint at `base_url` from answering for `model`, or None.

    The key appears in no text, and the endpoint as `shown`. One that `stays` on this machine is asked through no proxy.
    """
    url = f"{shown}/models"
    request = Request(f"{base_url}/models", headers={"Authorization": f"Bearer {key}"} if key else {})
    opener = build_opener(_Stay, *([ProxyHandler({})] if stays else []))
    try:
        with opener.open(request, timeout=_PATIENCE_S) as said:
            listed = json.load(said)
        names = [str(one["id"]) for one in listed["data"]]
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
    near = get_close_matches(model, names, n=3, cutoff=0.3) or names[:3]
    return Problem(what=f"{url} lists no model {model!r}", remedy=f"correct model: it has {', '.join(near)}")


def _refused(url: str, status: int) -> Problem | None:
    if status in _NO_LIST:
        return None
    if status in (401, 403):
        return Problem(
            what=f"{url} refuses the key", remedy="name the variable with a key that it takes in api_key_env"
        )
    return Problem(what=f"{url} answers with status {status}", remedy="look at the server's log, and try again")
