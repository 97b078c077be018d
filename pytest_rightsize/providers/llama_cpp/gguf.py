"""Reads the header of a GGUF file: its metadata and expected size; no weights are read, nothing native is loaded."""

import math
import mmap
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeGuard

__all__ = ["GgufError", "Header", "read_header", "unwritten_from"]

MAGIC = b"GGUF"

_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
_HEADER_BYTES = 2**26
# ggml has no tensors of more dimensions; without a limit a hostile file makes a product of a million factors.
_MOST_DIMENSIONS = 4

# How `unwritten_from` looks for zeros.
_PLACES = 16
_RUNS = 64
_SHORTEST_RUN_BYTES, _LONGEST_RUN_BYTES = 2**16, 2**24
_PIECE_BYTES = 2**14

# ggml's tensor types: how many weights one block holds and how many bytes it takes.
_BLOCKS = {
    0: (1, 4),
    1: (1, 2),
    2: (32, 18),
    3: (32, 20),
    6: (32, 22),
    7: (32, 24),
    8: (32, 34),
    9: (32, 36),
    10: (256, 84),
    11: (256, 110),
    12: (256, 144),
    13: (256, 176),
    14: (256, 210),
    15: (256, 292),
    16: (256, 66),
    17: (256, 74),
    18: (256, 98),
    19: (256, 50),
    20: (32, 18),
    21: (256, 110),
    22: (256, 82),
    23: (256, 136),
    24: (1, 1),
    25: (1, 2),
    26: (1, 4),
    27: (1, 8),
    28: (1, 8),
    29: (256, 56),
    30: (1, 2),
    34: (256, 54),
    35: (256, 66),
    39: (32, 17),
}


class GgufError(ValueError):
    """The file is not a complete GGUF file; the text is a clause that says why."""


@dataclass(frozen=True, kw_only=True)
class Header:
    """The scalar metadata of a file, the size it must have for all of its tensors, how many and where those are."""

    metadata: Mapping[str, str | int | float]
    needed_bytes: int
    tensors: int = 0
    tensors_from: int = 0

    @property
    def context_length(self) -> int | None:
        """The context the model was trained for; None where the file gives none or an invalid one."""
        length = self.metadata.get(f"{self.metadata.get('general.architecture')}.context_length")
        return length if _is_count(length) else None

    @property
    def has_chat_template(self) -> bool:
        """Whether the file says how a conversation is formatted for its model."""
        return any(key.startswith("tokenizer.chat_template") for key in self.metadata)


