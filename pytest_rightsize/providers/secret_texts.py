"""Secrets in memory and in texts: a wrapper that shows nothing, URLs to show, and texts with `***` for secrets; pure.

Whatever shows a URL to people or writes it to a file calls `shown_url`. Whatever passes on words of others that may
repeat a secret has a `Mask` put `***` in its place, in each form in which servers and libraries write such words.
"""

import base64
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from html import escape
from typing import Any
from urllib.parse import unquote, urlsplit

from pytest_rightsize.records import Json

__all__ = [
    "MASKED",
    "Mask",
    "Secret",
    "basic_authorization",
    "holds_secret",
    "is_secret",
    "literal_secret",
    "secrets_in_url",
    "shown_place",
    "shown_url",
    "without_likely_secrets",
    "without_userinfo",
]

MASKED = "***"
# Names of headers, parameters and variables that hold a key, in lower case and with `_` between words.
_SECRET = re.compile(
    r"auth(?!or(?!iz))|token|secret|cookie|signature|credential|passw|passphrase|bearer|jwt|apikey|accesskey"
    r"|(?<![a-z])(keys?|pwd|pass|sig|sas|pat)(?![a-z])"
)
# Names such as max_tokens hold a number, or a list of them.
_NO_SECRET = re.compile(r"tokens$|tokens?_ids?|tokenizer|cache_key$|(stop|end|start|eos|bos|pad|unk|mask|sep)_token$")
# Keys of known vendors by their beginning, and whatever is as long and as random as a key.
_LOOKS_SECRET = re.compile(
    r"(sk|pk|rk|gsk|xai|hf|gh[pousr]|github_pat|glpat|xox[abprs]|AIza|AKIA|ASIA|eyJ)[-_]?[\w.-]{12,}"
    r"|(?=[A-Za-z]*\d)(?=\d*[A-Za-z])[A-Za-z0-9]{28,}"
)
# What follows `Basic` is base64, unlike in "basic arithmetic".
_BASIC = re.compile(r"\b((?i:bearer)|(?i:basic)(?= \S*(?:[0-9=]|[a-z][A-Z]))) [\w.~+/=-]{8,}")
# A shorter word is in many texts by chance.
_SHORTEST = 4


class Secret:
    """A text that no `repr`, `str` or format shows, and that is not pickled; `reveal` returns it.

    Local variables hold secrets in this form only: pytest shows the variables of each frame with `--showlocals`.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text. Pass it on at once: a variable that holds it may be shown."""
        return self._text

    def __repr__(self) -> str:
        return MASKED

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __reduce__(self) -> Any:
        """Refuse to be written down."""
        raise TypeError("a secret is not pickled")


# --- names and URLs ---------------------------------------------------------------------------------------------------


@lru_cache(maxsize=1_000)
def is_secret(name: str) -> bool:
    """Whether a header, a parameter or a variable of this name holds a key."""
    words = re.sub(r"[\W_]+", "_", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name)).lower()
    return bool(_SECRET.search(words)) and not _NO_SECRET.search(words)


def _is_secret_part(name: str, value: str) -> bool:
    """Whether a parameter of a URL is not to be shown; `code` is that of OAuth, or a key of Azure's functions."""
    return is_secret(name) or name.lower() == "code" or _LOOKS_SECRET.fullmatch(value) is not None


def _queries(query: str) -> Iterator[tuple[str, str, str]]:
    """Each parameter of a query as it stands, with its name and its value decoded."""
    for part in re.split("[&;]", query):
        name, _, value = part.partition("=")
        if value:
            yield part, unquote(name), unquote(value)


def holds_secret(url: str) -> bool:
    """Whether the URL itself contains a user name, a password or a key."""
    return shown_url(url) != shown_url(url, keeping=True)


