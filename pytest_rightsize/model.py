"""The `model` of a test: `model.ask(prompt)` turns a prompt into a Request, has it answered, and returns an Answer.

It keeps the answers and the first fault in a `Transcript`, so that the trial can be graded whatever the test does with
an exception. It never touches a file, a clock or a network itself.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from pytest_rightsize.energy import Energy
from pytest_rightsize.errors import FormatError, NoAnswerError, RungError
from pytest_rightsize.matchers import json_in
from pytest_rightsize.records import AnswerRecord, Json, Reply, Request, Rung, Tokens

__all__ = ["Answer", "Conversation", "Model", "Transcript"]

__tracebackhide__ = True  # a traceback ends where the test asks

T = TypeVar("T")


@dataclass(kw_only=True)
class Transcript:
    """Answers of one trial so far, in order, and the first fault that prevented one."""

    answers: list[AnswerRecord] = field(default_factory=list)
    fault: RungError | NoAnswerError | None = None


class Answer(str):
    """A model's answer: a string to assert on, with its tokens, energy, seconds and cost.

    What the model reasoned before it, as between `<think>` and `</think>`, stands in `reasoning` instead.
    """

    record: AnswerRecord

    def __new__(cls, record: AnswerRecord) -> "Answer":
        """Make the string from a record's text and keep the record beside it."""
        answer = super().__new__(cls, record.text)
        answer.record = record
        return answer

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

    def json(self, schema: Mapping[str, Json] | None = None) -> Json:
        """Parse the answer as JSON, without the Markdown code fence around it if there is one.

        Raises FormatError if it is not JSON, or not what `schema` (a JSON schema) asks for.
        """
        try:
            value = json_in(self)
        except ValueError as error:
            raise FormatError(f"the answer is not JSON ({error}): {self[:200]!r}") from None
        if schema is not None:
            import jsonschema

            problem = jsonschema.exceptions.best_match(
                jsonschema.validators.validator_for(schema)(schema).iter_errors(value)
            )
            if problem is not None:
                raise FormatError(f"the answer does not follow the schema at {problem.json_path}: {problem.message}")
        return value


@dataclass(frozen=True, kw_only=True)
class Model:
    """One rung, as a test sees it. `answer` sends a Request and waits for the Reply, whose text is the answer alone."""

    rung_record: Rung
    answer: Callable[[Request], Reply]
    transcript: Transcript
    sample: int = 0
    max_tokens: int | None = None

    def __repr__(self) -> str:
        """`Model('4b')`: pytest shows it in each traceback, beside the test's own values."""
        return f"Model({self.rung!r})"

    @property
    def rung(self) -> str:
        """The name of the rung that answers."""
        return self.rung_record.name

    def ask(
        self,
        prompt: str | None = None,
        *,
        system: str | None = None,
        messages: Sequence[Mapping[str, Json]] | None = None,
        schema: Mapping[str, Json] | None = None,
        tools: Sequence[Mapping[str, Json]] | None = None,
        max_tokens: int | None = None,
        temperature: float | None = None,
        seed: int | None = None,
        **extra: Json,
    ) -> Answer:
        """Ask the rung and wait for its answer.

        `messages` (OpenAI chat messages) come before the prompt, `system` before both. `schema` is a JSON schema that
        the answer is constrained to where the rung can do so. `extra` goes to the model's server unchanged.

        Raises RungError if the rung cannot answer, TooLongError if the prompt does not fit its context, and another
        NoAnswerError where the model itself gave no answer. A test need not catch them: the trial is graded correctly
        whether it does or not.
        """
        request = Request(
            messages=_messages(prompt, system, messages),
            sample=self.sample,
            max_tokens=_first(max_tokens, self.max_tokens, self.rung_record.max_tokens),
            temperature=_first(temperature, self.rung_record.temperature),
            top_p=_first(extra.pop("top_p", None), self.rung_record.top_p),
            seed=_first(seed, self.rung_record.seed),
            schema=schema,
            tools=tuple(tools) if tools is not None else None,
            extra=extra,
        )
        try:
            reply = self.answer(request)
        except (RungError, NoAnswerError) as fault:
            self.transcript.fault = self.transcript.fault or fault
            raise
        record = answer_record(reply, self.rung_record, request.messages)
        self.transcript.answers.append(record)
        return Answer(record)

    def chat(self, system: str | None = None) -> "Conversation":
        """Start a conversation, in which each question is sent with those before it and their answers."""
        return Conversation(self, system)


class Conversation:
    """Several turns with one rung; `messages` are those of both sides so far."""

    def __init__(self, model: Model, system: str | None = None) -> None:
        """Start with no message but the system message."""
        self._model = model
        self.messages: list[Mapping[str, Json]] = []
        if system is not None:
            self.messages.append({"role": "system", "content": system})

    def ask(self, prompt: str, **options: Any) -> Answer:
        """Ask `prompt` next and return the answer; `options` are those of `Model.ask`."""
        answer = self._model.ask(prompt, messages=self.messages, **options)
        self.messages.append({"role": "user", "content": prompt})
        self.messages.append({"role": "assistant", "content": str(answer)})
        return answer


def _messages(
    prompt: str | None, system: str | None, messages: Sequence[Mapping[str, Json]] | None
) -> tuple[Mapping[str, Json], ...]:
    """One list of chat messages from the three ways to give them."""
    if prompt is None and not messages:
        raise TypeError(
            "model.ask() was given nothing to ask: pass a prompt, or messages=[{'role': ..., 'content': ...}]"
        )
    if prompt is not None and not isinstance(prompt, str):
        raise TypeError(f"model.ask() takes the prompt as a string, not {prompt!r}; chat messages go to messages=")
    opening = [{"role": "system", "content": system}] if system is not None else []
    closing = [{"role": "user", "content": prompt}] if prompt is not None else []
    return (*opening, *(messages or ()), *closing)


def _first(*values: T | None) -> T | None:
    """The first value that was given."""
    return next((value for value in values if value is not None), None)


def answer_record(reply: Reply, rung: Rung, messages: tuple[Mapping[str, Json], ...] = ()) -> AnswerRecord:
    """The part of a reply that the results file keeps, with the cost if it is known."""
    return AnswerRecord(
        text=reply.text,
        messages=messages,
        reasoning=reply.reasoning,
        tokens=replace(reply.tokens, characters=len(reply.text) + len(reply.reasoning or "")),
        seconds=reply.seconds,
        energy=reply.energy,
        cost_usd=rung.price.cost_usd(reply.tokens) if rung.price else _electricity_usd(reply.energy, rung),
        cached=reply.replayed,
        finish_reason=reply.finish_reason,
        tool_calls=reply.tool_calls,
        recorded=reply.recorded,
        retries=reply.retries,
        margin=reply.margin,
    )


def _electricity_usd(energy: Energy | None, rung: Rung) -> float | None:
    """USD for the joules that are known, which are those within the meter's boundary."""
    if energy is None or energy.joules is None or rung.electricity_usd_per_kwh is None:
        return None
    return energy.joules / 3.6e6 * rung.electricity_usd_per_kwh
