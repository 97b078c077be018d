"""The size of a GGUF file, and of one token in the cache of its model, from its header: nothing is loaded."""

from collections.abc import Mapping
from pathlib import Path

from pytest_rightsize.providers.llama_cpp import gguf
from pytest_rightsize.providers.llama_cpp.model_files import parts_of

__all__ = ["file_shape"]


def file_shape(path: Path) -> tuple[int, int]:
    """The bytes of the weights, all parts of a split model together, and of one token's keys and values.

    Raises OSError, or ValueError whose text is a clause, for what is no complete GGUF file.
    """
    header = gguf.read_header(path)
    size_bytes = sum(part.stat().st_size for part in parts_of(path))
    return size_bytes, _cell_bytes(header.metadata)


def _cell_bytes(metadata: Mapping[str, str | int | float]) -> int:
    """Keys and values of all layers, 16 bits each.

    Where layers differ, the header has lists, which are not read: then each layer counts as if every head had its own.
    """
    kind = metadata.get("general.architecture")

    def count(key: str, default: int) -> int:
        value = metadata.get(f"{kind}.{key}")
        return value if isinstance(value, int) and value > 0 else default

    heads = count("attention.head_count", 1)
    width = count("embedding_length", 0) // heads
    keys_and_values = count("attention.key_length", width) + count("attention.value_length", width)
    return count("block_count", 1) * count("attention.head_count_kv", heads) * keys_and_values * 2
