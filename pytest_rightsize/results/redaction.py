"""Puts hashes in the place of prompts or answers that are to be withheld; pure.

The same text has the same hash, so that two runs can still be compared.
"""

import hashlib
import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any

from pytest_rightsize.judgement_records import Judgement
from pytest_rightsize.records import AnswerRecord, Json, Trial

__all__ = ["redacted", "redacted_case", "text_digest"]

# The details of these faults are this program's own words.
_REASONS_WITHOUT_QUOTES = frozenset(
    {"auth", "budget", "curtailed", "down", "load", "memory", "missing", "offline", "private", "settled", "transport"}
)
_WITHHELD = re.compile(r"sha256:[0-9a-f]{64}")


def _hash(value: Json) -> str:
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)
    return f"sha256:{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()}"


def redacted_case(case: str, withheld: Collection[str]) -> str:
    """The case's name, with its parameters hashed if prompts are withheld: prompts are mostly made of them."""
    head, bracket, parameters = case.partition("[")
    return f"{head}[{_hash(parameters)[:23]}]" if bracket and "prompts" in withheld else case


def redacted(trial: Trial, withheld: Collection[str]) -> Trial:
    """The trial without what is withheld. Its detail is hashed if an assertion may quote prompt or answer in it."""
    if not withheld:
        return trial
    keeps_detail = trial.detail is None or trial.reason in _REASONS_WITHOUT_QUOTES
    return replace(
        trial,
        detail=trial.detail if keeps_detail else f"withheld ({_hash(trial.detail)})",
        answers=tuple(_answer(answer, withheld) for answer in trial.answers),
        judgements=tuple(_judgement(judgement, withheld) for judgement in trial.judgements),
    )


def _judgement(judgement: Judgement, withheld: Collection[str]) -> Judgement:
    """What a judge was shown beside the answers; the rubric stands in the test, and stays."""
    if "answers" in withheld and judgement.text is not None:
        judgement = replace(judgement, text=_hash(judgement.text))
    if "prompts" in withheld and judgement.reference is not None:
        judgement = replace(judgement, reference=_hash(judgement.reference))
    return judgement


def _answer(answer: AnswerRecord, withheld: Collection[str]) -> AnswerRecord:
    if "answers" in withheld:
        answer = replace(
            answer,
            text=_hash(answer.text),
            reasoning=None if answer.reasoning is None else _hash(answer.reasoning),
            tool_calls=tuple({"withheld": _hash(call)} for call in answer.tool_calls),
        )
    messages = getattr(answer, "messages", ())
    if "prompts" in withheld and messages:
        hashed: dict[str, Any] = {"messages": tuple(map(_message, messages))}
        answer = replace(answer, **hashed)
    return answer


def _message(message: Mapping[str, Json]) -> dict[str, Json]:
    return {"role": message.get("role"), "content": _hash(dict(message))}


def text_digest(messages: Iterable[Mapping[str, Json]]) -> tuple[Mapping[str, Json], ...]:
    """The messages with their content hashed, for comparing conversations; messages that are hashed already stay.

    So a run that withheld its prompts, or that was read without them, can be compared with any other.
    """
    return tuple(message if _is_withheld(message) else _message(message) for message in messages)


def _is_withheld(message: Mapping[str, Json]) -> bool:
    content = message.get("content")
    return set(message) == {"role", "content"} and isinstance(content, str) and bool(_WITHHELD.fullmatch(content))
