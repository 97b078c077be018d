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
    model = LoadedModel(native, batch, rung(), None)
    counts = [model._tokens_in(text) for text in ("abc", "")]
    model.close()
    assert counts == [3, 0]


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
    with pytest.raises(RungError, match="does not know nonsense"):
        ask(question("Add: 1 + 1", extra={"nonsense": 1}))


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


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"n_ctx": 0}, "n_ctx = 0 cannot be"),
        ({"deterministic": True, "n_parallel": 2}, "answers one request at a time, so n_parallel = 2 cannot be"),
        ({"chat_format": "chatml", "chat_template_kwargs": {"a": 1}}, "which chat_format replaces: leave one of them"),
        ({"reasoning": {"open": "<"}}, "write the marks around the model's reasoning"),
    ],
)
def test_a_setting_that_cannot_be_is_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        LlamaCpp(rung(**options))


def test_an_unknown_chat_format_is_told_before_the_first_question() -> None:
    problem = LlamaCpp(rung(chat_format="chat-ml")).check()
    assert problem is not None
    assert "has no chat_format 'chat-ml'" in problem.what


def test_a_chat_format_that_is_named_is_used_in_place_of_the_template() -> None:
    """It writes far more than the template, whose prompt has one token a character."""
    reply = ask(question("Add: 1 + 1", max_tokens=4), chat_format="chatml")
    assert (reply.tokens.prompt or 0) > len("Add: 1 + 1") + 20
    assert reply.finish_reason in ("stop", "length")


@pytest.mark.parametrize(
    ("chat_format", "extra", "words"),
    [
        ("chatml", {}, "the chat format chatml takes no tools"),
        ("functionary-v2", {"tool_choice": "required"}, "functionary-v2 refused the request .* hf_tokenizer_path"),
        ("chatml-function-calling", {}, "it shows tools only after a system message"),
        ("chatml-function-calling", {"tool_choice": "required"}, "it shows tools only after a system message"),
        ("chatml-function-calling", {"chat_template_kwargs": {"a": 1}}, "has no variables"),
    ],
)
def test_what_a_chat_format_would_drop_is_a_fault(chat_format: str, extra: dict[str, Any], words: str) -> None:
    tools = [{"type": "function", "function": {"name": name, "parameters": {"type": "object"}}} for name in "fg"]
    with pytest.raises(RungError, match=words):
        ask(question("Add: 1 + 1", tools=tuple(tools), extra=extra), chat_format=chat_format)


def test_a_prompt_of_no_tokens_ends_in_a_fault_and_holds_up_nobody(tmp_path: Path) -> None:
    from tests.providers.llama_cpp.random_gguf import TINY, write_model

    write_model(tmp_path / "plain.gguf", TINY)
    provider = LlamaCpp(rung("plain.gguf", tmp_path, n_threads=1))
    try:
        futures = [provider.submit(question(text, max_tokens=3)) for text in ("Hi", "", "Hi")]
        with pytest.raises(RungError, match="the prompt is empty: the chat template writes nothing") as caught:
            futures[1].result(60)
        assert caught.value.reason == "request"
        assert [futures[index].result(60).finish_reason for index in (0, 2)] == ["length", "length"]
    finally:
        provider.close()


def test_tools_that_a_template_would_drop_are_a_fault() -> None:
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
    with pytest.raises(RungError, match="this model's template takes no tools") as caught:
        ask(question("Add: 1 + 1", tools=(tool,)))
    assert caught.value.reason == "request"


def test_a_template_that_is_broken_takes_its_rung_out(tmp_path: Path) -> None:
    from tests.providers.llama_cpp.random_gguf import TINY, write_model

    write_model(tmp_path / "broken.gguf", TINY, template="{% for")
    with pytest.raises(RungError, match=r"the chat template in .*broken\.gguf is broken: line 1") as caught:
        ask(question("Hi"), model="broken.gguf", base_dir=tmp_path)
    assert caught.value.permanent


def test_the_margin_of_a_greedy_answer_is_known_and_of_a_drawn_one_is_not() -> None:
    greedy = ask(question("ISO date: 12 March 2024", max_tokens=20))
    assert greedy.margin is not None
    assert greedy.margin > 0
    assert ask(question("ISO date: 12 March 2024", max_tokens=20, temperature=0.5, seed=1)).margin is None


def test_a_deterministic_rung_reads_each_prompt_alone_and_says_so() -> None:
    batched, alone = LlamaCpp(rung(n_threads=1)), LlamaCpp(rung(n_threads=1, deterministic=True))
    assert (batched.in_flight, alone.in_flight) == (32, 2)
    identities = [provider.identity(lambda _: "hash").content["reading"] for provider in (batched, alone)]
    assert identities == ["batched", "alone"]
    prompts = [f"ISO date: {day} March 2024" for day in range(10, 16)]
    try:
        replies = [future.result() for future in [alone.submit(question(text, max_tokens=20)) for text in prompts]]
        assert [reply.tokens.cached for reply in replies] == [0] * len(prompts)
        again = alone.submit(question(prompts[0], max_tokens=20)).result()
        assert (again.text, again.margin) == (replies[0].text, replies[0].margin)
    finally:
        alone.close()
        batched.close()


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
    result.stdout.fnmatch_lines(["rightsize: cut is not available: *is cut off*", "date * 2/3 * UNDECIDED"])
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    trials = [trial for trial in read_run(pytester.path / "run.jsonl").trials if trial.key.rung == "whole"]
    assert sorted(str(trial.reason) for trial in trials) == ["None", "None", "too_long"]
