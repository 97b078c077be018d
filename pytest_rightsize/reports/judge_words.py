"""Sentences on the judges of a run: what they took, and that their verdicts are not calibrated."""

from collections.abc import Iterator

from pytest_rightsize.judging.judge_usage import JudgeUsage, judge_usage
from pytest_rightsize.judging.usage import Amount
from pytest_rightsize.records import Run
from pytest_rightsize.reports.units import count, joules, seconds, usd

__all__ = ["judge_lines"]


def judge_lines(run: Run) -> list[str]:
    """What each judge took, in no rung's figures, and which verdicts rest on it; none without judges."""
    return [line for usage in judge_usage(run) for line in _lines(usage)]


def _lines(usage: JudgeUsage) -> Iterator[str]:
    recorded = f", {usage.cached:,} of them recorded" if usage.cached else ""
    many = "s" * (usage.judgements != 1)
    yield (
        f"judge {usage.by}: {usage.judgements:,} judgement{many}{recorded}; {', '.join(_amounts(usage))} "
        f"(in no rung's figures)"
    )
    yield (
        f"{', '.join(usage.tasks)}: verdicts rest on the judge {usage.by}, which is not calibrated: how often it "
        f"agrees with people is not known"
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
