"""Asks a judge for the test that runs: the way from a matcher such as `judged` to the rung that judges.

In come the judge's name and a prompt; out goes its text, and a Judgement for the trial. Whatever keeps the judge from
judging is the trial's fault, never a wrong answer.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import NoReturn

from pytest_rightsize.answers import Transcript, answer_record
from pytest_rightsize.errors import ConfigError, NoAnswerError, RungError
from pytest_rightsize.judgement_records import Criterion, Judgement, fingerprint_of
from pytest_rightsize.judges import last_question
from pytest_rightsize.records import Json, Request, Rung
from pytest_rightsize.running.asker import Asker

__all__ = ["JudgeBench", "judge_fingerprint", "judge_request"]


class JudgeBench:
    """The judges of one start of a test.

    `judge` gives the rung of a name, made ready to be asked, `fingerprint` that of the model behind it once it was
    asked, and None where it has none.
    """

    def __init__(
        self,
        asker: Asker,
        transcript: Transcript,
        *,
        sample: int,
        judge: Callable[[str], Rung],
        fingerprint: Callable[[str], str | None],
    ) -> None:
        self._asker = asker
        self._transcript = transcript
        self._sample = sample
        self._judge = judge
        self._fingerprint = fingerprint

    @property
    def question(self) -> str | None:
        """The last question to the rung under test; None where it was asked none of text."""
        return last_question(self._transcript.answers[-1].messages) if self._transcript.answers else None

    def ask(self, by: str, prompt: str, *, system: str, schema: Mapping[str, Json], itself: bool) -> str:
        """The judge's text; raises RungError."""
        try:
            rung = self._rung(by, itself=itself)
            reply = self._asker.ask_judge(rung, judge_request(rung, prompt, system, schema, sample=self._sample))
        except RungError as fault:
            self._fail(fault)
        except (NoAnswerError, ConfigError) as error:
            self._fail(RungError(f"the judge {by!r} did not judge: {error}", reason="judge", alone=True))
        record = answer_record(reply, rung)
        self._transcript.judgements.append(
            Judgement(
                by=by,
                tokens=record.tokens,
                seconds=record.seconds,
                energy=record.energy,
                cost_usd=record.cost_usd,
                cached=record.cached,
                judge=self._fingerprint(by),
            )
        )
        return reply.text

    def decided(self, criterion: Criterion, text: str, *, passed: bool, reference: str | None) -> None:
        """Note what the last judgement came to."""
        answers, judgements = self._transcript.answers, self._transcript.judgements
        judgements[-1] = replace(
            judgements[-1],
            criterion=criterion,
            passed=passed,
            answer=len(answers) - 1 if answers else None,
            text=None if answers and answers[-1].text == text else text,
            reference=reference,
        )

    def refuse(self, words: str) -> NoReturn:
        """The judgement cannot be read."""
        self._fail(RungError(words, reason="judge", alone=True))

    def _rung(self, by: str, *, itself: bool) -> Rung:
        if by == self._asker.rung.name and not itself:
            raise RungError(
                f"the judge {by!r} is the rung under test, and does not judge itself: take it off the ladder, name "
                f"another in by=, or give may_judge_itself=True",
                reason="judge",
                alone=True,
            )
        return self._judge(by)

    def _fail(self, fault: RungError) -> NoReturn:
        self._transcript.fault = self._transcript.fault or fault
        raise fault from None


def judge_request(rung: Rung, prompt: str, system: str, schema: Mapping[str, Json], *, sample: int = 0) -> Request:
    """What a judge is asked: greedily, unless its rung says otherwise."""
    return Request(
        messages=({"role": "system", "content": system}, {"role": "user", "content": prompt}),
        sample=sample,
        max_tokens=rung.max_tokens,
        temperature=0.0 if rung.temperature is None else rung.temperature,
        top_p=rung.top_p,
        seed=rung.seed,
        schema=schema,
    )


def judge_fingerprint(rung: Rung, identity: Mapping[str, Json] | None) -> str | None:
    """The model of a judge and how it is asked, as a hash; None where the model is not known."""
    if identity is None:
        return None
    return fingerprint_of(
        [dict(identity), judge_request(rung, "", "", {}).temperature, rung.top_p, rung.seed, rung.max_tokens]
    )
