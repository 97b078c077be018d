"""Matchers for answers where equality is too strict: `assert answer == fuzzy("Paris")`.

A matcher takes a text and gives a Match: whether it matches, a score from 0 to 100, and a sentence saying why.
Pure: the same text always gives the same Match.
"""

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_rightsize.schemas import Schema
from pytest_rightsize.strict_json import loads

if TYPE_CHECKING:
    from referencing import Registry

__all__ = [
    "Match",
    "Matcher",
    "containing",
    "explain_comparison",
    "fuzzy",
    "json_in",
    "json_matching",
    "number",
    "one_of",
]

Json = Any

# 1,234.5 with whole groups of three, or a plain number; a sign counts only where no digit or letter stands before it.
_NUMBER = re.compile(
    r"(?<![\w.])[-+\u2212]?(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?(?:[eE][-+]?\d+)?|(?<![\w.])[-+]?\.\d+"
)


@dataclass(frozen=True, kw_only=True)
class Match:
    """Result of comparing a text with a matcher: `score` is 0 to 100, 100 the best.

    >>> one_of("billing", "sales").match("biling")
    Match(ok=False, score=92.3..., explanation="it is none of the choices; the nearest is 'billing'")
    """

    ok: bool
    score: float
    explanation: str


class Matcher(ABC):
    """Base of the values that a text is compared with by `==`; `score` and `explain()` are of the last comparison.

    >>> class Shouted(Matcher):
    ...     def match(self, text):
    ...         ok = str(text).isupper()
    ...         return Match(ok=ok, score=100.0 * ok, explanation="all in capitals" if ok else "not all in capitals")
    >>> shouted = Shouted("shouted")
    >>> "STOP" == shouted, shouted.score, shouted.explain()
    (True, 100.0, 'all in capitals')
    """

    __hash__ = None  # type: ignore[assignment]  # equal to many texts, so it cannot be a key

    def __init__(self, words: str) -> None:
        """`words` is how the matcher is written, for messages."""
        self._words = words
        self._last: Match | None = None

    @abstractmethod
    def match(self, text: object) -> Match:
        """Compare `text`; a value that is no string raises TypeError, unless the subclass can compare it."""

    @property
    def score(self) -> float | None:
        """The score of the last comparison, 0 to 100; None before the first."""
        return None if self._last is None else self._last.score

    def explain(self) -> str | None:
        """Why the last comparison ended as it did; None before the first."""
        return None if self._last is None else self._last.explanation

    def __eq__(self, other: object) -> bool:
        self._last = self.match(other)
        return self._last.ok

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __repr__(self) -> str:
        return self._words


def explain_comparison(op: str, left: object, right: object) -> list[str] | None:
    """Lines for a failed `left op right` if one side is a matcher: pytest's assertion rewriting prints them."""
    matcher, text = (right, left) if isinstance(right, Matcher) else (left, right)
    if op not in ("==", "!=") or not isinstance(matcher, Matcher):
        return None
    match = matcher.match(text)
    return [f"{_shortened(text)} {op} {matcher!r}", match.explanation, f"score {match.score:.0f} of 100"]


def _shortened(value: object, length: int = 200) -> str:
    shown = repr(value)
    return shown if len(shown) <= length else f"{shown[: length - 3]}..."


