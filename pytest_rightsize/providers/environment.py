"""Environment variables as the user set them, also while this session has set some for the application under test.

With `[app] serve`, variables such as OPENAI_BASE_URL name this session's own endpoint, and OPENAI_API_KEY may hold a
dummy. A rung must see neither: its key would not be the user's, and it would ask itself. So providers, and whatever
else reads the user's settings, look variables up here and not in `os.environ`.

What a variable holds that is named as those of keys are, or that somebody has read by `secret_variable`, is known as a
secret, as are passwords in URLs: `known_secrets` is to be masked wherever words of others are shown.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from urllib.parse import urlsplit

from pytest_rightsize.providers.locality import host_of, is_this_machine
from pytest_rightsize.providers.secret_texts import Mask, Secret, is_secret, secrets_in_url

__all__ = [
    "error_words",
    "is_own_endpoint",
    "known_secrets",
    "replace_variables",
    "secret_variable",
    "user_variable",
]

# Variables that were read as secrets, whatever their names.
_read_as_secrets: set[str] = set()
# A shorter value of a variable that nobody has read as a secret is a word such as `true`.
_SHORTEST_GUESSED = 8
# The mask for one state of the environment.
_masks: dict[object, Mask] = {}
# Where pytest says which test runs, and its name as the environment holds it.
_TEST = "PYTEST_CURRENT_TEST"
_THE_TEST = getattr(os.environ, "encodekey", str)(_TEST)

# What was set in place of each variable, and what stood there before; None where it was not set.
_replaced: dict[str, tuple[str, str | None]] = {}
# The ports of this process's own endpoints.
_ports: set[int] = set()


def user_variable(name: str) -> str | None:
    """The variable as the user set it, or None where it is not set.

    What somebody set after this session did (a conftest.py, a test) counts as the user's.
    """
    value = os.environ.get(name)
    replaced = _replaced.get(name)
    return replaced[1] if replaced is not None and replaced[0] == value else value


def secret_variable(name: str) -> Secret | None:
    """The same for a variable with a key, or with a URL that may hold one; from now on it is known as a secret."""
    if name:
        _read_as_secrets.add(name)
    value = user_variable(name)
    return None if value is None else Secret(value)


def known_secrets() -> Mask:
    """A mask for all secrets that this process has in its environment now."""
    # As it holds them: to decode all of them takes as long as to make the report of a test.
    held: Mapping[object, object] = getattr(os.environ, "_data", os.environ)  # type: ignore[arg-type]  # names and values
    variables = {**held}
    variables.pop(_THE_TEST, None)  # another one in each phase of each test, and hardly ever with a secret
    state = (tuple(variables.items()), tuple(_secrets_of(_TEST)), frozenset(_read_as_secrets), *_replaced.items())
    if state not in _masks:
        _masks.clear()
        _masks[state] = Mask(secret for name in [*os.environ] for secret in _secrets_of(name))
    return _masks[state]


def error_words(error: BaseException) -> str:
    """The kind and the text of a library's error, on one line and without secrets."""
    return f"{type(error).__name__}: {known_secrets().words(' '.join(str(error).split()))}"


def _secrets_of(name: str) -> Sequence[Secret]:
    return _secrets_in(name, user_variable(name) or "", is_known=name in _read_as_secrets)


@lru_cache(maxsize=1000)
def _secrets_in(name: str, value: str, *, is_known: bool) -> Sequence[Secret]:
    if "://" in value or "@" in value:
        return secrets_in_url(value if "://" in value else f"http://{value}")
    if is_known:
        return [Secret(value)]
    is_path = "/" in value[:2]
    return [Secret(value)] if is_secret(name) and len(value) >= _SHORTEST_GUESSED and not is_path else []


def replace_variables(values: Mapping[str, str], *, port: int) -> Callable[[], None]:
    """Set variables of this process for the application under test; returns the function that undoes it.

    `port` is that of the endpoint on this machine that they name. Undoing leaves alone what somebody set since.
    """
    before = {name: user_variable(name) for name in values}
    covered = {name: _replaced.get(name) for name in values}
    for name, value in values.items():
        _replaced[name] = (value, before[name])
        os.environ[name] = value
    _ports.add(port)
    undone = False

    def undo() -> None:
        nonlocal undone
        if undone:
            return
        undone = True
        for name, value in values.items():
            earlier = covered[name]
            if os.environ.get(name) == value:
                _restore(name, before[name] if earlier is None else earlier[0])
            if earlier is None:
                _replaced.pop(name, None)
            else:
                _replaced[name] = earlier
        _ports.discard(port)

    return undo


def _restore(name: str, value: str | None) -> None:
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value


def is_own_endpoint(url: str) -> bool:
    """Whether the URL is that of an endpoint that this process serves: a rung there would ask itself for ever."""
    if not _ports:
        return False
    host = host_of(url)
    return host is not None and urlsplit(url).port in _ports and is_this_machine(host)
