"""Requests, replies, errors and rungs as plain data, and back: what goes between the processes of one session. Pure.

What comes back is checked only as far as it is needed to make the nouns: whoever sends it is this package itself.
"""

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

from pytest_rightsize.energy import Energy
from pytest_rightsize.errors import (
    ConfigError,
    FormatError,
    MixedEnergyError,
    NoAnswerError,
    RightsizeError,
    RungError,
    SchemaReferenceError,
    TooLongError,
)
from pytest_rightsize.plain_data import plain_fields, shallow
from pytest_rightsize.records import Price, Reply, Request, Rung, Tokens

__all__ = [
    "ClassesAt",
    "class_at",
    "error_from_plain",
    "error_to_plain",
    "fault_to_plain",
    "outcome_from_plain",
    "place_of",
    "reply_from_plain",
    "reply_to_plain",
    "request_from_plain",
    "request_to_plain",
    "rung_from_plain",
    "rung_to_plain",
]

_PLAIN_ERRORS: Mapping[str, type[RightsizeError]] = {
    kind.__name__: kind for kind in (ConfigError, FormatError, MixedEnergyError, SchemaReferenceError, TooLongError)
}


def request_to_plain(request: Request) -> dict[str, Any]:
    """The request as plain data."""
    return plain_fields(request)


def request_from_plain(plain: Mapping[str, Any]) -> Request:
    """The inverse of `request_to_plain`; raises KeyError, TypeError or ValueError for what is none."""
    tools = plain.get("tools")
    return Request(
        **{
            **plain,
            "messages": tuple(plain["messages"]),
            "tools": None if tools is None else tuple(tools),
        }
    )


def reply_to_plain(reply: Reply) -> dict[str, Any]:
    """The reply as plain data."""
    return {
        **shallow(reply),
        "tokens": shallow(reply.tokens),
        "tool_calls": list(reply.tool_calls),
        "energy": None if reply.energy is None else reply.energy.to_dict(),
        # JSON has no infinity: of a token that nothing else could have been, as a schema may leave one.
        "margin": None if reply.margin is None else str(reply.margin),
    }


def reply_from_plain(plain: Mapping[str, Any]) -> Reply:
    """The inverse of `reply_to_plain`; raises KeyError, TypeError or ValueError for what is none."""
    energy, margin = plain["energy"], plain["margin"]
    values: dict[str, Any] = {name: tuple(each) if isinstance(each, list) else each for name, each in plain.items()}
    nouns = {
        "tokens": Tokens(**plain["tokens"]),
        "energy": None if energy is None else Energy.from_dict(energy),
        "margin": None if margin is None else float(margin),
    }
    return Reply(**values | nouns)


def outcome_from_plain(outcome: Mapping[str, Any], *, rung: str) -> Reply | RightsizeError:
    """What a host says of a request; what is neither a reply nor an error of this package is a fault."""
    try:
        return error_from_plain(outcome["error"]) if "error" in outcome else reply_from_plain(outcome["reply"])
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        words = f"rung {rung!r}: what its host sent is no reply ({type(error).__name__})"
        return RungError(words, reason="bad_reply", alone=True)


def error_to_plain(error: RightsizeError) -> dict[str, Any]:
    """An error of this package as plain data."""
    plain: dict[str, Any] = {"kind": type(error).__name__, "message": str(error)}
    if isinstance(error, RungError):
        plain |= {"reason": error.reason, "permanent": error.permanent, "alone": error.alone}
    elif isinstance(error, NoAnswerError):
        plain |= {"reason": error.reason}
    return plain


def fault_to_plain(words: str, reason: str, *, permanent: bool = False) -> dict[str, Any]:
    """A fault of a rung as plain data; one of a single message says nothing of others."""
    alone = reason in ("request", "bad_reply")
    return error_to_plain(RungError(words, reason=reason, permanent=permanent, alone=alone))


def error_from_plain(plain: Mapping[str, Any]) -> RightsizeError:
    """The inverse of `error_to_plain`; an error of an unknown kind is a fault of the rung."""
    kind, message = str(plain["kind"]), str(plain["message"])
    if kind in _PLAIN_ERRORS:
        return _PLAIN_ERRORS[kind](message)
    reason = str(plain.get("reason", "crash"))
    if kind == "NoAnswerError":
        return NoAnswerError(message, reason=reason)
    return RungError(message, reason=reason, permanent=plain.get("permanent") is True, alone=plain.get("alone") is True)


def rung_to_plain(rung: Rung) -> dict[str, Any]:
    """The rung as plain data, whole: what its provider is made from."""
    return plain_fields(rung)


def rung_from_plain(plain: Mapping[str, Any]) -> Rung:
    """The inverse of `rung_to_plain`."""
    price = plain.get("price")
    return Rung(**{**plain, "price": None if price is None else Price(**price)})


def place_of(kind: type[Any]) -> str:
    """`module:Class`, where another process finds the class."""
    return f"{kind.__module__}:{kind.__qualname__}"


class ClassesAt(Mapping[str, Any]):
    """Classes by name, each imported from its place when it is asked for."""

    def __init__(self, places: Mapping[str, str]) -> None:
        self._places = places

    def __getitem__(self, name: str) -> Any:
        """The class of that name; raises as `class_at`."""
        return class_at(self._places[name])

    def __iter__(self) -> Iterator[str]:
        """The names; imports nothing."""
        return iter(self._places)

    def __len__(self) -> int:
        """How many there are."""
        return len(self._places)


def class_at(place: str) -> Any:
    """The inverse of `place_of`; raises ImportError or AttributeError where there is none."""
    module, _, name = place.partition(":")
    found: Any = import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    return found
