"""Recorded answers as JSON Lines, to be committed and reviewed: sorted, the same bytes for the same answers.

A `rung` line gives a rung's fingerprint when it answered; the `answer` lines after it refer to it by its label. Reading
checks every line, and that each answer still has its own base; an error is a ConfigError that names the line.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from datetime import datetime
from pathlib import Path

from pytest_rightsize.bounded_files import numbered_lines
from pytest_rightsize.energy import Energy
from pytest_rightsize.errors import ConfigError
from pytest_rightsize.recorded.keys import Recorded, base_of, plain_reply, rung_digest
from pytest_rightsize.records import Identity, Json, Reply, Tokens
from pytest_rightsize.strict_json import loads

__all__ = [
    "Declaration",
    "answer_of",
    "identity_of_line",
    "is_export",
    "lines_of",
    "plain_answer",
    "read_lines",
    "reply_of",
]

Declaration = tuple[str, Mapping[str, Json], Identity]
"""A rung's name, what the ladder file declares for it, and the identity found for that."""

_COUNTS = tuple(field.name for field in fields(Tokens) if not field.name.endswith("source"))
_SOURCES = ("reported", "counted", "unknown")


def is_export(head: str) -> bool:
    """Whether a file that begins so is an export."""
    return re.match(r'\s*\{\s*"kind":\s*"(rung|answer)"', head) is not None


def lines_of(answers: Iterable[Recorded], declarations: Iterable[Declaration]) -> Iterator[str]:
    """The lines of an export, each with its newline."""
    rungs: dict[str, tuple[str, Identity, list[Mapping[str, Json]]]] = {}
    by_rung: dict[str, list[Recorded]] = {}
    for name, declared, identity in declarations:
        _, _, rung_declarations = rungs.setdefault(rung_digest(name, identity), (name, identity, []))
        rung_declarations.append(declared)
    for answer in answers:
        label = rung_digest(answer.rung, answer.identity)
        rungs.setdefault(label, (answer.rung, answer.identity, []))
        by_rung.setdefault(label, []).append(answer)
    for label, (name, identity, rung_declarations) in sorted(rungs.items(), key=lambda item: (item[1][0], item[0])):
        if label not in by_rung:
            continue
        content = {"content": dict(identity.content), "greedy": identity.greedy}
        sorted_declarations = sorted(rung_declarations, key=lambda plain: json.dumps(plain, sort_keys=True))
        yield _line({"kind": "rung", "rung": label[:12], "name": name, **content, "declared": sorted_declarations})
        lines = (
            (answer.asker, json.dumps(answer.request), answer.draw, answer.base, answer) for answer in by_rung[label]
        )
        for *_, answer in sorted(lines, key=lambda item: item[:4]):
            yield _line(plain_answer(answer, label[:12]))


def plain_answer(answer: Recorded, label: str) -> dict[str, Json]:
    """An answer as JSON data; `label` stands for the rung that gave it."""
    return {
        "kind": "answer",
        "rung": label,
        "asker": answer.asker,
        "draw": answer.draw,
        "request": answer.request,
        "reply": plain_reply(answer.reply),
        "recorded": answer.recorded,
        "base": answer.base,
    }


