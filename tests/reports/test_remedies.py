"""What a verdict says to do: running again helps where answers are missing, and nowhere else."""

import pytest

from pytest_rightsize.reports.facts import remedy
from pytest_rightsize.verdict_records import Standing, Verdict


def undecided(standing: Standing) -> Verdict:
    return Verdict(
        task="t",
        verdict="undecided",
        standing={"a": Standing(state="fails", trials=40), "b": standing},
        notes=(f"b: {standing.reason}",),
        confidence=0.9,
        pass_rate=0.9,
    )


@pytest.mark.parametrize(
    ("reason", "is_open", "way_out"),
    [
        ("its cases came too near the bar to decide in their order", True, "add cases, or lower the confidence"),
        ("needs about 43 more trials to show 0.6 at this rate", True, "add cases, or lower the confidence"),
        ("2 of 40 trials had no answer", False, "fix it and run again"),
        (
            "no number of trials would show 0.9 at this rate",
            True,
            "mend the prompt, or lower pass_rate or the confidence",
        ),
    ],
)
def test_what_an_undecided_task_needs(reason: str, way_out: str, *, is_open: bool) -> None:
    verdict = undecided(Standing(state="undecided", passed=39, trials=40, reason=reason, is_open=is_open))
    assert remedy(verdict) == f"it is not known which rung is the smallest (b: {reason}): {way_out}"
