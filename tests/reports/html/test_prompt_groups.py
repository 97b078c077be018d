"""The prompts of one task stand together in the page's tables, under the task's name."""

import re

import pytest

from pytest_rightsize.judging.prompt_variants import prompts_by_task
from pytest_rightsize.judging.verdict import judge
from pytest_rightsize.records import Policy, Run, Rung, Trial, TrialKey
from pytest_rightsize.reports.html.prompt_groups import grouped_rows
from pytest_rightsize.reports.html.report import HtmlReport

RUNGS = (Rung(name="1b", provider="replay"), Rung(name="4b", provider="replay"))


@pytest.mark.parametrize(
    ("tasks", "named"),
    [
        ([], {}),
        (["date", "route"], {}),
        (["route @ v1"], {}),
        (["route @ v1", "date @ v2"], {}),
        (["route @ v1", "date", "route @ v2"], {"route @ v1": ("route", "v1"), "route @ v2": ("route", "v2")}),
        (["a @ b @ v1", "a @ b @ v2"], {"a @ b @ v1": ("a @ b", "v1"), "a @ b @ v2": ("a @ b", "v2")}),
    ],
)
def test_a_task_with_several_prompts_is_a_group(tasks: list[str], named: dict[str, tuple[str, str]]) -> None:
    assert prompts_by_task(tasks) == named


def test_rows_of_a_group_follow_its_first_and_that_one_names_it() -> None:
    rows = grouped_rows([{"task": task} for task in ("route @ v1", "date", "route @ v2", "sum @ v1")])
    assert [(row["label"], row["in_group"], row.get("group")) for row in rows] == [
        ("v1", True, {"task": "route", "prompts": 2}),
        ("v2", True, None),
        ("date", False, None),
        ("sum @ v1", False, None),
    ]
    assert [row["task"] for row in rows] == ["route @ v1", "route @ v2", "date", "sum @ v1"]


def test_both_tables_of_the_page_have_the_group() -> None:
    outcomes = {("route @ short", "1b"): "failed", ("route @ long", "1b"): "passed", ("date", "1b"): "passed"}
    trials = [
        Trial(key=TrialKey(task=task, case="t.py::t", rung=rung), outcome=outcome)  # type: ignore[arg-type]
        for (task, rung), outcome in outcomes.items()
    ]
    run = Run(rungs=RUNGS, trials=trials, policies={task: Policy(task=task) for task, _ in outcomes})
    page = HtmlReport().render(run, judge(run))
    for table in ("todo", "matrix"):
        text = re.search(rf'<table class="{table}.*?</table>', page, re.DOTALL)
        assert text is not None
        heads = [
            re.sub(r"<[^>]+>", " ", head).split()[0]
            for head in re.findall(r'<th(?: colspan="\d+")? scope="row(?:group)?"[^>]*>.*?</th>', text[0], re.DOTALL)
        ]
        assert heads[heads.index("route") + 1 : heads.index("route") + 3] in (["short", "long"], ["long", "short"])
        assert "2 prompts" in text[0]
