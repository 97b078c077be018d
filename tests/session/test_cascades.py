"""Whole sessions with a cascade on the ladder: its verdict, what it shares with plain rungs, and what it may not do."""

import json
from pathlib import Path
from typing import Any

import pytest

from pytest_rightsize.results.results_file import read_run
from tests.conftest import LADDER, SUITE

CASCADE = """
    [ladder.both]
    provider = "cascade"
    rungs = ["tiny", "big"]
    accept = "checks:is_upper"
"""
CALLED = """
    default = "big"
    [ladder.tiny]
    provider = "callable"
    model = "models:tiny"
    [ladder.big]
    provider = "callable"
    model = "models:big"
"""
MODELS = """
from pathlib import Path

def noted(name, answer):
    with (Path(__file__).parent / f"{name}.calls").open("a") as file:
        file.write("x")
    return answer

def tiny(prompt): return noted("tiny", prompt.upper() if prompt in "ab" else prompt)
def big(prompt): return noted("big", prompt.upper())
"""


def prepared(suite: pytest.Pytester, ladder: str, **files: str) -> None:
    suite.path.joinpath("rightsize.toml").write_text(ladder, encoding="utf-8")
    suite.path.joinpath("checks.py").write_text("def is_upper(answer): return answer.isupper()", encoding="utf-8")
    for name, text in files.items():
        suite.path.joinpath(f"{name}.py").write_text(text, encoding="utf-8")


def calls(folder: Path, name: str) -> int:
    file = folder / f"{name}.calls"
    return len(file.read_text(encoding="utf-8")) if file.exists() else 0


def via_of(path: Path, rung: str) -> dict[str, Any]:
    return {
        trial.key.case.rpartition("[")[2].rstrip("]"): trial.answers[0].via
        for trial in read_run(path).trials
        if trial.key.rung == rung and trial.answers
    }


def test_a_cascade_stands_beside_plain_rungs_and_shares_their_answers(suite: pytest.Pytester) -> None:
    prepared(suite, CALLED + CASCADE, models=MODELS)
    asked = ("--rightsize-ladder=tiny,both,big", "--rightsize-strategy=full", "--rightsize-stopping=none")
    result = suite.runpytest(*asked, "--rightsize-results=run.jsonl", "--rightsize-report=html:page.html")
    line = "upper: both passed 2 of 4 answers on towards big (50 %); for a passed case it takes * of big, the best *"
    result.stdout.fnmatch_lines(["upper * 2/4 * 4/4[*] * 4/4 * both *", line])
    assert via_of(suite.path / "run.jsonl", "both") == {
        "a": ("tiny",),
        "b": ("tiny",),
        "c": ("tiny", "big"),
        "d": ("tiny", "big"),
    }
    page = suite.path.joinpath("page.html").read_text(encoding="utf-8")
    assert "both passed 2 of 4 answers on towards big (50 %)" in page
    # Each rung is asked each case once, whoever asks: the cascade gets what was recorded. Without that it would be 8
    # and 6 times; an answer that is being recorded just now may be asked for once more.
    asked_of = calls(suite.path, "tiny"), calls(suite.path, "big")
    assert asked_of[0] < 8
    assert asked_of[1] < 6
    # Again from recordings alone, where nothing may be asked.
    again = suite.runpytest(*asked, "--rightsize-cache=replay")
    again.stdout.fnmatch_lines(["upper * 2/4 * 4/4[*] * 4/4 * both *"])
    assert (calls(suite.path, "tiny"), calls(suite.path, "big")) == asked_of


def test_members_need_not_stand_on_the_ladder(suite: pytest.Pytester) -> None:
    prepared(suite, LADDER + CASCADE)
    # Which trials a stop leaves out depends on which thread is faster.
    result = suite.runpytest("--rightsize-ladder=both", "--rightsize-results=run.jsonl", "--rightsize-stopping=none")
    result.stdout.fnmatch_lines(["upper * 4/4[*] * both *", "*no single rung was shown to pass*"])
    answers = [trial.answers[0] for trial in read_run(suite.path / "run.jsonl").trials]
    # Recorded answers of tiny and big have 3 + 1 tokens each.
    assert {(len(answer.via), answer.tokens.total) for answer in answers} <= {(1, 4), (2, 8)}
    assert all(answer.cached for answer in answers)


def test_a_private_task_is_not_given_to_a_cascade_of_which_one_leaves_the_machine(suite: pytest.Pytester) -> None:
    far = CALLED.replace('model = "models:big"', 'model = "models:big"\n    leaves_machine = true')
    prepared(suite, far + CASCADE, models=MODELS)
    suite.makepyfile(test_suite=SUITE.replace('chosen="big"', "private=True"))
    result = suite.runpytest("test_suite.py", "--rightsize-ladder=both", "--rightsize-results=run.jsonl")
    result.stdout.fnmatch_lines(["upper: no rung of this ladder may see a private task"])
    assert {trial.outcome for trial in read_run(suite.path / "run.jsonl").trials} == {"not_run"}
    assert (calls(suite.path, "tiny"), calls(suite.path, "big")) == (0, 0)


def test_a_fault_of_a_member_is_an_error_of_the_trial(suite: pytest.Pytester) -> None:
    broken = MODELS.replace('return noted("big", prompt.upper())', "raise OSError('no table')")
    prepared(suite, CALLED + CASCADE, models=broken)
    suite.runpytest("--rightsize-ladder=both", "--rightsize-results=run.jsonl", "--rightsize-stopping=none")
    outcomes = {trial.key.case[-2]: trial.outcome for trial in read_run(suite.path / "run.jsonl").trials}
    assert outcomes == {"a": "passed", "b": "passed", "c": "error", "d": "error"}


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (
            'rungs = ["tiny", "bug"]\n accept = "schema"',
            "*[[]ladder.both[]]: rungs: unknown rung 'bug': did you mean *",
        ),
        ('rungs = ["tiny", "big"]\n accept = "schema"\n price = { prompt = 1, completion = 1 }', "*take price out*"),
        ('rungs = ["tiny", "big"]', "*has no accept, which the provider cascade needs*"),
        (
            'rungs = ["tiny", "two"]\n accept = "schema"\n [ladder.two]\n provider = "cascade"\n'
            ' rungs = ["tiny", "big"]\n accept = "schema"',
            "*two is a cascade itself: name its rungs, tiny, big*",
        ),
    ],
)
def test_a_table_that_cannot_be_is_refused(suite: pytest.Pytester, table: str, words: str) -> None:
    prepared(suite, f'{LADDER}\n[ladder.both]\n provider = "cascade"\n {table}')
    result = suite.runpytest("--rightsize-ladder=both")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([words])


def test_a_results_file_says_who_was_asked_and_nothing_of_it_for_a_plain_rung(suite: pytest.Pytester) -> None:
    prepared(suite, LADDER + CASCADE)
    suite.runpytest("--rightsize-ladder=tiny,both", "--rightsize-results=run.jsonl", "--rightsize-strategy=full")
    lines = [json.loads(line) for line in suite.path.joinpath("run.jsonl").read_text(encoding="utf-8").splitlines()]
    answers = {(line["rung"], "via" in line["answers"][0]) for line in lines if line.get("answers")}
    assert answers == {("tiny", False), ("both", True)}
