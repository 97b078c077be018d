"""Images of prompts for the page: each once, as data in the page, where a browser cannot be harmed by it.

References and what reads their data come in; out go data URLs of pixels, and why other images are not shown. Nothing is
fetched, and no format that can hold a script is shown.
"""

import base64
from collections.abc import Callable, Mapping

from pytest_rightsize.images import FORMATS, MOST_PIXELS, image_format, image_size
from pytest_rightsize.part_data import PartData, Reference, with_references
from pytest_rightsize.records import Json
from pytest_rightsize.reports.html.texts import packed
from pytest_rightsize.reports.part_words import reference_in, size_words

__all__ = ["Pictures"]

_LARGEST_BYTES = 1_000_000
_BUDGET_BYTES = 8_000_000


class Pictures:
    """The images of a page by number; `read` gives the data by its SHA-256."""

    def __init__(self, read: Callable[[str], bytes | None] | None, *, budget_bytes: int = _BUDGET_BYTES) -> None:
        self._read = read
        self._left = budget_bytes
        self._numbers: dict[str, int | str] = {}
        self._shown: list[Json] = []
        self._in_memory: dict[str, bytes] = {}

    def of(self, message: Mapping[str, Json]) -> tuple[list[int], list[str]]:
        """The numbers of the message's images, and why others are not shown."""
        content = message.get("content")
        if not isinstance(content, list):
            return [], []
        kept = with_references([message], self._keep)[0]["content"]
        references = [
            reference_in(part) for part in kept if isinstance(part, Mapping) and part.get("type") == "image_url"
        ]
        found = [self._number(reference) for reference in references if reference is not None]
        numbers = [one for one in found if isinstance(one, int)]
        return numbers, [one for one in found if isinstance(one, str)]

    def pack(self) -> str:
        """The images as the page unpacks them: base64 of packed JSON."""
        return packed(self._shown)

    def _keep(self, data: PartData) -> None:
        self._in_memory[data.reference.sha256] = data.data

    def _number(self, reference: Reference) -> int | str:
        """The number of an image, or why it is not shown."""
        if reference.sha256 not in self._numbers:
            self._numbers[reference.sha256] = self._added(reference)
        return self._numbers[reference.sha256]

    def _added(self, reference: Reference) -> int | str:
        which = f"[not shown: {reference.sha256[:12]}"
        data = self._in_memory.get(reference.sha256) or (None if self._read is None else self._read(reference.sha256))
        if data is None:
            return f"{which}, it is not beside the results file]"
        if len(data) > min(_LARGEST_BYTES, self._left):
            most = "this page has room for" if len(data) <= _LARGEST_BYTES else "is shown"
            return f"{which}, it has {size_words(len(data))}, more than {most}]"
        kind, size = image_format(data), image_size(data)
        if kind is None or size is None or not 0 < size.width * size.height <= MOST_PIXELS:
            return f"{which}, only {', '.join(FORMATS)} of at most {MOST_PIXELS // 1_000_000} million pixels are]"
        self._left -= len(data)
        url = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
        self._shown.append([url, size.width, size.height, f"{kind.upper()}, {size_words(len(data))}"])
        return len(self._shown) - 1
