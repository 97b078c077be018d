"""Keys of recorded answers: hashes of everything about rung and request that can change the answer.

A rung's fingerprint, a request and a reply come in; keys and plain JSON data go out. A file is read only to hash it,
and no model is asked.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields

from pytest_rightsize.part_data import with_references
from pytest_rightsize.plain_data import shallow
from pytest_rightsize.records import Identity, Json, Reply, Request

__all__ = ["Recorded", "as_json", "base_of", "key_of", "plain_reply", "plain_request", "rung_digest"]

_FIELDS = tuple(field.name for field in fields(Request))


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """One recorded answer: `request` is None where prompts are withheld, `recorded` is a date in ISO 8601.

    It belongs to the `asker`, a case of the suite, which asked the same request `draw` times before; an answer that any
    case may have belongs to "". `base` identifies rung and request, whoever asks.
    """

    base: str
    rung: str
    identity: Identity
    asker: str
    draw: int
    request: Mapping[str, Json] | None
    reply: Reply
    recorded: str

    @property
    def key(self) -> str:
        """The key that the answer is stored under."""
        return key_of(self.base, asker=self.asker, draw=self.draw)


def rung_digest(name: str, identity: Identity) -> str:
    """The hash of a rung in a key: of its name, so that no two rungs share an answer, and of its content."""
    return hashlib.sha256(_canonical([name, dict(identity.content)])).hexdigest()


def plain_request(request: Request, *, greedy: bool) -> dict[str, Json]:
    """All fields of a request that can change the answer; sample and seed do not where the rung is deterministic.

    An image, a sound or a document is known by its hash.
    """
    plain = {name: getattr(request, name) for name in _FIELDS}
    plain["messages"] = with_references(request.messages)
    if greedy and not request.temperature:
        plain["sample"], plain["seed"] = 0, None
    return plain


def base_of(digest: str, request: Mapping[str, Json]) -> str:
    """The hash of a request to a rung; `digest` is that of the rung. Raises ValueError for what is not JSON.

    The order of keys counts: a model sees the properties of a schema or a tool in the order they were given.
    """
    return hashlib.sha256(digest.encode() + _canonical(request)).hexdigest()


def key_of(base: str, *, asker: str, draw: int) -> str:
    """The key of an answer: two cases with the same request get an answer each, or one draw would count twice."""
    return hashlib.sha256(f"{base} {draw} ".encode() + asker.encode("utf-8", "surrogatepass")).hexdigest()


def _canonical(value: Json) -> bytes:
    # UTF-8 with surrogates: escaped, a character and its two surrogate halves would be the same text.
    try:
        text = _KEY_JSON.encode(value)
    except (TypeError, RecursionError) as error:
        raise ValueError(str(error)) from None
    return text.encode("utf-8", "surrogatepass")


def as_json(value: object) -> Json:
    """The `default` of a JSON encoder: any mapping becomes an object. Raises TypeError for what is not JSON."""
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is not JSON")


# Made once, and without a check for circles, which end in a RecursionError: takes a third less time than json.dumps.
_KEY_JSON = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, check_circular=False, separators=(",", ":"), default=as_json
)


# What says where a reply came from, and what it cost: that is told by its rung, and cascades are not recorded.
_NOT_RECORDED = ("replayed", "recorded", "retries", "after_s", "cost_usd", "via")


def plain_reply(reply: Reply) -> dict[str, Json]:
    """A reply as JSON data, without the fields that only say where it came from."""
    energy = None if reply.energy is None else reply.energy.to_dict()
    plain = {**shallow(reply), "tokens": shallow(reply.tokens), "energy": energy, "tool_calls": list(reply.tool_calls)}
    return {name: value for name, value in plain.items() if name not in _NOT_RECORDED}
