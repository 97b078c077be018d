"""The memory that well-known open models take: weights by quantisation, and the cache of keys and values; pure.

The shapes are those of the models' own configuration files; bits per weight are what llama.cpp's quantisations come to
in models of a billion parameters and more (smaller ones take up to a fifth more, as their embeddings are kept larger).
Figures are good to about a tenth, and say whether a download is worth a try.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pytest_rightsize.records import Rung

__all__ = ["BITS", "KNOWN_MODELS", "Need", "Shape", "download_words", "need", "suggested"]

BITS: Mapping[str, float] = {"Q4_K_M": 4.9, "Q5_K_M": 5.7, "Q6_K": 6.6, "Q8_0": 8.5, "F16": 16.0}
"""Bits that a weight takes, by quantisation."""
_BYTES_OF_A_VALUE = 2  # keys and values have 16 bits
# What llama.cpp takes to compute in, beside weights and cache.
_WORKSPACE_BYTES = 500_000_000
# Requests share their cache where they would take more than this together, unless one alone does.
_SHARED_CACHE_BYTES = 2**30


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What decides the memory of a model. `repo` has its GGUF files on the Hugging Face hub."""

    name: str
    repo: str
    params_b: float
    layers: int
    kv_heads: int
    head_dim: int
    active_b: float | None = None

    @property
    def cell_bytes(self) -> int:
        """Bytes of one token in the cache: keys and values of all layers."""
        return 2 * self.layers * self.kv_heads * self.head_dim * _BYTES_OF_A_VALUE


@dataclass(frozen=True, kw_only=True)
class Need:
    """Bytes of a model at work."""

    weights: int
    cache: int
    workspace: int = _WORKSPACE_BYTES

    @property
    def total(self) -> int:
        """All of them."""
        return self.weights + self.cache + self.workspace


def _qwen(name: str, repo: str, params_b: float, layers: int, kv_heads: int, active_b: float | None = None) -> Shape:
    return Shape(
        name=name,
        repo=f"unsloth/{repo}-GGUF",
        params_b=params_b,
        layers=layers,
        kv_heads=kv_heads,
        head_dim=128,
        active_b=active_b,
    )


def _gemma(size: str, params_b: float, layers: int, kv_heads: int, head_dim: int) -> Shape:
    return Shape(
        name=f"gemma-3-{size}",
        repo=f"ggml-org/gemma-3-{size}-it-GGUF",
        params_b=params_b,
        layers=layers,
        kv_heads=kv_heads,
        head_dim=head_dim,
    )


def _llama(name: str, repo: str, params_b: float, layers: int, head_dim: int) -> Shape:
    return Shape(
        name=name,
        repo=f"bartowski/{repo}-GGUF",
        params_b=params_b,
        layers=layers,
        kv_heads=8,
        head_dim=head_dim,
    )


KNOWN_MODELS: Sequence[Shape] = (
    _qwen("qwen3-0.6b", "Qwen3-0.6B", 0.6, 28, 8),
    _gemma("1b", 1.0, 26, 1, 256),
    _llama("llama-3.2-1b", "Llama-3.2-1B-Instruct", 1.24, 16, 64),
    _qwen("qwen3-1.7b", "Qwen3-1.7B", 1.7, 28, 8),
    _llama("llama-3.2-3b", "Llama-3.2-3B-Instruct", 3.2, 28, 128),
    _qwen("qwen3-4b", "Qwen3-4B-Instruct-2507", 4.0, 36, 8),
    _gemma("4b", 4.3, 34, 4, 256),
    _llama("llama-3.1-8b", "Meta-Llama-3.1-8B-Instruct", 8.0, 32, 128),
    _qwen("qwen3-8b", "Qwen3-8B", 8.2, 36, 8),
    _gemma("12b", 12.2, 48, 8, 256),
    _qwen("qwen3-14b", "Qwen3-14B", 14.8, 40, 8),
    _gemma("27b", 27.4, 62, 16, 128),
    _qwen("qwen3-30b-a3b", "Qwen3-30B-A3B-Instruct-2507", 30.5, 48, 4, active_b=3.3),
    _qwen("qwen3-32b", "Qwen3-32B", 32.8, 64, 8),
    _llama("llama-3.3-70b", "Llama-3.3-70B-Instruct", 70.6, 80, 128),
)
"""Models of several makers, smallest first."""
# Of these a ladder is proposed: each is about four times as large as the one before.
_LADDER = ("gemma-3-1b", "qwen3-4b", "qwen3-14b", "qwen3-30b-a3b", "llama-3.3-70b")


def need(shape: Shape, quant: str, *, context: int, parallel: int) -> Need:
    """The memory of a model that answers `parallel` requests of at most `context` tokens at once."""
    own_cells = context * parallel
    shared_cells = max(context, _SHARED_CACHE_BYTES // shape.cell_bytes)
    return Need(
        weights=int(shape.params_b * 1e9 * BITS[quant] / 8),
        cache=min(own_cells, shared_cells) * shape.cell_bytes,
    )


def download_words(rung: Rung) -> str:
    """` (about 2.6 GB)` for a model of the hub whose size and quantisation are known; empty for any other."""
    model = rung.model or ""
    quant = model.rpartition(":")[2] if model.count(":") > 1 else "Q4_K_M"
    if rung.provider != "llama_cpp" or not model.startswith("hf:") or rung.params_b is None or quant not in BITS:
        return ""
    return f" (about {rung.params_b * BITS[quant] / 8:.1f} GB)"


def suggested(memory_bytes: int, *, context: int = 4096, parallel: int = 4, most: int = 3) -> list[Shape]:
    """The models of a ladder that fit, in Q4_K_M, smallest first: at most `most`, with the largest that fits."""
    by_name = {shape.name: shape for shape in KNOWN_MODELS}
    fitting = [
        by_name[name]
        for name in _LADDER
        if need(by_name[name], "Q4_K_M", context=context, parallel=parallel).total <= memory_bytes
    ]
    return fitting if len(fitting) <= most else [*fitting[: most - 1], fitting[-1]]
