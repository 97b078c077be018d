"""The summary, word for word: `tests/reports/golden/summary.txt` is what a reader sees."""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_rightsize.energy import Energy
from pytest_rightsize.judging.conclusions import conclude
from pytest_rightsize.judging.gates import GATES, PROVISIONAL, failed_gates, warned_gates
from pytest_rightsize.judging.usage import usage_of
from pytest_rightsize.judging.verdict import judge
from pytest_rightsize.records import Run
from pytest_rightsize.reports.facts import intervals
from pytest_rightsize.reports.rung_faults import fault_lines
from pytest_rightsize.reports.sureness import partial_rungs
from pytest_rightsize.reports.terminal import (
    TITLE,
    gate_lines,
    styled,
    summary_lines,
    table_lines,
    warning_lines,
    wrapped,
)
from pytest_rightsize.reports.usage_tables import usage_lines
from tests.reports.rich_run import rich_run
from tests.runs import make_run

GOLDEN = Path(__file__).parent / "golden"
OUTCOMES: Mapping[str, Mapping[str, str]] = {
    "route-ticket": {"25k": "1111", "160k": "----", "frontier": "----"},
    "iso-date": {"25k": "0100", "160k": "1111", "frontier": "----"},
    "contact-json": {"25k": "0000", "160k": "0110", "frontier": "1110"},
    "multiply": {"25k": "0000", "160k": "0000", "frontier": "0010"},
    "word-problem": {"25k": "01EE", "160k": "1111", "frontier": "----"},
}
CHOSEN = {"route-ticket": "frontier", "iso-date": "160k", "contact-json": "160k", "multiply": None}


def summary(run: Run, *, width: int | None = None) -> str:
    verdicts = judge(run)
    conclusions = conclude(run, verdicts)
    usage = usage_lines(
        usage_of(run),
        conclusions,
        intervals=intervals(run, verdicts),
        partial=partial_rungs(verdicts),
        width=width,
    )
    gates = [
        *warning_lines(warned_gates(verdicts, tuple(GATES)), run),
        *gate_lines(failed_gates(verdicts, tuple(GATES)), run),
    ]
    return (
        "\n".join([TITLE, *table_lines(run, verdicts, width=width), *summary_lines(run, verdicts), *usage, *gates])
        + "\n"
    )


def check(name: str, text: str) -> None:
    """The text is the golden one; RIGHTSIZE_GOLDEN=write makes it so, for a person to look at the difference."""
    path = GOLDEN / f"{name}.txt"
    if os.environ.get("RIGHTSIZE_GOLDEN") == "write":
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


def chosen_run(run: Run) -> Run:
    """The run with each task's own chosen rung."""
    policies = {
        task: replace(policy, chosen=CHOSEN.get(task), chosen_from=f"chosen of {task}")
        for task, policy in run.policies.items()
    }
    return replace(run, policies=policies)


def test_the_summary_is_the_golden_one() -> None:
    check("summary", summary(chosen_run(make_run(OUTCOMES))))


def test_a_narrow_terminal_gets_the_same_in_lines_that_fit() -> None:
    text = summary(chosen_run(make_run(OUTCOMES)), width=40)
    check("summary_narrow", text)
    table = text.splitlines()[1 : text.splitlines().index(next(line for line in text.splitlines() if "(*" in line))]
    assert max(map(len, table)) <= 40


def test_a_rung_that_could_not_answer_is_a_column_and_one_line() -> None:
    tasks = ("route-ticket", "iso-date", "contact-json", "multiply", "phone", "sort", "add", "order")
    run = make_run({task: {"25k": "0101", "gone": "E---", "big": "1111"} for task in tasks}, chosen="big")
    down = [replace(trial, reason="down") if trial.outcome == "not_run" else trial for trial in run.trials]
    run = replace(run, trials=down)
    verdicts = judge(run)
    lines = [*table_lines(run, verdicts), *summary_lines(run, verdicts), *fault_lines(run.trials)]
    check("summary_missing", "\n".join([*lines, *gate_lines(failed_gates(verdicts, tuple(GATES)), run)]) + "\n")


def test_energy_intervals_and_savings_are_in_it() -> None:
    check("summary_spent", summary(rich_run(cases=6)))


def test_energy_leaves_out_columns_where_it_is_narrow() -> None:
    verdicts = judge(run := rich_run(cases=2))
    lines = usage_lines(usage_of(run), conclude(run, verdicts), intervals=intervals(run, verdicts), width=60)
    header = lines[1].split()
    assert header[:3] == ["task", "rung", "rate"]
    assert "J/case" in header
    assert "J/token" not in header
    (legend,) = (line for line in lines if line.startswith("("))
    left_out = "J/token prompt reasoning USD/passed completion J/passed"
    assert legend.endswith(f"left out, as the terminal is narrow: {left_out})")
    assert max(len(line) for line in lines[:20]) <= 60


