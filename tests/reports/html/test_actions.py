"""The page's first section: the model to use, how sure that is, what it saves, the next step."""

from dataclasses import replace
from typing import Any

import pytest

from pytest_rightsize.judging.verdict import judge
from pytest_rightsize.records import AnswerRecord, Run
from pytest_rightsize.reports.facts import gather
from pytest_rightsize.reports.html.actions import action_rows
from pytest_rightsize.reports.html.changes import Earlier, change_view
from pytest_rightsize.reports.html.report import HtmlReport
from tests.reports.rich_run import rich_run
from tests.runs import make_run


def rows(run: Run) -> list[dict[str, Any]]:
    return action_rows(gather(run, judge(run)))


@pytest.mark.parametrize(
    ("outcomes", "chosen", "model", "step"),
    [
        ({"a": "0000", "b": "1" * 40}, "b", "b", "Keep b."),
        ({"a": "1" * 40, "b": "1" * 40}, "b", "a", "Set the marker to a."),
        # Three of four show nothing: it is not told to switch at once.
        ({"a": "1110", "b": "1111"}, "b", "a", "Too close to the bar to tell: keep b until more cases decide it"),
        ({"a": "1111", "b": "1111"}, "b", "a", "About 2 more cases before you switch; then set the marker to a."),
        ({"a": "0" * 40, "b": "1" * 40}, "a", "b", "Set the marker to b."),
        ({"a": "0000", "b": "0000"}, "b", None, "No rung reaches 0.75"),
        ({"a": "1" * 40}, None, "a", "Tell which model your application uses: chosen = 'a'"),
        ({"a": "0000", "b": "EEEE"}, "b", None, "Whether b passes is not known."),
    ],
)
def test_each_verdict_has_its_model_and_its_next_step(
    outcomes: dict[str, str], chosen: str | None, model: str | None, step: str
) -> None:
    (row,) = rows(make_run({"t": outcomes}, chosen=chosen))
    assert row["model"] == model
    assert row["step"].startswith(step)
    assert (row["no_model"] is None) == (model is not None)


def test_what_needs_somebody_comes_first_and_what_is_right_last() -> None:
    verdicts = [row["verdict"] for row in rows(rich_run())]
    assert verdicts[:2] == ["under-sized", "unsolved"]
    assert verdicts[-1] == "right-sized"
    assert len(verdicts) == 10


def test_a_saving_shows_its_amount_and_where_more_is_taken_says_so() -> None:
    by_task = {row["task"]: row for row in rows(rich_run())}
    saving = by_task["extract-invoice"]["saving"]
    assert saving["amount"].endswith(" kJ")
    assert saving["rest"].startswith("per 1,000 cases (95 % interval ")
    assert saving["rest"].endswith("; measured), against frontier")
    assert by_task["write-sql"]["saving"]["amount"].startswith("takes ")
    assert by_task["prove-lemma"]["saving"] is None


def test_an_earlier_run_is_shown_first_with_its_answers_beside_those_of_this_one() -> None:
    earlier = make_run({"t": {"a": "0111", "b": "1111"}}, chosen="b")
    run = make_run({"t": {"a": "1111", "b": "0111"}}, chosen="b")
    against = Earlier(run=earlier, verdicts=judge(earlier), name="run <3>")
    view = change_view("run <3>", against.changes(run, judge(run)))
    assert view["counts"] == "1 result worse, 1 better, 6 the same. A result is one case on one model."
    page = HtmlReport(against=against).render(run, judge(run))
    assert page.index("Since run &lt;3&gt;") < page.index("What to do</h2>")
    assert "What to do</h2>" in HtmlReport().render(run, judge(run))
    assert "Since " not in HtmlReport().render(run, judge(run))


def test_runs_without_a_change_say_so() -> None:
    run = make_run({"t": {"a": "11"}})
    view = change_view("run 1", Earlier(run=run, verdicts=judge(run), name="run 1").changes(run, judge(run)))
    assert view["counts"] == "0 results worse, 0 better, 2 the same. A result is one case on one model."
    assert (view["has_cases"], view["rows"], view["asked"]) == (False, [], "")
    gone = replace(run, trials=run.trials[:1])
    view = change_view("run 1", Earlier(run=run, verdicts=judge(run), name="run 1").changes(gone, judge(gone)))
    assert "1 the same, 1 only in run 1." in view["counts"]


def dear(answer: AnswerRecord) -> AnswerRecord:
    return answer if answer.energy is None else replace(answer, energy=answer.energy.scaled(200))


def test_a_larger_model_that_passes_and_takes_less_is_told_in_the_row() -> None:
    cautions = {row["task"]: row["caution"] for row in rows(rich_run())}
    assert cautions["write-sql"] is None
    run = rich_run()
    dearer = [
        replace(one, answers=tuple(map(dear, one.answers))) if one.key.rung == "1b" else one for one in run.trials
    ]
    by_task = {row["task"]: row["caution"] for row in rows(replace(run, trials=dearer))}
    assert str(by_task["classify-intent"]).startswith("Mind: 1b takes ")
    assert str(by_task["classify-intent"]).endswith(" for a passed case, and that passes too.")