def shown_url(url: str, *, keeping: bool = False) -> str:
    """The URL to show and to tell endpoints apart by: without user, password, fragment and what looks like a key.

    With `keeping` nothing secret is left out. A text that is no URL is not repeated, as a key may be in it.
    """
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises ValueError for an invalid one
    except ValueError:
        return "what is no URL"
    if not parts.hostname or not parts.scheme:
        return "what is no URL"
    host, path, query = parts.netloc, parts.path.rstrip("/"), list(_queries(parts.query))
    if not keeping:
        path = "/".join(MASKED if _LOOKS_SECRET.fullmatch(unquote(part)) else part for part in path.split("/"))
        if parts.port is not None and "@" not in host and "@" in path:
            path = f"/{MASKED}"  # the password began with digits and a slash
        host = host.rpartition("@")[2]
        query = [(part, name, value) for part, name, value in query if not _is_secret_part(name, value)]
    shown = "&".join(part for part, _, _ in query)
    return f"{parts.scheme}://{host}{path}{'?' if shown else ''}{shown}"


def shown_place(location: str) -> str:
    """Where a redirect leads, to show: a path of the same server, or a URL; without its query."""
    if location.startswith("/") and not location.startswith("//"):
        return re.split("[?#;]", location)[0]
    return shown_url(location).partition("?")[0] if location else "no place"


def without_userinfo(url: str) -> str:
    """The URL without user and password, and with everything else: to ask, and not to show."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def basic_authorization(url: Secret) -> Secret | None:
    """The value of the header `Authorization` for the user and the password in the URL; None where there are none."""
    user, _, password = urlsplit(url.reveal()).netloc.rpartition("@")[0].partition(":")
    if not user and not password:
        return None
    return Secret(f"Basic {base64.b64encode(f'{unquote(user)}:{unquote(password)}'.encode()).decode()}")


def secrets_in_url(url: str) -> list[Secret]:
    """What of a URL is not to be seen elsewhere either: its password, or a user without one, and the keys in it."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return []
    user, _, password = parts.netloc.rpartition("@")[0].partition(":")
    found = [password or user, unquote(password or user)]
    if password:  # as the header `Authorization: Basic` has them
        found.append(f"{unquote(user)}:{unquote(password)}")
    found += [value for _, name, value in _queries(parts.query) if _is_secret_part(name, value)]
    found += [part for part in unquote(parts.path).split("/") if _LOOKS_SECRET.fullmatch(part)]
    return [Secret(text) for text in dict.fromkeys(found) if text]


def literal_secret(value: Json, *, name: str = "") -> str | None:
    """The name of a key, at any depth, under which a literal secret stands; None where there is none.

    That is a text under a name such as `api_key`, or a URL with a password or a key in it.
    """
    if isinstance(value, Mapping):
        found = (literal_secret(each, name=str(key)) for key, each in value.items())
        return next((one for one in found if one is not None), None)
    if isinstance(value, list | tuple):
        found = (literal_secret(each, name=name) for each in value)
        return next((one for one in found if one is not None), None)
    if not isinstance(value, str) or not value:
        return None
    is_reference = name.endswith(("_env", "_header"))  # the name of a variable, or of a header
    is_url = "://" in value and holds_secret(value)
    return name if is_url or (is_secret(name) and not is_reference) else None


def without_likely_secrets(text: str) -> str:
    """The text without what looks like a key, a password in a URL or a header: for values that nobody has named."""
    return _LOOKS_SECRET.sub(MASKED, Mask(()).words(text))


# --- texts ------------------------------------------------------------------------------------------------------------


