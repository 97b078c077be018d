"""Comparisons of two rungs on the same cases: small tables, and all published pairs of five models on two tasks."""

import gzip
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_rightsize.judging.comparison import compare
from pytest_rightsize.records import AnswerRecord, Run, Rung, Trial, TrialKey
from tests.runs import make_run

DATA = Path(__file__).parents[3] / "shared" / "data" / "zeroeval"


def test_one_run_pairs_by_case() -> None:
    run = make_run({"t": {"s": "1100E", "l": "10111"}})
    paired = compare(run, "s", run, "l").tasks["t"]
    assert (paired.n, paired.only_a, paired.only_b, paired.unpaired) == (4, 1, 2, 1)
    assert [one.case for one in paired.changed] == ["t-1", "t-2", "t-3"]
    assert (paired.rate_a, paired.rate_b) == (0.5, 0.75)
    assert paired.mcnemar_p == 1
    assert paired.difference.value == -0.25


def test_two_runs_pair_whatever_the_order() -> None:
    before, after = make_run({"t": {"s": "1110"}}), make_run({"t": {"s": "1011"}})
    after = replace(after, trials=list(after.trials)[::-1])
    paired = compare(before, "s", after, "s").tasks["t"]
    assert [(one.case, one.passed_a, one.passed_b) for one in paired.changed] == [("t-1", 1, 0), ("t-3", 0, 1)]


def test_the_json_shape() -> None:
    run = make_run({"t": {"s": "110", "l": "111"}})
    plain = json.loads(json.dumps(compare(run, "s", run, "l", margin=0.1).to_dict()))
    for paired in (plain["tasks"]["t"], plain["overall"]):
        assert (paired["a"], paired["b"], paired["n"]) == ("s", "l", 3)
        assert {"only_a", "only_b", "mcnemar_p", "rate_a", "interval_a"} <= paired.keys()
        assert {"value", "low", "high", "low90", "high90"} <= paired["difference"].keys()
        assert paired["non_inferior"]["margin"] == 0.1
        assert paired["non_inferior"]["holds"] is False


def test_files_of_one_name_with_other_hashes_are_said_to_differ() -> None:
    one, other = (
        replace(make_run({"t": {"a": "11"}}), about={"identities": {"a": {"sha256": [digest * 64]}}}) for digest in "0f"
    )
    found = compare(one, "a", other, "a", names=("one.jsonl", "other.jsonl")).differs
    assert found[0] == f"rung a: its file has the hash {'0' * 16} in one.jsonl and {'f' * 16} in other.jsonl"


def test_a_changed_case_shows_the_last_answer_of_each_trial() -> None:
    run = make_run({"t": {"s": "0", "l": "1"}})
    answers = (AnswerRecord(text="draft"), AnswerRecord(text="final"))
    run = replace(run, trials=[replace(trial, answers=answers) for trial in run.trials])
    (changed,) = compare(run, "s", run, "l").tasks["t"].changed
    assert (changed.texts_a, changed.texts_b) == (("final",), ("final",))


@pytest.mark.parametrize(
    ("prompt_a", "prompt_b", "paired", "note"),
    [
        ("x", "x", 2, None),
        ("x", "y", 1, "1 case asks s of A and s of B something else and is left out: t: t-0"),
        (None, "y", 2, "of 1 cases the prompts were not recorded: that they ask the same is not known"),
        ("x", None, 2, "of 1 cases the prompts were not recorded: that they ask the same is not known"),
    ],
)
def test_cases_are_paired_by_their_prompts_and_unrecorded_prompts_are_counted(
    prompt_a: str | None, prompt_b: str | None, paired: int, note: str | None
) -> None:
    def asking(prompt: str | None) -> Run:
        run = make_run({"t": {"s": "10"}})
        prompts = {"t-0": prompt, "t-1": "the same"}
        trials = []
        for trial in run.trials:
            content = prompts[trial.key.case]
            messages = () if content is None else ({"role": "user", "content": content},)
            trials.append(replace(trial, answers=(AnswerRecord(text="x", messages=messages),)))
        return replace(run, trials=trials)

    comparison = compare(asking(prompt_a), "s", asking(prompt_b), "s")
    assert comparison.tasks["t"].n == paired
    assert comparison.differs == (() if note is None else (note,))


def test_nothing_in_common_is_said() -> None:
    comparison = compare(make_run({"t": {"s": "11"}}), "s", make_run({"u": {"l": "11"}}), "l")
    assert comparison.overall is None
    assert comparison.answer == "s and l answered no case in common."


def test_holm_over_tasks_can_take_a_claim_back() -> None:
    """A task that would be non-inferior by itself is not, asked together with one that is not."""
    alone = make_run({"t": {"s": "1" * 60, "l": "1" * 60}})
    asked = make_run({"t": {"s": "1" * 60, "l": "1" * 60}, "u": {"s": "1" * 9, "l": "1" * 9}})
    assert compare(alone, "s", alone, "l").tasks["t"].non_inferior.holds
    together = compare(asked, "s", asked, "l").tasks
    assert together["t"].difference.low90 > -0.05
    assert not together["t"].non_inferior.holds


