"""Data of images, sound and documents in messages, known by its SHA-256: the file of a run holds that in its place.

Messages come in; out go the same messages with references, and the data itself, which is kept elsewhere once. A message
without such parts is handed back as it is.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from pytest_rightsize.records import Json

__all__ = ["PartData", "Reference", "data_of_url", "reference_of", "with_data", "with_references"]

_DATA_URL = re.compile(r"data:(?P<type>[\w.+-]+/[\w.+-]+)?(?:;[\w.+-]+=[^;,]*)*;base64,", re.IGNORECASE)
_REFERENCE = re.compile(r"stored:(?P<type>[\w.+/-]*);sha256=(?P<sha256>[0-9a-f]{64});bytes=(?P<size>\d{1,15})")
Messages = tuple[Mapping[str, Json], ...]


@dataclass(frozen=True, kw_only=True)
class Reference:
    """Stands for data in a message; `media_type` is what the message said of it, such as `image/png`, or empty.

    >>> str(Reference(media_type="image/gif", sha256="0" * 64, size_bytes=6))[:40]
    'stored:image/gif;sha256=0000000000000000'
    """

    media_type: str
    sha256: str
    size_bytes: int

    def __str__(self) -> str:
        """As it stands in the place of the data."""
        return f"stored:{self.media_type};sha256={self.sha256};bytes={self.size_bytes}"


@dataclass(frozen=True, kw_only=True)
class PartData:
    """The data of a part, and what the message said it is."""

    data: bytes
    media_type: str

    @cached_property
    def reference(self) -> Reference:
        """What stands in its place."""
        digest = hashlib.sha256(self.data).hexdigest()
        return Reference(media_type=self.media_type, sha256=digest, size_bytes=len(self.data))


def data_of_url(url: str) -> PartData | None:
    """The data of a `data:` URL in base64; None for any other, and for what is no base64."""
    head = _DATA_URL.match(url)
    return None if head is None else _decoded(url[head.end() :], (head["type"] or "").lower())


def reference_of(text: object) -> Reference | None:
    """The reference that a text is; None for any other."""
    found = _REFERENCE.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        return None
    return Reference(media_type=found["type"], sha256=found["sha256"], size_bytes=int(found["size"]))


def with_references(
    messages: Iterable[Mapping[str, Json]], keep: Callable[[PartData], object] | None = None
) -> Messages:
    """The messages with a reference in the place of each part's data; `keep` is called with the data.

    The same data has the same reference, however its base64 is written. What is no base64 stays.
    """
    messages = tuple(messages)
    if not any(map(_has_parts, messages)):  # of each prompt of a run it is asked several times
        return messages

    def stored(data: PartData | None, text: str) -> str:
        if data is None:
            return text
        if keep is not None:
            keep(data)
        return str(data.reference)

    def of_text(text: str) -> str:
        return stored(data_of_url(text), text)

    def of_sound(text: str, form: Json) -> str:
        return stored(_decoded(text, f"audio/{form}" if isinstance(form, str) and form.isalnum() else "audio"), text)

    return tuple(_changed(message, of_text, of_sound) for message in messages)


def with_data(messages: Iterable[Mapping[str, Json]], read: Callable[[Reference], bytes | None]) -> Messages:
    """The inverse of `with_references`; a reference whose data `read` does not find stays."""

    def found(text: str) -> tuple[Reference, str] | None:
        reference = reference_of(text)
        data = None if reference is None else read(reference)
        return None if reference is None or data is None else (reference, base64.b64encode(data).decode())

    def of_text(text: str) -> str:
        one = found(text)
        return text if one is None else f"data:{one[0].media_type};base64,{one[1]}"

    def of_sound(text: str, _: Json) -> str:
        one = found(text)
        return text if one is None else one[1]

    return tuple(_changed(message, of_text, of_sound) for message in messages)


def _changed(
    message: Mapping[str, Json], of_text: Callable[[str], str], of_sound: Callable[[str, Json], str]
) -> Mapping[str, Json]:
    """The message with the data of its parts changed; one whose content is a text is handed back as it is."""
    if not _has_parts(message):
        return message
    return {**message, "content": [_part(part, of_text, of_sound) for part in message["content"]]}


def _has_parts(message: Mapping[str, Json]) -> bool:
    return isinstance(message.get("content"), list)


def _part(part: Json, of_text: Callable[[str], str], of_sound: Callable[[str, Json], str]) -> Json:
    """A part with the data of an image, a sound or a document changed; any other as it is."""
    kind = part.get("type") if isinstance(part, Mapping) else None
    inner = part.get(kind) if isinstance(kind, str) else None
    if kind == "image_url" and isinstance(inner, str):
        return {**part, kind: of_text(inner)}
    if not isinstance(inner, Mapping):
        return part
    key = {"image_url": "url", "file": "file_data", "input_audio": "data"}.get(kind or "", "")
    value = inner.get(key)
    if not isinstance(value, str):
        return part
    return {**part, kind: {**inner, key: of_sound(value, inner.get("format")) if key == "data" else of_text(value)}}


def _decoded(text: str, media_type: str) -> PartData | None:
    try:
        return PartData(data=base64.b64decode(re.sub(r"\s", "", text), validate=True), media_type=media_type)
    except (binascii.Error, ValueError):
        return None