@pytest.mark.usefixtures("wide_characters")
def test_columns_stand_below_each_other_after_names_in_wide_characters() -> None:
    wcswidth = pytest.importorskip("wcwidth").wcswidth
    run = make_run({"請求書の分類": {"1b": "0011", "4b": "1111"}, "route": {"1b": "0000", "4b": "1111"}})
    header, *rows = table_lines(run, judge(run))
    assert len(rows) == 2
    at = header.index("1b")
    assert [wcswidth(row[: row.index(cell)]) for row, cell in zip(rows, ("2/4", "0/4"), strict=True)] == [at, at]


def test_joules_of_two_kinds_stand_in_two_subtotals() -> None:
    """One answer was measured and one is modelled: the table has no figure, and the lines below one for each."""
    run = make_run({"t": {"a": "11"}}, strategy="full")
    kinds = [Energy(joules=3.0, provenance="measured"), Energy(joules=5.0, provenance="modelled")]
    trials = [
        replace(trial, answers=(replace(trial.answers[0], energy=energy),))
        for trial, energy in zip(run.trials, kinds, strict=True)
    ]
    run = replace(run, trials=trials)
    lines = usage_lines(usage_of(run), conclude(run, judge(run)))
    assert "mixed" in lines[2]
    assert (
        "t on a: 3 J of 1 (measured, boundary not said, gross); 5 J of 1 (modelled, boundary not said, gross)" in lines
    )
    assert not any("8 J" in line for line in lines)


def test_colours_mark_what_the_words_say() -> None:
    line = "upper  1/4  3/4*  2/4?  -  small  big  OVER-SIZED"
    assert [part for part in styled(line) if part[1]] == [("3/4*", "green"), ("2/4?", "yellow"), ("OVER-SIZED", "red")]
    assert "".join(text for text, _ in styled(line)) == line
    assert styled("a right-sized") == [("a ", None), ("right-sized", "green")]


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


def test_columns_that_nobody_knows_are_left_out_and_named() -> None:
    run = rich_run(cases=2)
    free = [
        replace(trial, answers=tuple(replace(answer, cost_usd=None) for answer in trial.answers))
        for trial in run.trials
    ]
    run = replace(run, trials=free)
    verdicts = judge(run)
    text = "\n".join(usage_lines(usage_of(run), conclude(run, verdicts), intervals=intervals(run, verdicts)))
    assert "USD/passed" not in text.splitlines()[1]
    assert "not measured: USD/passed)" in text


def test_what_a_passed_case_costs_is_not_unknown_where_none_passed() -> None:
    run = make_run({"t": {"a": "00", "b": "01"}})
    priced = [
        replace(trial, answers=tuple(replace(answer, cost_usd=0.5) for answer in trial.answers)) for trial in run.trials
    ]
    run = replace(run, trials=priced)
    header, none_passed, one_passed, *_ = usage_lines(usage_of(run), conclude(run, judge(run)))[1:]
    assert header.endswith("USD/passed")
    assert (none_passed.split()[-1], one_passed.split()[-1]) == ("-", "1")


def test_a_gate_names_the_line_to_change() -> None:
    run = rich_run(cases=6)
    failed = failed_gates(judge(run), (*GATES, PROVISIONAL))
    lines = {line.split(": ")[1]: line for line in gate_lines(failed, run)}
    assert lines["write-sql"].endswith(": set chosen of write-sql to 30b (rightsize.toml:31)")
    assert lines["prove-lemma"].endswith(", or lower pass_rate (tests/test_prove_lemma.py:12)")


def test_where_nothing_passed_none_came_nearest() -> None:
    run = make_run({"t": {"small": "000", "big": "000"}}, chosen="big")
    (line,) = gate_lines(failed_gates(judge(run), ["unsolved"]), run)
    assert "no rung reaches 0.75 (none passed a single case): " in line


def test_on_a_narrow_terminal_sentences_are_broken_between_words() -> None:
    line = "gate oversized: upper: small passes, so big is larger than needed"
    assert wrapped(line, None) == [line]
    parts = wrapped(line, 40)
    assert max(map(len, parts)) < 40
    assert " ".join(part.strip() for part in parts) == line
    assert wrapped("::error file=a.py,line=3::" + line, 40) == ["::error file=a.py,line=3::" + line]