def test_several_samples_have_no_mcnemar() -> None:
    run = Run(
        rungs=[Rung(name="s", provider="replay"), Rung(name="l", provider="replay")],
        trials=[
            Trial(
                key=TrialKey(task="t", case=str(case), rung=rung, sample=sample),
                outcome="passed" if mark == "1" else "failed",
            )
            for rung, table in (("s", ["110", "111", "000"]), ("l", ["111", "111", "100"]))
            for case, marks in enumerate(table)
            for sample, mark in enumerate(marks)
        ],
    )
    paired = compare(run, "s", run, "l").tasks["t"]
    assert paired.mcnemar_p is None
    assert paired.difference.method == "gaffke"
    assert paired.difference.value == pytest.approx(-2 / 9)
    assert [(one.case, one.passed_a, one.passed_b, one.trials_a) for one in paired.changed] == [
        ("0", 2, 3, 3),
        ("2", 0, 1, 3),
    ]


@pytest.mark.parametrize(
    ("a", "b", "words"),
    [
        ("1" * 40, "0" * 30 + "1" * 10, "a is better than b by 75.0 points [59.7, 85.8], at 100 %"),
        (
            "0" * 30 + "1" * 10,
            "1" * 40,
            "a is worse than b by 75.0 points [59.7, 85.8], which is more than the margin of 5 points; it takes 100 %",
        ),
        (
            "0" * 12 + "1" * 188,
            "1" * 200,
            "a is worse than b by 6.0 points [3.5, 10.2], which may be more than the margin of 5 points; it takes",
        ),
        (
            "1" * 400,
            "1" * 400,
            "a is not worse than b by more than 5 points (lower bound -0.7), at 100 % [100, 100] of",
        ),
        ("0" * 8 + "1" * 992, "1" * 1000, "a is worse than b, but not by more than 5 points (lower bound -1.4), at "),
        (
            "10",
            "01",
            "it is not shown that a is not worse than b by more than 5 points (lower bound -75.8); it takes 100 %",
        ),
        (
            "1",
            "1",
            "it is not shown that a is not worse than b by more than 5 points (lower bound -73.0); it takes 100 % of",
        ),
    ],
)
def test_the_answer(a: str, b: str, words: str) -> None:
    run = make_run({"t": {"a": a, "b": b}})
    assert compare(run, "a", run, "b").answer.startswith(words)


@pytest.fixture(scope="module")
def published() -> Run:
    if not DATA.is_dir():
        pytest.skip(f"the recorded ZeroEval answers are not in {DATA}: this check was skipped")
    trials = []
    with gzip.open(DATA / "records.jsonl.gz", "rt", encoding="utf-8") as file:
        for one in map(json.loads, file):
            key = TrialKey(task=one["task"], case=one["item"], rung=one["model"])
            trials.append(Trial(key=key, outcome="passed" if one["correct"][0] else "failed"))
    rungs = [Rung(name=name, provider="replay") for name in dict.fromkeys(trial.key.rung for trial in trials)]
    return Run(rungs=rungs, trials=trials)


def test_every_published_pair(published: Run) -> None:
    expected: dict[str, dict[str, Any]] = json.loads((DATA / "expected.json").read_text(encoding="utf-8"))["mcnemar"]
    for title, figures in expected.items():
        task, _, pair = title.partition(": ")
        a, _, b = pair.partition(" vs ")
        paired = compare(published, a, published, b).tasks[task]
        assert (paired.only_a, paired.only_b) == (figures["only_first"], figures["only_second"])
        assert paired.n == sum(figures[name] for name in ("both", "only_first", "only_second", "neither"))
        assert paired.mcnemar_p == pytest.approx(figures["exact_p"], rel=1e-6, abs=0)


@pytest.mark.parametrize(
    ("task", "a", "b", "expected"),
    [
        ("crux", "gemma-2-2b-it", "gemma-2-9b-it", (-0.2450, -0.281773, -0.208649, -0.275821, -0.214483)),
        ("crux", "70B", "405B", (-0.0875, -0.117783, -0.058198, -0.112803, -0.062897)),
        ("gsm", "gemma-2-9b-it", "gemma-2-27b-it", (-0.028052, -0.045088, -0.011615, -0.042264, -0.014267)),
        ("gsm", "70B", "405B", (-0.017437, -0.029747, -0.006022, -0.027641, -0.007876)),
    ],
)
def test_the_published_intervals(published: Run, task: str, a: str, b: str, expected: tuple[float, ...]) -> None:
    names = [next(rung.name for rung in published.rungs if short in rung.name) for short in (a, b)]
    delta = compare(published, names[0], published, names[1]).tasks[task].difference
    found = (delta.value, delta.low, delta.high, delta.low90, delta.high90)
    assert found == pytest.approx(expected, abs=6e-7)


def test_significantly_worse_and_yet_non_inferior(published: Run) -> None:
    names = [next(rung.name for rung in published.rungs if short in rung.name) for short in ("70B", "405B")]
    paired = compare(published, names[0], published, names[1]).tasks["gsm"]
    assert paired.mcnemar_p == pytest.approx(0.00444402, rel=1e-5)
    assert paired.non_inferior.holds


@pytest.mark.parametrize("which", [0, 1])
def test_of_one_rung_in_two_runs_the_run_that_was_not_asked_all_is_named(which: int) -> None:
    whole, stopped = make_run({"t": {"s": "1111"}}), make_run({"t": {"s": "11--"}})
    runs = (stopped, whole) if which == 0 else (whole, stopped)
    answer = compare(runs[0], "s", runs[1], "s", names=("before", "now")).answer
    named = ("s of before", "s of now")[which]
    assert answer.startswith(f"nothing is claimed of s of before and s of now: {named} was not asked all of t")
