"""Proposes how the answers of a task are checked, from those that were recorded or named as right. Pure.

Exchanges of one task come in, a Task goes out. Each proposal holds for the answers it was made from. Where none does,
as for free text without a name or a number in it, the case has no check: a weak one would let wrong answers pass.
"""

import re
from collections.abc import Mapping, Sequence

from pytest_rightsize.authoring.exchanges import Case, Exchange, Task, text_of
from pytest_rightsize.matchers import containing, json_in, number
from pytest_rightsize.records import Json
from pytest_rightsize.strict_json import loads

__all__ = ["proposed"]

# An answer that a program reads as it is: a label, a name, a date.
_SHORT_CHARACTERS = 40
_SHORT_WORDS = 3
# Few answers over many cases are the choices of a task.
_FEWEST_CASES = 4
_MOST_CHOICES = 12
_NUMBER = re.compile(r"[-+\u2212]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?")
# What stands around a number and says nothing of its value.
_AROUND_NUMBERS = "$\u20ac\u00a3\u00a5%\u00b0()[]*=.,;:!?\"'`"
_LONGEST_WITH_NUMBER = 80
_WORD = re.compile(r"[^\W_][\w'\u2019.,:/@-]*[^\W_]|[^\W_]")
_SENTENCE_END = re.compile(r"[.!?:\n\u2022*#>-]\s*$|^\s*$")
_LOOKED_BACK = 8
_SHORTEST_PART = 3
_MOST_PARTS = 2


def proposed(name: str, exchanges: Sequence[Exchange]) -> Task:
    """The task with a check for each case where one can be proposed."""
    calling = [exchange for exchange in exchanges if exchange.tool_calls]
    telling = [exchange for exchange in exchanges if not exchange.tool_calls]
    choices = _choices([exchange for exchange in telling if _is_whole(exchange)])
    checks = {
        **dict(zip(map(id, calling), _checks_of_calls(calling), strict=True)),
        **dict(zip(map(id, telling), _checks_of_texts(telling, choices), strict=True)),
    }
    cases = [Case(ask=each.ask, checks=checks[id(each)], about=each.about) for each in exchanges]
    return Task(name=name, cases=tuple(cases), choices=choices)


def _is_whole(exchange: Exchange) -> bool:
    return not exchange.cut_off and any(answer.strip() for answer in exchange.answers)


# --- tool calls -------------------------------------------------------------------------------------------------------


def _checks_of_calls(exchanges: Sequence[Exchange]) -> list[Mapping[str, Json]]:
    """Names and arguments; names alone where an argument of one of them is free text, which others word otherwise."""
    calls = [[] if exchange.cut_off else [_call(call) for call in exchange.tool_calls] for exchange in exchanges]
    if any(arguments is None or _is_free(arguments) for each in calls for _, arguments in each):
        return [{"tools": [name for name, _ in each]} if each else {} for each in calls]
    return [{"tool_calls": [list(call) for call in each]} if each else {} for each in calls]


def _call(call: Mapping[str, Json]) -> tuple[str, Json]:
    """Name and arguments; None for arguments that are not JSON."""
    function = call.get("function") or {}
    try:
        return str(function.get("name")), loads(function.get("arguments") or "{}")
    except (TypeError, ValueError):
        return str(function.get("name")), None


def _is_free(value: Json) -> bool:
    """Whether a JSON value has a text in it that another model would word otherwise."""
    if isinstance(value, Mapping):
        return any(map(_is_free, value.values()))
    if isinstance(value, list):
        return any(map(_is_free, value))
    return isinstance(value, str) and not _is_short(value)


# --- texts ------------------------------------------------------------------------------------------------------------


def _checks_of_texts(exchanges: Sequence[Exchange], choices: Sequence[str]) -> list[Mapping[str, Json]]:
    """One kind of check for all where that is possible, else one for each."""
    whole = [exchange for exchange in exchanges if _is_whole(exchange)]
    if whole and all(_is_json(exchange) for exchange in whole):
        return _checks_of_json(exchanges)
    numbers = [_number_in(exchange) for exchange in whole]
    by_number = not choices and all(value is not None for value in numbers)
    return [_check_of_text(exchange, by_number=by_number) if _is_whole(exchange) else {} for exchange in exchanges]


