"""The `model` of a test: `model.ask(prompt)` turns a prompt into a Request, has it answered, and returns an Answer.

Application code asks the same rung through an SDK, by the variables that the session sets, `model.client` or
`model.base_url`. Answers and the first fault are kept in a `Transcript`, so that the trial can be graded whatever the
test does with an exception. It never touches a file, a clock or a network itself.
"""

import difflib
import warnings
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from pytest_rightsize.answers import Answer, Transcript, answer_record
from pytest_rightsize.content_parts import with_files
from pytest_rightsize.energy import Energy
from pytest_rightsize.errors import NoAnswerError, RightsizeWarning, RungError
from pytest_rightsize.records import Json, Reply, Request, Rung, Tokens

if TYPE_CHECKING:
    from openai import AsyncOpenAI, OpenAI

__all__ = ["Address", "Answer", "Conversation", "Model", "Transcript"]

__tracebackhide__ = True  # a traceback ends where the test asks

T = TypeVar("T")


class Address(Protocol):
    """Where SDKs reach the rung for one start of a test; calls that come after its end are refused."""

    @property
    def base_url(self) -> str:
        """See `Model.base_url`."""

    @property
    def env(self) -> dict[str, str]:
        """See `Model.env`."""

    @property
    def client(self) -> "OpenAI":
        """See `Model.client`."""

    @property
    def async_client(self) -> "AsyncOpenAI":
        """See `Model.async_client`."""


@dataclass(frozen=True, kw_only=True)
class Model:
    """One rung, as a test sees it. `answer` sends a Request and waits for the Reply, whose text is the answer alone.

    `answer_async` does the same for `aask`: it does not block the event loop. `address` opens, when first asked, the
    endpoint through which SDKs reach the rung.

    >>> model.ask("ISO date: 3 May 2026")
    '2026-05-03'
    >>> model.rung, model.answers
    ('1b', ('2026-05-03',))
    >>> model.tokens.total, model.seconds, model.cost_usd, model.energy.joules
    (19, 0.5, 2.1e-05, 2.0)
    """

    rung_record: Rung
    answer: Callable[[Request], Reply]
    transcript: Transcript
    sample: int = 0
    max_tokens: int | None = None
    answer_async: Callable[[Request], Awaitable[Reply]] | None = None
    address: Callable[[], Address] | None = None

    def __repr__(self) -> str:
        """`Model('4b')`: pytest shows it in each traceback, beside the test's own values."""
        return f"Model({self.rung!r})"

    @property
    def rung(self) -> str:
        """The name of the rung that answers."""
        return self.rung_record.name

    # --- asking -------------------------------------------------------------------------------------------------------

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

        >>> model.ask("Capital of Italy?", system="Answer with a name alone.", temperature=0.0, max_tokens=8)
        'Rome'
        """
        request = self.request(
            _messages(prompt, system, messages),
            schema=schema,
            tools=tools,
            max_tokens=max_tokens,
            temperature=temperature,
            seed=seed,
            **extra,
        )
        try:
            reply = self.answer(request)
        except (RungError, NoAnswerError) as fault:
            self.failed(fault)
            raise
        return self.keep(request, reply)

    async def aask(
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
        """`ask` for an async test: several may be awaited at once. Arguments and errors are those of `ask`.

        >>> async def two_capitals():
        ...     return await asyncio.gather(model.aask("Capital of France?"), model.aask("Capital of Italy?"))
        >>> asyncio.run(two_capitals())
        ['Paris', 'Rome']
        """
        request = self.request(
            _messages(prompt, system, messages),
            schema=schema,
            tools=tools,
            max_tokens=max_tokens,
            temperature=temperature,
            seed=seed,
            **extra,
        )
        try:
            reply = self.answer(request) if self.answer_async is None else await self.answer_async(request)
        except (RungError, NoAnswerError) as fault:
            self.failed(fault)
            raise
        return self.keep(request, reply)

    def chat(self, system: str | None = None) -> "Conversation":
        """Start a conversation, in which each question is sent with those before it and their answers.

        >>> chat = model.chat(system="Answer with a name alone.")
        >>> chat.ask("Capital of France?"), chat.ask("And of Italy?")
        ('Paris', 'Rome')
        """
        return Conversation(self, system)

    # --- the application's own calls ----------------------------------------------------------------------------------

    @property
    def base_url(self) -> str:
        """The URL of an OpenAI-compatible endpoint on this machine that asks the rung, as in `http://127.0.0.1:1/v1`.

        For an application that takes one, in this process or another. It is good for this start of the test only.

        >>> model.base_url
        'http://127.0.0.1:.../v1'
        """
        return self._address().base_url

    @property
    def env(self) -> dict[str, str]:
        """Environment variables that send the SDKs of a child process to the rung: `env=os.environ | model.env`.

        >>> model.env["OPENAI_BASE_URL"] == model.base_url
        True
        """
        return self._address().env

    @property
    def client(self) -> "OpenAI":
        """A real `openai.OpenAI` that asks the rung, for an application that takes a client.

        >>> question = {"role": "user", "content": "Capital of France?"}
        >>> model.client.chat.completions.create(model="any", messages=[question]).choices[0].message.content
        'Paris'
        """
        return self._address().client

    @property
    def async_client(self) -> "AsyncOpenAI":
        """A real `openai.AsyncOpenAI` that asks the rung; for the event loop that runs when it is taken.

        >>> async def capital():
        ...     question = {"role": "user", "content": "Capital of Italy?"}
        ...     completion = await model.async_client.chat.completions.create(model="any", messages=[question])
        ...     return completion.choices[0].message.content
        >>> asyncio.run(capital())
        'Rome'
        """
        return self._address().async_client

    def _address(self) -> Address:
        if self.address is None:
            raise RuntimeError(
                "this model has no endpoint: only the fixture `model` of a session of pytest-rightsize has one"
            )
        return self.address()

    # --- what it took -------------------------------------------------------------------------------------------------

    @property
    def answers(self) -> tuple[Answer, ...]:
        """The rung's answers in this trial so far, in the order in which they came."""
        return tuple(map(Answer, self.transcript.answers))

    @property
    def tokens(self) -> Tokens:
        """The token counts of `answers` together; a count that one of them lacks is None."""
        return Tokens.together([record.tokens for record in self.transcript.answers])

    @property
    def energy(self) -> Energy | None:
        """Joules of `answers` together; None without any, or where nothing measured one of them.

        Its `joules` are None, with the `reason`, where a meter could not tell those of one.
        Raises MixedEnergyError where they were measured in ways that make no honest sum.
        """
        energies = [record.energy for record in self.transcript.answers]
        known = [energy for energy in energies if energy is not None]
        return Energy.total(known) if len(known) == len(energies) else None

    @property
    def seconds(self) -> float | None:
        """Seconds that the rung took for `answers`, one after the other; None where those of one are unknown."""
        return _sum(record.seconds for record in self.transcript.answers)

    @property
    def cost_usd(self) -> float | None:
        """USD for `answers` together; None where the cost of one is unknown."""
        return _sum(record.cost_usd for record in self.transcript.answers)

    # --- for the session ----------------------------------------------------------------------------------------------

    def request(
        self,
        messages: Sequence[Mapping[str, Json]],
        *,
        schema: Mapping[str, Json] | None = None,
        tools: Sequence[Mapping[str, Json]] | None = None,
        max_tokens: int | None = None,
        temperature: float | None = None,
        seed: int | None = None,
        **extra: Json,
    ) -> Request:
        """The whole question, with the defaults of the task and of the rung where nothing was given.

        Raises ValueError for a number that is none: no server could be asked so.
        """
        _warn_of_near_misses(extra)
        for name, value in {"max_tokens": max_tokens, "temperature": temperature, "seed": seed, **extra}.items():
            if isinstance(value, float) and not isfinite(value):
                raise ValueError(f"model.ask() was given {name}={value}: give a number")
        return Request(
            messages=tuple(messages),
            sample=self.sample,
            max_tokens=_first(max_tokens, self.max_tokens, self.rung_record.max_tokens),
            temperature=_first(temperature, self.rung_record.temperature),
            top_p=_first(extra.pop("top_p", None), self.rung_record.top_p),
            seed=_first(seed, self.rung_record.seed),
            schema=schema,
            tools=tuple(tools) if tools is not None else None,
            extra=extra,
        )

    def keep(self, request: Request, reply: Reply) -> Answer:
        """Keep the answer to a request for the trial, and return it."""
        record = answer_record(reply, self.rung_record, request.messages)
        self.transcript.answers.append(record)
        return Answer(record)

    def failed(self, fault: RungError | NoAnswerError) -> None:
        """Keep why there was no answer; the first of a trial counts."""
        self.transcript.fault = self.transcript.fault or fault


