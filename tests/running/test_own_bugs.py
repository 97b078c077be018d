"""Exceptions that no answer could have prevented, and those that a model may have caused."""

from pathlib import Path
from textwrap import indent

import pytest

from pytest_rightsize.answers import Answer, Transcript
from pytest_rightsize.model import Model
from pytest_rightsize.records import AnswerRecord, Reply, Rung, Tokens
from pytest_rightsize.running.own_bugs import is_plainly_own, raised_at


def raised(body: str, tmp_path: Path, text: str = "[1]", *, rewritten: bool = False) -> BaseException:
    """What a test with this body raises; `rewritten` as pytest rewrites its assertions."""
    path = tmp_path / "test_body.py"
    path.write_text(
        "import json\nfrom pytest_rightsize import fuzzy, json_matching, number\n\n"
        f"def check(model, answer, limit, other):\n{indent(body, '    ')}\n",
        encoding="utf-8",
    )
    names: dict[str, object] = {"__name__": "test_body"}
    if rewritten:
        import ast

        from _pytest.assertion.rewrite import rewrite_asserts

        source = path.read_bytes()
        tree = ast.parse(source)
        rewrite_asserts(tree, source, str(path))
        exec(compile(tree, str(path), "exec"), names)
    else:
        exec(compile(path.read_text(encoding="utf-8"), str(path), "exec"), names)
    record = AnswerRecord(text=text, tokens=Tokens(prompt=3), finish_reason="stop")
    rung = Rung(name="small", provider="echo")
    model = Model(rung_record=rung, answer=lambda _: Reply(text=text), transcript=Transcript())
    with pytest.raises(BaseException) as caught:  # whatever it is
        names["check"](model, Answer(record), 3, {"a": None})  # type: ignore[operator]  # it is the function
    return caught.value


OWN = [
    "import warnings; warnings.simplefilter('error'); model.ask('x', temprature=0.5)",
    "answer.txt",
    "assert answer.content == 'x'",
    "model.complete('x')",
    "model.rung = 'big'",
    "answer.tokens.total_tokens",
    "model.ask(3)",
    "model.ask()",
    "model.chat().say('x')",
    "answer['name']",
    "assert answer['name'] == 1",
    "assert answer > 3",
    "assert 3 in answer",
    "answer + 1",
    "answer()",
    "-answer",
    "for part in model:\n    pass",
    "answer.json(shema={})",
    "answer.json({}, {})",
    "answer.json({'type': 'strng'})",
    "assert answer.energy.joules < 3",
    "assert answer.seconds < 2",
    "assert (\n    answer.cost_usd\n    <= 0.5\n)",
    "assert answer.tokens.completion < 50",
    "number('three', rel='x') == answer",
    "fuzzy(3) == answer",
]
MAY_BE_THE_MODELS = [
    "answer.json()['total']",
    "answer.json().keys()",
    "answer.json()[0].lower()",
    "json.loads(answer)['a']['b']",
    "int(answer)",
    "data = answer.json()\ndata['total'] + 1",
    "data = answer.json()\nassert data > 'x'",
    "answer.reasoning.lower()",
    "answer.tool_calls[0]['function']",
    "answer % 3",
    "ord(answer)",
    "other['a'].lower()",
    "sum(answer.json()) + answer",
    "assert answer > limit",
    "limit.x",
    "raise TypeError('of an application')",
    "raise KeyError('total')",
    "assert answer == 'x'",
    "answer.json({'type': 'object'})",
    "import re\nre.match('x', answer).group()",
]


@pytest.mark.parametrize("rewritten", [False, True])
@pytest.mark.parametrize("body", OWN)
def test_a_plain_bug_of_the_test(body: str, rewritten: bool, tmp_path: Path) -> None:
    assert is_plainly_own(raised(body, tmp_path, rewritten=rewritten))


@pytest.mark.parametrize("rewritten", [False, True])
@pytest.mark.parametrize("body", MAY_BE_THE_MODELS)
def test_what_a_model_may_have_caused(body: str, rewritten: bool, tmp_path: Path) -> None:
    assert not is_plainly_own(raised(body, tmp_path, rewritten=rewritten))


def test_an_exception_that_was_never_raised_is_nobodys() -> None:
    assert not is_plainly_own(TypeError("x"))
    assert raised_at(TypeError("x"), Path("/")) == "TypeError"


def test_the_place_is_the_last_line_of_the_project(tmp_path: Path) -> None:
    """Not where in the library it came from: that is the same line for whatever is wrong with a text."""
    exception = raised("\njson.loads(answer + '{')", tmp_path)
    assert raised_at(exception, tmp_path) == "JSONDecodeError at test_body.py:6"


def test_source_that_is_gone_is_no_bug_of_the_test(tmp_path: Path) -> None:
    import linecache

    exception = raised("answer > 3", tmp_path)
    linecache.clearcache()
    (tmp_path / "test_body.py").unlink()
    assert not is_plainly_own(exception)
