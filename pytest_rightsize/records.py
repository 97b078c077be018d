"""Nouns of the program: frozen, keyword-only, and turned into plain dicts only at a file or process border.

A *task* is what the application asks of a model; a *case* is one input of it; a *trial* is one case on one *rung*
of the *ladder*, repeated for each *sample*. Tokens are counts, `seconds` are wall seconds, prices are USD per million
tokens. A quantity that was not measured is None, never 0.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pytest_rightsize.calibration_records import Calibration
from pytest_rightsize.energy import Energy
from pytest_rightsize.judgement_records import Judgement
from pytest_rightsize.meter_records import Metering
from pytest_rightsize.plain_data import plain_fields, shallow, without_header_values
from pytest_rightsize.policy_records import GateName, Policy, Waiver
from pytest_rightsize.strength_records import Strength
from pytest_rightsize.token_records import Price, Tokens

__all__ = [
    "BUDGET_UNITS",
    "WITHHOLDABLE",
    "AnswerRecord",
    "CacheMode",
    "GateName",
    "Identity",
    "Policy",
    "Price",
    "Reply",
    "Request",
    "Run",
    "Rung",
    "Tokens",
    "Trial",
    "TrialKey",
    "Waiver",
    "trials_by_task",
]

Outcome = Literal["passed", "failed", "error", "not_run"]
State = Literal["passes", "fails", "undecided", "not_run"]
Evidence = Literal["shown", "likely", "provisional"]
# The confidence of each grade of evidence, the surest first.
EVIDENCE_LEVELS: Mapping[Evidence, float] = {"shown": 0.95, "likely": 0.8}
VerdictName = Literal["right-sized", "over-sized", "under-sized", "unsolved", "undecided", "unchosen"]
Strategy = Literal["climb", "full", "bisect"]
CacheMode = Literal["auto", "off", "replay", "refresh"]
Stopping = Literal["early", "settled", "none"]
BUDGET_UNITS = ("usd", "tokens", "joules", "seconds")
WITHHOLDABLE = ("prompts", "answers")
Json = Any  # a JSON value; mypy has no useful recursive type for data that users own


@dataclass(frozen=True, kw_only=True)
class Rung:
    """One model of the ladder and how to reach it; `options` are the keys that only its provider understands.

    `temperature`, `top_p`, `seed` and `max_tokens` are defaults for requests that do not set them. `meter` names how
    its energy is known (None is `auto`); with `electricity_usd_per_kwh` the joules of a rung of this machine cost USD,
    and `gco2_per_kwh` is how many grams of CO2e a kilowatt hour of the rung's electricity stands for. A `trusted` rung
    is given private tasks even where it is not on this machine. `images` says whether it takes images in messages, and
    None leaves that to its provider.
    Relative paths start from `base_dir`, the folder of the ladder file.

    >>> Rung(name="1b", provider="openai", model="qwen3:1.7b", params_b=1.7).to_dict()
    {'name': '1b', 'provider': 'openai', 'model': 'qwen3:1.7b', 'params_b': 1.7}
    """

    name: str
    provider: str
    model: str | None = None
    params_b: float | None = None
    active_b: float | None = None
    price: Price | None = None
    max_in_flight: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None
    max_tokens: int | None = None
    meter: str | Mapping[str, Json] | None = None
    electricity_usd_per_kwh: float | None = None
    gco2_per_kwh: float | None = None
    trusted: bool | None = None
    images: bool | None = None
    options: Mapping[str, Json] = field(default_factory=dict, repr=False)  # it may hold headers
    base_dir: str = "."

    def to_dict(self) -> dict[str, Json]:
        """The rung as the results file shows it: without what is not set, this machine's folders, headers' values."""
        plain = {key: value for key, value in plain_fields(self).items() if value is not None and key != "base_dir"}
        del plain["options"]
        if self.price is not None:
            shown = ("prompt", "completion", "cached")
            plain["price"] = {key: value for key, value in plain["price"].items() if value is not None or key in shown}
        return {**plain, **without_header_values(self.options)}


@dataclass(frozen=True, kw_only=True)
class Request:
    """One question to one rung, complete: nothing outside it can change the answer.

    `messages` are chat messages as in the OpenAI API. `sample` is the index of the repetition: the same request with
    another sample is another draw. `schema` is a JSON schema the answer must follow; `extra` is passed to the endpoint
    unchanged.

    >>> Request(messages=({"role": "user", "content": "Hello"},), max_tokens=8).messages[-1]["content"]
    'Hello'
    """

    messages: tuple[Mapping[str, Json], ...]
    sample: int = 0
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None
    schema: Mapping[str, Json] | None = None
    tools: tuple[Mapping[str, Json], ...] | None = None
    extra: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Fingerprint of a rung: JSON data that differs wherever its answers may differ. It never holds a key or a header.

    `greedy` says that a request with a temperature of 0, or none, gets the same answer each time. `is_recording` says
    that the rung has no model: its answers are recorded ones already, and are not recorded again.

    >>> Identity(content={"provider": "shout", "suffix": "!"}, greedy=True).content["suffix"]
    '!'
    """

    content: Mapping[str, Json]
    greedy: bool = False
    is_recording: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """A provider's result: the text as the model wrote it, and what the endpoint reported about it.

    `seconds` is the time from sending the request that succeeded to its last byte: waiting for retries is left out.
    It is None only where a recorded answer does not have it. `after_s` is how long the provider then kept the answer,
    to count its tokens.
    `reasoning` is set only where the provider gives it apart from the text, and empty where it knows of none. A
    `replayed` reply was recorded before, at the date `recorded` where that is known. `retries` counts the attempts that
    failed before it.
    `margin` is by how many logits the likeliest token won where it was closest, known of greedy local answers.

    >>> Reply(text="2026-05-03", seconds=0.5).tokens.completion is None  # not counted, so not known
    True
    """

    text: str
    seconds: float | None = None
    tokens: Tokens = field(default_factory=Tokens)
    finish_reason: str | None = None
    reasoning: str | None = None
    tool_calls: tuple[Mapping[str, Json], ...] = ()
    replayed: bool = False
    energy: Energy | None = None
    recorded: str | None = None
    retries: int = 0
    after_s: float = 0.0
    margin: float | None = None
    cost_usd: float | None = None
    via: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class AnswerRecord:
    """One answer as the results file keeps it; `messages` are those it answers.

    A `cached` answer was recorded before, at the date `recorded` if that is known; `retries` counts the attempts that
    failed before it. `margin` is that of the reply.

    >>> record = AnswerRecord(text="2026-05-03", tokens=Tokens(prompt=14, completion=5, source="reported"))
    >>> AnswerRecord.from_dict(record.to_dict()) == record
    True
    """

    text: str
    messages: tuple[Mapping[str, Json], ...] = ()
    reasoning: str | None = None
    tokens: Tokens = field(default_factory=Tokens)
    seconds: float | None = None
    energy: Energy | None = None
    cost_usd: float | None = None
    cached: bool = False
    finish_reason: str | None = None
    tool_calls: tuple[Mapping[str, Json], ...] = ()
    recorded: str | None = None
    retries: int = 0
    margin: float | None = None
    via: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Json]:
        """The answer as JSON data."""
        plain: dict[str, Json] = {
            **shallow(self),
            "messages": list(self.messages),
            "tokens": shallow(self.tokens),
            "energy": None if self.energy is None else self.energy.to_dict(),
            "tool_calls": list(self.tool_calls),
        }
        if self.via:
            plain["via"] = list(self.via)
        else:
            del plain["via"]
        return plain

    @classmethod
    def from_dict(cls, plain: Mapping[str, Json]) -> "AnswerRecord":
        """The inverse of `to_dict`; keys that a later version added are left out."""
        values = {name: plain[name] for name in cls.__dataclass_fields__ if name in plain}
        energy = plain.get("energy")
        tuples = {name: tuple(plain.get(name, ())) for name in ("messages", "tool_calls", "via")}
        nouns = {
            "tokens": Tokens(**plain["tokens"]),
            "energy": None if energy is None else Energy.from_dict(energy),
        }
        return cls(**values | tuples | nouns)


