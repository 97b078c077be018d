"""Images in a session: known by their hash, kept once, and refused before anything is asked where a rung takes none."""

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from pytest_rightsize.content_parts import image_part
from pytest_rightsize.part_data import with_references
from pytest_rightsize.recorded.cache import AnswerCache
from pytest_rightsize.results.kept_media import FOLDER
from pytest_rightsize.results.results_file import read_run
from tests.test_images import png

RED, BLUE = png(40, 30), png(40, 30, b"\x10\x20\xff")
QUESTION = {"type": "text", "text": "Which colour?"}
LADDER = """
    [ladder.blind]
    provider = "callable"
    model = "rungs:colour"
    {blind}
    [ladder.seeing]
    provider = "callable"
    model = "rungs:colour"
    version = "2"
"""
RUNGS = """
    from pathlib import Path

    def colour(messages):
        with Path("asked.txt").open("a") as file:
            file.write("asked\\n")
        return "red" if "base64" in str(messages) else "none"
"""
TEST = """
    from pytest_rightsize import image_part

    def test_colour(model):
        content = [{"type": "text", "text": "Which colour?"}, image_part("red.png")]
        assert model.ask(messages=[{"role": "user", "content": content}]) == "red"

    def test_again(model):
        image = {"type": "image_url", "image_url": {"url": "file:red.png", "detail": "low"}}
        assert model.ask("Which colour?", messages=[{"role": "user", "content": [image]}]) == "red"
"""
RUN = ("--rightsize-results=run.jsonl", "--rightsize-ladder=blind,seeing", "--rightsize-strategy=full")


@pytest.fixture
def seen(pytester: pytest.Pytester) -> pytest.Pytester:
    """A suite that asks for the colour of a file."""
    (pytester.path / "red.png").write_bytes(RED)
    pytester.makefile(".toml", rightsize=LADDER.format(blind=""))
    pytester.makepyfile(rungs=RUNGS)
    pytester.makepyfile(TEST)
    return pytester


def results(path: Path) -> str:
    return (path / "run.jsonl").read_text(encoding="utf-8")


def asked(path: Path) -> int:
    file = path / "asked.txt"
    return len(file.read_text().splitlines()) if file.exists() else 0


def test_an_image_is_kept_once_and_known_by_its_hash_elsewhere(seen: pytest.Pytester) -> None:
    seen.inline_run(*RUN, "--rightsize-cache-dir=kept").assertoutcome(passed=4)
    digest = hashlib.sha256(RED).hexdigest()
    encoded = base64.b64encode(RED).decode()
    assert encoded not in results(seen.path)
    assert f"stored:image/png;sha256={digest};bytes={len(RED)}" in results(seen.path)
    media = seen.path / FOLDER
    assert [path.name for path in media.iterdir() if path.name != ".gitignore"] == [digest]
    assert (media / digest).read_bytes() == RED
    assert (media / digest).stat().st_mode & 0o077 == 0
    run = read_run(seen.path / "run.jsonl")
    assert run.read_data is not None
    assert run.read_data(digest) == RED
    cache = AnswerCache(seen.path / "kept", read_only=True)
    requests = [json.dumps(entry.request) for entry in cache.entries()]
    cache.close()
    assert len(requests) == 4
    assert all(digest in request and encoded not in request for request in requests)


def test_a_replay_needs_no_rung_and_another_image_is_another_question(seen: pytest.Pytester) -> None:
    seen.inline_run(*RUN, "--rightsize-cache-dir=kept").assertoutcome(passed=4)
    assert asked(seen.path) == 4
    seen.inline_run(*RUN, "--rightsize-cache-dir=kept", "--rightsize-cache=replay").assertoutcome(passed=4)
    assert asked(seen.path) == 4
    (seen.path / "red.png").write_bytes(png(40, 31))
    ended = seen.inline_run(*RUN, "--rightsize-cache-dir=kept", "--rightsize-cache=replay")
    assert ended.countoutcomes()[0] == 0
    assert "stored:image/png" in results(seen.path)


def test_withheld_prompts_keep_no_image(seen: pytest.Pytester) -> None:
    seen.inline_run(*RUN, "--rightsize-redact=prompts").assertoutcome(passed=4)
    assert not (seen.path / FOLDER).exists()
    assert hashlib.sha256(RED).hexdigest() not in results(seen.path)


