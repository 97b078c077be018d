"""Data in messages is known by its hash, which leads back to it."""

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_rightsize.content_parts import audio_part, image_part
from pytest_rightsize.part_data import PartData, Reference, data_of_url, reference_of, with_data, with_references
from pytest_rightsize.records import Json

GIF = b"GIF89a"
TEXT: dict[str, Json] = {"type": "text", "text": "data:image/png;base64,AAAA is no image here"}


def asked(*parts: Json) -> tuple[dict[str, Json], ...]:
    return ({"role": "system", "content": "Look."}, {"role": "user", "content": [TEXT, *parts]})


def test_data_has_its_hash_in_its_place_and_is_handed_out() -> None:
    kept: list[PartData] = []
    pdf = {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERg=="}}
    messages = asked(image_part(GIF), audio_part(b"fLaC"), pdf)
    system, user = with_references(messages, kept.append)
    assert system is messages[0]
    assert [one.data for one in kept] == [GIF, b"fLaC", b"%PDF"]
    text, image, sound, document = user["content"]
    assert text is TEXT
    digest = hashlib.sha256(GIF).hexdigest()
    assert image["image_url"]["url"] == f"stored:image/gif;sha256={digest};bytes=6"
    assert reference_of(sound["input_audio"]["data"]) == kept[1].reference
    assert sound["input_audio"]["format"] == "flac"
    assert document["file"]["filename"] == "a.pdf"
    assert reference_of(document["file"]["file_data"]) == Reference(
        media_type="application/pdf", sha256=hashlib.sha256(b"%PDF").hexdigest(), size_bytes=4
    )


def test_one_image_has_one_reference_however_its_base64_is_written() -> None:
    plain = base64.b64encode(GIF * 20).decode()
    folded = "\n".join([plain[:40], plain[40:]])
    one, other = (
        with_references(asked({"type": "image_url", "image_url": {"url": f"data:image/gif{extra};base64,{text}"}}))
        for extra, text in (("", plain), (";charset=utf-8", folded))
    )
    assert one == other


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,%%"}},
        {"type": "image_url", "image_url": {"url": None}},
        {"type": "image_url"},
        {"type": "input_audio", "input_audio": {"data": "?", "format": "wav"}},
        {"type": "input_audio", "input_audio": "x"},
        {"type": ["image_url"]},
        "a text",
        None,
    ],
)
def test_what_holds_no_data_stays(part: Json) -> None:
    messages = asked(part)
    assert with_references(messages) == messages


def test_other_messages_are_handed_back_as_they_are() -> None:
    message = {"role": "user", "content": "data:image/png;base64,AAAA"}
    assert with_references([message])[0] is message
    assert with_references([{"role": "assistant", "content": None}])[0]["content"] is None


@given(st.binary(min_size=1, max_size=50), st.sampled_from(["png", "jpeg", "svg+xml", "vnd.x-y"]))
def test_with_data_is_the_inverse(data: bytes, kind: str) -> None:
    url = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
    messages = asked({"type": "image_url", "image_url": url}, audio_part(b"fLaC" + data))
    kept: dict[str, bytes] = {}
    stored = with_references(messages, lambda one: kept.setdefault(one.reference.sha256, one.data))
    assert url not in str(stored)
    assert with_data(stored, lambda reference: kept[reference.sha256]) == messages
    assert with_data(stored, lambda _: None) == stored
    assert with_references(stored) == stored


@pytest.mark.parametrize("text", ["stored:image/png;sha256=00;bytes=1", "sha256", None, 3])
def test_what_is_no_reference_is_none(text: object) -> None:
    assert reference_of(text) is None


def test_a_url_elsewhere_has_no_data() -> None:
    assert data_of_url("https://example.com/data:image/png;base64,AAAA") is None
