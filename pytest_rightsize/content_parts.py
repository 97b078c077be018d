"""Parts of a message beside text: sound and images for a test's messages, in the form of the OpenAI chat API.

A file or its bytes come in, a part of a message's `content` goes out, which holds them in base64.
"""

import base64
import binascii
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.request import url2pathname

from pytest_rightsize.errors import ConfigError, RungError
from pytest_rightsize.images import FORMATS, LARGEST_BYTES, image_format, image_url
from pytest_rightsize.records import Json, Request

__all__ = ["Sound", "audio_part", "image_part", "sound_in", "texts_of", "with_files"]

# The first bytes of a file of each format; of MP3 those of a frame, or of a tag before it.
_AUDIO = {
    b"RIFF": "wav",
    b"ID3": "mp3",
    b"\xff\xfb": "mp3",
    b"\xff\xf3": "mp3",
    b"\xff\xf2": "mp3",
    b"fLaC": "flac",
    b"OggS": "ogg",
}


@dataclass(frozen=True)
class Sound:
    """The bytes of a file with sound, and its format as in a file's name: `wav`, `mp3`, `flac` or `ogg`."""

    data: bytes
    format: str


def audio_part(source: bytes | str | os.PathLike[str]) -> dict[str, Json]:
    r"""A part with sound for a message's content, from a file or its bytes: WAV, MP3, FLAC or Ogg.

    Raises ConfigError for what is none of them.

    >>> from pytest_rightsize import audio_part
    >>> part = audio_part(b"RIFF$\x00\x00\x00WAVEfmt ")
    >>> part["type"], part["input_audio"]["format"]
    ('input_audio', 'wav')
    """
    data = _bytes_of(source)
    return {"type": "input_audio", "input_audio": {"data": _base64(data), "format": _format(data, _AUDIO, "sound")}}


def image_part(source: bytes | str | os.PathLike[str]) -> dict[str, Json]:
    """A part with an image for a message's content, from a file or its bytes: PNG, JPEG, GIF or WebP, at most 20 MB.

    Raises ConfigError for what is none of them, or larger.

    >>> from pytest_rightsize import image_part
    >>> image_part(b"GIF89a")["image_url"]["url"]
    'data:image/gif;base64,R0lGODlh'
    """
    data = _bytes_of(source)
    kind = image_format(data)
    name = "these bytes are" if isinstance(source, bytes) else f"{source} is"
    if kind is None:
        raise ConfigError(f"{name} no image of a known format: give {', '.join(FORMATS)}")
    if len(data) > LARGEST_BYTES:
        raise ConfigError(
            f"{name} {len(data):,} bytes, and {LARGEST_BYTES:,} bytes is the most that is sent: make the image smaller"
        )
    return {"type": "image_url", "image_url": {"url": f"data:image/{kind};base64,{_base64(data)}"}}


def with_files(messages: Iterable[Mapping[str, Json]]) -> tuple[Mapping[str, Json], ...]:
    """The messages with each image whose URL begins with `file:` in its place; a path starts from the current folder.

    Raises ConfigError as `image_part` does.
    """
    return tuple(_with_files(message) for message in messages)


def _with_files(message: Mapping[str, Json]) -> Mapping[str, Json]:
    content = message.get("content")
    if not isinstance(content, list):
        return message
    return {**message, "content": [_with_file(part) for part in content]}


def _with_file(part: Json) -> Json:
    url = image_url(part) if isinstance(part, Mapping) and part.get("type") == "image_url" else None
    if url is None or not url.lower().startswith("file:"):
        return part
    path = url2pathname(re.sub(r"^(//localhost)?(?=/)|^//(?=/)", "", url[len("file:") :]))
    inner = part["image_url"] if isinstance(part["image_url"], Mapping) else {}
    return {**part, "image_url": {**inner, **image_part(path)["image_url"]}}


def texts_of(request: Request) -> tuple[str, tuple[Mapping[str, Json], ...]]:
    """The text of the last message of the user, and its parts of other kinds."""
    content = next(
        (message.get("content") for message in reversed(request.messages) if message.get("role") == "user"), None
    )
    if not isinstance(content, list):
        return content if isinstance(content, str) else "", ()
    parts = [part if isinstance(part, Mapping) else {"type": type(part).__name__} for part in content]
    texts = [str(part.get("text")) for part in parts if part.get("type") == "text"]
    return "\n".join(texts), tuple(part for part in parts if part.get("type") != "text")


def sound_in(request: Request, *, rung: str) -> Sound:
    """The one sound in the last message of the user; raises RungError where there is none, or something else."""
    _, others = texts_of(request)
    kinds = [str(part.get("type")) for part in others]
    if kinds != ["input_audio"]:
        given = f"has {' and '.join(kinds)}" if kinds else "has text alone"
        raise RungError(
            f"rung {rung!r}: it takes one sound in a message, and this one {given}: give it audio_part(FILE), or give "
            f"this case to other rungs",
            reason="request",
            alone=True,
        )
    part: Json = others[0].get("input_audio")
    try:
        return Sound(base64.b64decode(part["data"], validate=True), str(part["format"]))
    except (TypeError, KeyError, ValueError, binascii.Error):
        raise RungError(
            f"rung {rung!r}: the sound of the message is no base64 with a format: give it audio_part(FILE)",
            reason="request",
            alone=True,
        ) from None


def _bytes_of(source: bytes | str | os.PathLike[str]) -> bytes:
    if isinstance(source, bytes):
        return source
    try:
        return Path(source).read_bytes()
    except OSError as error:
        raise ConfigError(f"{source} cannot be read: {error.strerror}") from None


def _format(data: bytes, formats: Mapping[bytes, str], what: str) -> str:
    is_riff = data[:4] == b"RIFF"
    found = next((name for start, name in formats.items() if data.startswith(start)), None)
    if found is None or (is_riff and data[8:12] != b"WAVE"):
        raise ConfigError(f"these bytes are no {what} of a known format: give {', '.join(sorted({*formats.values()}))}")
    return found


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
