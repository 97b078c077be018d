"""Token counts of a rung's answers, prompt, completion and reasoning apart, and which of them can be believed; pure.

Reasoning is part of the completion. What an endpoint reports of it is not always that: a rung whose reasoning tokens
exceed its completion tokens, or which reasons and reports none, has no share of reasoning, and its count is no count.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pytest_rightsize.plain_data import plain_fields
from pytest_rightsize.records import Json, Rung, Tokens, Trial

__all__ = ["KINDS", "RungTokens", "impossible", "rung_tokens", "says_it_reasons", "why_unsound"]

KINDS = ("prompt", "completion", "reasoning")
_WITHOUT_REASONING = (None, False, "none", "off", "disable", "disabled")


@dataclass(frozen=True, kw_only=True)
class RungTokens:
    """Tokens of one rung on some trials: means over the trials, None where the count of any answer is unknown.

    `completion_per_pass` is the total over the trials that passed. `reasoning_share` is the part of the completion that
    is reasoning, 0 to 1; None also where the counts contradict each other, and `doubt` then says why. `impossible`
    counts the answers with more reasoning than completion tokens.
    """

    trials: int
    passed: int
    prompt: float | None = None
    completion: float | None = None
    reasoning: float | None = None
    completion_per_pass: float | None = None
    reasoning_share: float | None = None
    impossible: int = 0
    doubt: str | None = None

    def to_dict(self) -> dict[str, Json]:
        """The tokens as JSON data, each under the name of its unit."""
        plain = plain_fields(self)
        for kind in KINDS:
            plain[f"{kind}_tokens_per_trial"] = plain.pop(kind)
        plain["completion_tokens_per_pass"] = plain.pop("completion_per_pass")
        return plain


def rung_tokens(trials: Sequence[Trial], *, reasons: bool = False) -> RungTokens:
    """The tokens of a rung's trials; `reasons` is whether it is known to be a reasoning model."""
    answers = [answer.tokens for trial in trials for answer in trial.answers]
    sums = {kind: _sum(getattr(tokens, kind) for tokens in answers) for kind in KINDS}
    completion, reasoning = sums["completion"], sums["reasoning"]
    doubt = why_unsound(answers, reasons=reasons)
    passed = sum(trial.outcome == "passed" for trial in trials)
    means = {kind: None if total is None or not trials else total / len(trials) for kind, total in sums.items()}
    is_known = completion and reasoning is not None and doubt is None
    return RungTokens(
        trials=len(trials),
        passed=passed,
        prompt=means["prompt"],
        completion=means["completion"],
        reasoning=means["reasoning"] if doubt is None else None,
        completion_per_pass=None if completion is None or not passed else completion / passed,
        reasoning_share=(reasoning or 0) / completion if is_known and completion else None,
        impossible=impossible(answers),
        doubt=doubt,
    )


def why_unsound(answers: Iterable[Tokens], *, reasons: bool) -> str | None:
    """A clause on why the reasoning tokens of these answers together cannot be, or None where they can."""
    return ReasoningCounts.of(answers).doubt(reasons=reasons)


def impossible(answers: Iterable[Tokens]) -> int:
    """How many answers report more reasoning than completion tokens, of which it is a part."""
    return ReasoningCounts.of(answers).impossible


class ReasoningCounts:
    """Reasoning and completion tokens of answers that report both; `impossible` counts those with more reasoning."""

    __slots__ = ("_completion", "_counted", "_reasoning", "impossible")

    def __init__(self) -> None:
        self._counted = self._completion = self._reasoning = self.impossible = 0

    @classmethod
    def of(cls, answers: Iterable[Tokens]) -> "ReasoningCounts":
        """Those of some answers."""
        counts = cls()
        for tokens in answers:
            counts.add(tokens)
        return counts

    def add(self, tokens: Tokens) -> None:
        """Count one answer."""
        if tokens.completion is not None and tokens.reasoning is not None:
            self._counted += 1
            self._completion += tokens.completion
            self._reasoning += tokens.reasoning
            self.impossible += tokens.reasoning > tokens.completion

    def doubt(self, *, reasons: bool) -> str | None:
        """As `why_unsound`."""
        if self._reasoning > self._completion:
            return f"{self._reasoning:,} reasoning tokens are reported of {self._completion:,} completion tokens"
        if reasons and self._counted and not self._reasoning:
            return "it reasons, and reports 0 reasoning tokens"
        return None


def says_it_reasons(rung: Rung | None) -> bool:
    """Whether the ladder file says that the rung's model reasons: by `reasoning`, an effort, or its chat template."""
    options: Mapping[str, Json] = {} if rung is None else rung.options
    template = options.get("chat_template_kwargs")
    asked = [
        options.get("reasoning"),
        options.get("reasoning_effort"),
        *((template.get("enable_thinking"), template.get("thinking")) if isinstance(template, Mapping) else ()),
    ]
    return any(value not in _WITHOUT_REASONING for value in asked)


def _sum(counts: Iterable[int | None]) -> int | None:
    """The sum, or None where one count is not known or there are none."""
    listed = list(counts)
    known = [count for count in listed if count is not None]
    return sum(known) if listed and len(known) == len(listed) else None
