"""The provider `replay`: what a line may hold, how an answer is found, and what is said where there is none."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from pytest_rightsize.errors import ConfigError, RungError
from pytest_rightsize.providers.placement import answers_are_free
from pytest_rightsize.providers.replay import Replay
from pytest_rightsize.records import Reply, Request, Rung

LINES: list[dict[str, Any]] = [
    {"prompt": "Route: my parcel is lost", "text": "shipping", "tokens": {"prompt": 7, "completion": 1}},
    {"prompt": "Route: my parcel is lost", "text": "billing", "sample": 1, "tokens": {"prompt": 7, "completion": 1}},
    {"messages": [{"role": "system", "content": "Be short."}, {"role": "user", "content": "Hi"}], "text": "Hello"},
]


def rung(folder: Path, lines: Sequence[object]) -> Replay:
    text = "".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines)
    (folder / "answers.jsonl").write_text(text, encoding="utf-8")
    return Replay(Rung(name="a", provider="replay", options={"file": "answers.jsonl"}, base_dir=str(folder)))


def asked(replay: Replay, prompt: str, sample: int = 0) -> Reply:
    return replay.submit(Request(messages=({"role": "user", "content": prompt},), sample=sample)).result()


def test_an_answer_is_found_by_its_messages_and_its_sample(tmp_path: Path) -> None:
    replay = rung(tmp_path, [*LINES, ""])

    assert asked(replay, "Route: my parcel is lost").text == "shipping"
    assert asked(replay, "Route: my parcel is lost", sample=1).text == "billing"
    messages = ({"content": "Be short.", "role": "system"}, {"role": "user", "content": "Hi"})
    assert replay.submit(Request(messages=messages)).result().text == "Hello"


def test_equal_answers_are_kept_once(tmp_path: Path) -> None:
    """Those of different prompts too; of others what is equal in them. Calls of tools have no hash."""
    calls = [{"id": "1", "function": {"name": "f", "arguments": "{}"}}]
    lines: list[dict[str, Any]] = [
        *({"prompt": name, "text": "billing"} for name in "ab"),
        *({"prompt": f"slow {name}", "text": "billing", "seconds": name} for name in (1, 2)),
        *({"prompt": f"called {name}", "text": "", "tool_calls": calls} for name in "ab"),
    ]
    replay = rung(tmp_path, lines)

    assert asked(replay, "a") is asked(replay, "b")
    first, second = asked(replay, "slow 1"), asked(replay, "slow 2")
    assert (first.seconds, second.seconds) == (1.0, 2.0)
    assert first.text is second.text
    assert asked(replay, "called a").tool_calls == asked(replay, "called b").tool_calls == tuple(calls)


def test_answers_with_the_same_token_counts_share_them(tmp_path: Path) -> None:
    replay = rung(tmp_path, LINES)

    first, second = (asked(replay, "Route: my parcel is lost", sample) for sample in (0, 1))
    assert first.tokens is second.tokens
    assert first.tokens.total == 8


def test_an_answer_may_be_a_tool_call(tmp_path: Path) -> None:
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    assert asked(rung(tmp_path, [{"prompt": "x", "tool_calls": [call]}]), "x") == Reply(
        text="", tool_calls=(call,), replayed=True
    )


def test_a_question_without_an_answer_is_told_with_the_nearest_that_has_one(tmp_path: Path) -> None:
    replay = rung(tmp_path, LINES)

    for _ in range(2):  # the prompts are read again once
        with pytest.raises(RungError) as told:
            asked(replay, "Route: my parcels are lost")
        assert told.value.reason == "unrecorded"
        assert (
            "has no answer to 'Route: my parcels are lost'; the nearest recorded one is 'Route: my parcel is lost'"
            in (str(told.value))
        )


def test_only_so_many_questions_are_compared_with_all_that_are_recorded(tmp_path: Path) -> None:
    """Each takes milliseconds: where a long recording lacks thousands of answers, that would be minutes."""
    replay = rung(tmp_path, LINES)
    said = []
    for number in range(60):
        with pytest.raises(RungError) as told:
            asked(replay, f"Route: my parcel {number} is lost")
        said.append(str(told.value))
    assert all(f"has no answer to 'Route: my parcel {number} is lost'" in words for number, words in enumerate(said))
    assert ["nearest" in words for words in said] == [True] * 50 + [False] * 10


def test_a_sample_too_many_is_told_with_the_number_there_is(tmp_path: Path) -> None:
    with pytest.raises(RungError, match="has 2 samples of this prompt, but no sample 2"):
        asked(rung(tmp_path, LINES), "Route: my parcel is lost", sample=2)


def test_a_file_without_a_line_says_so(tmp_path: Path) -> None:
    with pytest.raises(RungError, match="has no line, and so no answer to 'x'"):
        asked(rung(tmp_path, []), "x")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ({**LINES[0], "text": "other"}, "repeats line 1"),
        ("{", "is not JSON"),
        ([], "is not an object"),
        ({"text": "x"}, "needs either prompt or messages"),
        ({"prompt": "x", "answer": "y"}, "unknown key 'answer'"),
        ({"prompt": 1}, "a prompt that is not a string"),
        ({"messages": []}, "messages that are not a list of objects"),
        ({"prompt": "x", "sample": True}, "sample True, which is not a whole number"),
        ({"prompt": "x", "text": 1}, "a text that is not a string"),
        ({"prompt": "x", "seconds": -1}, "seconds -1, which is no duration"),
        ({"prompt": "x", "tokens": {"prompts": 1}}, "unknown tokens 'prompts'"),
        ({"prompt": "x", "tokens": {"prompt": -1}}, "-1 prompt tokens, which is no count"),
        ({"prompt": "x", "energy": 3}, "energy that is not an object"),
        ({"prompt": "x", "tool_calls": [1]}, "tool_calls that are not a list of objects"),
    ],
    ids=str,
)
def test_a_line_that_is_wrong_is_named(tmp_path: Path, line: object, words: str) -> None:
    with pytest.raises(ConfigError) as told:
        rung(tmp_path, [LINES[0], line]).check()
    assert "answers.jsonl:2: this line of the replay file" in str(told.value)
    assert words in str(told.value)


def test_a_file_that_is_not_there_is_a_problem_with_a_remedy(tmp_path: Path) -> None:
    replay = rung(tmp_path, LINES)
    (tmp_path / "answers.jsonl").unlink()

    problem = replay.check()
    assert problem is not None
    assert "is not there" in problem.what
    with pytest.raises(RungError) as told:
        asked(replay, "x")
    assert told.value.permanent


@pytest.mark.parametrize(("more", "are_free"), [({}, True), ({"complete": True}, True), ({"complete": False}, False)])
def test_answers_are_free_unless_the_recording_stands_in_for_a_model(more: dict[str, Any], are_free: bool) -> None:
    rung = Rung(name="r", provider="replay", options={"file": "answers.jsonl", **more})
    assert answers_are_free(Replay(rung)) is are_free
