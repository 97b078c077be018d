"""Spreads: the rungs that one table becomes, their order, and what cannot be spread."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_rightsize.config.chosen import resolve_chosen
from pytest_rightsize.config.ladder import Ladder, parse_ladder, select_rungs
from pytest_rightsize.errors import ConfigError
from pytest_rightsize.providers.callables import CallableRung
from pytest_rightsize.providers.llama_cpp.provider import LlamaCpp
from pytest_rightsize.providers.onnx import Onnx
from pytest_rightsize.providers.openai.provider import OpenAI

PROVIDERS: dict[str, Any] = {"llama_cpp": LlamaCpp, "openai": OpenAI, "callable": CallableRung, "onnx": Onnx}
ONNX = {"provider": "onnx", "model": "m.onnx", "tokenizer": "t.json"}
HUB = {"provider": "llama_cpp", "model": "hf:org/m-4b-GGUF", "params_b": 4.0}
REASONING = {"provider": "openai", "model": "m", "base_url": "http://localhost:1/v1"}


def parse(ladder: dict[str, Any], **top: Any) -> Ladder:
    return parse_ladder({"ladder": ladder, **top}, PROVIDERS, where="r.toml", base_dir=Path("/suite"))


def names(ladder: Ladder, *asked: str) -> list[str]:
    return [rung.name for rung in select_rungs(ladder, asked)]


def test_quantisations_become_rungs_in_the_order_of_their_bytes() -> None:
    ladder = parse({"4b": {**HUB, "quants": ["Q8_0", "Q2_K", "UD-Q4_K_XL", "q4_k_m"], "n_ctx": 512}})
    assert [(rung.name, rung.model) for rung in ladder.rungs.values()] == [
        ("4b-Q2_K", "hf:org/m-4b-GGUF:Q2_K"),
        ("4b-q4_k_m", "hf:org/m-4b-GGUF:q4_k_m"),
        ("4b-UD-Q4_K_XL", "hf:org/m-4b-GGUF:UD-Q4_K_XL"),
        ("4b-Q8_0", "hf:org/m-4b-GGUF:Q8_0"),
    ]
    assert {rung.params_b for rung in ladder.rungs.values()} == {4.0}
    assert {tuple(rung.options) for rung in ladder.rungs.values()} == {("n_ctx",)}


def test_a_file_is_named_with_the_place_of_its_quantisation() -> None:
    table = {"provider": "llama_cpp", "model": "models/m-{quant}.gguf", "quants": ["F16", "Q4_0"]}
    assert [rung.model for rung in parse({"m": table}).rungs.values()] == ["models/m-Q4_0.gguf", "models/m-F16.gguf"]


def test_efforts_become_rungs_by_what_they_spend() -> None:
    ladder = parse({"r": {**REASONING, "efforts": ["high", "minimal", "low"]}})
    assert [(rung.name, rung.options["reasoning_effort"]) for rung in ladder.rungs.values()] == [
        ("r-minimal", "minimal"),
        ("r-low", "low"),
        ("r-high", "high"),
    ]


def test_the_template_of_a_local_model_gets_the_effort() -> None:
    table = {**HUB, "quants": ["Q8_0", "Q4_0"], "efforts": ["high", "low"], "chat_template_kwargs": {"x": 1}}
    ladder = parse({"oss": table})
    assert [*ladder.rungs] == ["oss-Q4_0-low", "oss-Q4_0-high", "oss-Q8_0-low", "oss-Q8_0-high"]
    assert ladder.rungs["oss-Q8_0-low"].options["chat_template_kwargs"] == {"x": 1, "reasoning_effort": "low"}


def test_contexts_become_rungs_by_the_tokens_that_they_hold() -> None:
    ladder = parse({"4b": {**HUB, "contexts": [8192, 512, 2048]}, "c": {**ONNX, "contexts": [512, 64]}})
    assert [(name, dict(rung.options)) for name, rung in ladder.rungs.items()] == [
        ("4b-ctx512", {"n_ctx": 512}),
        ("4b-ctx2048", {"n_ctx": 2048}),
        ("4b-ctx8192", {"n_ctx": 8192}),
        ("c-ctx64", {"tokenizer": "t.json", "max_length": 64}),
        ("c-ctx512", {"tokenizer": "t.json", "max_length": 512}),
    ]
    assert names(ladder, "4b-ctx512", "4b-ctx8192") == ["4b-ctx512", "4b-ctx8192"]
    for order in ("params", "active", "bytes"):
        with pytest.raises(ConfigError, match="name them smallest first: --rightsize-ladder=4b-ctx512,4b-ctx8192"):
            names(replace(ladder, order=order), "4b-ctx8192", "4b-ctx512")


def test_a_context_takes_memory_within_a_quantisation_and_an_effort_none() -> None:
    table = {**HUB, "quants": ["Q8_0", "Q4_0"], "contexts": [4096, 1024], "efforts": ["high", "low"]}
    assert [*parse({"m": table}).rungs] == [
        f"m-{quant}-ctx{context}-{effort}"
        for quant in ("Q4_0", "Q8_0")
        for context in (1024, 4096)
        for effort in ("low", "high")
    ]


def test_a_ladder_names_all_rungs_of_a_spread_or_some() -> None:
    ladder = parse({"4b": {**HUB, "quants": ["Q8_0", "Q2_K"]}})
    assert names(ladder, "1b", "4b", "30b") == ["1b", "4b-Q2_K", "4b-Q8_0", "30b"]
    assert names(ladder, "4b-Q8_0") == ["4b-Q8_0"]
    assert "4b" not in ladder.known  # the catalogue's rung of that name is hidden
    assert resolve_chosen("4b-Q2_K", ladder=ladder, base_dir=Path(), env={}, task="t")[0] == "4b-Q2_K"


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (["4b", "4b-Q8_0"], "names '4b-Q8_0' twice"),
        (["4b-Q8_0", "4b-Q2_K"], "as 4b-Q8_0, 4b-Q2_K: name them smallest first: --rightsize-ladder=4b-Q2_K,4b-Q8_0"),
        (["30b", "4b"], "--rightsize-ladder=4b-Q2_K,4b-Q8_0,30b"),
        (["4b-Q4_K_M"], "unknown rung '4b-Q4_K_M'"),
    ],
)
def test_a_ladder_that_cannot_be_is_refused(asked: list[str], words: str) -> None:
    # The catalogue's mixture of experts has fewer active parameters, so that a dense one stands in its place.
    dense = {"30b": {**HUB, "params_b": 30.0}}
    with pytest.raises(ConfigError) as caught:
        names(parse({"4b": {**HUB, "quants": ["Q8_0", "Q2_K"]}, **dense}), *asked)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("ladder", "words"),
    [
        ({"a": {**REASONING, "quants": ["Q8_0"]}}, "quants are files of a model in this process"),
        ({"a": {"provider": "callable", "model": "m:f", "efforts": ["low"]}}, "efforts are for models that reason"),
        ({"a": {**REASONING, "contexts": [512]}}, "provider = 'openai' sets no context"),
        *(
            ({"a": {**HUB, "contexts": contexts}}, "contexts must be a list of numbers of tokens")
            for contexts in ([], 512, ["512"], [0], [True], [512.0], [-1])
        ),
        ({"a": {**HUB, "contexts": [512, 64, 512]}}, "contexts has 512 twice: name each once"),
        ({"a": {**HUB, "contexts": [10**9]}}, "contexts has 1000000000, and 100,000,000 tokens is the most"),
        ({"a": {**HUB, "contexts": [512], "n_ctx": 64}}, "has both contexts and n_ctx: keep one"),
        ({"a": {**ONNX, "contexts": [512], "max_length": 64}}, "has both contexts and max_length: keep one"),
        ({"a": {**HUB, "contexts": [512]}, "a-ctx512": HUB}, "there is a table of that name"),
        ({"a": {**HUB, "quants": ["Q9_0"]}}, "unknown quantisation 'Q9_0': did you mean"),
        ({"a": {**REASONING, "efforts": ["lo"]}}, "unknown effort 'lo': did you mean 'low'?"),
        ({"a": {**HUB, "quants": ["Q8_0", "q8_0"]}}, "quants has 'q8_0' twice"),
        ({"a": {**HUB, "quants": []}}, "quants must be a list of names"),
        ({"a": {**HUB, "quants": "Q8_0"}}, "quants must be a list of names"),
        ({"a": {**HUB, "quants": ["Q8_0"], "model": "hf:o/m:Q4_0"}}, "names a quantisation, and so does quants"),
        ({"a": {**HUB, "quants": ["Q8_0"], "model": "m-Q4_0.gguf"}}, "has one quantisation, and quants asks for"),
        ({"a": {"provider": "llama_cpp", "quants": ["Q8_0"]}}, "has quants and no model"),
        ({"a": {**HUB, "quants": ["Q8_0"]}, "a-Q8_0": HUB}, "there is a table of that name"),
        ({"a": {**REASONING, "efforts": ["low"], "reasoning_effort": "low"}}, "both efforts and reasoning_effort"),
        ({"a": {**HUB, "efforts": ["low"], "chat_template_kwargs": {"reasoning_effort": "x"}}}, "keep one"),
        ({"a": {**HUB, "quants": ["Q8_0"], "n_ctxx": 1}}, "r.toml [ladder.a]: unknown key 'n_ctxx'"),
        ({"a": {"quants": ["Q8_0"]}}, "r.toml [ladder.a] has no provider"),
    ],
)
def test_a_spread_that_cannot_be_is_refused(ladder: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(ladder)
    assert words in str(caught.value)


def test_a_spread_is_no_rung_where_one_is_wanted() -> None:
    table = {"4b": {**HUB, "quants": ["Q2_K", "Q8_0"]}}
    with pytest.raises(ConfigError, match="default: 4b stands for 4b-Q2_K, 4b-Q8_0: name one of them"):
        parse(table, default="4b")
    with pytest.raises(ConfigError, match="chosen of task 't': 4b stands for 4b-Q2_K, 4b-Q8_0"):
        resolve_chosen("4b", ladder=parse(table), base_dir=Path(), env={}, task="t")
