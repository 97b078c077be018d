"""Asks an OpenAI-compatible endpoint for its list of models, to tell whether it would answer.

A URL, a key and a model's name come in, a Problem or None goes out; no model is called, so that it costs nothing.
"""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches

from pytest_rightsize.providers import Problem
from pytest_rightsize.providers.openai.endpoint_urls import address_below, lacks_version
from pytest_rightsize.providers.plain_http import FetchError, fetch
from pytest_rightsize.providers.secret_texts import Secret, shown_url
from pytest_rightsize.strict_json import loads

__all__ = ["probe_models"]

_TIMEOUT_S = 10.0
# Many servers have no such list, and answer requests all the same.
_NO_LIST = (404, 405, 501)


def probe_models(base_url: str, *, headers: Mapping[str, Secret], model: str, local_only: bool) -> Problem | None:
    """The reason why the endpoint at `base_url` would not answer for `model`, or None.

    `headers` have the key, which appears in no text. With `local_only` no proxy is used.
    """
    address = shown_url(address_below(base_url, "models"))
    try:
        names = _names(address_below(base_url, "models"), headers, local_only=local_only)
    except FetchError as error:
        if error.status in _NO_LIST and lacks_version(base_url) and _has_list(base_url, headers, local_only=local_only):
            base = shown_url(base_url)
            return Problem(what=f"{base} lacks /v1", remedy=f"set base_url to {base}/v1")
        return _refused(address, error)
    except (KeyError, TypeError):
        return None
    except ValueError:
        return Problem(what=f"{address} answers what is no JSON", remedy="correct base_url")
    if not names or any(_is_same(model, name) for name in names) or _takes_any_name(names):
        return None
    nearest = get_close_matches(model, names, n=3, cutoff=0.3) or names[:3]
    return Problem(what=f"{address} lists no model {model!r}", remedy=f"correct model: it has {', '.join(nearest)}")


def _names(url: str, headers: Mapping[str, Secret], *, local_only: bool) -> list[str]:
    """The names in the list; raises KeyError or TypeError where it has another form, ValueError where it is no JSON."""
    listing = loads(fetch(Secret(url), headers=headers, local_only=local_only, timeout_s=_TIMEOUT_S))
    return [str(entry["id"]) for entry in listing["data"]]


def _has_list(base_url: str, headers: Mapping[str, Secret], *, local_only: bool) -> bool:
    """Whether there is a list below /v1."""
    try:
        return bool(_names(address_below(base_url, "v1/models"), headers, local_only=local_only))
    except (FetchError, ValueError, KeyError, TypeError):
        return False


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


def _refused(url: str, error: FetchError) -> Problem | None:
    if error.status in _NO_LIST:
        return None
    if error.status in (401, 403):
        return Problem(
            what=f"{url} refuses the key", remedy="name the variable with a key that it takes in api_key_env"
        )
    if error.status:
        return Problem(what=f"{url} {error}", remedy="look at the server's log, and try again")
    return Problem(what=f"{url} {error}", remedy="start the server, or correct base_url")
