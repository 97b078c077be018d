"""How sure a verdict is and what was decided early, in words: `golden/summary_stopped.txt` is what a reader sees."""

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import replace

import pytest

from pytest_rightsize.judging.gates import GATES, failed_gates
from pytest_rightsize.judging.verdict import judge
from pytest_rightsize.records import Run
from pytest_rightsize.reports.facts import gather, intervals, remedy
from pytest_rightsize.reports.html.actions import action_rows
from pytest_rightsize.reports.html.chart_data import chart_data
from pytest_rightsize.reports.html.verdict_table import verdict_row
from pytest_rightsize.reports.markdown import MarkdownReport
from pytest_rightsize.reports.sureness import decided, more_words, open_words, partial_rungs, short_count, sure_words
from pytest_rightsize.reports.tables import CsvReport, JsonReport
from pytest_rightsize.reports.terminal import gate_lines, styled
from pytest_rightsize.statistics import cases_in_order
from pytest_rightsize.verdict_records import Standing, Verdict
from tests.reports.test_terminal import check, summary
from tests.runs import make_run

# The outcomes of the cases in the order that decides, and what is not asked.
CASES = 76
GOOD, POOR, NEAR = "1" * CASES, "0" * CASES, ("1111110" * CASES)[:CASES]


def settled(run: Run) -> Run:
    """The run with all that was not run given up, as it could change nothing."""
    return replace(run, trials=[replace(t, reason="settled") if t.outcome == "not_run" else t for t in run.trials])


def cut(marks: str, asked: int) -> str:
    return marks[:asked] + "-" * (len(marks) - asked)


def early_run(outcomes: Mapping[str, Mapping[str, str]], *, chosen: str, pass_rate: float = 0.9) -> Run:
    """A run of tasks that stop early, whose outcomes stand in the order that decides."""
    by_case = {
        task: {rung: _in_case_order(task, marks) for rung, marks in by_rung.items()}
        for task, by_rung in outcomes.items()
    }
    run = settled(make_run(by_case, chosen=chosen, pass_rate=pass_rate))
    policies = {task: replace(policy, confidence=0.95, shuffle_seed=0) for task, policy in run.policies.items()}
    return replace(run, policies=policies)


def _in_case_order(task: str, marks: str) -> str:
    order = cases_in_order([f"{task}-{number}" for number in range(len(marks))], task=task)
    mark_of = dict(zip(order, marks, strict=True))
    return "".join(mark_of[f"{task}-{number}"] for number in range(len(marks)))


STOPPED = settled(
    make_run(
        {
            "iso-date": {"25k": "01000-----", "160k": "111111111-", "frontier": "----------"},
            "multiply": {"25k": "00--------", "160k": "011011----", "frontier": "1110110---"},
            "phone": {"25k": "1111111111", "160k": "----------", "frontier": "----------"},
        },
        chosen="frontier",
        pass_rate=0.9,
    )
)
EARLY = early_run(
    {
        "route": {"a": cut(POOR, 4), "b": cut(GOOD, 60), "c": cut(POOR, 0)},
        "sort": {"a": cut(POOR, 4), "b": cut(POOR, 4), "c": cut(POOR, 4)},
        "open": {"a": NEAR, "b": cut(GOOD, 60), "c": cut(POOR, 0)},
    },
    chosen="c",
)


@pytest.mark.parametrize(("name", "run"), [("summary_stopped", STOPPED), ("summary_early", EARLY)])
def test_what_was_decided_early_is_the_golden_text(name: str, run: Run) -> None:
    check(name, summary(run))


@pytest.mark.parametrize("run", [STOPPED, EARLY])
def test_no_report_shows_a_rate_of_a_rung_that_was_stopped(run: Run) -> None:
    verdicts = judge(run)
    stopped = partial_rungs(verdicts)
    assert len(stopped) >= 4
    facts = gather(run, verdicts)
    counts = {
        f"{verdict.standing[rung].passed}/{verdict.standing[rung].trials}"
        for verdict in verdicts
        for rung in verdict.standing
        if (verdict.task, rung) in stopped
    }
    document = json.loads(JsonReport().render(run, verdicts))
    for verdict, plain in zip(verdicts, document["verdicts"], strict=True):
        for rung in verdict.standing:
            if (verdict.task, rung) in stopped:
                assert plain["standing"][rung]["rate"] is None
                assert plain["decided"][rung] == decided(verdict, rung)
    table = [verdict_row(facts, verdict) for verdict in verdicts]
    cells = {(row["task"], cell["rung"]): cell for row in table for cell in row["cells"]}
    for key in stopped:
        assert (cells[key]["rate"], cells[key]["percent"]) == (None, None)
        assert cells[key]["none"].split(" ")[0] in ("cannot", "reaches", "decided", "stopped")
    assert not stopped & {(point["task"], point["rung"]) for point in chart_data(facts)["points"]}
    texts = [MarkdownReport().render(run, verdicts), summary(run)]
    assert not any(f" {count}{mark}" in text for text in texts for count in counts for mark in (" ", "*", "?"))
    rows = [*csv.DictReader(io.StringIO(CsvReport().render(run, verdicts)))]
    said = {(row["task"], row["rung"]): row["decided"] for row in rows}
    assert {key for key, words in said.items() if words} == stopped


def test_the_interval_of_a_stopped_rung_holds_whatever_was_left_out() -> None:
    """5 of 10 cases asked, one passed: the rest may pass, so it is [0.5 %, 85 %] and not that of 1 in 5."""
    interval = intervals(STOPPED, judge(STOPPED))["iso-date", "25k"]
    assert interval.one_sided
    assert interval.confidence == 0.95
    assert (round(interval.low, 3), round(interval.high, 3)) == (0.005, 0.85)