@dataclass(frozen=True, kw_only=True, order=True, slots=True)
class TrialKey:
    """Name of a trial: one sample of one case of a task on a rung.

    >>> TrialKey(task="iso-date", case="test_dates.py::test_date[3 May]", rung="1b").sample
    0
    """

    task: str
    case: str
    rung: str
    sample: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """Outcome of one trial, with its answers.

    `reason` is one word (`wrong`, `format`, `truncated`, `refusal`, `too_long`, `transport`, `settled`, ...), or None
    for a passed trial; `detail` is the sentence for people. A failure by an exception that is no assertion was
    `raised_at` a place, as `KeyError at test_it.py:12`. `seconds` is the time of the whole test; each answer has its
    own. A trial that no verdict needs is `not_run`, also where it was asked to tell what is saved against the chosen
    rung: `sampled` then says how it ended.

    >>> trial = Trial(key=TrialKey(task="iso-date", case="test_dates.py::test_date", rung="1b"), outcome="error")
    >>> trial.ended, trial.is_fault, Trial.from_dict(trial.to_dict()) == trial
    (None, True, True)
    """

    key: TrialKey
    outcome: Outcome
    reason: str | None = None
    detail: str | None = None
    answers: tuple[AnswerRecord, ...] = ()
    seconds: float | None = None
    raised_at: str | None = None
    sampled: Literal["passed", "failed", "error"] | None = None
    judgements: tuple[Judgement, ...] = ()

    @property
    def ended(self) -> Literal["passed", "failed"] | None:
        """How it ended, whether or not it counts for a verdict; None where there is no outcome."""
        outcome = self.sampled if self.outcome == "not_run" else self.outcome
        return outcome if outcome == "passed" or outcome == "failed" else None

    @property
    def is_fault(self) -> bool:
        """Whether the rung could not answer, or not in time.

        A test that broke by itself, never asked, or asked for what no rung can be asked, is an error and no fault.
        """
        if self.outcome != "error":
            return False
        return self.reason not in ("test", "unasked", "unserved") and "from pytest-timeout" not in (self.detail or "")

    def to_dict(self) -> dict[str, Json]:
        """The trial as a line of the results file."""
        return {
            "kind": "trial",
            **shallow(self.key),
            "outcome": self.outcome,
            "reason": self.reason,
            "detail": self.detail,
            "answers": [answer.to_dict() for answer in self.answers],
            "seconds": self.seconds,
            **({} if self.raised_at is None else {"raised_at": self.raised_at}),
            **({} if self.sampled is None else {"sampled": self.sampled}),
            **({"judgements": [each.to_dict() for each in self.judgements]} if self.judgements else {}),
        }

    @classmethod
    def from_dict(cls, plain: Mapping[str, Json]) -> "Trial":
        """The inverse of `to_dict`."""
        return cls(
            key=TrialKey(task=plain["task"], case=plain["case"], rung=plain["rung"], sample=plain.get("sample", 0)),
            outcome=plain["outcome"],
            reason=plain.get("reason"),
            detail=plain.get("detail"),
            answers=tuple(AnswerRecord.from_dict(answer) for answer in plain.get("answers", ())),
            seconds=plain.get("seconds"),
            raised_at=plain.get("raised_at"),
            sampled=plain.get("sampled"),
            judgements=tuple(Judgement.from_dict(each) for each in plain.get("judgements", ())),
        )