def _check_of_text(exchange: Exchange, *, by_number: bool) -> Mapping[str, Json]:
    if by_number:
        return {"number": _number_in(exchange)}
    if all(map(_is_short, exchange.answers)):
        return {"one_of": [answer.strip() for answer in exchange.answers]}
    if len(exchange.answers) > 1:
        return {"contains_any": list(exchange.answers)}
    parts = _parts(exchange.answers[0], _question(exchange))
    return {"containing": parts} if parts else {}


def _choices(exchanges: Sequence[Exchange]) -> tuple[str, ...]:
    """The answers of the task if they are few, short and over many cases: the most frequent first."""
    answers = [answer.strip() for exchange in exchanges for answer in exchange.answers]
    distinct = sorted(dict.fromkeys(answers), key=lambda answer: -answers.count(answer))
    few = len(exchanges) >= _FEWEST_CASES and len(distinct) <= min(_MOST_CHOICES, len(exchanges) // 2)
    return tuple(distinct) if few and all(map(_is_short, distinct)) else ()


def _is_short(text: str) -> bool:
    return len(text) <= _SHORT_CHARACTERS and len(text.split()) <= _SHORT_WORDS and "\n" not in text.strip()


def _number_in(exchange: Exchange) -> int | float | None:
    """The one number of a brief answer, if it is the same in all its answers and no part of a name or a date."""
    values = {_only_number(answer) for answer in exchange.answers}
    value = values.pop() if len(values) == 1 else None
    if value is None or not all(answer == number(value) for answer in exchange.answers):
        return None
    return value


def _only_number(answer: str) -> int | float | None:
    words = [word.strip(_AROUND_NUMBERS) for word in answer.split()]
    with_digits = [word for word in words if any(map(str.isdigit, word))]
    if len(with_digits) != 1 or len(answer) > _LONGEST_WITH_NUMBER or not _NUMBER.fullmatch(with_digits[0]):
        return None
    digits = with_digits[0].replace(",", "").replace("\u2212", "-")
    return float(digits) if "." in digits else int(digits)


def _question(exchange: Exchange) -> str:
    texts = [exchange.system, exchange.prompt]
    texts += [text_of(message.get("content")) for message in exchange.ask.get("messages") or ()]
    return "\n".join(texts).casefold()


def _parts(answer: str, question: str) -> list[str]:
    """Names and numbers of a free text: those that are no part of the question first, as they are what it tells."""
    words = list(dict.fromkeys(_telling_words(answer)))
    new = [word for word in words if word.casefold() not in question]
    parts = (new or words)[:_MOST_PARTS]
    return parts if parts and answer == containing(*parts) else []


def _telling_words(text: str) -> list[str]:
    """Words with a digit or a capital that does not begin a sentence."""
    found = []
    for match in _WORD.finditer(text):
        start = match.start()
        word, before = match[0], text[max(0, start - _LOOKED_BACK) : start].rstrip("\"'`(*_ ")
        has_capital = any(map(str.isupper, word)) and not _SENTENCE_END.search(before)
        if len(word) >= _SHORTEST_PART and (has_capital or any(map(str.isdigit, word))):
            found.append(word)
    return found


# --- JSON -------------------------------------------------------------------------------------------------------------


def _json(text: str) -> Json:
    """The JSON object or list in an answer; None for any other text."""
    try:
        value = json_in(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict | list) else None


def _is_json(exchange: Exchange) -> bool:
    return len(exchange.answers) == 1 and _json(exchange.answers[0]) is not None


def _checks_of_json(exchanges: Sequence[Exchange]) -> list[Mapping[str, Json]]:
    """The fields that another model would fill in the same way, else the whole value, else the form."""
    values = [_json(each.answers[0]) if _is_whole(each) else None for each in exchanges]
    objects = [value for value in values if isinstance(value, dict)]
    free = {name for value in objects for name, field in value.items() if _is_free(field)}
    pairs = zip(values, exchanges, strict=True)
    return [{} if value is None else _check_of_json(value, free, each.ask) for value, each in pairs]


def _check_of_json(value: Json, free: set[str], ask: Mapping[str, Json]) -> Mapping[str, Json]:
    if isinstance(value, list):
        return {"json_form": True} if _is_free(value) else {"json": value}
    fields = {name: field for name, field in value.items() if name not in free}
    if len(fields) == len(value):
        return {"json": value}
    if fields:
        return {"fields": fields}
    return {"json_form": True} if "schema" in ask else {"keys": sorted(value)}
