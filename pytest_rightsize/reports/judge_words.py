"""Sentences on the judges of a run: what they took, and what is known of their errors."""

from collections.abc import Iterator, Sequence

from pytest_rightsize.calibration_records import Calibration
from pytest_rightsize.judging.judge_usage import JudgeUsage, judge_usage
from pytest_rightsize.judging.usage import Amount
from pytest_rightsize.records import Run
from pytest_rightsize.reports.units import count, joules, seconds, usd
from pytest_rightsize.verdict_records import JudgeCheck, Verdict

__all__ = ["agreement_words", "judge_lines", "judge_words"]


def judge_lines(run: Run, verdicts: Sequence[Verdict]) -> list[str]:
    """What each judge took, in no rung's figures, and what the verdicts that rest on it are worth; none without any."""
    return [*map(_usage_line, judge_usage(run)), *_check_lines(verdicts)]


def judge_words(verdict: Verdict) -> str | None:
    """What a verdict is worth that rests on a judge, in a clause; None for any other."""
    return None if verdict.judge is None else _words(verdict.judge)


def _check_lines(verdicts: Sequence[Verdict]) -> Iterator[str]:
    """A line for all tasks of which the same is to be said."""
    tasks: dict[str, list[str]] = {}
    for verdict in verdicts:
        if verdict.judge is not None:
            tasks.setdefault(_words(verdict.judge), []).append(verdict.task)
    yield from (f"{', '.join(names)}: {words}" for words, names in tasks.items())


def _words(check: JudgeCheck) -> str:
    judges = f"the judge{'s' * (len(check.by) > 1)} {', '.join(check.by)}"
    if check.calibration is None:
        why = check.why or "how often it agrees with people is not known"
        return f"verdicts rest on {judges}, which {'are' if len(check.by) > 1 else 'is'} not calibrated: {why}"
    if check.state == "chance":
        agreement = agreement_words(check.calibration)
        return f"undecided, as the judge {check.calibration.by} is not shown to be better than chance: {agreement}"
    return f"pass rates are corrected for the errors of {judges}: {agreement_words(check.calibration)}"


def agreement_words(calibration: Calibration) -> str:
    """`it passes 46 of 50 answers that people pass, and 3 of 50 that people fail`."""
    return (
        f"it passes {calibration.good_passed} of {calibration.good} answers that people pass, and "
        f"{calibration.bad_passed} of {calibration.bad} that people fail"
    )


def _usage_line(usage: JudgeUsage) -> str:
    recorded = f", {usage.cached:,} of them recorded" if usage.cached else ""
    many = "s" * (usage.judgements != 1)
    return (
        f"judge {usage.by}: {usage.judgements:,} judgement{many}{recorded}; {', '.join(_amounts(usage))} "
        f"(in no rung's figures)"
    )


def _amounts(usage: JudgeUsage) -> Iterator[str]:
    tokens = count(usage.tokens.complete)
    yield "tokens not known" if tokens is None else f"{tokens} tokens"
    for amount, words, name in (
        (usage.seconds, seconds, "time"),
        (usage.joules, joules, "energy"),
        (usage.cost_usd, usd, "cost"),
    ):
        yield _shown(amount, words(amount.complete), name)


def _shown(amount: Amount, text: str | None, name: str) -> str:
    if text is None or amount.complete is None:
        return f"{name} not known"
    return text
