"""Finds an endpoint's own words, codes and status in the body of an error of any vendor's shape; pure.

In comes a body, out goes an ErrorReport. Only fields that hold an endpoint's words are read, as others repeat the
prompt, whose words would mislead; a page of a proxy or a firewall is told by its title.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from html import unescape

from pytest_rightsize.records import Json

__all__ = ["ErrorReport", "error_in", "report_of", "words_of_page"]

# Fields with a sentence for people, the most telling first, and fields with a code.
_WORDS = (
    *("message", "msg", "error_msg", "errmsg", "status_msg", "detail", "error_description", "description"),
    *("title", "error", "errors", "reason", "Message", "errorMessage"),
)
_CODES = (
    *("code", "type", "status", "error_type", "error_code", "err_code", "errorCode", "status_code", "statusCode"),
    *("param", "__type", "reasons", "limit_source", "Code"),
)
# Where vendors put the error that another endpoint gave them.
_NESTED = (
    *("error", "errors", "detail", "innererror", "inner_error", "metadata", "raw", "details", "cause", "base_resp"),
    *("promptFeedback", "prompt_feedback"),
)
_NESTED_DEPTH = 9
_LONGEST = 20_000


@dataclass(frozen=True, kw_only=True)
class ErrorReport:
    """What an endpoint said: `words` for people, `signals` with codes and types to sort by, and the status.

    `wait_s` is how long the body asks to wait; None where it does not.
    """

    status: int
    words: str
    signals: str
    wait_s: float | None = None


def report_of(status: int, text: str, *, hint: str = "") -> ErrorReport:
    """The report of a body that is not an answer; `hint` is a header that names the error's type."""
    body = _event_in(text) if _is_stream(text) else _parsed(text)
    if body is None:
        words = words_of_page(text) or _one_line(text)
        return ErrorReport(status=status, words=words, signals=_one_line(f"{hint} {words}"), wait_s=_wait_in(words))
    report = _report_of_json(status, body)
    words = report.words or _one_line(json.dumps(body))[:300] if body else ""
    return replace(report, words=words, signals=_one_line(f"{report.signals} {hint}"))


def error_in(answer: Json) -> ErrorReport | None:
    """The error that an answer of status 200 carries; None where it carries none."""
    if isinstance(answer, list) and len(answer) == 1:  # as Gemini's compatible endpoint has it
        answer = answer[0]
    if not isinstance(answer, dict) or not (_has_error(answer) or not answer.get("choices")):
        return None
    report = _report_of_json(200, answer)
    return report if report.words or _has_error(answer) else None


def _has_error(answer: dict[str, Json]) -> bool:
    if answer.get("error") or answer.get("errors") or answer.get("object") == "error" or answer.get("type") == "error":
        return True
    base = answer.get("base_resp")
    code = base.get("status_code") if isinstance(base, dict) else answer.get("error_code")
    return bool(code)


def words_of_page(text: str) -> str:
    """The title of an HTML page and its first words; empty where the text is no page."""
    if not re.match(r"\s*(<!doctype html|<html|<head|<body|<\?xml|<center|<h1)", text, re.IGNORECASE):
        return ""
    title = re.search(r"<title[^>]*>(.*?)</title>", text, re.IGNORECASE | re.DOTALL)
    bare = re.sub(r"<(script|style|title)\b.*?</\1>|<[^>]*>", " ", text[:_LONGEST], flags=re.IGNORECASE | re.DOTALL)
    heading = _one_line(unescape(title[1])) if title else ""
    rest = _one_line(unescape(bare))[:120]
    return f"a web page titled {heading!r}: {rest}" if heading else f"a web page: {rest}"


def _is_stream(text: str) -> bool:
    return re.match(r"\s*(event:|data:)", text) is not None


def _event_in(text: str) -> Json:
    """The first event of a stream that holds an error, else the first one."""
    events = [_parsed(line[5:]) for line in text.splitlines() if line.startswith("data:")]
    known = [event for event in events if event]
    return next((event for event in known if isinstance(event, dict) and "error" in event), known[0] if known else None)