def _line(plain: Mapping[str, Json]) -> str:
    text = json.dumps(plain, ensure_ascii=False, allow_nan=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        # A hostile answer may hold half a surrogate pair, which UTF-8 cannot encode.
        text = json.dumps(plain, allow_nan=False)
    return text + "\n"


def read_lines(path: Path) -> Iterator[Recorded | Declaration]:
    """Read the answers and declarations of an export as a stream; raises a ConfigError that names the line."""
    rungs: dict[str, tuple[str, Identity]] = {}
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in numbered_lines(file, path):
                try:
                    yield from _read(loads(line), rungs)
                except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
                    why = f"has no {error}" if isinstance(error, KeyError) else str(error)
                    raise ConfigError(
                        f"{path}:{number}: this line of recorded answers {why}. Export them again."
                    ) from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is not UTF-8 text, and so no export of recorded answers") from None
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from None


def _read(plain: Json, rungs: dict[str, tuple[str, Identity]]) -> Iterator[Recorded | Declaration]:
    if not isinstance(plain, dict) or plain.get("kind") not in ("rung", "answer"):
        raise ValueError('is neither of the kind "rung" nor "answer"')
    if plain["kind"] == "rung":
        name, label = _typed(plain, "name", str), _typed(plain, "rung", str)
        name.encode()  # a UnicodeError is a ValueError
        identity = identity_of_line(plain)
        rungs[label] = (name, identity)
        for declared in _typed(plain, "declared", list):
            if not isinstance(declared, dict):
                raise ValueError("has a declaration that is not an object")
            yield name, declared, identity
        return
    yield answer_of(plain, rungs)


def identity_of_line(plain: Mapping[str, Json]) -> Identity:
    """The fingerprint of a rung that stands in a line; raises ValueError or KeyError."""
    return Identity(content=_typed(plain, "content", dict), greedy=_typed(plain, "greedy", bool))


def answer_of(plain: Mapping[str, Json], rungs: Mapping[str, tuple[str, Identity]]) -> Recorded:
    """The answer of a line, whose rung is one of `rungs` by its label; raises ValueError, TypeError or KeyError."""
    if plain["rung"] not in rungs:
        raise ValueError(f"speaks of the rung {plain['rung']!r}, which no line before it describes")
    name, identity = rungs[plain["rung"]]
    asker, draw, base = _typed(plain, "asker", str), _typed(plain, "draw", int), _typed(plain, "base", str)
    request = plain["request"]
    if not re.fullmatch("[0-9a-f]{64}", base):
        raise ValueError(f"has base = {base[:100]!r}, which is no SHA-256")
    if request is not None:
        _typed(plain, "request", dict)
        if base != base_of(rung_digest(name, identity), request):
            raise ValueError("does not stand under its own base: its request or its rung was changed")
    date = _typed(plain, "recorded", str)
    if datetime.fromisoformat(date).tzinfo is None:
        raise ValueError(f"has recorded = {date!r}, which names no time zone")
    return Recorded(
        base=base,
        rung=name,
        identity=identity,
        asker=asker,
        draw=draw,
        request=request,
        reply=reply_of(_typed(plain, "reply", dict)),
        recorded=date,
    )


def _typed(plain: Mapping[str, Json], name: str, kind: type) -> Json:
    value = plain[name]
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise ValueError(f"has {name} = {str(value)[:100]!r}, which is no {kind.__name__}")
    if isinstance(value, int) and not 0 <= value < 2**31:
        raise ValueError(f"has {name} = {value}, which is no count")
    return value


def reply_of(plain: Mapping[str, Json]) -> Reply:
    """The reply of a line; raises ValueError or TypeError where it is none."""
    reply_keys = {field.name for field in fields(Reply)} - {"replayed", "recorded", "retries"}
    unknown = sorted(set(plain) - reply_keys)
    if unknown:
        raise ValueError(f"has a reply with an unknown key {unknown[0]!r}")
    seconds, calls = plain.get("seconds"), plain.get("tool_calls", [])
    if seconds is not None and (isinstance(seconds, bool) or not isinstance(seconds, int | float) or seconds < 0):
        raise ValueError(f"has seconds {seconds!r}, which is no duration")
    margin = plain.get("margin")
    if margin is not None and (isinstance(margin, bool) or not isinstance(margin, int | float)):
        raise ValueError(f"has the margin {margin!r}, which is no number")
    for name in ("finish_reason", "reasoning"):
        if plain.get(name) is not None:
            _typed(plain, name, str)
    if not isinstance(calls, list) or not all(isinstance(call, dict) for call in calls):
        raise ValueError("has tool_calls that are not a list of objects")
    parsed = {"tokens": _tokens(plain.get("tokens", {})), "tool_calls": tuple(calls), "energy": None}
    if plain.get("energy") is not None:
        parsed["energy"] = Energy.from_dict(_typed(plain, "energy", dict))
    return Reply(**{**plain, "text": _typed(plain, "text", str), **parsed})


def _tokens(plain: Json) -> Tokens:
    if not isinstance(plain, dict) or set(plain) - {*_COUNTS, "source", "reasoning_source"}:
        raise ValueError("has tokens that are no counts")
    for name in _COUNTS:
        count = plain.get(name)
        if count is not None and (isinstance(count, bool) or not isinstance(count, int) or count < 0):
            raise ValueError(f"has {count!r} {name} tokens, which is no count")
    for name in ("source", "reasoning_source"):
        if plain.get(name) not in (None, *_SOURCES):
            raise ValueError(f"has tokens of the unknown {name} {plain[name]!r}")
    return Tokens(**plain)
