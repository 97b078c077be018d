"""List prices of vendors' models, from the data of the package genai-prices as it is installed; offline.

A model's name and its endpoint come in, a Price goes out with the version and the newest date of the data. The package
is imported only where a ladder file has `price = "auto"`.
"""

import re
from datetime import datetime
from importlib.metadata import version
from typing import Any

from pytest_rightsize import clocks
from pytest_rightsize.errors import ConfigError
from pytest_rightsize.records import Price

__all__ = ["list_price"]

_OWN = "write the price itself, as in { prompt = 1.25, completion = 10.0 }, in USD per million tokens"


def list_price(model: str | None, base_url: str | None, *, where: str) -> Price:
    """The list price of `model` at the endpoint; raises ConfigError if it is not known.

    Without `base_url` the endpoint is that of OpenAI. At one that is not known, the name has to tell the vendor, as in
    `anthropic/claude-sonnet-4-5`.
    """
    try:
        from genai_prices import data_snapshot
    except ImportError:
        raise ConfigError(
            f"{where} = \"auto\" needs the package genai-prices: pip install 'pytest-rightsize[prices]', or {_OWN}"
        ) from None
    snapshot = data_snapshot.get_snapshot()
    found = _model(snapshot, model or "", base_url)
    now = clocks.now()
    prices = None if found is None else found.get_prices(now)
    prompt = None if prices is None else _base(prices.input_mtok)
    completion = None if prices is None else _base(prices.output_mtok)
    if prices is None or prompt is None or completion is None:
        raise ConfigError(f'{where} = "auto": genai-prices {version("genai-prices")} has no price of {model!r}: {_OWN}')
    fields = (prices.input_mtok, prices.output_mtok, prices.cache_read_mtok)
    steps = [tier.start for field in fields for tier in getattr(field, "tiers", ())]
    return Price(
        prompt=prompt,
        completion=completion,
        cached=_base(prices.cache_read_mtok),
        up_to_prompt_tokens=min(steps, default=None),
        source=f"list price by genai-prices {version('genai-prices')}, data up to {_newest_date(snapshot, now)}",
    )


def _model(snapshot: Any, model: str, base_url: str | None) -> Any:
    """The model in the data, or None."""
    vendor, _, name = model.partition("/")
    tries: list[tuple[str, str | None, str | None]] = [(model, None, base_url) if base_url else (model, "openai", None)]
    if name:
        tries.append((name, vendor, None))
    for reference, provider, url in tries:
        try:
            return snapshot.find_provider_model(reference, None, provider, url)[1]
        except LookupError:
            continue
    return None


def _base(price: Any) -> float | None:
    """The price of the first tier."""
    return None if price is None else float(getattr(price, "base", price))


def _newest_date(snapshot: Any, now: datetime) -> str:
    """The newest day in the past that the data name: on it a price was checked, or began."""
    words = " ".join(
        f"{model.price_comments} {getattr(model, 'prices_checked', '')} {_starts(model)}"
        for provider in snapshot.providers
        for model in provider.models
    )
    today = now.date().isoformat()
    days = [day for day in re.findall(r"\b20\d\d-[01]\d-[0-3]\d\b", words) if day <= today]
    return max(days, default="a day that they do not tell")


def _starts(model: Any) -> str:
    """The days from which prices of a model hold."""
    parts = [*(model.prices if isinstance(model.prices, list) else []), *(getattr(model, "price_variants", None) or [])]
    return " ".join(str(getattr(getattr(part, "constraint", None), "start_date", "")) for part in parts)
