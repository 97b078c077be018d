"""The page as a file: complete, small enough, and without markup or scripts from outside."""

import re
from dataclasses import replace

import pytest

from pytest_rightsize.judging.verdict import judge
from pytest_rightsize.records import AnswerRecord, Run
from pytest_rightsize.reports.html.bodies import index_cases
from pytest_rightsize.reports.html.report import HtmlReport
from tests.reports.packed_texts import texts_of
from tests.reports.rich_run import HOSTILE, large_run, rich_run
from tests.runs import make_run


def page_of(run: Run) -> str:
    return HtmlReport().render(run, judge(run))


def test_it_says_first_how_many_tasks_run_on_less_and_what_that_saves() -> None:
    title = re.search("<h1[^>]*>(.*?)</h1>", page_of(rich_run()))
    assert title is not None
    said = r"\d of 9 tasks could use a smaller model \(1 of them provisional\) and save \d\d % of the energy\."
    assert re.fullmatch(said, title[1])


def test_no_text_of_a_model_stands_in_the_markup() -> None:
    page = page_of(rich_run())
    assert page.count("</script>") == page.count("<script")
    for text in (*HOSTILE[:2], "javascript:", "\u202e", "onerror="):
        assert text not in page
    assert "&lt;b&gt;odd&lt;/b&gt; [U+202E]name" in page


def test_the_policy_forbids_everything_but_the_pages_own_scripts() -> None:
    policy = re.search('Content-Security-Policy" content="([^"]*)"', page_of(rich_run(cases=1)))
    assert policy is not None
    rules = dict(rule.strip().split(" ", 1) for rule in policy[1].replace("&#39;", "'").split(";"))
    assert rules["default-src"] == "'none'"
    assert re.fullmatch(r"'sha256-\S+' 'sha256-\S+'", rules["script-src"])
    assert "unsafe" not in policy[1]
    assert "http" not in policy[1]


def test_the_same_run_gives_the_same_page() -> None:
    assert page_of(rich_run(cases=2)) == page_of(rich_run(cases=2))


def test_what_is_not_known_is_unknown_and_not_zero() -> None:
    page = page_of(make_run({"t": {"a": "10", "b": "1E"}}, chosen="b"))
    assert "Energy: not known (nothing measured it)." in page
    assert "0 J" not in page
    assert "the cost of 3 of 3 answers" not in page
    assert "a, b: the cost of every answer is unknown (no price is set)" in page
    assert "1 of 2 trials had no answer" in page


def test_models_are_named_with_their_hashes_and_what_has_none_says_so() -> None:
    page = page_of(rich_run(cases=1))
    assert f"sha256 {'9f2c' * 16}; llama-cpp-python 0.3.36" in page
    assert "known by name only" in page


def test_a_rung_that_was_not_run_looks_like_neither_failed_nor_zero() -> None:
    page = page_of(make_run({"t": {"a": "11", "b": "--"}}, chosen="b"))
    cell = page[page.index('class="cell not_run chosen"') :]
    assert "not run" in cell[: cell.index("</td>")]
    assert "0/" not in cell[: cell.index("</td>")]


def test_ten_thousand_cases_on_four_rungs_weigh_less_than_ten_megabytes() -> None:
    """From 500 and 1,500 cases: each further one weighs the same. `python -m tests.benchmarks html` writes them all."""
    few, more = (len(page_of(large_run(cases=cases))) for cases in (500, 1_500))
    assert few + 9.5 * (more - few) < 10_000_000


def test_texts_are_kept_once_and_shortened_only_where_the_page_would_be_too_heavy() -> None:
    run = rich_run(cases=3)
    tasks = [verdict.task for verdict in judge(run)]
    whole = index_cases(run, tasks)
    texts = texts_of(whole)
    assert len(texts) == len(set(texts))
    assert whole.limit is None
    run = large_run(cases=50, answer_words=900)
    tasks = [verdict.task for verdict in judge(run)]
    short = index_cases(run, tasks, budget_bytes=200_000)
    assert short.limit == 1_000
    assert short.shortened >= 200
    assert any("more characters stand in the results file" in text for text in texts_of(short))


def test_texts_that_are_too_many_to_be_kept_are_shortened_before(monkeypatch: pytest.MonkeyPatch) -> None:
    run = large_run(cases=5, answer_words=900)
    tasks = [verdict.task for verdict in judge(run)]
    monkeypatch.setattr("pytest_rightsize.reports.html.bodies._MOST_CHARACTERS", 50_000)

    short = index_cases(run, tasks)

    assert short.limit == 1_000
    monkeypatch.setattr("pytest_rightsize.reports.html.bodies._MOST_CHARACTERS", 10)
    assert index_cases(run, tasks).limit == 300


def test_a_tree_without_the_charts_says_how_to_get_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytest_rightsize.reports.html.report._CHARTS", "gone.js")
    assert "run `python hatch_build.py`" in str(HtmlReport().check())


def test_every_letter_of_names_prompts_and_calls_is_in_its_own_script() -> None:
    run = make_run({"größe": {"a": "1"}})
    asked = ({"role": "user", "content": [{"type": "image_url", "url": "ü"}, "naïve"]},)
    answer = AnswerRecord(text="日本", messages=asked, tool_calls=({"name": "färben"},))
    trial = replace(
        run.trials[0], key=replace(run.trials[0].key, case=r"t.py::test[Gr\xf6\xdfe\u65e5]"), answers=(answer,)
    )
    cases = index_cases(replace(run, trials=[trial]), ["größe"])
    assert cases.index["cases"]["name"] == ["t.py::test[Größe日]"]
    texts = texts_of(cases)
    assert "日本" in texts
    assert '{"type": "image_url", "url": "ü"}\n"naïve"' in texts
    assert any("färben" in text for text in texts)


def test_the_charts_open_on_what_is_known_of_most_models() -> None:
    run = rich_run(cases=3)
    assert 'value="joules" checked' in page_of(run)
    # The answers of the largest model have no joules any more; USD are known of that one alone, tokens of all.
    without = [
        replace(one, answers=tuple(replace(answer, energy=None) for answer in one.answers))
        if one.key.rung == "frontier"
        else one
        for one in run.trials
    ]
    assert 'value="completion" checked' in page_of(replace(run, trials=without))
