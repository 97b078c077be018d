"""Which cases a page shows of a run that has too many."""

from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_rightsize.judging.verdict import judge
from pytest_rightsize.records import Trial, TrialKey
from pytest_rightsize.reports.html import shown_cases as module
from pytest_rightsize.reports.html.report import HtmlReport
from pytest_rightsize.reports.html.shown_cases import shown_cases
from tests.runs import make_run


def trials(task: str, outcomes: str) -> list[Trial]:
    """A trial for each mark, on one rung: 1 passed, 0 failed."""
    return [
        Trial(key=TrialKey(task=task, case=f"case {n}", rung="a"), outcome="passed" if mark == "1" else "failed")
        for n, mark in enumerate(outcomes)
    ]


def names(run: list[Trial], tasks: list[str], most: int) -> list[str]:
    _, cases = shown_cases(run, tasks, most=most)
    return [f"{own[0].key.task}{own[0].key.case.removeprefix('case ')}" for own in cases]


def test_where_all_have_room_all_are_shown_by_name() -> None:
    run = trials("t", "1" * 11)[::-1]
    counts, _ = shown_cases(run, ["t"], most=11)
    assert counts.words is None
    assert names(run, ["t"], 11) == [f"t{n}" for n in range(11)]


def test_what_a_rung_did_not_pass_is_shown_first_and_the_counts_say_so() -> None:
    run = trials("t", "1111011110")
    counts, _ = shown_cases(run, ["t"], most=3)
    assert names(run, ["t"], 3) == ["t0", "t4", "t9"]
    assert counts.words is not None
    assert counts.words.startswith("This page shows 3 of 10 cases")


def test_a_small_task_leaves_its_room_to_the_others() -> None:
    run = [*trials("a", "11"), *trials("b", "1" * 50), *trials("c", "1" * 50)]
    shown = names(run, ["a", "b", "c"], 42)
    assert [sum(name.startswith(task) for name in shown) for task in "abc"] == [2, 20, 20]


@given(st.dictionaries(st.sampled_from("abcd"), st.text("01", min_size=1, max_size=12)), st.integers(1, 40))
def test_never_more_than_the_room_but_one_case_of_each_task(tasks: dict[str, str], most: int) -> None:
    run = [*chain.from_iterable(trials(task, outcomes) for task, outcomes in tasks.items())]
    counts, cases = shown_cases(run, [*tasks], most=most)
    shown = [*cases]
    assert len(shown) == counts.shown <= max(most, len(tasks))
    assert {own[0].key.task for own in shown} == {*tasks}
    assert counts.cases == sum(map(len, tasks.values()))


def test_the_page_says_how_many_cases_it_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run({"t": {"a": "1" * 9 + "0"}})
    verdicts = judge(run)
    assert "This page shows" not in HtmlReport().render(run, verdicts)
    monkeypatch.setattr(module, "MOST_TRIALS", 4)
    page = HtmlReport().render(run, verdicts)
    assert "This page shows 4 of 10 cases" in page
    assert "9/10" in page  # the figures are those of all
