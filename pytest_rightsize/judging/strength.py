"""How strong the assertions of a task are: which wrong answers to play its tests, and what it means that some pass.

In come the answers of the cases that passed; out go wrong answers to play, counts, and sentences. Pure: the same cases
get the same wrong answers, whatever their order.
"""

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import comb

from pytest_rightsize.records import AnswerRecord, Json, Outcome
from pytest_rightsize.strength_records import KINDS, Played, Strength, WrongKind
from pytest_rightsize.verdict_records import Verdict

__all__ = [
    "MOST_OF_A_KIND",
    "MOST_SWAPS",
    "RESTS_ON_A_JUDGE",
    "PassedCase",
    "WrongAnswer",
    "count_strength",
    "strength_note",
    "strength_words",
    "with_strength",
    "wrong_answers",
]

RESTS_ON_A_JUDGE = "its tests rest on a judge, and no model is asked"
MOST_SWAPS = 40
MOST_OF_A_KIND = 10
# Pairs of cases that are looked at before a task counts as one whose cases all share an answer.
_MOST_PAIRS = 20_000
# Five queues that are equally likely explain a fifth, where nothing shows that two cases have the same queue.
_EXPLAINED = 0.2
_ERROR = 0.05
_FEWEST_SWAPS = 5
_REFUSAL = "I'm sorry, but I can't help with that."
_NOUNS: Mapping[WrongKind, str] = {
    "other": "answers of other cases",
    "empty": "empty answers",
    "refusal": "refusals",
    "truncated": "truncated answers",
    "prompt": "prompts as answers",
}


@dataclass(frozen=True, kw_only=True)
class PassedCase:
    """A case that passed, with its answers, and the parameters of its test as texts: the right answer is often one."""

    case: str
    answers: tuple[AnswerRecord, ...]
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class WrongAnswer:
    """What to answer the test of `case`: its first question gets the first of `answers`, those beyond them the last."""

    case: str
    kind: WrongKind
    answers: tuple[AnswerRecord, ...]


def wrong_answers(cases: Iterable[PassedCase]) -> list[WrongAnswer]:
    """The wrong answers to play to one task: at most 40 of other cases, and of each other kind at most 10."""
    ordered = sorted((case for case in cases if case.answers), key=lambda case: _digest(case.case))
    fixed = [
        WrongAnswer(case=case.case, kind=kind, answers=answers)
        for case in ordered[:MOST_OF_A_KIND]
        for kind, make in _MAKERS.items()
        if (answers := _made(case, make)) is not None
    ]
    return [*_swaps(ordered), *fixed]


