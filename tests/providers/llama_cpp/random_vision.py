"""Writes models of random weights that see images, each as a model and its vision projector.

They answer nonsense, but other nonsense about another image: what stands in their context is real.
"""

from dataclasses import dataclass
from pathlib import Path

import gguf
import numpy as np
from numpy.typing import NDArray

from tests.providers.llama_cpp.random_gguf import TEMPLATE, TINY, Shape, add_shape, add_vocabulary, tensors

PATCH = 14
_WIDTH, _HIDDEN, _LAYERS, _HEADS = 32, 64, 2, 2
Array = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of projector, and of the model that it belongs to.

    `mlp` (LLaVA) makes an image a row of tokens, `idefics3` (SmolVLM) cuts it into tiles with text between them,
    `qwen2vl_merger` (Qwen2-VL) gives its tokens places in two dimensions, so that they are more than positions, and
    `gemma3` reads all tokens of an image at once.
    """

    projector: str
    architecture: str = "llama"
    image_size: int = 2 * PATCH
    words: tuple[str, ...] = ()


LLAVA = Kind(projector="mlp", image_size=4 * PATCH)
SMOLVLM = Kind(
    projector="idefics3",
    words=(
        "\n\n",
        "<fake_token_around_image>",
        "<global-img>",
        *(f"<row_{row}_col_{col}>" for row in (1, 2) for col in (1, 2)),
    ),
)
QWEN = Kind(
    projector="qwen2vl_merger",
    architecture="qwen2vl",
    image_size=8 * PATCH,
    words=("<|vision_start|>", "<|vision_end|>"),
)
GEMMA = Kind(projector="gemma3", image_size=16 * PATCH, words=("<start_of_image>", "<end_of_image>"))


def write_seeing_model(path: Path, kind: Kind, shape: Shape = TINY, seed: int = 0, template: str = TEMPLATE) -> Path:
    """Write the model; the vision projector of the same kind is written by `write_projector`."""
    rng = np.random.default_rng(seed)
    writer = gguf.GGUFWriter(str(path), kind.architecture)
    eighth = shape.width // shape.heads // 8
    sections = [eighth, eighth * 3 // 2, eighth * 3 // 2, 0] if kind.architecture == "qwen2vl" else []
    add_shape(writer, shape, rope_sections=sections)
    add_vocabulary(writer, shape, template, words=kind.words)
    for name, dimensions in tensors(shape):
        weights = _ones(*dimensions) if len(dimensions) == 1 else _random(rng, *dimensions) * np.float32(0.3)
        if name == "output.weight":
            weights[:259] *= 1e-3  # never the likeliest: bytes need not make a character
        writer.add_tensor(name, weights)
    if kind.architecture == "qwen2vl":
        for layer in range(shape.layers):
            for name in ("q", "k", "v"):
                writer.add_tensor(f"blk.{layer}.attn_{name}.bias", _zeros(shape.width))
    return _written(writer, path)


def write_projector(path: Path, kind: Kind, width: int = TINY.width, seed: int = 0, *, sees: bool = True) -> Path:
    """Write a vision projector for models of that width."""
    rng = np.random.default_rng(seed)
    writer = gguf.GGUFWriter(str(path), "clip")
    writer.add_bool("clip.has_vision_encoder", sees)
    writer.add_bool("clip.use_gelu", True)
    writer.add_string("clip.projector_type", kind.projector)
    numbers = {
        "image_size": kind.image_size,
        "patch_size": PATCH,
        "embedding_length": _WIDTH,
        "feed_forward_length": _HIDDEN,
        "block_count": _LAYERS,
        "projection_dim": width,
        "attention.head_count": _HEADS,
    }
    for name, number in numbers.items():
        writer.add_uint32(f"clip.vision.{name}", number)
    writer.add_float32("clip.vision.attention.layer_norm_epsilon", 1e-5)
    for name in ("image_mean", "image_std"):
        writer.add_array(f"clip.vision.{name}", [0.5, 0.5, 0.5])
    if kind.projector == "idefics3":
        writer.add_uint32("clip.vision.projector.scale_factor", 2)
        writer.add_uint32("clip.vision.preproc_image_size", 2 * kind.image_size)
    patches = (kind.image_size // PATCH) ** 2
    weights = {"v.patch_embd.weight": _random(rng, _WIDTH, 3, PATCH, PATCH), **_encoder(rng)}
    if kind.projector != "qwen2vl_merger":
        weights["v.position_embd.weight"] = _random(rng, patches, _WIDTH)
    for name, array in {**weights, **_projection(rng, kind.projector, width)}.items():
        writer.add_tensor(name, array)
    return _written(writer, path)


def _encoder(rng: np.random.Generator) -> dict[str, Array]:
    """The weights of the vision transformer."""
    weights = {"v.post_ln.weight": _ones(_WIDTH), "v.post_ln.bias": _zeros(_WIDTH)}
    for layer in range(_LAYERS):
        for name in ("ln1", "ln2"):
            weights[f"v.blk.{layer}.{name}.weight"] = _ones(_WIDTH)
            weights[f"v.blk.{layer}.{name}.bias"] = _zeros(_WIDTH)
        for name in ("attn_q", "attn_k", "attn_v", "attn_out"):
            weights[f"v.blk.{layer}.{name}.weight"] = _random(rng, _WIDTH, _WIDTH)
            weights[f"v.blk.{layer}.{name}.bias"] = _zeros(_WIDTH)
        weights[f"v.blk.{layer}.ffn_up.weight"] = _random(rng, _HIDDEN, _WIDTH)
        weights[f"v.blk.{layer}.ffn_up.bias"] = _zeros(_HIDDEN)
        weights[f"v.blk.{layer}.ffn_down.weight"] = _random(rng, _WIDTH, _HIDDEN)
        weights[f"v.blk.{layer}.ffn_down.bias"] = _zeros(_WIDTH)
    return weights


def _projection(rng: np.random.Generator, projector: str, width: int) -> dict[str, Array]:
    """The weights between the vision transformer and the model."""
    if projector == "idefics3":
        return {"mm.model.fc.weight": _random(rng, width, 4 * _WIDTH)}
    if projector == "gemma3":
        return {"mm.input_projection.weight": _random(rng, _WIDTH, width), "mm.soft_emb_norm.weight": _ones(_WIDTH)}
    inner = 4 * _WIDTH if projector == "qwen2vl_merger" else _WIDTH
    hidden = inner if projector == "qwen2vl_merger" else width
    weights = {
        "mm.0.weight": _random(rng, hidden, inner),
        "mm.0.bias": _zeros(hidden),
        "mm.2.weight": _random(rng, width, hidden),
        "mm.2.bias": _zeros(width),
    }
    if projector == "qwen2vl_merger":  # it reads two frames at once
        weights["v.patch_embd.weight.1"] = _random(rng, _WIDTH, 3, PATCH, PATCH)
    return weights


def _random(rng: np.random.Generator, *dimensions: int) -> Array:
    return rng.standard_normal(dimensions, dtype=np.float32) * np.float32(0.2)


def _ones(*dimensions: int) -> Array:
    return np.ones(dimensions, np.float32)


def _zeros(*dimensions: int) -> Array:
    return np.zeros(dimensions, np.float32)


def _written(writer: gguf.GGUFWriter, path: Path) -> Path:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