@dataclass(frozen=True, kw_only=True)
class Run:
    """One session: its rungs, smallest first, its plan and its trials.

    `planned` counts the trials that each (task, rung) should have had; `meters` has the totals of each rung's meter,
    `strengths` that of each task whose tests were played wrong answers, `calibrations` what is known of judges' errors.
    `about` is what the first line of a results file says beside the ladder: when and on what machine it started, with
    which versions and settings. `read_texts` is set where a session keeps the texts of its trials in a file only;
    `read_data` gives the image or sound of a prompt by its SHA-256, or None.

    >>> trial = Trial(key=TrialKey(task="iso-date", case="test_dates.py::test_date", rung="1b"), outcome="passed")
    >>> run = Run(rungs=[Rung(name="1b", provider="openai")], trials=[trial])
    >>> [trial.key.task for trial in map(run.whole, run.trials) if trial.outcome == "passed"]
    ['iso-date']
    """

    rungs: Sequence[Rung]
    trials: Sequence[Trial] = ()
    policies: Mapping[str, Policy] = field(default_factory=dict)
    planned: Mapping[tuple[str, str], int] = field(default_factory=dict)
    strategy: Strategy = "climb"
    interrupted: bool = False
    meters: Sequence[Metering] = ()
    strengths: Mapping[str, Strength] = field(default_factory=dict)
    calibrations: Sequence[Calibration] = ()
    about: Mapping[str, Json] = field(default_factory=dict)
    read_texts: Callable[[Trial], Trial] | None = field(default=None, compare=False, repr=False)
    read_data: Callable[[str], bytes | None] | None = field(default=None, compare=False, repr=False)

    def whole(self, trial: Trial) -> Trial:
        """The trial with prompts, answers and explanation. Raises OSError where they can be read no more."""
        return trial if self.read_texts is None else self.read_texts(trial)


def trials_by_task(trials: Iterable[Trial]) -> Mapping[str, Sequence[Trial]]:
    """The trials of each task, in the order of the first of each; those of a large run one task at a time."""
    by_task: Callable[[], Mapping[str, Sequence[Trial]]] | None = getattr(trials, "by_task", None)
    if by_task is not None:
        return by_task()
    groups: dict[str, list[Trial]] = defaultdict(list)
    for trial in trials:
        groups[trial.key.task].append(trial)
    return dict(groups)
