"""`rightsize distill`: the passed answers of a larger rung become a training set, without the held-out cases."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_rightsize.authoring.training_sets import held_out_cases, licence_warning, training_set
from pytest_rightsize.commands.__main__ import main
from pytest_rightsize.content_parts import image_part
from pytest_rightsize.judging.verdict import judge
from pytest_rightsize.records import AnswerRecord, Policy, Run, Rung, Trial, TrialKey
from pytest_rightsize.results.kept_media import FOLDER
from pytest_rightsize.results.results_file import ResultsFile

RUNGS = [Rung(name="small", provider="replay"), Rung(name="large", provider="openai", model="gpt-5")]
SYSTEM = {"role": "system", "content": "Route."}


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def user_of(parts: list[Any], number: int) -> dict[str, Any]:
    return {"role": "user", "content": [{"type": "text", "text": f"{number}"}, *parts[1:]]}


def answer(text: str, *messages: Mapping[str, Any]) -> AnswerRecord:
    return AnswerRecord(text=text, messages=messages, reasoning="hm")


def trial(case: str, rung: str, *answers: AnswerRecord, passed: bool = True, sample: int = 0) -> Trial:
    key = TrialKey(task="route", case=case, rung=rung, sample=sample)
    outcome = "passed" if passed else "failed"
    return Trial(key=key, outcome=outcome, reason=None if passed else "wrong", answers=answers)  # type: ignore[arg-type]


def written(
    folder: Path,
    *,
    small_passes: bool = False,
    private: bool = False,
    settings: dict[str, Any] | None = None,
    asked: list[Any] | None = None,
) -> Path:
    cases = [f"case-{number}" for number in range(10)]
    trials = [trial(case, "small", answer("?", user(case)), passed=small_passes) for case in cases]
    trials += [
        trial(case, "large", answer(f"to {case}", SYSTEM, user(case)), passed=case != "case-3") for case in cases
    ]
    if asked is not None:
        trials += [trial(f"image-{sample}", "large", answer("there", user_of(asked, sample))) for sample in range(9)]
    policy = Policy(task="route", pass_rate=0.8, private=private)
    planned = {("route", rung.name): 10 for rung in RUNGS}
    run = Run(rungs=RUNGS, trials=trials, policies={"route": policy}, planned=planned, strategy="full")
    about = {"settings": {"strategy": "full", **(settings or {})}}
    file = ResultsFile(folder / "run.jsonl", rungs=RUNGS, about=about)
    file.plan(run.policies.values(), planned)
    for each in trials:
        file.trial(each)
    file.end(judge(run), exitstatus=0, failed=[], totals={})
    return file.path


def test_an_image_of_a_prompt_is_in_the_training_set_or_the_error_says_where_it_should_be(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = image_part(b"GIF89a")
    path = written(tmp_path, asked=[{"type": "text", "text": "Where to?"}, image])
    assert distill(path) == 0
    lines = [json.loads(line) for line in path.with_name("train.jsonl").read_text().splitlines()]
    seen = [line["messages"] for line in lines if isinstance(line["messages"][0]["content"], list)]
    assert len(seen) >= 5
    assert all(messages[0]["content"][1:] == [image] for messages in seen)
    capsys.readouterr()
    for file in (tmp_path / FOLDER).iterdir():
        file.unlink()
    assert distill(path) != 0
    assert f"has an image or sound that is not in {tmp_path / FOLDER}" in capsys.readouterr().err


def distill(path: Path, *arguments: str) -> int:
    output = path.with_name("train.jsonl")
    return main(["distill", str(path), "--task", "route", "--teacher", "large", "--output", str(output), *arguments])


def test_passed_answers_are_written_without_the_cases_that_are_held_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path)
    assert distill(path) == 0
    printed = capsys.readouterr()
    held_out = held_out_cases([f"case-{number}" for number in range(10)], 0.2)
    assert len(held_out) == 2
    assert f"held out, and not to be trained on (2): {', '.join(held_out)}" in printed.out
    assert "for small (0/10 passed) by large (9/10 passed)" in printed.out
    assert "licence: gpt-5 has terms of its vendor" in printed.err
    lines = [json.loads(line) for line in (tmp_path / "train.jsonl").read_text(encoding="utf-8").splitlines()]
    taught = {line["messages"][1]["content"]: line["messages"] for line in lines}
    assert {*taught} == {f"case-{number}" for number in range(10)} - {*held_out, "case-3"}
    some = next(iter(taught))
    # The answer alone: what was reasoned before it is not taught.
    assert taught[some] == [SYSTEM, user(some), {"role": "assistant", "content": f"to {some}"}]
    assert distill(path, "--format", "alpaca") == 0  # a training set may be written anew
    first = json.loads((tmp_path / "train.jsonl").read_text(encoding="utf-8").splitlines()[0])
    assert first == {"instruction": "Route.", "input": some, "output": f"to {some}"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--student", "large"], "large does not stand below large"),
        (["--student", "smal"], "unknown rung 'smal': did you mean 'small'?"),
        (["--held-out", "1"], "--held-out=1 cannot be"),
        (["--task", "rout"], "unknown task 'rout': did you mean 'route'?"),
    ],
)
def test_what_cannot_be_taught_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert distill(written(tmp_path), *arguments) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "train.jsonl").exists()


def test_a_student_that_passes_is_not_trained(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert distill(written(tmp_path, small_passes=True)) == 2
    assert "small passes route as it is" in capsys.readouterr().err


def test_hashes_are_not_taught(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert distill(written(tmp_path, settings={"redact": ["answers"]})) == 2
    assert "has hashes in place of answers" in capsys.readouterr().err


def test_a_private_task_stays_with_its_owner(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert distill(written(tmp_path, private=True)) == 0
    assert "route is private" in capsys.readouterr().err
    assert (tmp_path / "train.jsonl").stat().st_mode & 0o077 == 0


def test_another_file_is_not_replaced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path)
    (tmp_path / "train.jsonl").write_text("my notes", encoding="utf-8")
    assert distill(path) == 2
    assert "train.jsonl" in capsys.readouterr().err
    assert (tmp_path / "train.jsonl").read_text(encoding="utf-8") == "my notes"


def test_a_prompt_of_a_held_out_case_is_in_no_example() -> None:
    trials = [trial(case, "large", answer("x", user("same"))) for case in "ab"]
    trials.append(trial("c", "large", answer("y", user("other"))))
    made = training_set(trials, held_out=["a"], form="chat")
    assert [example["messages"][0]["content"] for example in made.examples] == ["other"]
    assert made.same_prompts == ["b"]


def test_a_conversation_is_one_example_and_samples_that_agree_are_one() -> None:
    first = answer("hi", user("hello"))
    second = answer("good", *first.messages, {"role": "assistant", "content": "hi"}, user("how?"))
    trials = [trial("a", "large", first, second, sample=sample) for sample in range(2)]
    made = training_set(trials, held_out=[], form="chat")
    assert [len(example["messages"]) for example in made.examples] == [4]
    assert made.repeated == 1
    assert training_set(trials, held_out=[], form="alpaca").no_form == 2


@given(st.sets(st.text(min_size=1), min_size=1, max_size=30), st.floats(0, 0.99))
def test_held_out_cases_are_always_the_same_and_never_all(cases: set[str], share: float) -> None:
    held_out = held_out_cases(cases, share)
    assert held_out == held_out_cases(sorted(cases, reverse=True), share)
    assert {*held_out} < cases
    assert bool(held_out) == (share > 0 and len(cases) > 1)


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("anthropic/claude-sonnet-4-5", "terms of its vendor"),
        ("openai/gpt-oss-20b", "Apache 2.0 or MIT"),
        ("hf:bartowski/Llama-3.3-70B", "Llama licence"),
        ("hf:ggml-org/gemma-3-4b-it-GGUF", "Gemma terms"),
        ("our-own", "are not known here"),
    ],
)
def test_a_licence_is_warned_about_and_never_said_to_allow(model: str, words: str) -> None:
    assert words in licence_warning(Rung(name="x", provider="openai", model=model))
