"""The study "Qwen3-30B against GPT-5": its page, its figures against those of other code, and its recorded answers.

Two real sessions of 855 trials in all, some four seconds: they are what the page is computed from.
"""

import gzip
import json
import os
from pathlib import Path
from runpy import run_path
from typing import Any

import pytest

from studies.pages import DOCS, rendered
from studies.qwen3_30b_against_gpt_5 import LADDER, OTHERS, PAIRS, SUITE, figures, run_sessions

NAME = "qwen3-30b-against-gpt-5"
TASKS = ("knowledge", "logic-puzzle", "math")


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The figures of the study, from its sessions."""
    return figures(run_sessions(tmp_path_factory.mktemp("study")))


@pytest.fixture(scope="module")
def expected() -> dict[str, Any]:
    """Figures that were computed from the same records elsewhere."""
    with gzip.open(SUITE / "data" / "expected.json.gz", "rt", encoding="utf-8") as file:
        plain: dict[str, Any] = json.load(file)
    return plain


def test_the_page_of_the_docs_is_what_the_sessions_give(found: dict[str, Any]) -> None:
    """RIGHTSIZE_GOLDEN=write writes it anew, as `python -m studies --write` does."""
    page = rendered(NAME, found)
    if os.environ.get("RIGHTSIZE_GOLDEN") == "write":
        (DOCS / f"{NAME}.md").write_text(page, encoding="utf-8")
    assert (DOCS / f"{NAME}.md").read_text(encoding="utf-8") == page


def test_rates_and_tokens_of_each_rung_are_those_of_the_source(found: dict[str, Any], expected: dict[str, Any]) -> None:
    for rung in (*found["rungs"], *found["others"]):
        for task in TASKS:
            figure = expected["models"][task][rung["name"]]
            assert rung["by_task"][task] == {"passed": figure["correct"], "trials": figure["n"]}
        figure = expected["models"]["(all)"][rung["name"]]
        assert (rung["passed"], rung["trials"]) == (figure["correct"], figure["n"])
        assert rung["tokens_per_run"] == pytest.approx(figure["mean_completion_tokens"], rel=1e-9)
        assert rung["tokens_per_pass"] == pytest.approx(figure["completion_tokens_per_correct"], rel=1e-9)


def test_every_pair_is_compared_as_elsewhere(found: dict[str, Any], expected: dict[str, Any]) -> None:
    figures_of = {(each["a"], each["b"], each["task"]): each for each in expected["pairs"]}
    assert {(a, b) for a, b, _ in figures_of} == set(PAIRS)
    for pair in found["pairs"]:
        figure = figures_of[pair["a"], pair["b"], "(all)"]
        difference, ratio = figure["case_means"], figure["completion_tokens_ratio_a_over_b"]
        assert [pair["difference"][key] for key in ("value", "low", "high")] == pytest.approx(
            [difference["difference"], *difference["paired_t_95"]], abs=1e-6
        )
        assert [pair["ratio"][key] for key in ("value", "low", "high", "of_totals")] == pytest.approx(
            [ratio["geometric_mean_of_case_mean_ratios"], *ratio["log_t_95"], ratio["ratio_of_totals"]], rel=1e-6
        )
        for task in TASKS:
            of_task = figures_of[pair["a"], pair["b"], task]["completion_tokens_ratio_a_over_b"]
            assert pair["by_task"][task] == pytest.approx(of_task["geometric_mean_of_case_mean_ratios"], rel=1e-6)


def test_the_smallest_rung_at_each_bar_is_that_of_the_source(found: dict[str, Any], expected: dict[str, Any]) -> None:
    for row in found["smallest"]:
        assert row["by_task"] == {task: expected["smallest"][task][str(row["bar"])] for task in TASKS}


def test_money_is_that_of_the_source(found: dict[str, Any]) -> None:
    """As its README has it, rounded to a cent."""
    usd = {rung["name"]: rung["usd_per_1000"] for rung in found["rungs"]}
    assert [round(usd[rung], 2) for rung in LADDER] == [0.91, 0.18, 1.96, 0.57, 4.03, 21.59]


def test_what_the_page_says_in_words_follows_from_its_figures(found: dict[str, Any]) -> None:
    ratios = {(pair["a"], pair["b"]): pair["ratio"] for pair in found["pairs"]}
    # "The largest Qwen3 writes more than the smaller one, and both sizes of gpt-oss write less than GPT-5."
    assert ratios["qwen3-30b-a3b-think", "qwen3-235b-a22b-think"]["high"] < 1
    assert max(ratios[rung, "gpt-5"]["high"] for rung in ("gpt-oss-20b", "gpt-oss-120b")) < 1
    # "gpt-oss-120b has the same", "a false economy"
    assert found["qwen"]["passed"] == found["oss"]["passed"]
    assert found["energy"]["low"] > 1
    assert any(
        "qwen3-30b-a3b-think takes" in line and "energy of gpt-oss-120b" in line for line in found["false_economies"]
    )
    # "For the same load a token costs both nearly the same"
    per_token = {row["name"]: row["per_token"] for row in found["energy"]["rows"]}
    for batch in (8, 64, 128):
        assert 0.8 < per_token["qwen3-30b-a3b-think"][batch] / per_token["gpt-oss-120b"][batch] < 1.25
    # "All runs that it missed are on ... cases of logic-puzzle", "the smallest rung is enough, at any of these rates"
    assert found["missed"]["tasks"] == ["logic-puzzle"]
    assert {row["by_task"][task] for row in found["smallest"] for task in ("knowledge", "math")} == {LADDER[0]}
    assert found["evidence"] == ["provisional"]
    assert not found["against_gpt_5"]["non_inferior"]


def test_the_recorded_answers_are_made_of_the_records() -> None:
    lines = run_path(str(SUITE / "prepare.py"))["lines"]
    for rung in (*LADDER, *OTHERS):
        with gzip.open(SUITE / "answers" / f"{rung}.jsonl.gz", "rt", encoding="utf-8") as file:
            assert list(map(json.loads, file)) == list(lines(rung)), rung


def test_the_joules_of_an_answer_are_its_tokens_times_the_published_joules() -> None:
    published = json.loads((SUITE / "data" / "energy.json").read_text(encoding="utf-8"))
    with gzip.open(SUITE / "answers" / "qwen3-30b-a3b-think.jsonl.gz", "rt", encoding="utf-8") as file:
        first = json.loads(next(file))
    at_64 = next(
        each["joules_per_token"]
        for each in published["models"]["qwen3-30b-a3b-think"]["configurations"]
        if each["batch"] == 64
    )
    assert first["energy"]["joules"] == pytest.approx(first["tokens"]["completion"] * at_64, rel=1e-4)


TABLE = Path(__file__).parents[3] / "shared" / "data" / "mlenergy" / "mlenergy_v3_text.csv.gz"


@pytest.mark.skipif(not TABLE.is_file(), reason=f"ML.ENERGY's table is not in {TABLE}")
def test_the_published_joules_are_those_of_the_table() -> None:
    from tests.benchmarks.bench_served_meter import read_table

    published = json.loads((SUITE / "data" / "energy.json").read_text(encoding="utf-8"))
    rows = [row for row in read_table(TABLE) if row.task == "gpqa" and row.accelerator == "H100"]
    for model in published["models"].values():
        measured = [row for row in rows if row.model == model["model"].partition("/")[2]]
        for each in model["configurations"]:
            joules = [row.joules_per_token for row in measured if row.boards == each["boards"]]
            assert any(each["joules_per_token"] == pytest.approx(one, rel=1e-3) for one in joules), each
        assert min(each["joules_per_token"] for each in model["configurations"]) == pytest.approx(
            min(row.joules_per_token for row in measured), rel=1e-3
        )
