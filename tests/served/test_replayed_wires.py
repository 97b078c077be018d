"""Recorded answers are served over every wire, to the byte as when they were new."""

import json
from typing import Any

import pytest

from tests.served.project import asked, climb, make, notes

HI = {"role": "user", "content": "hi"}
# By path: the body of one and the same question.
WIRES: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"model": "m", "messages": [HI], "max_tokens": 9},
    "/v1/responses": {"model": "m", "input": "hi", "max_output_tokens": 9},
    "/v1/messages": {"model": "m", "max_tokens": 9, "messages": [HI]},
    "/api/chat": {"model": "m", "messages": [HI], "stream": False, "options": {"num_predict": 9}},
    "/v1beta/models/m:generateContent": {
        "contents": [{"parts": [{"text": "hi"}]}],
        "generationConfig": {"maxOutputTokens": 9},
    },
}
RECORDED = """
from pytest_rightsize.records import Identity

Gate.identity = lambda rung, sha256: Identity(content={"kind": "gate"})
"""
TEST = """
    import app, json, pytest

    @pytest.mark.rightsize(concurrent=False)
    def test_it(model):
        for path, body in json.loads({questions!r}):
            said = app.post(path, body, model.base_url.removesuffix("/v1"))
            assert "HI" in said
            app.note(json.dumps([path, said]))
"""


def questions() -> list[tuple[str, dict[str, Any]]]:
    """Each of them, whole and streamed."""
    whole = [*WIRES.items()]
    streamed = [
        (path.replace(":generate", ":streamGenerate"), body if ":" in path else {**body, "stream": True})
        for path, body in whole
    ]
    return whole + streamed


def test_the_wire_is_no_part_of_the_key_and_a_replay_is_the_same_to_the_byte(pytester: pytest.Pytester) -> None:
    """The second session asks in another order, so that each wire gets an answer that was recorded over another."""
    make(pytester, together=1)
    with (pytester.path / "conftest.py").open("a", encoding="utf-8") as conftest:
        conftest.write(RECORDED)
    for order, option in ((1, "--rightsize-cache=auto"), (-1, "--rightsize-cache=replay")):
        test = TEST.format(questions=json.dumps(questions()[::order]))
        climb(pytester, test, option).assert_outcomes(passed=1)
    assert asked(pytester) == ["hi"] * len(questions())
    said = [json.loads(line) for line in notes(pytester)]
    first, second = said[: len(questions())], said[len(questions()) :]
    assert second == first[::-1]
