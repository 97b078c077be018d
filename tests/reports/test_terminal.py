"""The summary, word for word: `tests/golden/summary.txt` is what a reader sees."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from pytest_rightsize.records import Run
from pytest_rightsize.reports.terminal import TITLE, gate_lines, summary_lines
from pytest_rightsize.verdict import GATES, failed_gates, judge
from tests.runs import make_run

GOLDEN = Path(__file__).parents[1] / "golden" / "summary.txt"
OUTCOMES: Mapping[str, Mapping[str, str]] = {
    "route-ticket": {"25k": "1111", "160k": "----", "frontier": "----"},
    "iso-date": {"25k": "0100", "160k": "1111", "frontier": "----"},
    "contact-json": {"25k": "0000", "160k": "0110", "frontier": "1110"},
    "multiply": {"25k": "0000", "160k": "0000", "frontier": "0010"},
    "word-problem": {"25k": "00EE", "160k": "1111", "frontier": "----"},
}
CHOSEN = {"route-ticket": "frontier", "iso-date": "160k", "contact-json": "160k", "multiply": None}


def summary(run: Run) -> str:
    verdicts = judge(run)
    return "\n".join([TITLE, *summary_lines(run, verdicts), *gate_lines(failed_gates(verdicts, tuple(GATES)))]) + "\n"


def chosen_run(run: Run) -> Run:
    """The run with each task's own chosen rung."""
    policies = {
        task: replace(policy, chosen=CHOSEN.get(task), chosen_from=f"chosen of {task}")
        for task, policy in run.policies.items()
    }
    return replace(run, policies=policies)


def test_the_summary_is_the_golden_one() -> None:
    assert summary(chosen_run(make_run(OUTCOMES))) == GOLDEN.read_text(encoding="utf-8")


def test_an_interrupted_run_says_so_and_concludes_nothing_from_what_is_missing() -> None:
    run = replace(make_run({"t": {"a": "11"}}, planned=4, chosen="a"), interrupted=True)
    text = summary(run)
    assert "interrupted after 2 of 4 trials, 24 tokens" in text
    assert "UNDECIDED" in text


def test_unknown_tokens_are_said_to_be_unknown() -> None:
    run = make_run({"t": {"a": "1"}}, strategy="full")
    (trial,) = run.trials
    (answer,) = trial.answers
    unknown = replace(answer, tokens=replace(answer.tokens, completion=None))
    assert "1 trials, tokens unknown" in summary(replace(run, trials=[replace(trial, answers=(unknown,))]))
