"""The llama_cpp provider on the models that ship with the repository."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from pytest_rightsize.errors import ConfigError, RungError, TooLongError
from pytest_rightsize.providers.llama_cpp.chat import LoadedModel
from pytest_rightsize.providers.llama_cpp.provider import LlamaCpp, _load_native
from pytest_rightsize.records import Reply, Request, Rung
from pytest_rightsize.results.results_file import read_run
from pytest_rightsize.versions import TooOld

MODELS = Path(__file__).parents[3] / "example_suite" / "models"
pytest.importorskip("llama_cpp", reason="llama-cpp-python is not installed: pip install 'pytest-rightsize[local]'")


def rung(model: str = "160k.gguf", base_dir: Path = MODELS, **options: Any) -> Rung:
    return Rung(name="local", provider="llama_cpp", model=model, options=options, base_dir=str(base_dir))


def question(text: str, **more: Any) -> Request:
    return Request(messages=({"role": "user", "content": text},), **more)


def ask(request: Request, **options: Any) -> Reply:
    provider = LlamaCpp(rung(**options))
    try:
        return provider.submit(request).result()
    finally:
        provider.close()


def test_a_model_answers_the_same_each_time_and_counts_its_tokens() -> None:
    provider = LlamaCpp(rung())
    request = question("ISO date: 12 March 2024", max_tokens=20)
    try:
        first, second = (provider.submit(request).result() for _ in range(2))
    finally:
        provider.close()
    assert first.text == second.text == "2024-03-12"
    assert first.finish_reason == "stop"
    assert first.tokens.source == "counted"
    assert first.tokens.completion == 10
    # One token a character, the mark before the answer, and the beginning of the text.
    assert first.tokens.prompt == len("ISO date: 12 March 2024") + len("\nA: ") + 1
    assert first.seconds is not None


def test_reasoning_is_counted_without_the_marks_around_it() -> None:
    """One token a character."""
    native, batch = _load_native(MODELS / "160k.gguf", rung())
    model = LoadedModel(native, batch, "local")
    counts = [model._reasoning_tokens(text) for text in ("<think>abc</think>12", "abc</think>12", "<think>abc", "12")]
    model.close()
    assert counts == [3, 3, 3, 0]


def test_a_repeated_request_is_read_anew_where_it_is_measured() -> None:
    """Else the second time would look cheap: its prompt would be taken from the memory of the first."""
    provider = LlamaCpp(rung())
    provider.forget()
    request = question("ISO date: 12 March 2024", max_tokens=20)
    try:
        first, second = (provider.submit(request).result() for _ in range(2))
        provider.forget()
        third = provider.submit(request).result()
    finally:
        provider.close()
    assert (first.tokens.cached, third.tokens.cached) == (0, 0)
    assert (second.tokens.cached or 0) > 0
    assert first.text == third.text


def test_a_provider_can_be_closed_twice_and_opened_again() -> None:
    provider = LlamaCpp(rung())
    provider.close()
    assert provider.submit(question("Add: 1 + 1", max_tokens=4)).result().text
    provider.close()
    provider.close()
    assert provider.submit(question("Add: 1 + 1", max_tokens=4)).result().text
    provider.close()


def test_an_answer_that_hits_its_limit_says_so() -> None:
    assert ask(question("ISO date: 12 March 2024", max_tokens=3)).finish_reason == "length"


def test_a_schema_holds_the_answer_to_its_form() -> None:
    import json

    schema = {"type": "object", "properties": {"qty": {"type": "integer"}}, "required": ["qty"]}
    reply = ask(question("Order as JSON: Ann orders 2 hats.", schema=schema, max_tokens=60))
    if reply.finish_reason == "stop":
        assert isinstance(json.loads(reply.text)["qty"], int)
    assert reply.text.lstrip().startswith("{")


def test_a_prompt_longer_than_the_context_is_too_long() -> None:
    with pytest.raises(TooLongError, match="the context holds 512"):
        ask(question("Sentiment: " + "very " * 300))


def test_an_emoji_does_not_bring_the_process_down() -> None:
    assert ask(question("Sentiment: I love it \U0001f600", max_tokens=20)).finish_reason in ("stop", "length")


def test_an_unknown_extra_is_refused_and_named() -> None:
    with pytest.raises(RungError, match="does not know reasoning_effort"):
        ask(question("Add: 1 + 1", extra={"reasoning_effort": "low"}))


def test_a_missing_file_is_named_with_those_that_are_there() -> None:
    problem = LlamaCpp(rung("160.gguf")).check()
    assert problem is not None
    assert "160.gguf is not there" in problem.what
    assert "160k.gguf" in problem.remedy


def test_a_llama_cpp_python_that_is_too_old_is_a_problem_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    old = TooOld(package="llama-cpp-python", installed="0.3.9", oldest="0.3.16")
    monkeypatch.setattr("pytest_rightsize.providers.llama_cpp.provider.too_old", lambda _: old)
    problem = LlamaCpp(rung()).check()
    assert problem is not None
    assert problem.what == "llama-cpp-python 0.3.9 is too old: at least 0.3.16 is needed"
    assert problem.remedy == 'run `python -m pip install -U "llama-cpp-python>=0.3.16"`'


def test_a_file_that_is_cut_off_is_found_out_before_it_is_loaded(tmp_path: Path) -> None:
    whole = (MODELS / "25k.gguf").read_bytes()
    (tmp_path / "cut.gguf").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "header.gguf").write_bytes(whole[:200])
    (tmp_path / "text.gguf").write_text("hello", encoding="utf-8")
    for name, words in (("cut", "is cut off: it has"), ("header", "is cut off in its header"), ("text", "not a GGUF")):
        problem = LlamaCpp(rung(f"{name}.gguf", tmp_path)).check()
        assert problem is not None
        assert words in problem.what
        with pytest.raises(RungError, match=words) as caught:
            ask(question("x"), model=f"{name}.gguf", base_dir=tmp_path)
        assert caught.value.permanent


def test_a_setting_that_cannot_be_is_refused() -> None:
    with pytest.raises(ConfigError, match="n_ctx = 0 cannot be"):
        LlamaCpp(rung(n_ctx=0))


def test_a_truncated_model_takes_its_rung_out_of_a_session_and_a_long_prompt_only_its_trial(
    pytester: pytest.Pytester,
) -> None:
    whole = (MODELS / "160k.gguf").read_bytes()
    (pytester.path / "cut.gguf").write_bytes(whole[:5000])
    shutil.copy(MODELS / "160k.gguf", pytester.path / "whole.gguf")
    pytester.makefile(
        ".toml",
        rightsize="""
        [ladder.whole]
        provider = "llama_cpp"
        model = "whole.gguf"
        [ladder.cut]
        provider = "llama_cpp"
        model = "cut.gguf"
        """,
    )
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.rightsize(task="date", chosen="whole")
        @pytest.mark.parametrize("text", ["12 March 2024", "x" * 600, "13 March 2024"])
        def test_date(model, text):
            assert model.ask(f"ISO date: {text}").startswith("2024-03-1")
        """
    )
    result = pytester.runpytest("--rightsize-ladder=whole,cut", "--rightsize-results=run.jsonl")
    result.stdout.fnmatch_lines(
        ["rightsize: rung cut cannot answer: *is cut off*To get it: *", "date * 2/3 * UNDECIDED"]
    )
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    trials = [trial for trial in read_run(pytester.path / "run.jsonl").trials if trial.key.rung == "whole"]
    assert sorted(str(trial.reason) for trial in trials) == ["None", "None", "too_long"]
