"""An answer as it grows: control tokens are in its marked text only, and a schema may hold from a mark on."""

from pathlib import Path

import pytest

from pytest_rightsize.providers.llama_cpp.completions import Answer, Completion, Piece, Prompt, Sampling

MODELS = Path(__file__).parents[3] / "example_suite" / "models"


def grown(*pieces: Piece, stop: tuple[bytes, ...] = (), max_tokens: int = 99) -> Answer:
    answer = Answer(Prompt(tokens=[1], max_tokens=max_tokens, stop=stop), begin_token=0)
    for number, piece in enumerate(pieces, start=10):
        if answer.finish_reason is None:
            answer.add(number, piece)
    return answer


def text(words: str) -> Piece:
    return Piece(marked=words.encode())


def control(name: str) -> Piece:
    return Piece(marked=name.encode(), is_control=True)


def test_a_control_token_is_in_the_marked_text_only() -> None:
    answer = grown(control("<|a|>"), text("x"), control("<|b|>"), text("ü"))
    assert (answer.text, answer.marked_text) == ("xü", "<|a|>x<|b|>ü")
    assert answer.controls == {"<|a|>", "<|b|>"}


def test_a_control_token_may_be_a_stop_string() -> None:
    answer = grown(text("yes"), control("<|im_start|>"), text("user"), stop=(b"<|im_start|>",))
    assert (answer.text, answer.marked_text, answer.finish_reason) == ("yes", "yes", "stop")


def test_text_before_a_stop_string_keeps_its_control_tokens_out() -> None:
    answer = grown(control("<|a|>"), text("one, "), control("<|b|>"), text("two"), stop=(b"two",))
    assert (answer.text, answer.marked_text) == ("one, ", "<|a|>one, <|b|>")


def test_the_names_of_control_tokens_leave_a_part_of_the_text() -> None:
    completion = Completion(
        text="", controls=frozenset({"<|a|>"}), finish_reason="stop", prompt_tokens=1, cached_tokens=0,
        completion_tokens=1, seconds=0.0,
    )  # fmt: skip
    assert completion.without_controls("x<|a|>y<|b|>") == "xy<|b|>"


def test_a_schema_holds_from_a_mark_on() -> None:
    """As after the end of reasoning that the prompt has begun: before it any token may come."""
    pytest.importorskip("llama_cpp", reason="llama-cpp-python is not installed")
    pytest.importorskip("llguidance", reason="llguidance is not installed")
    from pytest_rightsize.providers.llama_cpp.provider import _load_native
    from pytest_rightsize.providers.llama_cpp.structured_output import Constraints
    from pytest_rightsize.records import Rung

    native, batch = _load_native(MODELS / "160k.gguf", Rung(name="local", provider="llama_cpp"))
    try:
        tokens = native.tokenize(b"ISO date: 12 March 2024\nA: ", add_bos=True)
        constraint = Constraints(native).of({"enum": [7]})
        free, held = (
            Prompt(
                tokens=tokens,
                max_tokens=6,
                sampling=Sampling(temperature=0.0, constraint=constraint, constrained_after=mark),
            )
            for mark in (b"never", b"20")
        )
        texts = []
        for prompt in (free, held):
            batch.start(prompt)
            ended: list[tuple[int, Completion | Exception]] = []
            while not ended:
                ended = batch.step()
            assert isinstance(ended[0][1], Completion)
            texts.append(ended[0][1].text)
    finally:
        batch.close()
        native.close()
    assert texts == ["2024-0", "207"]