def _digest(text: str) -> str:
    """An order of the cases that has nothing to do with their meaning."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


# --- answers of other cases ---------------------------------------------------------------------------------------


def _swaps(ordered: Sequence[PassedCase]) -> list[WrongAnswer]:
    """Answers of other cases that are wrong as far as can be known; each case gets one before any gets a second.

    The same answer of two cases is played to a third one once.
    """
    sharing = _Sharing(ordered)
    seen: set[tuple[str, tuple[str, ...]]] = set()
    swaps: list[WrongAnswer] = []
    for number, (case, other) in enumerate(_pairs(ordered)):
        if len(swaps) == MOST_SWAPS or number == _MOST_PAIRS:
            break
        answer = (case.case, sharing.texts[other.case])
        if answer not in seen and not sharing.may_share(case, other):
            seen.add(answer)
            swaps.append(WrongAnswer(case=case.case, kind="other", answers=other.answers))
    return swaps


def _pairs(ordered: Sequence[PassedCase]) -> Iterator[tuple[PassedCase, PassedCase]]:
    """Every case with every other one, so that each case and each answer comes once in a round."""
    for distance in range(1, len(ordered)):
        for number, case in enumerate(ordered):
            yield case, ordered[(number + distance) % len(ordered)]


class _Sharing:
    """Which cases may have the same right answer.

    Two may if one's answer holds the other's, word for word, whatever the capitals and punctuation; or if their tests
    have a parameter in common, as the right answer is often one. What all cases have in common tells nothing. Where a
    test asks several questions, one answer in common is enough.
    """

    def __init__(self, cases: Sequence[PassedCase]) -> None:
        self.texts = {case.case: tuple(map(_comparable, case.answers)) for case in cases}
        values: dict[str, set[str]] = defaultdict(set)
        words: dict[int, set[str]] = defaultdict(set)
        for case in cases:
            for name, value in case.parameters.items():
                values[name].add(value)
            for position, text in enumerate(self.texts[case.case]):
                words[position].add(text)
        self._telling_names = {name for name, known in values.items() if len(known) > 1}
        self._telling_positions = {position for position, known in words.items() if len(known) > 1}

    def may_share(self, case: PassedCase, other: PassedCase) -> bool:
        mine, theirs = self.texts[case.case], self.texts[other.case]
        if mine == theirs:
            return True
        if any(
            name in other.parameters and other.parameters[name] == value
            for name, value in case.parameters.items()
            if name in self._telling_names
        ):
            return True
        pairs = zip(mine, theirs, strict=False)
        return any(_one_holds_the_other(*pair) for at, pair in enumerate(pairs) if at in self._telling_positions)


def _comparable(answer: AnswerRecord) -> str:
    """The words of an answer and the calls it asks for, without what may differ between two that mean the same."""
    words = " ".join(re.findall(r"\w+", answer.text.casefold())) or " ".join(answer.text.split())
    calls = [{name: value for name, value in call.items() if name != "id"} for call in answer.tool_calls]
    return f"{words} {json.dumps(calls, sort_keys=True, default=str)}" if calls else words


def _one_holds_the_other(one: str, other: str) -> bool:
    """Whether the words of one stand in the other, one after the other."""
    short, long = sorted((one, other), key=len)
    return f" {short} " in f" {long} " or not short


# --- other wrong answers ------------------------------------------------------------------------------------------


def _made(case: PassedCase, make: Callable[[AnswerRecord], AnswerRecord | None]) -> tuple[AnswerRecord, ...] | None:
    """The case's answers made wrong; None where one cannot be, or is still the case's own answer."""
    made = tuple(make(answer) for answer in case.answers)
    wrong = tuple(answer for answer in made if answer is not None)
    pairs = zip(map(_comparable, wrong), map(_comparable, case.answers), strict=False)
    return wrong if len(wrong) == len(made) and all(one != own for one, own in pairs) else None


def _with_text(answer: AnswerRecord, text: str, *, finish_reason: str = "stop") -> AnswerRecord:
    """The answer with another text: its counts stay, as a test may look at them."""
    return replace(answer, text=text, tool_calls=(), finish_reason=finish_reason)


def _empty(answer: AnswerRecord) -> AnswerRecord:
    return _with_text(answer, "")


def _refusal(answer: AnswerRecord) -> AnswerRecord:
    return _with_text(answer, _REFUSAL)


def _truncated(answer: AnswerRecord) -> AnswerRecord | None:
    half = answer.text[: len(answer.text) // 2].rstrip()
    return _with_text(answer, half, finish_reason="length") if half else None


def _prompt(answer: AnswerRecord) -> AnswerRecord | None:
    """The last message that the answer was given to; None where it is not known, or has no text."""
    asked = [message for message in answer.messages if message.get("role") == "user"]
    text = _text_of(asked[-1].get("content")) if asked else ""
    return _with_text(answer, text) if text and not text.startswith("sha256:") else None


def _text_of(content: Json) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "\n".join(part["text"] for part in parts if isinstance(part, Mapping) and isinstance(part.get("text"), str))


_MAKERS: Mapping[WrongKind, Callable[[AnswerRecord], AnswerRecord | None]] = {
    "empty": _empty,
    "refusal": _refusal,
    "truncated": _truncated,
    "prompt": _prompt,
}

# --- what came of them --------------------------------------------------------------------------------------------


def count_strength(task: str, rung: str, ends: Iterable[tuple[WrongKind, Outcome, str | None]]) -> Strength:
    """Count how the tests of a task took the wrong answers: `ends` has the kind of each, its outcome and why.

    An `error` or a test that was not run tells nothing of the assertions. Where a judge would have had to decide one of
    them, nothing is counted: those that failed before they came to it are no fair sample.
    """
    ends = [*ends]
    if any(outcome == "error" and why == "judge" for _, outcome, why in ends):
        return Strength(task=task, rung=rung, uncounted=len(ends), unmeasured=RESTS_ON_A_JUDGE)
    passed: dict[WrongKind, int] = defaultdict(int)
    played: dict[WrongKind, int] = defaultdict(int)
    uncounted: list[str | None] = []
    for kind, outcome, why in ends:
        if outcome not in ("passed", "failed"):
            uncounted.append(why)
            continue
        played[kind] += 1
        passed[kind] += outcome == "passed"
    return Strength(
        task=task,
        rung=rung,
        kinds={kind: Played(passed=passed[kind], played=played[kind]) for kind in KINDS if played[kind]},
        uncounted=len(uncounted),
        uncounted_because=next(filter(None, uncounted), None),
    )


def strength_note(strength: Strength) -> str | None:
    """The doubt about a verdict whose tests let too many answers of other cases pass; None where chance may do that.

    More than a fifth must have passed, and it must be shown at 95 % (one-sided, exact) that more than a fifth would.
    """
    others = strength.others
    if others.played < _FEWEST_SWAPS or others.passed <= _EXPLAINED * others.played:
        return None
    if _chance_of_so_many(others) >= _ERROR:
        return None
    return (
        f"its assertions let {others.passed} of {others.played} wrong answers of other cases pass: "
        f"the verdict may be too kind"
    )


def _chance_of_so_many(others: Played) -> float:
    """How likely at least so many pass where a fifth does."""
    n, p = others.played, _EXPLAINED
    return sum(comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(others.passed, n + 1))


def strength_words(strength: Strength) -> str:
    """`strength: its tests let 14 of 60 wrong answers pass (14 of 40 answers of other cases, ...)`, in one line."""
    if strength.unmeasured is not None:
        return f"strength: not measured: {strength.unmeasured}"
    passed, played = (sum(getattr(kind, name) for kind in strength.kinds.values()) for name in ("passed", "played"))
    parts = [f"{count.passed} of {count.played} {_NOUNS[kind]}" for kind, count in strength.kinds.items()]
    text = f"its tests let {passed} of {played} wrong answers pass" + (f" ({', '.join(parts)})" if passed else "")
    text = text if played else "no wrong answer could be played to its tests"
    if not strength.uncounted:
        return f"strength: {text}"
    because = f" ({strength.uncounted_because})" if strength.uncounted_because else ""
    starts = f"{strength.uncounted} start{'s tell' if strength.uncounted != 1 else ' tells'} nothing"
    return f"strength: {text}; {starts}{because}"


def with_strength(verdict: Verdict, strengths: Mapping[str, Strength]) -> Verdict:
    """The verdict with the doubt about it, if there is one."""
    strength = strengths.get(verdict.task)
    note = None if strength is None or verdict.smallest is None else strength_note(strength)
    return verdict if note is None else replace(verdict, notes=(*verdict.notes, note))