class Mask:
    """Puts `***`, or what is to be `shown`, in the place of secrets.

    They are found as they are, percent-encoded, escaped as in JSON or HTML, in base64, in hex, and reversed. Secrets of
    fewer than `shortest` characters are left: such a word is in many texts by chance.
    """

    def __init__(self, secrets: Iterable[Secret], *, shortest: int = _SHORTEST, shown: str = MASKED) -> None:
        self._shown = shown
        forms = {form for secret in secrets for form in (secret.reveal(), secret.reveal().strip())}
        self._secrets = sorted((form for form in forms if len(form) >= max(shortest, 1)), key=len, reverse=True)
        literals = {form for secret in self._secrets for form in (secret, *_encoded(secret))}
        self._literals = sorted(literals, key=len, reverse=True)
        # Escaping leaves letters and digits: without such a run of a secret, no escaped form of it is there.
        self._runs = [max(re.findall("[A-Za-z0-9]*", secret), key=len) for secret in self._secrets]
        self._patterns: dict[str, re.Pattern[str]] = {}

    def __bool__(self) -> bool:
        return bool(self._secrets)

    def __repr__(self) -> str:
        return f"Mask({len(self._secrets)} secrets)"

    def __call__(self, text: str) -> str:
        """The text without the secrets."""
        for literal in self._literals:
            if literal in text:
                text = text.replace(literal, self._shown)
        for secret, run in zip(self._secrets, self._runs, strict=True):
            if run in text:
                if secret not in self._patterns:
                    self._patterns[secret] = re.compile(_escaped(secret))
                text = self._patterns[secret].sub(lambda _: self._shown, text)
        return text

    def words(self, text: str) -> str:
        """The same for words of others, in which a password of a URL and what follows `Bearer` are secrets too."""
        text = re.sub(r"(?<=://)[^/@\s]+@", f"{MASKED}@", self(text))
        return _BASIC.sub(rf"\1 {MASKED}", text)

    def data(self, value: Json) -> Json:
        """JSON data with each text in it masked; the very same object where there is none."""
        if isinstance(value, str):
            return self(value)
        if isinstance(value, Mapping):
            masked: Json = {self(str(key)): self.data(each) for key, each in value.items()}
            return value if masked == value else masked
        if isinstance(value, list | tuple):
            masked = type(value)(self.data(each) for each in value)
            return value if masked == value else masked
        return value


def _encoded(secret: str) -> Iterator[str]:
    """The secret in base64, at each of the three places where it may begin in a longer text, in hex, and reversed.

    And with each of its characters escaped, which leaves none of them to be found by.
    """
    data = secret.encode("utf-8", "surrogatepass")
    for offset in range(3):
        # The characters at both ends depend on what stands beside.
        whole = base64.b64encode(bytes(offset) + data).decode()
        begin = (0, 2, 3)[offset]
        end = (len(data) + offset) * 8 // 6
        core = whole[begin:end]
        if len(core) >= 6:
            yield core
            yield core.replace("+", "-").replace("/", "_")
    if len(data) >= _SHORTEST:
        yield data.hex()
        yield data.hex().upper()
    if len(secret) >= 8 and secret[::-1] != secret:
        yield secret[::-1]
    units = secret.encode("utf-16-be", "surrogatepass")
    for case in ("02x", "02X"):
        yield "".join(f"%{byte:{case}}" for byte in data)
        yield "".join(f"\\u{units[at]:{case}}{units[at + 1]:{case}}" for at in range(0, len(units), 2))
        yield "".join(f"\\x{byte:{case}}" for byte in data)
        yield "".join(f"&#x{ord(character):{case[2:]}};" for character in secret)
    yield "".join(f"&#{ord(character)};" for character in secret)


def _escaped(secret: str) -> str:
    """A pattern for the secret where any of its characters may be escaped, in any way."""
    return "".join(f"(?:{'|'.join(_spellings(character))})" for character in secret)


def _spellings(character: str) -> Iterator[str]:
    data = character.encode("utf-8", "surrogatepass")
    units = character.encode("utf-16-be", "surrogatepass")
    yield re.escape(character)
    yield "".join(f"%(?:25)*(?i:{byte:02x})" for byte in data)
    yield "".join(rf"\\+u(?i:{units[at]:02x}{units[at + 1]:02x})" for at in range(0, len(units), 2))
    yield "".join(rf"\\+x(?i:{byte:02x})" for byte in data)
    if 0x80 <= ord(character) <= 0xFF:
        yield rf"\\+x(?i:{ord(character):02x})"
    yield rf"&#0*{ord(character)};"
    yield rf"&#[xX]0*(?i:{ord(character):x});"
    if character == " ":
        yield r"\+"
    if character in "\\\"'/`$":
        yield r"\\+" + re.escape(character)
    if character in "\n\r\t":
        yield r"\\+" + {"\n": "n", "\r": "r", "\t": "t"}[character]
    if escape(character) != character:
        yield re.escape(escape(character))