class Conversation:
    """Several turns with one rung; `messages` are those of both sides so far.

    >>> chat = model.chat()
    >>> chat.ask("Capital of France?")
    'Paris'
    >>> chat.messages
    [{'role': 'user', 'content': 'Capital of France?'}, {'role': 'assistant', 'content': 'Paris'}]
    """

    def __init__(self, model: Model, system: str | None = None) -> None:
        """Start with no message but the system message."""
        self._model = model
        self.messages: list[Mapping[str, Json]] = []
        if system is not None:
            self.messages.append({"role": "system", "content": system})

    def ask(self, prompt: str, **options: Any) -> Answer:
        """Ask `prompt` next and return the answer; `options` are those of `Model.ask`."""
        return self._went_on(prompt, self._model.ask(prompt, messages=self.messages, **options))

    async def aask(self, prompt: str, **options: Any) -> Answer:
        """`ask` for an async test; the turns of one conversation come one after the other.

        >>> asyncio.run(model.chat().aask("Capital of Italy?"))
        'Rome'
        """
        return self._went_on(prompt, await self._model.aask(prompt, messages=self.messages, **options))

    def _went_on(self, prompt: str, answer: Answer) -> Answer:
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
    return (*opening, *with_files(messages or ()), *closing)


# What `ask` takes by name; a server has parameters of its own, of which none is as near to one of these.
_NAMES = ("prompt", "system", "messages", "schema", "tools", "max_tokens", "temperature", "top_p", "seed")
_ALMOST_THE_SAME = 0.85


def _warn_of_near_misses(names: Iterable[str]) -> None:
    """Warn of a name that is nearly one that `ask` takes: it goes to the server, which may ignore it."""
    for name in names:
        near = difflib.get_close_matches(name, _NAMES, n=1, cutoff=_ALMOST_THE_SAME)
        if near and name not in _NAMES:
            words = (
                f"model.ask() was given {name}=, which goes to the model's server as it is: did you mean {near[0]}=?"
            )
            warnings.warn(RightsizeWarning(words), stacklevel=4)


def _first(*values: T | None) -> T | None:
    """The first value that was given."""
    for value in values:
        if value is not None:
            return value
    return None


def _sum(amounts: Iterable[float | None]) -> float | None:
    """The sum, or None where one of the amounts is unknown."""
    known = list(amounts)
    return sum(amount for amount in known if amount is not None) if None not in known else None
