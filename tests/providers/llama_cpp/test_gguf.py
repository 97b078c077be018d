"""The header of a GGUF file, read without its weights; hostile ones are in tests/test_hostile.py."""

import mmap
from pathlib import Path
from typing import Any

import pytest

from pytest_rightsize.providers.llama_cpp.gguf import read_header

MODEL = Path(__file__).parents[3] / "example_suite" / "models" / "25k.gguf"


def test_only_the_beginning_of_a_file_is_mapped_and_all_of_it_where_its_header_is_longer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A model may be larger than what the process may map; whether it can be loaded is for llama.cpp to tell."""
    mapped: list[int] = []
    whole = mmap.mmap

    def counting(descriptor: int, length: int, **named: Any) -> mmap.mmap:
        mapped.append(length)
        return whole(descriptor, length, **named)

    monkeypatch.setattr("mmap.mmap", counting)
    headers = []
    for most in (2**26, 20_000, 100):
        monkeypatch.setattr("pytest_rightsize.providers.llama_cpp.gguf._HEADER_BYTES", most)
        headers.append(read_header(MODEL))
    size_bytes = MODEL.stat().st_size
    assert headers[0] == headers[1] == headers[2]
    assert headers[0].context_length == 512
    assert mapped == [size_bytes, 20_000, 100, size_bytes]
