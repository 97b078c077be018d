"""The parts of a message's content in the form of the OpenAI chat API, and how they become text; pure."""

import base64
import binascii
import re
from collections.abc import Sequence

from pytest_rightsize.records import Json
from pytest_rightsize.served.wires.asked import UnservedError

__all__ = ["audio_part", "data_part", "file_part", "flat", "image_part", "text_part", "texts_and_others"]

_DATA_URL = "data:{};base64,{}"
_AUDIO_FORMATS = {
    "audio/wav": "wav",
    "audio/x-wav": "wav",
    "audio/wave": "wav",
    "audio/mp3": "mp3",
    "audio/mpeg": "mp3",
}


def text_part(text: str) -> dict[str, Json]:
    """A part of text."""
    return {"type": "text", "text": text}


def image_part(url: str, detail: str | None = None) -> dict[str, Json]:
    """A part with an image; `url` may hold the image itself, as `data:image/png;base64,...`."""
    return {"type": "image_url", "image_url": {"url": url, **({"detail": detail} if detail else {})}}


def audio_part(data: str, form: str) -> dict[str, Json]:
    """A part with sound in base64; `form` is `wav` or `mp3`."""
    return {"type": "input_audio", "input_audio": {"data": data, "format": form}}


def file_part(url: str, name: str | None = None) -> dict[str, Json]:
    """A part with a document; `url` holds it, as `data:application/pdf;base64,...`."""
    return {"type": "file", "file": {"filename": name or "document.pdf", "file_data": url}}


def data_part(media_type: str, data: str, where: str, name: str | None = None) -> dict[str, Json]:
    """The part for data in base64, by its media type; raises UnservedError where the chat API has no such part."""
    kind = media_type.lower().partition(";")[0].strip()
    data = re.sub(r"\s", "", data).replace("-", "+").replace("_", "/")
    if kind.startswith("image/"):
        return image_part(_DATA_URL.format(kind, data))
    if kind in _AUDIO_FORMATS:
        return audio_part(data, _AUDIO_FORMATS[kind])
    if kind == "application/pdf":
        return file_part(_DATA_URL.format(kind, data), name)
    if kind.startswith("text/"):
        try:
            return text_part(base64.b64decode(data, validate=True).decode())
        except (binascii.Error, ValueError):
            raise UnservedError(f"{where}: the data is no text in base64") from None
    raise UnservedError(f"{where}: data of the type {media_type} cannot be sent to a rung")


def flat(parts: Sequence[Json], joint: str = "\n") -> Json:
    """Text alone as one string, else the list: chat templates of small models know no lists of parts.

    The joint is that of vLLM and llama-server, which flatten them too.
    """
    if all(part.get("type") == "text" for part in parts):
        return joint.join(part["text"] for part in parts)
    return list(parts)


def texts_and_others(parts: Sequence[Json]) -> tuple[list[Json], list[Json]]:
    """The parts of text, and the rest: the result of a tool can be nothing but text in the chat API."""
    texts = [part for part in parts if part["type"] == "text"]
    return texts, [part for part in parts if part["type"] != "text"]
