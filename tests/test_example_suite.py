"""The example suite is as its README says: the split never leaks, and the weights are those that the card names."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from dataclasses import fields
from pathlib import Path
from random import Random

import pytest

from example_suite.models.train.cases import CASES, CASES_PER_TASK, held_out, passes, read_cases, render_cases
from example_suite.models.train.tasks import TASKS, Split, Task, draw, held_out_cases, split_of
from example_suite.models.train.words import HELD_OUT, TRAIN, Words
from pytest_rightsize.judging.verdict import judge
from pytest_rightsize.results.results_file import read_run
from tests import forked

MODELS = Path(__file__).parents[1] / "example_suite" / "models"
CARD = json.loads((MODELS / "card.json").read_text(encoding="utf-8"))

SIDES: tuple[Split, Split] = ("train", "held_out")
each_task = pytest.mark.parametrize("task", TASKS.values(), ids=list(TASKS))


@pytest.mark.parametrize("entry", CARD["models"], ids=lambda entry: entry["file"])
def test_weights_have_the_hash_that_the_card_names(entry: dict[str, str]) -> None:
    assert hashlib.sha256((MODELS / entry["file"]).read_bytes()).hexdigest() == entry["sha256"]


def test_all_weights_are_on_the_card_and_small() -> None:
    weights = list(MODELS.glob("*.gguf"))
    assert {path.name for path in weights} == {entry["file"] for entry in CARD["models"]}
    assert sum(path.stat().st_size for path in weights) <= 12_000_000


@each_task
def test_no_held_out_prompt_can_occur_in_training(task: Task) -> None:
    cases = read_cases(CASES / f"{task.name}.jsonl")
    assert len({case.text for case in cases}) == len(cases) == CASES_PER_TASK
    assert {split_of(task.instruction + case.text) for case in cases} == {"held_out"}


@each_task
def test_training_refuses_the_held_out_side(task: Task) -> None:
    rng = Random(1)
    assert {split_of(draw(task, "train", rng).prompt) for _ in range(200)} == {"train"}


@pytest.mark.parametrize("task", [TASKS["route-ticket"], TASKS["sentiment"]], ids=lambda task: task.name)
def test_no_combination_is_met_on_both_sides(task: Task) -> None:
    rng = Random(1)
    met = {side: {draw(task, side, rng).combination for _ in range(1500)} for side in SIDES}
    assert not met["train"] & met["held_out"]
    assert len(met["held_out"]) > 20
    assert None not in met["train"] | met["held_out"]


@pytest.mark.parametrize("field", [field.name for field in fields(Words) if field.name not in ("made_up", "fillers")])
def test_held_out_words_are_not_training_words(field: str) -> None:
    assert not set(getattr(TRAIN, field)) & set(getattr(HELD_OUT, field))


def test_a_word_made_up_for_training_is_never_a_held_out_word() -> None:
    rng = Random(1)
    contacts = [json.loads(draw(TASKS["contact-json"], "train", rng).expected) for _ in range(3000)]
    orders = [json.loads(draw(TASKS["order-json"], "train", rng).expected) for _ in range(3000)]
    assert not {contact["city"] for contact in contacts} & set(HELD_OUT.cities)
    assert not {order["customer"] for order in orders} & set(HELD_OUT.names)
    assert not {line["item"] for order in orders for line in order["items"]} & set(HELD_OUT.products)


@each_task
def test_the_committed_cases_are_what_the_seeded_command_writes(task: Task) -> None:
    assert (CASES / f"{task.name}.jsonl").read_text(encoding="utf-8") == render_cases(task.name)


@each_task
def test_the_expected_answer_of_each_case_passes(task: Task) -> None:
    for case in held_out_cases(task, 50):
        assert passes(held_out(case).answer, case.expected), case


@pytest.mark.parametrize(
    ("expected", "answer", "verdict"),
    [
        ("84", "84", True),
        ("84", "<think>7*12=84</think>84", True),
        ("84", "<think>7*12=84</think>48", False),
        ({"qty": 2}, '{"qty": 2}', True),
        ({"qty": 2}, '{"qty":', False),
    ],
)
def test_an_answer_is_judged_by_what_follows_the_thinking(expected: object, answer: str, verdict: bool) -> None:
    assert passes(expected, answer) is verdict


def test_llama_cpp_answers_as_pytorch_did() -> None:
    pytest.importorskip("llama_cpp")
    from example_suite.models.train.measure import golden_misses

    assert golden_misses(every=3) == []  # one or two of each task on each rung


def test_the_ladder_separates_on_models_in_process_and_behind_a_server(tmp_path: Path) -> None:
    pytest.importorskip("llama_cpp")
    results = tmp_path / "run.jsonl"
    # Nothing of what else is installed: it costs as much for each trial as the trial does.
    alone = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    plugin = ["-p", "pytest_rightsize.plugin", "-p", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", "example_suite", *plugin]
    options = ["--rightsize-ladder=25k,60k,160k,frontier", f"--rightsize-results={results}"]
    options.append("--rightsize-cache=off")  # the models are to answer, each time
    options += ["-k", "-00 or -01"]  # twenty cases of each task: the other twenty say the same, and take 20 s
    root = MODELS.parents[1]
    done = forked.run([*command, *options], cwd=root, env=alone)
    assert done.returncode == pytest.ExitCode.TESTS_FAILED, done.stdout
    run = read_run(results)
    assert {trial.outcome for trial in run.trials} == {"passed", "failed", "not_run"}
    sources = {(trial.key.rung, answer.tokens.source) for trial in run.trials for answer in trial.answers}
    assert sources == {("25k", "counted"), ("60k", "counted"), ("160k", "counted"), ("frontier", "reported")}
    assert {verdict.task: (verdict.smallest, verdict.verdict) for verdict in judge(run)} == {
        "route-ticket": ("25k", "over-sized"),
        "sentiment": ("frontier", "under-sized"),
        "iso-date": ("160k", "right-sized"),
        "amount": ("60k", "over-sized"),
        "phone": ("160k", "right-sized"),
        "contact-json": (None, "unsolved"),
        "order-json": ("frontier", "right-sized"),
        "sort-unique": ("160k", "right-sized"),
        "add": ("160k", "over-sized"),
        "word-problem": ("frontier", "right-sized"),
        "multiply": (None, "unsolved"),
    }
    assert any(answer.reasoning for trial in run.trials for answer in trial.answers)
    assert "ticket_model in settings.toml to 25k" in done.stdout


def test_a_larger_model_is_not_always_better() -> None:
    passed = {model["rung"]: model["held_out"] for model in CARD["models"]}
    assert passed["frontier"]["sort-unique"]["passed"] < passed["160k"]["sort-unique"]["passed"]
