"""Writes GGUF models of random weights: they answer nonsense, never end by themselves, and cost what real ones cost."""

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import gguf
import numpy as np
from numpy.typing import NDArray

END_TOKEN = 2
TEMPLATE = "{% for message in messages %}{{ message.content }}{% endfor %}"


@dataclass(frozen=True, kw_only=True)
class Shape:
    """The sizes of a Llama; `hidden` is the width of its feed-forward layers."""

    width: int
    layers: int
    heads: int
    hidden: int
    vocabulary: int
    context: int = 512

    @property
    def parameters(self) -> int:
        """How many weights a model of this shape has."""
        layer = 4 * self.width**2 + 3 * self.width * self.hidden + 2 * self.width
        return 2 * self.vocabulary * self.width + self.layers * layer + self.width


TINY = Shape(width=64, layers=2, heads=2, hidden=128, vocabulary=512)


def write_model(path: Path, shape: Shape, seed: int = 0, template: str = TEMPLATE) -> Path:
    """Write a model with weights in blocks of 8 bits; the same seed gives the same file."""
    writer = gguf.GGUFWriter(str(path), "llama")
    add_shape(writer, shape)
    add_vocabulary(writer, shape, template)
    _add_weights(writer, shape, np.random.default_rng(seed))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def write_hollow_model(path: Path, shape: Shape) -> Path:
    """Write a whole model whose weights are zeros of 16 bits: they take no room on a disk that knows holes."""
    writer = gguf.GGUFWriter(str(path), "llama")
    add_shape(writer, shape)
    add_vocabulary(writer, shape)
    size_bytes = 0
    for name, dimensions in tensors(shape):
        kind = np.dtype(np.float16 if len(dimensions) > 1 else np.float32)
        tensor_bytes = math.prod(dimensions) * kind.itemsize
        writer.add_tensor_info(name, dimensions, kind, tensor_bytes)
        size_bytes += writer.ggml_pad(tensor_bytes, writer.data_alignment)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    writer.close()
    start = writer.ggml_pad(path.stat().st_size, writer.data_alignment)
    os.truncate(path, start + size_bytes)
    with path.open("r+b") as file:
        for place in range(start, start + size_bytes, 2**22):  # else it would look as if its download had not finished
            file.seek(place)
            file.write(b"\1")
    return path


def tensors(shape: Shape) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Name and rows x columns of each."""
    width, hidden = shape.width, shape.hidden
    yield "output.weight", (shape.vocabulary, width)
    yield "token_embd.weight", (shape.vocabulary, width)
    yield "output_norm.weight", (width,)
    for layer in range(shape.layers):
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            yield f"blk.{layer}.{name}.weight", (width, width)
        for name in ("ffn_gate", "ffn_up"):
            yield f"blk.{layer}.{name}.weight", (hidden, width)
        yield f"blk.{layer}.ffn_down.weight", (width, hidden)
        for name in ("attn_norm", "ffn_norm"):
            yield f"blk.{layer}.{name}.weight", (width,)


def add_shape(writer: gguf.GGUFWriter, shape: Shape, *, rope_sections: Sequence[int] = ()) -> None:
    """Add the sizes; a model whose tokens have places in two dimensions divides its rotary angles into sections."""
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.hidden)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10000.0)
    if rope_sections:
        writer.add_rope_dimension_sections(rope_sections)
    else:
        writer.add_rope_dimension_count(shape.width // shape.heads)
        writer.add_vocab_size(shape.vocabulary)


def add_vocabulary(
    writer: gguf.GGUFWriter, shape: Shape, template: str = TEMPLATE, *, words: Sequence[str] = ()
) -> None:
    """Every byte is a token; the others are control tokens of these `words`, and words that no text has."""
    others = [f"\u00ab{word}\u00bb" for word in range(shape.vocabulary - 259 - len(words))]
    writer.add_tokenizer_model("llama")
    writer.add_token_list(["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *words, *others])
    writer.add_token_scores([0.0] * shape.vocabulary)
    writer.add_token_types([2, 3, 3, *[6] * 256, *[3] * len(words), *[1] * len(others)])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(END_TOKEN)
    writer.add_unk_token_id(0)
    writer.add_add_space_prefix(False)
    writer.add_chat_template(template)


def _add_weights(writer: gguf.GGUFWriter, shape: Shape, rng: np.random.Generator) -> None:
    def random(rows: int, columns: int) -> NDArray[np.float32]:
        return rng.standard_normal((rows, columns), dtype=np.float32) * np.float32(0.02)

    for name, dimensions in tensors(shape):
        if len(dimensions) == 1:
            writer.add_tensor(name, np.ones(dimensions, np.float32))
            continue
        rows, columns = dimensions
        weights = random(rows, columns)
        if name == "output.weight":
            # Rows that are never the likeliest: the end of the answer, and bytes, which need not make a character.
            weights[:259] = 0
        kind = gguf.GGMLQuantizationType.Q8_0
        writer.add_tensor(name, gguf.quants.quantize(weights, kind), raw_dtype=kind)
