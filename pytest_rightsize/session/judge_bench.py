"""Asks a judge for the test that runs: the way from a matcher such as `judged` to the rung that judges.

In come the judge's name and a prompt; out goes its text, and a Judgement for the trial. Whatever keeps the judge from
judging is the trial's fault, never a wrong answer.
"""

from collections.abc import Callable, Mapping
from typing import NoReturn

from pytest_rightsize.answers import Transcript, answer_record
from pytest_rightsize.errors import ConfigError, NoAnswerError, RungError
from pytest_rightsize.judgement_records import Judgement
from pytest_rightsize.records import AnswerRecord, Json, Request, Rung
from pytest_rightsize.running.asker import Asker

__all__ = ["JudgeBench"]


class JudgeBench:
    """The judges of one start of a test. `judge` gives the rung of a name, made ready to be asked."""

    def __init__(self, asker: Asker, transcript: Transcript, *, sample: int, judge: Callable[[str], Rung]) -> None:
        self._asker = asker
        self._transcript = transcript
        self._sample = sample
        self._judge = judge

    @property
    def last(self) -> AnswerRecord | None:
        """The last answer of the rung under test."""
        return self._transcript.answers[-1] if self._transcript.answers else None

    def ask(self, by: str, prompt: str, *, system: str, schema: Mapping[str, Json], itself: bool) -> str:
        """The judge's text; raises RungError."""
        try:
            rung = self._rung(by, itself=itself)
            request = Request(
                messages=({"role": "system", "content": system}, {"role": "user", "content": prompt}),
                sample=self._sample,
                max_tokens=rung.max_tokens,
                temperature=0.0 if rung.temperature is None else rung.temperature,
                top_p=rung.top_p,
                seed=rung.seed,
                schema=schema,
            )
            reply = self._asker.ask_judge(rung, request)
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
            )
        )
        return reply.text

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
