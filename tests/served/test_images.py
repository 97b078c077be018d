"""An image over each wire: one and the same part for a rung that takes it, and a refusal of the SDK's own form else."""

import base64
import hashlib
import json
from typing import Any

import pytest

from pytest_rightsize.results.kept_media import FOLDER
from tests.served.project import APP, notes
from tests.test_images import png

RED = png(40, 30)
DATA = base64.b64encode(RED).decode()
URL = f"data:image/png;base64,{DATA}"
# By path: the same question in the form of each vendor's SDK.
WIRES: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {
        "model": "m",
        "messages": [
            {
                "role": "user",
                "content": [{"type": "text", "text": "Which?"}, {"type": "image_url", "image_url": {"url": URL}}],
            }
        ],
    },
    "/v1/responses": {
        "model": "m",
        "input": [
            {
                "role": "user",
                "content": [{"type": "input_text", "text": "Which?"}, {"type": "input_image", "image_url": URL}],
            }
        ],
    },
    "/v1/messages": {
        "model": "m",
        "max_tokens": 9,
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "Which?"},
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": DATA}},
                ],
            }
        ],
    },
    "/api/chat": {
        "model": "m",
        "stream": False,
        "messages": [{"role": "user", "content": "Which?", "images": [DATA]}],
    },
    "/v1beta/models/m:generateContent": {
        "contents": [
            {"role": "user", "parts": [{"text": "Which?"}, {"inline_data": {"mime_type": "image/png", "data": DATA}}]}
        ]
    },
}
LADDER = """
    [app]
    serve = true
    [ladder.one]
    provider = "callable"
    model = "rungs:look"
    {images}
"""
RUNGS = """
    import json
    from pathlib import Path

    def look(messages):
        with Path("asked.txt").open("a") as file:
            file.write(json.dumps(messages) + chr(10))
        return "red"
"""
TEST = """
    import app, json

    def test_it(model, request):
        for path, body in json.loads(open("questions.json").read()):
            try:
                app.note(json.dumps([path, 200, app.post(path, body, model.base_url.removesuffix("/v1"))]))
            except app.Refused as refused:
                app.note(json.dumps([path, refused.args[0], refused.args[1]]))
"""


def ask(pytester: pytest.Pytester, questions: list[tuple[str, Any]], images: str = "") -> list[Any]:
    """What each question was answered with: its path, the status and the body."""
    pytester.makefile(".toml", rightsize=LADDER.format(images=images))
    pytester.makepyfile(app=APP, rungs=RUNGS)
    (pytester.path / "questions.json").write_text(json.dumps(questions), encoding="utf-8")
    pytester.makepyfile(TEST)
    pytester.runpytest_inprocess("--rightsize-ladder=one", "--rightsize-results=run.jsonl", "--rightsize-concurrency=1")
    return [json.loads(line) for line in notes(pytester)]


def trials(pytester: pytest.Pytester) -> list[Any]:
    lines = (pytester.path / "run.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines if '"kind": "trial"' in line]


def test_an_image_is_the_same_part_over_each_wire(pytester: pytest.Pytester) -> None:
    said = ask(pytester, [*WIRES.items()])
    assert [(path, status) for path, status, _ in said] == [(path, 200) for path in WIRES]
    assert all("red" in body for *_, body in said)
    given = [json.loads(line) for line in (pytester.path / "asked.txt").read_text().splitlines()]
    parts = [{"type": "text", "text": "Which?"}, {"type": "image_url", "image_url": {"url": URL}}]
    assert given == [[{"role": "user", "content": parts}]] * len(WIRES)
    assert DATA not in (pytester.path / "run.jsonl").read_text(encoding="utf-8")
    assert (pytester.path / FOLDER / hashlib.sha256(RED).hexdigest()).read_bytes() == RED


def test_a_rung_that_takes_none_refuses_in_the_form_of_the_wire(pytester: pytest.Pytester) -> None:
    said = ask(pytester, [*WIRES.items()], "images = false")
    assert [path for path, *_ in said] == [*WIRES]
    for _, status, body in said:
        assert 400 <= status < 500
        assert "the message has images, and one takes none" in str(json.loads(body)["error"])
    assert not (pytester.path / "asked.txt").exists()
    (trial,) = trials(pytester)
    assert (trial["outcome"], trial["reason"]) == ("error", "request")


def test_what_is_no_image_is_refused_too(pytester: pytest.Pytester) -> None:
    broken = json.loads(json.dumps([*WIRES.items()]).replace(DATA, base64.b64encode(b"%PDF-1.7").decode()))
    said = ask(pytester, [each for each in broken if each[0] != "/api/chat"])
    assert all(400 <= status < 500 and "but it begins with" in body for _, status, body in said)
    assert len(said) == 4
    assert not (pytester.path / "asked.txt").exists()
    assert trials(pytester)[0]["reason"] == "unserved"
