"""Answers as a test sees them: strings with what they took, kept in the Transcript of a trial; pure.

A Reply comes in, the record that the results file keeps goes out, and the Answer around it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from pytest_rightsize.energy import Energy
from pytest_rightsize.errors import FormatError, NoAnswerError, RungError
from pytest_rightsize.judgement_records import Judgement
from pytest_rightsize.matchers import json_in
from pytest_rightsize.records import AnswerRecord, Json, Reply, Rung, Tokens
from pytest_rightsize.schemas import Schema

if TYPE_CHECKING:
    from referencing import Registry

__all__ = ["Answer", "Transcript", "answer_record"]

__tracebackhide__ = True  # a traceback ends where the test asks


@dataclass(kw_only=True)
class Transcript:
    """Answers of one trial so far, in order, and the first fault that prevented one.

    `refused` is a connection that the test was refused: nothing that it then failed by is the model's.
    `judgements` are what judges took for them.
    `earlier` are those that an earlier start of the same `run` was given: a test that keeps answers between its starts
    does not ask for them again.
    """

    answers: list[AnswerRecord] = field(default_factory=list)
    fault: RungError | NoAnswerError | None = None
    refused: RungError | None = None
    earlier: list[AnswerRecord] = field(default_factory=list)
    run: int = 0
    judgements: list[Judgement] = field(default_factory=list)

    def restarted(self, run: int) -> "Transcript":
        """The transcript of the next start, which is in that run."""
        return Transcript(earlier=self._kept() + self.answers if run == self.run else [], run=run)

    def take_earlier(self) -> list[AnswerRecord]:
        """Count the answers that the test has kept from earlier starts among its own; returns those."""
        kept, self.earlier = self._kept(), []
        self.answers[:0] = kept
        self.judgements = [
            each if each.answer is None else replace(each, answer=each.answer + len(kept)) for each in self.judgements
        ]
        return kept

    def _kept(self) -> list[AnswerRecord]:
        """The earlier answers that this start was not given again."""
        kept = [*self.earlier]
        for answer in self.answers:
            if answer in kept:
                kept.remove(answer)
        return kept


class Answer(str):
    """A model's answer: a string to assert on, with its tokens, energy, seconds and cost.

    What the model reasoned before it, as between `<think>` and `</think>`, stands in `reasoning` instead.

    >>> answer = model.ask("ISO date: 3 May 2026")
    >>> answer == "2026-05-03"
    True
    >>> answer.tokens.total, answer.seconds, answer.cost_usd, answer.energy.joules
    (19, 0.5, 2.1e-05, 2.0)
    >>> answer.finish_reason, answer.reasoning, answer.tool_calls
    ('stop', None, ())
    """

    record: AnswerRecord

    def __new__(cls, record: AnswerRecord) -> "Answer":
        """Make the string from a record's text and keep the record beside it."""
        answer = super().__new__(cls, record.text)
        answer.record = record
        return answer

    def __reduce__(self) -> tuple[type["Answer"], tuple[AnswerRecord]]:
        """Pickle it with its record."""
        return type(self), (self.record,)

    def __copy__(self) -> "Answer":
        """Itself, as nothing of it changes."""
        return self

    def __deepcopy__(self, _: dict[int, object]) -> "Answer":
        """Itself, as nothing of it changes."""
        return self

    @property
    def tokens(self) -> Tokens:
        """Token counts; see `Tokens`."""
        return self.record.tokens

    @property
    def seconds(self) -> float | None:
        """Wall seconds the model took, without waiting for retries."""
        return self.record.seconds

    @property
    def energy(self) -> Energy | None:
        """Joules of the answer and how they are known, or None where nothing measured it."""
        return self.record.energy

    @property
    def cost_usd(self) -> float | None:
        """USD, or None where the price or a token count is unknown."""
        return self.record.cost_usd

    @property
    def finish_reason(self) -> str | None:
        """Why it stopped: `stop`, `length`, `content_filter`, `tool_calls`, `malformed`, or the endpoint's own word."""
        return self.record.finish_reason

    @property
    def reasoning(self) -> str | None:
        """The reasoning before the answer, if the model or its endpoint shows it."""
        return self.record.reasoning

    @property
    def tool_calls(self) -> tuple[Mapping[str, Json], ...]:
        """The calls the model asked for, as in the OpenAI API."""
        return self.record.tool_calls

    def json(self, schema: Mapping[str, Json] | None = None, *, registry: "Registry[Any] | None" = None) -> Json:
        """Parse the answer as JSON, without the Markdown code fence around it if there is one.

        Raises FormatError if it is not JSON, or not what `schema` (a JSON schema) asks for. Schemas that it refers to
        come from `registry`, of the package `referencing`: nothing is fetched.

        >>> model.ask("The date as JSON: 3 May 2026").json({"required": ["year"]})
        {'year': 2026, 'month': 5}
        """
        try:
            value = json_in(self)
        except ValueError as error:
            raise FormatError(f"the answer is not JSON ({error}): {self[:200]!r}") from None
        if schema is not None:
            problem = Schema(schema, registry).problem(value)
            if problem is not None:
                raise FormatError(f"the answer does not follow the schema at {problem.path}: {problem}")
        return value


def answer_record(reply: Reply, rung: Rung, messages: tuple[Mapping[str, Json], ...] = ()) -> AnswerRecord:
    """The part of a reply that the results file keeps, with the cost if it is known."""
    return AnswerRecord(
        text=reply.text,
        messages=messages,
        reasoning=reply.reasoning,
        tokens=_with_characters(_tokens(reply), len(reply.text) + len(reply.reasoning or "")),
        seconds=reply.seconds,
        energy=reply.energy,
        cost_usd=_cost_usd(reply, rung),
        cached=reply.replayed,
        finish_reason=reply.finish_reason,
        tool_calls=reply.tool_calls,
        recorded=reply.recorded,
        retries=reply.retries,
        margin=reply.margin,
        via=reply.via,
    )


def _cost_usd(reply: Reply, rung: Rung) -> float | None:
    """USD by the rung's price or its electricity; those of the members where the rung is a cascade."""
    if reply.via:
        return reply.cost_usd
    return rung.price.cost_usd(reply.tokens) if rung.price else _electricity_usd(reply.energy, rung)


def _tokens(reply: Reply) -> Tokens:
    """The counts of a reply; 0 reported reasoning tokens beside a reasoning that is there were not counted."""
    if reply.reasoning and reply.tokens.reasoning == 0:
        return replace(reply.tokens, reasoning=None, reasoning_source="unknown")
    return reply.tokens


@lru_cache(maxsize=1_000)
def _with_characters(tokens: Tokens, characters: int) -> Tokens:
    """The counts with that of characters; many answers of a run have the same, which are made once."""
    return replace(tokens, characters=characters)


def _electricity_usd(energy: Energy | None, rung: Rung) -> float | None:
    """USD for the joules that are known, which are those within the meter's boundary."""
    if energy is None or energy.joules is None or rung.electricity_usd_per_kwh is None:
        return None
    return energy.joules / 3.6e6 * rung.electricity_usd_per_kwh