def _is_finite(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _are_texts(values: tuple[object, ...]) -> bool:
    return all(isinstance(value, str) for value in values)


def _text(value: object, matcher: Matcher) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{matcher!r} compares text, and was given {_shortened(value, 80)}")
    return value


class _Fuzzy(Matcher):
    def __init__(self, expected: str, at_least: float) -> None:
        if not isinstance(expected, str):
            raise TypeError(f"fuzzy() takes the expected text as a string, not {expected!r}")
        if not 0 <= at_least <= 100:
            raise ValueError(f"fuzzy(at_least={at_least!r}): give a number from 0 to 100")
        super().__init__(f"fuzzy({expected!r}, at_least={at_least:g})")
        self._expected = expected
        self._at_least = at_least

    def match(self, text: object) -> Match:
        from rapidfuzz import fuzz, utils

        answer = _text(text, self)
        cleaned = utils.default_process(answer), utils.default_process(self._expected)
        # Texts of nothing but punctuation would all be the same empty text.
        score = fuzz.ratio(*(cleaned if all(cleaned) else (answer, self._expected)))
        ok = score >= self._at_least
        return Match(
            ok=ok,
            score=score,
            explanation=f"similarity {score:.1f} is {'at least' if ok else 'below'} {self._at_least:g}",
        )


class _JsonMatching(Matcher):
    def __init__(self, schema: Mapping[str, Json], registry: "Registry[Any] | None") -> None:
        from jsonschema.exceptions import SchemaError

        if not isinstance(schema, Mapping):
            raise TypeError(f"json_matching() takes a JSON schema as a dict, not {schema!r}")
        try:
            self._schema = Schema(schema, registry)
        except SchemaError as error:
            raise ValueError(
                f"json_matching() was given no valid JSON schema: at {error.json_path}: {error.message}"
            ) from None
        super().__init__(f"json_matching({_shortened(dict(schema), 80)})")

    def match(self, text: object) -> Match:
        try:
            value: Json = json_in(text) if isinstance(text, str) else text
        except ValueError as error:
            return Match(ok=False, score=0.0, explanation=f"it is not JSON: {error}")
        problem = self._schema.problem(value)
        if problem is None:
            return Match(ok=True, score=100.0, explanation="it follows the schema")
        return Match(ok=False, score=0.0, explanation=f"it does not follow the schema at {problem.path}: {problem}")


def json_in(text: str) -> Json:
    """Parse a text as JSON, without the Markdown code fence around it if there is one; ValueError if it is not JSON."""
    body = text.strip()
    if body.startswith("```") and body.endswith("```") and "\n" in body:
        body = body[body.index("\n") : -3]
    return loads(body)


class _Number(Matcher):
    def __init__(self, value: float, rel: float | None, abs_: float | None) -> None:
        if isinstance(value, bool) or not _is_finite(value):
            raise TypeError(f"number() takes a finite number, not {value!r}")
        for name, tolerance in (("rel", rel), ("abs", abs_)):
            if tolerance is not None and not 0 <= tolerance < math.inf:
                raise ValueError(f"number({name}={tolerance!r}): give a tolerance of 0 or more")
        options = "".join(
            f", {name}={tolerance:g}" for name, tolerance in (("rel", rel), ("abs", abs_)) if tolerance is not None
        )
        super().__init__(f"number({value!r}{options})")
        self._value = value
        self._tolerance = max(abs(value) * (rel or 0.0), abs_ or 0.0)

    def match(self, text: object) -> Match:
        answer = _last_number(_text(text, self))
        if answer is None:
            return Match(ok=False, score=0.0, explanation="there is no number in it")
        distance = abs(answer - self._value)
        # Room for rounding of binary fractions, as in 0.1 + 0.2; none for whole numbers.
        slack = 0.0 if isinstance(answer, int) and isinstance(self._value, int) else 1e-9 * abs(self._value)
        ok = distance <= self._tolerance + slack
        near = (
            f"within {self._tolerance:g} of"
            if ok and self._tolerance
            else "equal to"
            if ok
            else f"{distance:g} away from"
        )
        return Match(
            ok=ok, score=100.0 if ok else 0.0, explanation=f"its last number, {answer}, is {near} {self._value}"
        )


def _last_number(text: str) -> int | float | None:
    """The last number of a text: an answer comes after its working. Commas between groups of three are left out."""
    numbers = _NUMBER.findall(text)
    if not numbers:
        return None
    digits = numbers[-1].replace(",", "").replace("\u2212", "-")
    try:
        return int(digits)
    except ValueError:
        return float(digits)


class _OneOf(Matcher):
    def __init__(self, choices: tuple[str, ...]) -> None:
        if not choices or not _are_texts(choices):
            raise TypeError(f"one_of() takes one or more strings, not {choices!r}")
        super().__init__(f"one_of({', '.join(map(repr, choices))})")
        self._choices = choices

    def match(self, text: object) -> Match:
        from rapidfuzz import fuzz, process

        answer = _text(text, self).strip()
        if answer in self._choices:
            return Match(ok=True, score=100.0, explanation="it is one of the choices")
        nearest = process.extractOne(answer, self._choices, scorer=fuzz.ratio)
        score = min(nearest[1], 99.0)
        return Match(ok=False, score=score, explanation=f"it is none of the choices; the nearest is {nearest[0]!r}")


class _Containing(Matcher):
    def __init__(self, parts: tuple[str, ...]) -> None:
        if not all(parts) or not parts or not _are_texts(parts):
            raise TypeError(f"containing() takes one or more strings that are not empty, not {parts!r}")
        super().__init__(f"containing({', '.join(map(repr, parts))})")
        self._parts = parts

    def match(self, text: object) -> Match:
        answer = _text(text, self).casefold()
        missing = [part for part in self._parts if part.casefold() not in answer]
        score = 100.0 * (len(self._parts) - len(missing)) / len(self._parts)
        explanation = f"it lacks {', '.join(map(repr, missing))}" if missing else "it contains every part"
        return Match(ok=not missing, score=score, explanation=explanation)


def fuzzy(expected: str, *, at_least: float = 90) -> Matcher:
    """Equal to texts that are nearly `expected`, whatever their case, punctuation and outer white space.

    The score is rapidfuzz's ratio, 0 to 100.

    >>> "the Eiffel tower." == fuzzy("The Eiffel Tower")
    True
    """
    return _Fuzzy(expected, at_least)


def json_matching(schema: Mapping[str, Json], *, registry: "Registry[Any] | None" = None) -> Matcher:
    """Equal to texts that are JSON following `schema` (a JSON schema), and to JSON values that do.

    Schemas that it refers to come from `registry`, of the package `referencing`: nothing is fetched.

    >>> '{"qty": 2}' == json_matching({"required": ["qty"]})
    True
    """
    return _JsonMatching(schema, registry)


def number(value: float, *, rel: float | None = None, abs: float | None = None) -> Matcher:  # noqa: A002  # as pytest.approx
    """Equal to texts whose last number is `value`, give or take the larger of `rel` times value and `abs`.

    >>> "That makes 1,234 in all." == number(1234)
    True
    """
    return _Number(value, rel, abs)


def one_of(*choices: str) -> Matcher:
    """Equal to texts that are one of `choices`, white space around them aside.

    >>> "billing" == one_of("billing", "sales")
    True
    """
    return _OneOf(choices)


def containing(*parts: str) -> Matcher:
    """Equal to texts that contain every one of `parts`, in whatever case.

    >>> "Paris is the capital of France" == containing("paris", "capital")
    True
    """
    return _Containing(parts)