def _is_count(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def read_header(path: Path) -> Header:
    """Read the header of the file at `path`.

    Raises GgufError if the file is not a GGUF or shorter than its header says, OSError if it cannot be read.
    """
    size_bytes = path.stat().st_size
    with path.open("rb") as file:
        if file.read(4) != MAGIC:
            raise GgufError("is not a GGUF file (it does not begin with the letters GGUF)")
        header = _parse_file(file.fileno(), size_bytes)
    if size_bytes < header.needed_bytes:
        raise GgufError(f"is cut off: it has {size_bytes:,} bytes of the {header.needed_bytes:,} its header asks for")
    return header


def unwritten_from(path: Path, header: Header) -> int | None:
    """The byte from which on the weights are zeros for long, as in a file that was made before its download; else None.

    17 places are looked at, the end among them. Weights of 0 exist, for tokens that nobody uses, but not for a sixtieth
    of a file.
    """
    weights_bytes = header.needed_bytes - header.tensors_from
    run_bytes = min(max(weights_bytes // _RUNS, _SHORTEST_RUN_BYTES), _LONGEST_RUN_BYTES)
    if weights_bytes < run_bytes:
        return None
    last = header.needed_bytes - run_bytes
    with path.open("rb") as file:
        for place in range(_PLACES + 1):
            start = header.tensors_from + (last - header.tensors_from) * place // _PLACES
            file.seek(start)
            if _is_zero(file, run_bytes):
                return start
    return None


def _is_zero(file: BinaryIO, size_bytes: int) -> bool:
    """Whether so many bytes from here on are zeros; mostly the first piece shows that they are not."""
    while size_bytes > 0:
        piece = file.read(min(_PIECE_BYTES, size_bytes))
        if not piece or piece.strip(b"\0"):
            return False
        size_bytes -= len(piece)
    return True


def _parse_file(descriptor: int, size_bytes: int) -> Header:
    """Parse the beginning of the file, and all of it only if the header is longer than any known.

    A model may be larger than what this process may map, and reporting that is left to llama.cpp.
    """
    for mapped_bytes in (min(size_bytes, _HEADER_BYTES), size_bytes):
        with mmap.mmap(descriptor, mapped_bytes, access=mmap.ACCESS_READ) as content:
            cursor = _Cursor(content)
            try:
                header = _parse(cursor)
            except (struct.error, OverflowError):
                continue
            if cursor.at <= mapped_bytes:
                return header
    raise GgufError(f"is cut off in its header, after {size_bytes:,} bytes")


class _Cursor:
    """A position in the file that advances as values are read; struct.error where the bytes end."""

    def __init__(self, content: mmap.mmap) -> None:
        self.content = content
        self.at = len(MAGIC)

    def scalar(self, code: str) -> int | float:
        """Read one number; `code` is its format in the struct module."""
        (value,) = struct.unpack_from(f"<{code}", self.content, self.at)
        self.at += struct.calcsize(f"<{code}")
        return value  # type: ignore[no-any-return]  # struct knows no types

    def count(self, code: str = "Q") -> int:
        """Read one unsigned integer."""
        return int(self.scalar(code))

    def string(self) -> str:
        """Read a string, which is preceded by its length."""
        length = self.count()
        text = self.content[self.at : self.at + length]
        self.at += length
        return text.decode(errors="replace")

    def value(self, kind: int) -> str | int | float | None:
        """Read a metadata value; arrays (vocabularies, mostly) are skipped and give None."""
        if kind == _STRING:
            return self.string()
        if kind == _ARRAY:
            self._skip_array()
            return None
        if kind not in _SCALARS:
            raise GgufError(f"has metadata of the unknown type {kind}: it is broken, or newer than this program")
        return self.scalar(_SCALARS[kind])

    def _skip_array(self) -> None:
        """Advance past an array without reading its elements."""
        kind, length = self.count("I"), self.count()
        if kind in _SCALARS:
            self.at += length * struct.calcsize(_SCALARS[kind])
        elif kind == _STRING:
            for _ in range(length):
                size = self.count()
                self.at += size
        elif kind == _ARRAY:
            # The format allows arrays in arrays, and no model has them; a file of nothing else would exhaust the stack.
            raise GgufError("has arrays in arrays: it is broken, or newer than this program")
        else:
            raise GgufError(f"has metadata of the unknown type {kind}: it is broken, or newer than this program")


def _parse(cursor: _Cursor) -> Header:
    """Read the metadata and the tensor infos."""
    version = cursor.count("I")
    if version not in (2, 3):
        raise GgufError(f"is a GGUF of version {version}, and only 2 and 3 (little-endian) can be read")
    tensor_count, metadata_count = cursor.count(), cursor.count()
    metadata: dict[str, str | int | float] = {}
    for _ in range(metadata_count):
        key, kind = cursor.string(), cursor.count("I")
        value = cursor.value(kind)
        if value is not None:
            metadata[key] = value
    end_of_tensors = max((_tensor_end(cursor) for _ in range(tensor_count)), default=0)
    alignment = metadata.get("general.alignment", 32)
    if not _is_count(alignment):
        raise GgufError(f"has its tensors at multiples of {str(alignment)[:100]!r} bytes: it is broken")
    # Without tensors nothing is padded.
    start_of_tensors = math.ceil(cursor.at / alignment) * alignment if tensor_count else cursor.at
    needed_bytes = start_of_tensors + end_of_tensors
    return Header(metadata=metadata, needed_bytes=needed_bytes, tensors=tensor_count, tensors_from=start_of_tensors)


def _tensor_end(cursor: _Cursor) -> int:
    """Read one tensor info; returns the end of the tensor, counted from the start of all tensors."""
    cursor.string()
    dimensions = cursor.count("I")
    if dimensions > _MOST_DIMENSIONS:
        raise GgufError(f"has a tensor of {dimensions:,} dimensions: it is broken, or newer than this program")
    weights = math.prod([cursor.count() for _ in range(dimensions)])
    # A type that is not in the table counts as empty: llama.cpp itself then notices a truncated file.
    per_block, block_bytes = _BLOCKS.get(cursor.count("I"), (1, 0))
    return cursor.count() + weights // per_block * block_bytes
