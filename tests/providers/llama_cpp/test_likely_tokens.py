"""The few tokens that a draw can fall on are those that it could fall on among all."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_rightsize.providers.llama_cpp.likely_tokens import allowed_tokens, likely_tokens, two_highest

LOGITS = st.lists(st.one_of(st.floats(-90, 90, width=32), st.just(-np.inf)), min_size=2, max_size=60).map(
    lambda values: np.array(values, dtype=np.float32)
)


def highest(logits: np.ndarray, tokens: np.ndarray, count: int) -> list[float]:
    """The highest finite logits of these tokens."""
    values = sorted((float(value) for value in logits[tokens] if value > -np.inf), reverse=True)
    return values[:count]


@given(logits=LOGITS, count=st.integers(1, 20), data=st.data())
@settings(deadline=None)
def test_the_likeliest_are_among_them_whatever_penalties_do(
    logits: np.ndarray, count: int, data: st.DataObject
) -> None:
    """Penalties move the logits of tokens that were written before, up or down."""
    everything = np.arange(len(logits))
    always = data.draw(st.lists(st.sampled_from(range(len(logits))), unique=True, max_size=8))
    tokens = likely_tokens(logits, count, always)
    assert tokens.tolist() == sorted(set(tokens.tolist()))
    changed = logits.copy()
    for token in always:
        changed[token] = np.float32(data.draw(st.floats(-200, 200, width=32)))
    assert highest(changed, tokens, count) == highest(changed, everything, count)


@given(logits=LOGITS, count=st.integers(1, 5), data=st.data())
@settings(deadline=None)
def test_of_a_schema_only_allowed_tokens_count(logits: np.ndarray, count: int, data: st.DataObject) -> None:
    size = len(logits)
    allowed = np.array(data.draw(st.lists(st.booleans(), min_size=size, max_size=size)))
    tokens = allowed_tokens(logits, allowed, count, always=range(0, size, 7))
    assert allowed[tokens].all()
    assert highest(logits, tokens, count) == highest(logits, np.flatnonzero(allowed), count)


def test_of_many_tokens_few_are_left() -> None:
    logits = np.random.default_rng(0).normal(scale=4, size=262_144).astype(np.float32)
    tokens = likely_tokens(logits, 40, always=[5, 99])
    assert {5, 99} <= set(tokens.tolist())
    assert 42 <= len(tokens) < 30_000


def test_the_margin_is_that_to_the_next_logit() -> None:
    logits = np.array([1.0, 4.0, 3.5, -2.0], dtype=np.float32)
    assert two_highest(logits) == (1, 0.5)
    assert logits[1] == 4.0
    assert two_highest(logits[:1]) == (0, np.inf)


@pytest.mark.parametrize(("temperature", "top_k"), [(0.0, 40), (1.0, 40), (1.0, 0)])
def test_logits_that_are_no_numbers_end_in_a_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, temperature: float, top_k: int
) -> None:
    """A damaged file makes them; llama.cpp would draw any token, or end the process."""
    pytest.importorskip("llama_cpp", reason="llama-cpp-python is not installed: pip install 'pytest-rightsize[local]'")
    from pytest_rightsize.errors import RungError
    from pytest_rightsize.providers.llama_cpp.provider import LlamaCpp
    from pytest_rightsize.providers.llama_cpp.sampling import Sampler
    from pytest_rightsize.records import Request, Rung
    from tests.providers.llama_cpp.random_gguf import TINY, write_model

    path = write_model(tmp_path / "m.gguf", TINY)
    provider = LlamaCpp(Rung(name="m", provider="llama_cpp", model=str(path), options={"n_threads": 1}))
    original = Sampler._logits

    def spoiled(sampler: Sampler, row: int) -> Any:
        logits = original(sampler, row)
        logits[:] = np.nan
        return logits

    monkeypatch.setattr(Sampler, "_logits", spoiled)
    asked = Request(
        messages=({"role": "user", "content": "a"},), temperature=temperature, max_tokens=3, extra={"top_k": top_k}
    )
    with pytest.raises(RungError, match="no token can be drawn, as the model's logits are no numbers"):
        provider.submit(asked).result()
    provider.close()
