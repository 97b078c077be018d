"""Nouns of a draft: an exchange comes in, and cases of a task go out. Pure.

An *exchange* is one question with the answers that count as right; a *case* is the question with *checks*, each the
name of an assertion and what it compares the answer with.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pytest_rightsize.records import Json

__all__ = ["Case", "Exchange", "Task", "text_of"]


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """One question, as arguments of `model.ask`, and its answers, each of which is right.

    `tool_calls` are those of the answer, as in the OpenAI API. An answer is `cut_off` where it ended at a limit.
    `about` is kept beside the case: the answer, the model, how often it was asked.
    """

    ask: Mapping[str, Json]
    answers: tuple[str, ...] = ()
    tool_calls: tuple[Mapping[str, Json], ...] = ()
    cut_off: bool = False
    about: Mapping[str, Json] = field(default_factory=dict)

    @property
    def system(self) -> str:
        """The system message, or nothing."""
        if "system" in self.ask:
            return str(self.ask["system"])
        first: Mapping[str, Json] = next(iter(self.ask.get("messages") or ()), {})
        return text_of(first.get("content")) if first.get("role") == "system" else ""

    @property
    def prompt(self) -> str:
        """The text of the first message of the user, or nothing."""
        if "prompt" in self.ask:
            return str(self.ask["prompt"])
        messages = self.ask.get("messages") or ()
        return next((text_of(message.get("content")) for message in messages if message.get("role") == "user"), "")


@dataclass(frozen=True, kw_only=True)
class Case:
    """One case; without checks nothing is known of a right answer, and its test is skipped.

    `open_checks` are names of assertions of another tool that have no counterpart here. A case with one is skipped too:
    without it a wrong answer might pass.
    """

    ask: Mapping[str, Json]
    checks: Mapping[str, Json] = field(default_factory=dict)
    open_checks: tuple[str, ...] = ()
    about: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Task:
    """Cases of one task; `choices` are the few answers that all of them have, if they do."""

    name: str
    cases: tuple[Case, ...]
    choices: tuple[str, ...] = ()


def text_of(content: Json) -> str:
    """The text of a message's content, which may be a list of parts."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else ()
    return "\n".join(part["text"] for part in parts if isinstance(part, Mapping) and isinstance(part.get("text"), str))
