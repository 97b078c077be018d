"""Images and sounds that no rung of the ladder, or not each of them, can be asked with."""

from types import SimpleNamespace
from typing import Any

import pytest

from pytest_rightsize.content_parts import audio_part, image_part
from pytest_rightsize.errors import RungError
from pytest_rightsize.providers.onnx import Onnx
from pytest_rightsize.providers.openai.transcriptions import Transcriptions
from pytest_rightsize.providers.programs import Program
from pytest_rightsize.providers.uci import Uci
from pytest_rightsize.records import Json, Request, Rung
from pytest_rightsize.running.part_checks import PartChecks

IMAGE, SOUND = image_part(b"GIF89a"), audio_part(b"fLaC")
ELSEWHERE = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
PROVIDERS: dict[str, Any] = {
    "unknown": SimpleNamespace(),
    "sees": SimpleNamespace(takes_images=True, takes_sound=False),
    "blind": SimpleNamespace(takes_images=False, needs_for_images="name its projector in mmproj"),
    "declared": SimpleNamespace(takes_images=False),
    "refused": SimpleNamespace(takes_images=None),
}
RUNGS = {name: Rung(name=name, provider="x") for name in PROVIDERS} | {
    "declared": Rung(name="declared", provider="x", images=True),
    "refused": Rung(name="refused", provider="x", images=False),
}


def asking(*parts: Json) -> Request:
    return Request(messages=({"role": "system", "content": "Look."}, {"role": "user", "content": [*parts, "text"]}))


def told(rung: str, request: Request, *climbed: str, private: bool = False, offline: bool = False) -> str:
    """What the check says; empty where it lets the request pass."""
    checks = PartChecks(PROVIDERS, RUNGS, climbed)
    try:
        checks.check(rung, request, private=private, offline=offline)
    except RungError as error:
        return f"{error.reason}: {error}"
    return ""


@pytest.mark.parametrize("rung", ["unknown", "sees", "declared"])
def test_what_is_taken_or_unknown_is_asked(rung: str) -> None:
    assert told(rung, asking(IMAGE), "unknown", "sees", "declared") == ""
    assert told(rung, asking(ELSEWHERE)) == ""


@pytest.mark.parametrize(
    ("rung", "part", "climbed", "words"),
    [
        ("blind", IMAGE, [], "the message has images, and blind takes none. Name its projector in mmproj, or run this"),
        (
            "refused",
            IMAGE,
            [],
            "and refused takes none. Run this test on rungs that take images",
        ),
        ("sees", IMAGE, ["blind", "sees", "refused"], "rung 'sees' was not asked: the message has images, and blind, "),
        ("unknown", IMAGE, ["unknown", "refused"], "and refused takes none"),
        ("sees", SOUND, [], "the message has sound, and sees takes none"),
    ],
)
def test_a_rung_that_takes_none_is_named_whichever_is_asked(
    rung: str, part: Json, climbed: list[str], words: str
) -> None:
    said = told(rung, asking(part), *climbed)
    assert said.startswith("request: ")
    assert words in said
    assert "(--rightsize-ladder=NAME,NAME)" in said


def test_sound_goes_to_the_rungs_that_take_it() -> None:
    assert told("unknown", asking(SOUND), "unknown", "sees") == ""


def test_a_rung_beside_the_ladder_answers_for_itself_alone() -> None:
    """As one that [app] models names, or a member of a cascade."""
    assert told("sees", asking(IMAGE), "blind") == ""


@pytest.mark.parametrize(
    ("private", "offline", "reason"), [(True, False, "private"), (False, True, "offline"), (True, True, "private")]
)
def test_nothing_is_fetched_for_what_stays_on_this_machine(*, private: bool, offline: bool, reason: str) -> None:
    said = told("sees", asking(ELSEWHERE), private=private, offline=offline)
    assert said.startswith(f"{reason}: rung 'sees' was not asked: its endpoint would fetch an image or a file by a URL")
    assert told("sees", asking(IMAGE), private=private, offline=offline) == ""


@pytest.mark.parametrize(
    "part",
    [
        {"image_url": "https://example.com/a.png"},
        {"image_url": {"url": "HTTPS://example.com/a.png"}},
        {"type": "input_image", "image_url": "https://example.com/a.png"},
        {"type": "video_url", "video_url": {"url": "http://example.com/a.mp4"}},
        {"type": "audio_url", "audio_url": {"url": " https://example.com/a.wav"}},
        {"type": "file", "file": {"file_url": "https://example.com/a.pdf"}},
        {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}},
        {"fileData": {"fileUri": "gs://bucket/a.png"}},
    ],
)
def test_nor_by_a_part_of_any_other_form(part: Json) -> None:
    assert told("sees", asking(part), private=True).startswith("private: rung 'sees' was not asked")
    assert told("sees", asking(part), offline=True).startswith("offline: rung 'sees' was not asked")
    assert told("sees", asking(part)) == ""


def test_an_image_without_a_type_is_an_image() -> None:
    typeless = {"image_url": IMAGE["image_url"]}
    assert "blind takes none" in told("blind", asking(typeless), "blind")


def test_what_is_no_image_is_the_tests_own() -> None:
    broken = {"type": "image_url", "image_url": {"url": "cat.png"}}
    assert told("sees", asking(broken)).startswith("unserved: rung 'sees' was not asked: an image of the message has")


@pytest.mark.parametrize("message", ["a text", None, [{"type": "text", "text": "a"}], [["image_url"]], [{"type": []}]])
def test_other_messages_pass(message: Json) -> None:
    assert told("blind", Request(messages=({"role": "user", "content": message},)), "blind") == ""


@pytest.mark.parametrize("kind", [Onnx, Transcriptions, Program, Uci])
def test_rungs_of_text_alone_say_so(kind: Any) -> None:
    assert kind.takes_images is False
