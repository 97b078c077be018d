"""Sentences on the cascades of a run: how many answers they passed on, and what they take against a single rung."""

from collections.abc import Iterator, Sequence
from math import isfinite

from pytest_rightsize.judging.escalations import Escalation, escalations
from pytest_rightsize.judging.rung_amounts import Quantity
from pytest_rightsize.records import Run
from pytest_rightsize.reports.units import percent
from pytest_rightsize.statistics.estimates import Ratio
from pytest_rightsize.verdict_records import Verdict

__all__ = ["escalation_lines"]

_NOUNS: dict[Quantity, str] = {
    "energy": "energy",
    "cost": "cost",
    "latency": "time",
    "completion_tokens": "completion tokens",
}


def escalation_lines(run: Run, verdicts: Sequence[Verdict]) -> list[str]:
    """A sentence for each cascade in each task; none where the ladder has no cascade."""
    return [f"{each.task}: {'; '.join(_parts(each))}" for each in escalations(run, verdicts)]


def _parts(each: Escalation) -> Iterator[str]:
    share = percent(each.passed_on / each.answers)
    yield f"{each.rung} passed {each.passed_on:,} of {each.answers:,} answers on towards {each.last} ({share})"
    if each.single is None:
        yield "no single rung was shown to pass, so that it is compared with none"
        return
    known = [f"{_times(ratio)} the {_NOUNS[name]}" for name, ratio in each.ratios.items() if isinstance(ratio, Ratio)]
    if known:
        yield f"for a passed case it takes {', '.join(known)} of {each.single}, the best single rung"
    unknown = {reason: name for name, reason in reversed([*each.ratios.items()]) if isinstance(reason, str)}
    if not known:
        reasons = ", ".join(f"{_NOUNS[name]} ({reason})" for reason, name in unknown.items())
        yield f"what it takes against {each.single}, the best single rung, is not known: {reasons}"


def _times(ratio: Ratio) -> str:
    """`0.42 times (0.31 to 0.55)`."""
    bounds = ""
    if ratio.low is not None and ratio.high is not None and isfinite(ratio.high):
        bounds = f" ({ratio.low:.3g} to {ratio.high:.3g})"
    return f"{ratio.value:.3g} times{bounds}"
