"""Where an application's calls would go by its environment, and variables that lead them past an endpoint here.

Each variable that names a vendor's address leads to a path of its own at the endpoint, `/to/VARIABLE`, so that a call
is passed on to the very address that the application would have called.
"""

from collections.abc import Mapping
from urllib.parse import urlsplit

from pytest_rightsize.errors import ConfigError, unknown_name
from pytest_rightsize.served.variables import DUMMY_KEY, variables, with_keys

__all__ = ["detour", "target", "upstreams"]

_PREFIX = "/to/"
_OLLAMA_PORT = 11434
# Variables of one vendor stand in for each other; without any of them its SDKs call this address. Of the others
# there is none: they count only where they are set.
_VENDORS: tuple[tuple[tuple[str, ...], str | None], ...] = (
    (("OPENAI_BASE_URL", "OPENAI_API_BASE"), "https://api.openai.com/v1"),
    (("ANTHROPIC_BASE_URL", "ANTHROPIC_API_BASE"), "https://api.anthropic.com"),
    (("OLLAMA_HOST", "OLLAMA_API_BASE"), f"http://127.0.0.1:{_OLLAMA_PORT}"),
    (("GOOGLE_GEMINI_BASE_URL",), "https://generativelanguage.googleapis.com"),
    (("GEMINI_API_BASE",), "https://generativelanguage.googleapis.com/v1beta"),
    (("GROQ_BASE_URL",), "https://api.groq.com"),
)


def upstreams(environment: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    """The address behind each variable: as `given`, else as in the environment, else its vendor's.

    Raises ConfigError for a variable that no SDK reads, or an address that is none.
    """
    known = variables("")
    for name in given:
        if name not in known:
            raise unknown_name("--upstream", name, known, noun="variable")
    found: dict[str, str] = {}
    for name in known:
        siblings, vendor = next(((names, url) for names, url in _VENDORS if name in names), ((name,), None))
        places = (given.get(name), environment.get(name), *map(given.get, siblings), *map(environment.get, siblings))
        address = next(filter(None, places), vendor)
        if address:
            found[name] = _url(name, address)
    return found


def detour(root: str, addresses: Mapping[str, str], environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that lead a process to the endpoint at `root`; its keys stay what they are."""
    all_of_them = with_keys(root, environment)
    proxies = {name: value for name, value in all_of_them.items() if name not in variables(root) and value != DUMMY_KEY}
    return {**proxies, **{name: variables(f"{root}{_PREFIX}{name}")[name] for name in addresses}}


def target(path: str, addresses: Mapping[str, str]) -> str | None:
    """The address for a path at the endpoint, with its query; None where it leads nowhere."""
    name, _, rest = path.removeprefix(_PREFIX).partition("/")
    if not path.startswith(_PREFIX) or name not in addresses:
        return None
    suffix = variables("")[name].removeprefix("/")
    base, _, base_query = addresses[name].partition("?")
    rest, _, query = rest.removeprefix(suffix).partition("?")
    queries = "&".join(filter(None, (base_query, query)))
    return f"{base.rstrip('/')}/{rest.lstrip('/')}{'?' if queries else ''}{queries}"


def _url(name: str, address: str) -> str:
    """The address as a URL: Ollama's may be no more than a host."""
    if name.startswith("OLLAMA") and "://" not in address:
        address = f"http://{address}"
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        is_shown = not {"@", "?"} & {*address}  # a password may be in it
        what = f"{name} is {address!r}, which is no address" if is_shown else f"{name} holds no address"
        raise ConfigError(f"{what}: give one that begins with http:// or https://")
    if name == "OLLAMA_HOST" and parts.port is None and parts.scheme == "http":
        host = parts.hostname.replace("0.0.0.0", "127.0.0.1")
        return parts._replace(netloc=f"{host}:{_OLLAMA_PORT}").geturl()
    return address
