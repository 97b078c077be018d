"""The rungs that need no ladder file: one sensible model for each of four common sizes, smallest first."""

from collections.abc import Mapping

from pytest_rightsize.records import Price, Rung

__all__ = ["CATALOGUE"]

_RUNGS = (
    Rung(name="1b", provider="llama_cpp", model="hf:ggml-org/gemma-3-1b-it-GGUF:Q4_K_M", params_b=1.0),
    Rung(name="4b", provider="llama_cpp", model="hf:ggml-org/gemma-3-4b-it-GGUF:Q4_K_M", params_b=4.3),
    Rung(
        name="30b",
        provider="llama_cpp",
        model="hf:unsloth/Qwen3-30B-A3B-Instruct-2507-GGUF:Q4_K_M",
        params_b=30.5,
        active_b=3.3,
    ),
    Rung(
        name="frontier",
        provider="openai",
        model="gpt-5",
        # The vendor's list price of 2025; a ladder file with another price wins.
        price=Price(prompt=1.25, completion=10.0),
        options={"api_key_env": "OPENAI_API_KEY"},
    ),
)

CATALOGUE: Mapping[str, Rung] = {rung.name: rung for rung in _RUNGS}