@pytest.mark.parametrize("asked_first", ["blind,seeing", "seeing,blind"])
def test_a_rung_that_takes_none_is_an_error_of_the_ladder_before_any_is_asked(
    seen: pytest.Pytester, asked_first: str
) -> None:
    seen.makefile(".toml", rightsize=LADDER.format(blind="images = false"))
    ended = seen.runpytest_inprocess("--rightsize-ladder", asked_first, "--rightsize-results=run.jsonl")
    assert asked(seen.path) == 0
    assert ended.ret == 1
    trials = [json.loads(line) for line in results(seen.path).splitlines() if '"kind": "trial"' in line]
    assert {(trial["outcome"], trial["reason"]) for trial in trials} == {("error", "request")}
    assert trials[0]["detail"].endswith(
        "was not asked: the message has images, and blind takes none. Run this test on rungs that take images "
        "(--rightsize-ladder=NAME,NAME)"
    )
    ended.stdout.fnmatch_lines(["*the message has images, and blind takes none*"])


def test_the_rungs_that_take_images_may_be_climbed_alone(seen: pytest.Pytester) -> None:
    seen.makefile(".toml", rightsize=LADDER.format(blind="images = false"))
    seen.inline_run("--rightsize-ladder=seeing").assertoutcome(passed=2)
    assert asked(seen.path) == 2


@pytest.mark.parametrize(
    ("part", "words"),
    [
        ({"type": "image_url", "image_url": {"url": "red.png"}}, "has the URL 'red.png', which is not fetched"),
        ({"type": "image_url", "image_url": {"url": "data:image/png;base64,JVBERg=="}}, "but it begins with b'%PDF'"),
    ],
)
def test_what_is_no_image_is_an_error_before_any_rung_is_asked(
    seen: pytest.Pytester, part: dict[str, Any], words: str
) -> None:
    seen.makepyfile(f"def test_it(model): model.ask('What?', messages=[{{'role': 'user', 'content': [{part!r}]}}])")
    seen.inline_run(*RUN)
    assert asked(seen.path) == 0
    trials = [json.loads(line) for line in results(seen.path).splitlines() if '"kind": "trial"' in line]
    assert {(trial["outcome"], trial["reason"]) for trial in trials} == {("error", "unserved")}
    assert all(words in trial["detail"] for trial in trials)


def test_a_file_that_is_not_there_is_named(seen: pytest.Pytester) -> None:
    (seen.path / "red.png").unlink()
    ended = seen.runpytest_inprocess(*RUN)
    assert asked(seen.path) == 0
    ended.stdout.fnmatch_lines(["*ConfigError: red.png cannot be read: No such file or directory*"])
    trials = [json.loads(line) for line in results(seen.path).splitlines() if '"kind": "trial"' in line]
    assert {(trial["outcome"], trial["reason"]) for trial in trials} == {("error", "test")}


@pytest.mark.parametrize(
    ("options", "marker", "reason"),
    [
        (("--rightsize-offline",), "", "offline"),
        ((), "@pytest.mark.rightsize(private=True)", "private"),
    ],
)
def test_an_image_by_a_url_is_fetched_for_no_private_task_and_not_offline(
    seen: pytest.Pytester, options: tuple[str, ...], marker: str, reason: str
) -> None:
    part = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
    seen.makepyfile(
        f"import pytest\n{marker}\n"
        f"def test_it(model): model.ask('What?', messages=[{{'role': 'user', 'content': [{part!r}]}}])"
    )
    seen.inline_run(*RUN, *options)
    assert asked(seen.path) == 0
    trials = [json.loads(line) for line in results(seen.path).splitlines() if '"kind": "trial"' in line]
    assert {(trial["outcome"], trial["reason"]) for trial in trials} == {("not_run", reason)}
    assert "its endpoint would fetch an image or a file by a URL" in trials[0]["detail"]


def test_a_replay_file_may_have_the_image_or_its_hash_and_no_other_hash(pytester: pytest.Pytester) -> None:
    (pytester.path / "red.png").write_bytes(RED)
    red, blue = ([{"role": "user", "content": [QUESTION, image_part(image)]}] for image in (RED, BLUE))
    recorded = {"whole": red, "hashed": [*with_references(red)], "other": [*with_references(blue)]}
    for name, kept in recorded.items():
        line = json.dumps({"messages": kept, "text": "red"})
        (pytester.path / f"{name}.jsonl").write_text(f"{line}\n", encoding="utf-8")
    tables = [f'[ladder.{name}]\nprovider = "replay"\nfile = "{name}.jsonl"\n' for name in recorded]
    pytester.makefile(".toml", rightsize="".join(tables))
    pytester.makepyfile(TEST.split("def test_again", maxsplit=1)[0])
    pytester.inline_run(
        "--rightsize-ladder=whole,hashed,other", "--rightsize-strategy=full", "--rightsize-results=run.jsonl"
    )
    ended = {trial.key.rung: (trial.outcome, trial.reason) for trial in read_run(pytester.path / "run.jsonl").trials}
    assert ended == {"whole": ("passed", None), "hashed": ("passed", None), "other": ("error", "unrecorded")}
