"""`price = "auto"`: the list prices of vendors, from the data of a package."""

from pathlib import Path
from typing import Any

import pytest

from pytest_rightsize.config.rung_tables import parse_rung
from pytest_rightsize.errors import ConfigError
from pytest_rightsize.providers.openai.provider import OpenAI
from pytest_rightsize.records import Price, Tokens

pytest.importorskip("genai_prices", reason="the extra `prices` is not installed")


def price_of(model: str, **plain: Any) -> Price:
    table = {"provider": "openai", "model": model, "price": "auto", **plain}
    rung = parse_rung("r", table, {"openai": OpenAI}, where="[ladder.r]", base_dir=Path())
    assert rung.price is not None
    return rung.price


@pytest.mark.parametrize(
    ("model", "plain"),
    [
        ("gpt-4o", {}),
        ("gpt-4o", {"base_url": "https://api.openai.com/v1"}),
        ("openai/gpt-4o", {}),
        ("openai/gpt-4o", {"base_url": "https://openrouter.ai/api/v1"}),
        ("openai/gpt-4o", {"base_url": "http://litellm.example/v1"}),
    ],
)
def test_a_price_is_found_by_vendor_and_by_endpoint(model: str, plain: Any) -> None:
    price = price_of(model, **plain)
    assert (price.prompt, price.completion) == (2.5, 10.0)
    assert price.source is not None
    assert "genai-prices" in price.source
    assert "data up to 20" in price.source


def test_a_prompt_beyond_the_first_tier_has_no_cost() -> None:
    price = price_of("google/gemini-2.5-pro", base_url="http://litellm.example/v1")
    assert price.up_to_prompt_tokens == 200_000
    assert price.cost_usd(Tokens(prompt=200_000, completion=0)) == pytest.approx(0.25)
    assert price.cost_usd(Tokens(prompt=200_001, completion=0)) is None


@pytest.mark.parametrize(
    ("model", "plain"), [("no-such-model", {}), ("qwen", {"base_url": "http://localhost:8000/v1"})]
)
def test_a_model_that_is_not_listed_is_told(model: str, plain: Any) -> None:
    with pytest.raises(ConfigError, match=r"has no price of .* write the price itself"):
        price_of(model, **plain)


def test_another_word_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"price = 'cheap' cannot be: write \"auto\""):
        price_of("gpt-4o", price="cheap")
