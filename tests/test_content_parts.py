"""Parts of messages beside text: their format is that of the bytes, whatever a file is called."""

import base64
from pathlib import Path

import pytest

from pytest_rightsize import audio_part, image_part
from pytest_rightsize.content_parts import Sound, sound_in, texts_of
from pytest_rightsize.errors import ConfigError, RungError
from pytest_rightsize.records import Json, Request

WAV = b"RIFF\x24\x00\x00\x00WAVEfmt "


def asking(*parts: Json) -> Request:
    return Request(messages=({"role": "user", "content": list(parts)}, {"role": "assistant", "content": "yes"}))


@pytest.mark.parametrize(
    ("data", "format_"),
    [(WAV, "wav"), (b"ID3\x04", "mp3"), (b"\xff\xfb\x90", "mp3"), (b"fLaC", "flac"), (b"OggS", "ogg")],
)
def test_the_format_of_a_sound_is_seen_in_its_bytes(data: bytes, format_: str, tmp_path: Path) -> None:
    path = tmp_path / "sound.txt"
    path.write_bytes(data)
    for source in (data, path, str(path)):
        request = asking({"type": "text", "text": "What is said?"}, audio_part(source))
        assert sound_in(request, rung="a") == Sound(data, format_)
        assert texts_of(request)[0] == "What is said?"


@pytest.mark.parametrize(
    ("data", "media_type"),
    [
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"GIF89a", "image/gif"),
        (b"RIFF\x24\x00\x00\x00WEBPVP8 ", "image/webp"),
    ],
)
def test_an_image_holds_its_own_bytes(data: bytes, media_type: str) -> None:
    assert image_part(data)["image_url"]["url"] == f"data:{media_type};base64,{base64.b64encode(data).decode()}"


@pytest.mark.parametrize("data", [b"", b"%PDF", b"RIFF\x24\x00\x00\x00WEBP", b"RIFF"])
def test_what_is_no_sound_is_refused(data: bytes) -> None:
    with pytest.raises(ConfigError, match="no sound of a known format: give flac, mp3, ogg, wav"):
        audio_part(data)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"gone\.wav cannot be read: No such file"):
        audio_part(tmp_path / "gone.wav")


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ([{"type": "text", "text": "a"}], "this one has text alone"),
        ([audio_part(WAV), audio_part(WAV)], "has input_audio and input_audio"),
        ([image_part(b"GIF89a")], "has image_url"),
        (["a text that is no part"], "has str"),
        ([{"type": "input_audio", "input_audio": {"data": "?", "format": "wav"}}], "no base64"),
        ([{"type": "input_audio"}], "no base64"),
    ],
)
def test_a_message_without_one_sound_is_refused(parts: list[Json], words: str) -> None:
    with pytest.raises(RungError, match=words) as told:
        sound_in(asking(*parts), rung="a")
    assert (told.value.reason, told.value.alone) == ("request", True)
