"""The provider `callable`: what a function is given, what it may return, and that its faults are no wrong answers."""

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pytest_rightsize.content_parts import audio_part
from pytest_rightsize.errors import ConfigError, NoAnswerError, RungError
from pytest_rightsize.providers.callables import CallableRung
from pytest_rightsize.providers.specialists import reply_of
from pytest_rightsize.records import Reply, Request, Rung

SOURCE = """
import asyncio, threading
import pytest_rightsize

def upper(prompt):
    return prompt.upper()

def roles(messages):
    return [message["role"] for message in messages]

def size(audio):
    return len(audio)

def whole(request):
    return {"tools": request.tools, "seed": request.seed}

async def later(prompt):
    await asyncio.sleep(0)
    return prompt + "!"

async def never(prompt):
    await asyncio.sleep(3600)

def breaks(prompt):
    return {}["missing"]

def declines(prompt):
    raise pytest_rightsize.NoAnswerError("it plays no chess", reason="refusal")

def nothing(prompt):
    pass

def thread(prompt):
    return threading.current_thread().name

class Rules:
    @staticmethod
    def first(prompt):
        return prompt[0]

word = "no function"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "own_rules.py").write_text(SOURCE, encoding="utf-8")
    yield tmp_path
    sys.modules.pop("own_rules", None)


def provider(folder: Path, name: str, **options: Any) -> CallableRung:
    return CallableRung(
        Rung(name="rules", provider="callable", model=f"own_rules:{name}", options=options, base_dir=str(folder))
    )


def ask(folder: Path, name: str, prompt: str = "abc", **options: Any) -> Reply:
    rung = provider(folder, name, **options)
    messages = ({"role": "system", "content": "Be short."}, {"role": "user", "content": prompt})
    try:
        return rung.submit(Request(messages=messages, seed=3)).result(30)
    finally:
        rung.close()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("upper", "ABC"),
        ("roles", '["system", "user"]'),
        ("whole", '{"tools": null, "seed": 3}'),
        ("later", "abc!"),
        ("Rules.first", "a"),
    ],
)
def test_a_function_is_given_what_its_parameter_asks_for(folder: Path, name: str, text: str) -> None:
    reply = ask(folder, name)
    assert (reply.text, reply.finish_reason) == (text, "stop")
    assert reply.seconds is not None
    assert reply.tokens.total is None


@pytest.mark.parametrize(
    ("name", "reason", "words"),
    [
        ("breaks", "crash", "own_rules:breaks raised KeyError: 'missing': mend it, or have it raise"),
        ("nothing", "bad_reply", "own_rules:nothing returned None"),
        ("gone", "missing", "own_rules has no function gone"),
        ("word", "missing", "own_rules has no function word"),
    ],
)
def test_what_goes_wrong_is_a_fault_of_the_rung(folder: Path, name: str, reason: str, words: str) -> None:
    with pytest.raises(RungError, match=words) as told:
        ask(folder, name)
    assert told.value.reason == reason


def test_a_function_that_has_no_answer_says_so_as_a_model_does(folder: Path) -> None:
    with pytest.raises(NoAnswerError, match="it plays no chess"):
        ask(folder, "declines")


def test_an_async_function_has_a_time_limit(folder: Path) -> None:
    with pytest.raises(RungError, match=r"gave no answer within 0\.01 s: set timeout_s of rules higher") as told:
        ask(folder, "never", timeout_s=0.01)
    assert (told.value.reason, told.value.alone) == ("timeout", True)


def test_its_threads_count_as_the_models_for_the_meter(folder: Path) -> None:
    assert ask(folder, "thread").text.startswith("rightsize rules")
    assert provider(folder, "upper").site == "process"


def test_a_module_that_cannot_be_imported_is_a_problem_before_any_test(folder: Path) -> None:
    (folder / "own_rules.py").write_text("import no_such_module\n", encoding="utf-8")
    problem = provider(folder, "upper").check()
    assert problem is not None
    assert problem.what == ("own_rules cannot be imported (ModuleNotFoundError: No module named 'no_such_module')")
    assert "correct model of rules in the ladder file" in problem.remedy


def test_the_path_is_as_before(folder: Path) -> None:
    before = [*sys.path]
    assert provider(folder, "upper").check() is None
    assert sys.path == before


def test_its_answers_are_recorded_under_the_content_of_its_file(folder: Path) -> None:
    def digest(path: Path) -> str:
        return path.read_text("utf-8")

    first = provider(folder, "upper").identity(digest)
    assert first.content == {"callable": "own_rules:upper", "file": SOURCE, "version": None}
    assert provider(folder, "upper", version="2").identity(digest) != first
    assert not first.greedy


@pytest.mark.parametrize("model", ["own_rules", "own_rules:", ":upper", "own rules:upper", "a.b:c d", "a..b:c"])
def test_what_names_no_function_is_refused(model: str) -> None:
    with pytest.raises(ConfigError, match=r'names no function: write "package\.module:function"'):
        CallableRung(Rung(name="rules", provider="callable", model=model))


def test_a_prompt_with_an_image_is_nothing_for_it(folder: Path) -> None:
    rung = provider(folder, "upper")
    parts = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": "data:,"}}]
    with pytest.raises(RungError, match="reads text alone, and this message has image_url") as told:
        rung.submit(Request(messages=({"role": "user", "content": parts},))).result(30)
    assert told.value.reason == "request"  # nothing that a model got wrong
    texts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    assert rung.submit(Request(messages=({"role": "user", "content": texts},))).result(30).text == "A\nB"
    rung.close()


def test_a_function_that_asks_elsewhere_is_said_so(folder: Path) -> None:
    rung = provider(folder, "upper", leaves_machine=True)
    assert (rung.leaves_machine, rung.site) == (True, "remote")


@dataclass
class _Found:
    queue: str
    sure: float


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a", "a"),
        (3, "3"),
        (True, "true"),
        (["ä"], '["ä"]'),
        (_Found("billing", 0.5), '{"queue": "billing", "sure": 0.5}'),
        (Reply(text="own", seconds=None), "own"),
    ],
)
def test_a_value_becomes_a_text(value: object, text: str) -> None:
    reply = reply_of(value, seconds=0.5, where="f")
    assert (reply.text, reply.seconds) == (text, 0.5)


@pytest.mark.parametrize("value", [{1, 2}, float("nan"), object()])
def test_a_value_that_json_lacks_is_a_fault(value: object) -> None:
    with pytest.raises(RungError, match="that is no JSON"):
        reply_of(value, seconds=0.5, where="f")


def test_a_ladder_with_a_function_names_it_as_the_smallest_that_passes(pytester: pytest.Pytester) -> None:
    (pytester.path / "own_rules.py").write_text(SOURCE, encoding="utf-8")
    (pytester.path / "big.jsonl").write_text(
        "".join(json.dumps({"prompt": word, "text": word.upper()}) + "\n" for word in "abcd"), encoding="utf-8"
    )
    pytester.makefile(
        ".toml",
        rightsize="""
        [ladder.rules]
        provider = "callable"
        model = "own_rules:upper"
        params_b = 1e-9
        [ladder.big]
        provider = "replay"
        file = "big.jsonl"
        """,
    )
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.rightsize(task="upper", pass_rate=0.75, chosen="big")
        @pytest.mark.parametrize("word", [*"abcd"])
        def test_upper(model, word):
            assert model.ask(word) == word.upper()
        """
    )
    result = pytester.runpytest("--rightsize-ladder=rules,big", "--rightsize-gate=none")
    result.stdout.fnmatch_lines(["upper *rules *big *OVER-SIZED"])
    assert result.ret == 0
    sys.modules.pop("own_rules", None)


def test_a_function_is_given_the_bytes_of_a_sound(folder: Path) -> None:
    rung = provider(folder, "size")
    sound = b"OggS\x00\x02"
    assert rung.submit(Request(messages=({"role": "user", "content": [audio_part(sound)]},))).result(30).text == "6"
    with pytest.raises(RungError, match="takes one sound in a message, and this one has text alone"):
        rung.submit(Request(messages=({"role": "user", "content": "hello"},))).result(30)
    rung.close()
