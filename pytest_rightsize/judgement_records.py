"""What a judge was asked and what it took for it: frozen nouns, kept apart from the answers of the rung under test."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any, Literal, get_args

from pytest_rightsize.energy import Energy
from pytest_rightsize.plain_data import plain_fields, shallow
from pytest_rightsize.token_records import Tokens

__all__ = ["Criterion", "Judgement", "Question", "fingerprint_of"]

Json = Any
Question = Literal["judged", "preferred_over"]
"""What a judge is asked: the score of one answer, or which of two is better."""
_DIGITS = 16


@dataclass(frozen=True, kw_only=True)
class Criterion:
    """What makes a judge pass an answer: the question, its rubric, the bar, and a hash of the prompt around them.

    `at_least` is the least score that passes, `or_tie` whether a tie does; None where the question has no such thing.

    >>> polite = Criterion(question="judged", rubric="It is polite.", template="0f", at_least=4)
    >>> Criterion.from_dict(polite.to_dict()).fingerprint == polite.fingerprint
    True
    """

    question: Question
    rubric: str
    template: str
    at_least: int | None = None
    or_tie: bool | None = None

    @cached_property
    def fingerprint(self) -> str:
        """Differs wherever the judge is asked something else."""
        return fingerprint_of([self.question, self.rubric, self.template, self.at_least, self.or_tie])

    def to_dict(self) -> dict[str, Json]:
        """The criterion as JSON data, without what is None."""
        return {name: value for name, value in plain_fields(self).items() if value is not None}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Json]) -> "Criterion":
        """The inverse of `to_dict`; equal ones are one object, as all trials of a task have the same. ValueError."""
        if plain["question"] not in get_args(Question):
            raise ValueError(f"a judge cannot be asked {plain['question']!r}")
        return _criterion(*(plain.get(name) for name in cls.__dataclass_fields__))


@lru_cache(maxsize=1024)
def _criterion(question: Any, rubric: Any, template: Any, at_least: Any, or_tie: Any) -> Criterion:
    return Criterion(question=question, rubric=rubric, template=template, at_least=at_least, or_tie=or_tie)


def fingerprint_of(content: Json) -> str:
    """The first 16 digits of the SHA-256 of JSON data."""
    text = json.dumps(content, sort_keys=True, ensure_ascii=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]


@dataclass(frozen=True, kw_only=True, slots=True)
class Judgement:
    """One answer of the rung `by` as a judge; what it took is None where it is not known.

    A `cached` one was recorded before. `judge` is the fingerprint of the model that judged. The judgement that ends a
    comparison has its `criterion`, whether the judged text `passed`, and the place of the `answer` among those of the
    trial; `text` is what was judged where that is not the whole answer, `reference` what it was compared with.
    """

    by: str
    tokens: Tokens = field(default_factory=Tokens)
    seconds: float | None = None
    energy: Energy | None = None
    cost_usd: float | None = None
    cached: bool = False
    judge: str | None = None
    criterion: Criterion | None = None
    passed: bool | None = None
    answer: int | None = None
    text: str | None = None
    reference: str | None = None

    def to_dict(self) -> dict[str, Json]:
        """The judgement as JSON data, without what is not known of the comparison."""
        plain = shallow(self)
        of_comparison = {name: plain.pop(name) for name in _OF_COMPARISON}
        energy = None if self.energy is None else self.energy.to_dict()
        known = {name: value for name, value in of_comparison.items() if value is not None}
        criterion = {} if self.criterion is None else {"criterion": self.criterion.to_dict()}
        return {**plain, "tokens": shallow(self.tokens), "energy": energy, **known, **criterion}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Json]) -> "Judgement":
        """The inverse of `to_dict`; keys that a later version added are left out."""
        values = {name: plain[name] for name in cls.__dataclass_fields__ if name in plain}
        energy, criterion = plain.get("energy"), plain.get("criterion")
        nouns = {
            "tokens": Tokens(**plain["tokens"]),
            "energy": None if energy is None else Energy.from_dict(energy),
            "criterion": None if criterion is None else Criterion.from_dict(criterion),
        }
        return cls(**values | nouns)


_OF_COMPARISON = ("judge", "criterion", "passed", "answer", "text", "reference")
