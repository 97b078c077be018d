"""Wrong answers cost no parsing of the test's file; errors and sessions that ask for it show their source."""

import ast
from typing import Any

import pytest

from tests.conftest import record

_SUITE = """
    def test_word(model):
        assert model.ask("x") == "right"

    def test_own_error(model):
        {}["nothing was asked"]
    """


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The sources that pytest parses to show a failure."""
    sources: list[str] = []
    parse = ast.parse

    def noting(text: Any, *args: Any, **options: Any) -> Any:
        sources.append(str(text))
        return parse(text, *args, **options)

    monkeypatch.setattr(ast, "parse", noting)
    return sources


def _run(pytester: pytest.Pytester, parsed: list[str], test: str, *options: str) -> pytest.RunResult:
    pytester.makepyfile(_SUITE)
    record(pytester.path / "small.jsonl", {"x": "wrong"})
    pytester.makefile(".toml", rightsize='[ladder.small]\nprovider = "replay"\nfile = "small.jsonl"\n')
    parsed.clear()
    result = pytester.runpytest("--rightsize-ladder=small", "--rightsize-gate=none", "-k", test, *options)
    # The rewriting of assertions parses the file too, in bytes.
    parsed[:] = [text for text in parsed if "def test_word" in text and not text.startswith("b'")]
    return result


@pytest.mark.parametrize("option", ["-q", "--tb=line", "--tb=no", "-rs"])
def test_a_wrong_answer_is_told_without_its_source(pytester: pytest.Pytester, parsed: list[str], option: str) -> None:
    result = _run(pytester, parsed, "word", option, "--rightsize-results=run.jsonl")
    assert result.ret == 0
    assert parsed == []
    line = (pytester.path / "run.jsonl").read_text(encoding="utf-8")
    assert "AssertionError: assert 'wrong' == 'right'" in line
    assert "- right\\n  + wrong" in line


@pytest.mark.parametrize("option", ["--tb=long", "--tb=short", "--showlocals", "-rA"])
def test_source_is_read_where_it_is_asked_for(pytester: pytest.Pytester, parsed: list[str], option: str) -> None:
    _run(pytester, parsed, "word", option)
    assert parsed


def test_an_error_of_the_test_itself_shows_its_source(pytester: pytest.Pytester, parsed: list[str]) -> None:
    result = _run(pytester, parsed, "own_error")
    result.stdout.fnmatch_lines(["*def test_own_error(model):*", "*KeyError: 'nothing was asked'*"])
    assert parsed