def _report_of_json(status: int, body: Json) -> ErrorReport:
    """The report of parsed JSON; its words are empty where nothing is said."""
    sentences = list(dict.fromkeys(one for one in _sentences(body, 0) if one))
    codes = list(_codes(body, 0))
    number = next((int(code) for code in codes if re.fullmatch(r"[45]\d\d", code)), None)
    if number is not None and 200 <= status < 300:
        status = number
    # A gateway's own sentence says nothing where that of its upstream stands beside it.
    telling = [one for one in sentences if not re.fullmatch(r"provider returned error\W*", one, re.IGNORECASE)]
    words = "; ".join((telling or sentences)[:3])
    waits = (_delay(body, 0), _wait_in(words))
    return ErrorReport(
        status=status,
        words=words,
        signals=_one_line(" ".join([*codes, *sentences])),
        wait_s=next((wait for wait in waits if wait is not None), None),
    )


def _sentences(body: Json, depth: int) -> Iterator[str]:
    """What is said in the body, from the inside out where a gateway wraps another's error."""
    if depth > _NESTED_DEPTH:
        return
    if isinstance(body, str):
        inner = _parsed(body)
        if inner is None:
            yield _one_line(body)
        else:
            yield from _sentences(inner, depth + 1)
    elif isinstance(body, list):
        for one in body[:5]:
            yield from _sentences(one, depth + 1)
    elif isinstance(body, dict):
        place = body.get("loc")
        if isinstance(place, list) and isinstance(body.get("msg"), str):  # FastAPI
            yield f"{'.'.join(str(part) for part in place)}: {body['msg']}"
            return
        for name in _NESTED:
            if isinstance(body.get(name), dict | list) or (name == "raw" and body.get(name)):
                yield from _sentences(body[name], depth + 1)
        for name in _WORDS:
            if isinstance(body.get(name), str):
                yield from _sentences(body[name], depth + 1)
        for name in ("blockReason", "block_reason"):
            if isinstance(body.get(name), str):
                yield f"the prompt is blocked: {body[name]}"


def _codes(body: Json, depth: int) -> Iterator[str]:
    """Codes and types in the body."""
    if depth > _NESTED_DEPTH:
        return
    if isinstance(body, str):
        inner = _parsed(body)
        if inner is not None:
            yield from _codes(inner, depth + 1)
    elif isinstance(body, list):
        for one in body[:5]:
            yield from _codes(one, depth + 1)
    elif isinstance(body, dict):
        for name in _CODES:
            values = body.get(name)
            for value in values if isinstance(values, list) else [values]:
                if isinstance(value, str | int) and not isinstance(value, bool) and len(str(value)) < 100:
                    yield str(value)
        for name in (*_NESTED, "message"):
            if isinstance(body.get(name), dict | list | str):
                yield from _codes(body[name], depth + 1)


def _delay(body: Json, depth: int) -> float | None:
    """Google's RetryInfo, HuggingFace's estimated_time, or retry_after."""
    if depth > _NESTED_DEPTH or not isinstance(body, dict | list):
        return None
    for one in body[:5] if isinstance(body, list) else [body]:
        if not isinstance(one, dict):
            continue
        for name in ("retryDelay", "retry_after", "retry_after_seconds", "estimated_time"):
            value = str(one.get(name, "")).removesuffix("s")
            if re.fullmatch(r"\d+(\.\d+)?", value):
                return float(value)
        for name in _NESTED:
            wait = _delay(one.get(name), depth + 1)
            if wait is not None:
                return wait
    return None


_UNIT_S = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SPAN = r"(\d+(?:\.\d+)?)\s?(milliseconds?|ms|seconds?|s|minutes?|min|m|hours?|h|days?|d)(?![a-z])"


def _wait_in(words: str) -> float | None:
    """The seconds in `try again in 7m12.5s`, `retry after 26 seconds` and the like."""
    asked = re.search(rf"\b(?:again|retry|wait)\s+(?:in|after|for)?\s*((?:{_SPAN}\s*)+)", words.lower())
    return None if asked is None else sum(_seconds(*span) for span in re.findall(_SPAN, asked[1]))


def _seconds(amount: str, unit: str) -> float:
    return float(amount) * (0.001 if unit.startswith(("ms", "milli")) else _UNIT_S[unit[0]])


def _parsed(text: str) -> Json:
    """The JSON object in a string that is one; None for any other text."""
    if not text.lstrip().startswith(("{", "[")):
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict | list) else None


def _one_line(text: str) -> str:
    return " ".join(text[:_LONGEST].split())
