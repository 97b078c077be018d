"""Reads what the page holds packed, as its script does."""

import base64
import gzip
import json
import re
from collections.abc import Iterator
from typing import Any

from pytest_rightsize.reports.html.bodies import CaseIndex

__all__ = ["texts_of", "unpack_texts", "unpacked"]

_WORD = re.compile(r"[A-Za-z0-9_\u0080-\U0010ffff]")


def unpacked(packed: str) -> Any:
    """The JSON value."""
    return json.loads(_raw(packed))


def texts_of(cases: CaseIndex) -> list[str]:
    """All texts of the cases, by number."""
    return unpack_texts(cases.words, cases.chunks)


def unpack_texts(table: str, chunks: Any) -> list[str]:
    """The texts of all chunks, in order."""
    words = unpacked(table)
    return ["".join(_parts(row, words)) for chunk in chunks for row in _rows(_raw(chunk))]


def _raw(packed: str) -> bytes:
    return gzip.decompress(base64.b64decode(packed))


def _rows(raw: bytes) -> Iterator[list[int]]:
    row: list[int] = []
    number = shift = 0
    for byte in raw:
        number |= (byte & 127) << shift
        shift += 7
        if byte > 127:
            continue
        if number == 0:
            yield row
            row = []
        else:
            row.append(number)
        number = shift = 0


def _parts(row: list[int], words: list[str]) -> Iterator[str]:
    was_word = False
    for number in row:
        word = words[number - 1]
        is_word = _WORD.match(word) is not None
        if was_word and is_word:
            yield " "
        was_word = is_word
        yield word
