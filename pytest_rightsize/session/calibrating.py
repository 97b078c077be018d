"""Asks judges for answers that people labelled, outside a test session, as a session would ask them.

In come prepared questions; out go what each judge said of them and what it took. Answers that were recorded are not
asked for again. What a judge does not judge is told, and is no disagreement.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_rightsize.answers import Transcript
from pytest_rightsize.config.cascades import members_of
from pytest_rightsize.errors import ConfigError, NoAnswerError, RungError, unknown_name
from pytest_rightsize.judgement_records import Judgement
from pytest_rightsize.judges import CURRENT
from pytest_rightsize.matchers import Matcher
from pytest_rightsize.meters import Meter
from pytest_rightsize.providers import Provider
from pytest_rightsize.providers.broken_providers import checked, made
from pytest_rightsize.providers.own_threads import own_work
from pytest_rightsize.recorded.fingerprints import fingerprints_of
from pytest_rightsize.records import AnswerRecord, CacheMode, Rung
from pytest_rightsize.running.asker import Asker
from pytest_rightsize.running.engine import Engine
from pytest_rightsize.running.interception import Interception
from pytest_rightsize.running.ticket import Ticket
from pytest_rightsize.session.judge_bench import JudgeBench, judge_fingerprint
from pytest_rightsize.session.metering import Meters

if TYPE_CHECKING:
    from pytest_rightsize.recorded.recorder import Recorder

__all__ = ["PEOPLE", "Asked", "LabelledQuestion", "Said", "ask_judges"]

_IN_FLIGHT = 8
PEOPLE = "people"
"""Stands where a trial has its rung: people, and no rung, labelled the answers that a judge is asked about."""
_PEOPLE = Rung(name=PEOPLE, provider=PEOPLE)


@dataclass(frozen=True, kw_only=True)
class LabelledQuestion:
    """One labelled answer: the `matcher` asks the judge of it, and `make` makes a fresh one."""

    make: Callable[[], Matcher]
    by: str
    answer: str
    question: str | None
    private: bool


@dataclass(frozen=True, kw_only=True)
class Said:
    """What a judge said of one answer: whether it passes it, or the `fault` that kept it from judging."""

    judgements: tuple[Judgement, ...]
    fault: str | None = None

    @property
    def last(self) -> Judgement | None:
        """The judgement that ended the comparison."""
        return self.judgements[-1] if self.judgements and self.judgements[-1].passed is not None else None


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What there is to ask judges with: the rungs by name, the classes of providers and meters, and the records."""

    known: Mapping[str, Rung]
    providers: Mapping[str, type[Provider]]
    meters: Mapping[str, type[Meter]]
    folder: Path
    mode: CacheMode
    offline: bool
    on_trouble: Callable[[str], None]


def ask_judges(questions: Sequence[LabelledQuestion], asked: Asked) -> list[Said]:
    """What the judges say, in the order of the questions; raises ConfigError for a judge that cannot be asked."""
    names = [*dict.fromkeys(question.by for question in questions)]
    for name in names:
        if name not in asked.known:
            raise unknown_name("by", name, asked.known, noun="rung")
    each = [*dict.fromkeys(part for name in names for part in (name, *members_of(asked.known[name])))]
    meters = Meters([asked.meters])
    with own_work():
        providers = {name: _provider(asked.known[name], asked, meters) for name in each}
    for provider in providers.values():
        if hasattr(provider, "bind"):
            provider.bind(providers, asked.known)
    _check(providers, asked)
    recorder = _recorder(asked)
    engine = Engine(
        providers, one_at_a_time=True, recorder=recorder, rungs=asked.known, offline=asked.offline, kept=each
    )
    bench = _Benches(engine, asked, providers, recorder)
    try:
        with ThreadPoolExecutor(max(1, *(_room(asked.known[name], providers[name]) for name in names))) as pool:
            return [*pool.map(bench.ask, questions)]
    finally:
        engine.close()


def _provider(rung: Rung, asked: Asked, meters: Meters) -> Provider:
    provider = made(asked.providers[rung.provider], rung)
    if hasattr(provider, "on_note"):
        provider.on_note = asked.on_trouble
    return meters.wrap(rung, provider, room=lambda: _room(rung, provider))


def _room(rung: Rung, provider: Provider) -> int:
    return rung.max_in_flight or int(getattr(provider, "in_flight", _IN_FLIGHT))


def _check(providers: Mapping[str, Provider], asked: Asked) -> None:
    for name, provider in providers.items() if asked.mode != "replay" else ():
        problem = checked(provider, name)
        if problem is not None:
            raise ConfigError(f"the judge {name} cannot answer: {problem.what}. {problem.remedy}")
        if asked.offline and provider.leaves_machine:
            raise ConfigError(f"--offline: the judge {name} would leave this machine: name another")


def _recorder(asked: Asked) -> "Recorder | None":
    if asked.mode == "off":
        return None
    from pytest_rightsize.recorded.recorder import Recorder

    return Recorder(asked.folder, mode=asked.mode, rungs=asked.known, on_trouble=asked.on_trouble)


class _Benches:
    """Gives each answer a bench of its own, in whatever thread its judge is asked."""

    def __init__(
        self, engine: Engine, asked: Asked, providers: Mapping[str, Provider], recorder: "Recorder | None"
    ) -> None:
        self._engine = engine
        self._known = asked.known
        self._providers = providers
        self._recorder = recorder
        self._interception = Interception()

    def ask(self, question: LabelledQuestion) -> Said:
        """What the judge says of one answer."""
        asked = () if question.question is None else ({"role": "user", "content": question.question},)
        transcript = Transcript(answers=[AnswerRecord(text=question.answer, messages=asked)])
        ticket = Ticket(case="a labelled answer", test="rightsize judge calibrate", private=question.private)
        bench = JudgeBench(
            Asker(self._engine, _PEOPLE, ticket, self._interception),
            transcript,
            sample=0,
            judge=lambda name: self._known[name],
            fingerprint=self._fingerprint,
        )
        before = CURRENT.set(bench)
        try:
            question.make().match(question.answer)
        except (RungError, NoAnswerError) as fault:
            return Said(judgements=tuple(transcript.judgements), fault=str(fault))
        finally:
            CURRENT.reset(before)
        return Said(judgements=tuple(transcript.judgements))

    def _fingerprint(self, name: str) -> str | None:
        known = {} if self._recorder is None else self._recorder.fingerprints()
        identity = fingerprints_of([name], self._providers, known=known).get(name)
        return judge_fingerprint(self._known[name], identity)
