"""Packs the texts of the page: each text once, as numbers of words, in compressed chunks.

A text is a row of words and of what stands between them; the one space between two words is left out. Each word stands
once in the table, the most frequent first, so that numbers are short: half the size of the texts compressed as they
are, and the page searches the numbers. `page/data.js` reads what this file writes.
"""

import base64
import gzip
import json
import re
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

from pytest_rightsize.records import Json

__all__ = ["TextStore", "packed", "packed_bytes"]

# No table of letters, which differs by version: the page must find the same words in a query as this file in a text.
_WORD = "[A-Za-z0-9_\x80-\U0010ffff]+"
_PARTS = re.compile(f"{_WORD}|[^A-Za-z0-9_\x80-\U0010ffff]+")
_CHUNK_WORDS = 250_000
# A longer text is known by its hash, so that it need not be kept.
_LONGEST_KEY = 500


def packed(plain: Json) -> str:
    """JSON data as base64 of gzip, so that no text in it can end its script element."""
    return packed_bytes(json.dumps(plain, ensure_ascii=True, separators=(",", ":")).encode("ascii"))


def packed_bytes(raw: bytes) -> str:
    """Bytes as base64 of gzip."""
    return base64.b64encode(gzip.compress(raw, compresslevel=6, mtime=0)).decode("ascii")


class _Numbers(dict[str, int]):
    """The number of each word, given when it is first asked for."""

    def __missing__(self, word: str) -> int:
        self[word] = number = len(self)
        return number


@dataclass(kw_only=True)
class TextStore:
    """Texts by number, each kept once; `limit` shortens those that are longer, and `shortened` counts these.

    `characters` counts what is kept of all.
    """

    limit: int | None = None
    shortened: int = 0
    characters: int = 0
    _numbers: dict[str | bytes, int] = field(default_factory=dict)
    _words: _Numbers = field(default_factory=_Numbers)
    _rows: list["array[int]"] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self._rows)

    def number(self, text: str | None) -> int:
        """The text's number; -1 where there is none."""
        if not text:
            return -1
        key = text if len(text) <= _LONGEST_KEY else blake2b(text.encode("utf-8", "surrogatepass")).digest()
        number = self._numbers.get(key)
        if number is None:
            self._numbers[key] = number = len(self._rows)
            short = self._short(text)
            self.characters += len(short)
            self._rows.append(array("I", map(self._words.__getitem__, _PARTS.findall(short))))
        return number

    def _short(self, text: str) -> str:
        if self.limit is None or len(text) <= self.limit:
            return text
        self.shortened += 1
        return f"{text[: self.limit]}\n[{len(text) - self.limit:,} more characters stand in the results file]"

    def pack(self) -> tuple[str, Sequence[int], Sequence[str]]:
        """The packed table of words, the number of each chunk's first text, and the packed chunks."""
        space = self._words[" "]
        counts: Counter[int] = Counter()
        for row in self._rows:
            counts.update(row)
        # Words that are equally frequent stand in the order in which they came.
        ordered = sorted(counts, key=lambda word: (-counts[word], word))
        codes = {word: _code(place + 1) for place, word in enumerate(ordered)}
        words = list(self._words)
        table = packed([words[word] for word in ordered])
        starts, chunks = [], []
        for start, rows in self._chunks():
            starts.append(start)
            chunks.append(packed_bytes(b"".join(_text_codes(row, codes, space) for row in rows)))
        return table, starts, chunks

    def _chunks(self) -> Iterator[tuple[int, list["array[int]"]]]:
        """The texts in order, in lists small enough to unpack at once; each with the number of its first text."""
        start, size, chunk = 0, 0, list["array[int]"]()
        for number, row in enumerate(self._rows):
            if chunk and size + len(row) > _CHUNK_WORDS:
                yield start, chunk
                start, size, chunk = number, 0, []
            chunk.append(row)
            size += len(row)
        if chunk:
            yield start, chunk


def _text_codes(row: "array[int]", codes: dict[int, bytes], space: int) -> bytes:
    """The numbers of a text's words, with a 0 at its end.

    A part that is one space stands between two words, as parts alternate; only at either end of the text it is kept.
    """
    inner = [word for word in row[1:-1] if word != space] if space in row else row[1:-1]
    kept = [*row[:1], *inner, *row[-1:]] if len(row) > 1 else row
    return b"".join(map(codes.__getitem__, kept)) + b"\0"


def _code(number: int) -> bytes:
    """A number in groups of seven bits, the lowest first; the high bit says that more follow."""
    code = bytearray()
    while number > 127:
        code.append(number & 127 | 128)
        number >>= 7
    code.append(number)
    return bytes(code)