@pytest.mark.parametrize(
    ("standing", "confidence", "cell", "words"),
    [
        (Standing(state="passes", passed=9, trials=10, rate=0.9), None, "9/10", None),
        (Standing(state="fails", passed=2, trials=4, given_up=6), None, "<9/10", "cannot reach 9 of 10 (2 of 4 asked)"),
        (Standing(state="passes", passed=9, trials=9, given_up=1), None, ">=9/10", "reaches 9 of 10 (9 of 9 asked)"),
        (
            Standing(state="fails", passed=3, trials=9, given_up=31, decided_at=8),
            0.95,
            "fails@8",
            "decided after 8 of 40 cases: fails",
        ),
        (
            Standing(state="passes", passed=36, trials=36, given_up=4),
            0.95,
            "passes@36",
            "decided after 36 of 40 trials: passes",
        ),
        (
            Standing(state="undecided", passed=1, trials=1, given_up=3),
            0.95,
            "@1",
            "stopped after 1 of 4 trials: the rest could not decide it",
        ),
        (Standing(state="undecided", passed=2, trials=4, reason="only 4 of 10 trials ran"), 0.95, "", None),
        (Standing(state="not_run"), None, "", None),
    ],
)
def test_a_rung_that_was_stopped_has_a_decision_and_no_count(
    standing: Standing, confidence: float | None, cell: str, words: str | None
) -> None:
    verdict = Verdict(task="t", verdict="unsolved", standing={"a": standing}, pass_rate=0.9, confidence=confidence)
    assert (short_count(verdict, "a"), decided(verdict, "a")) == (cell, words)


def verdict_of(marks: str, *, bar: float, chosen: str = "big") -> Verdict:
    (verdict,) = judge(make_run({"t": {"mid": marks, "big": "-" * len(marks)}}, pass_rate=bar, chosen=chosen))
    return verdict


@pytest.mark.parametrize(
    ("marks", "bar", "words"),
    [
        (
            "1110",
            0.5,
            "provisional: mid passed 3 of 4; its true rate may be as low as 25 %, and the bar is 50 %; "
            "about 3 more cases like these would make it likely, 11 would show it",
        ),
        (
            "1110",
            0.75,
            "provisional: mid passed 3 of 4; its true rate may be as low as 25 %, and the bar is 75 %; "
            "at this rate no number of cases would settle it",
        ),
        (
            "1" * 30,
            1.0,
            "provisional: mid passed 30 of 30; its true rate may be as low as 90 %, and the bar is 100 %; "
            "no number of cases can show a rate of 1: set pass_rate below 1",
        ),
        (
            "1" * 20,
            0.9,
            "likely: mid passed 20 of 20; its true rate may be as low as 86 %, and the bar is 90 %; "
            "about 9 more cases like these would show it",
        ),
        (
            "1" * 40,
            0.9,
            "shown: mid passed 40 of 40; its true rate is at least 93 % (95 % sure), and the bar is 90 %",
        ),
    ],
)
def test_it_is_said_how_sure_a_verdict_is(marks: str, bar: float, words: str) -> None:
    assert sure_words(verdict_of(marks, bar=bar)) == words


@pytest.mark.parametrize(
    ("likely", "shown", "words"),
    [
        (1, 2, "about 1 more case like these would make it likely, 2 would show it"),
        (1, 1, "about 1 more case like these would settle it"),
        (300, 20_000, "about 300 more cases like these would make it likely, 20,000 would show it"),
        (300, 20_001, "about 300 more cases like these would make it likely, more than 20,000 would show it"),
        (20_001, 13_295_139, "more than 20,000 more cases like these would settle it"),
    ],
)
def test_a_number_of_cases_that_nobody_has_is_not_counted(likely: int, shown: int, words: str) -> None:
    (verdict,) = judge(make_run({"t": {"s": "1110", "m": "1111"}}, chosen="s", pass_rate=0.74))
    verdict = replace(verdict, evidence="provisional", cases_to_likely=likely, cases_to_shown=shown)
    assert more_words(verdict) == words
    as_likely = replace(verdict, evidence="likely")
    assert more_words(as_likely) == {
        2: "about 2 more cases like these would show it",
        1: "about 1 more case like these would show it",
        20_000: "about 20,000 more cases like these would show it",
    }.get(shown, "more than 20,000 more cases like these would show it")


def test_an_undecided_task_has_no_sureness() -> None:
    assert sure_words(verdict_of("10EE", bar=0.5)) is None


def test_an_open_smaller_rung_stands_beside_the_one_that_passes() -> None:
    verdict = judge(EARLY)[2]
    assert open_words(verdict) == "b passes; a is undecided"
    assert str(sure_words(verdict)).startswith("shown: b passes; a is undecided; b decided after ")
    assert remedy(verdict) == "b passes; a is undecided, so c is larger than needed: set the marker to b"
    assert gate_lines(failed_gates([verdict], tuple(GATES)), EARLY) == [f"gate oversized: open: {remedy(verdict)}"]
    assert "b passes; a is undecided" in MarkdownReport().render(EARLY, judge(EARLY))
    sure = {row["task"]: row["sure"] for row in action_rows(gather(EARLY, judge(EARLY)))}
    assert "b passes; a is undecided" in sure[verdict.task]


def test_colours_of_what_was_decided_early() -> None:
    line = "t  <9/10  >=9/10*  passes@29* [90,100]  @40? [70,95]  provisional  OVER-SIZED"
    coloured = [part for part in styled(line) if part[1]]
    assert coloured == [
        (">=9/10*", "green"),
        ("passes@29*", "green"),
        ("@40?", "yellow"),
        ("provisional", "yellow"),
        ("OVER-SIZED", "red"),
    ]
