"""Images on the page: pixels alone, each once, within bounds, and a word for each that is not shown."""

import base64
import gzip
import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_rightsize.content_parts import image_part
from pytest_rightsize.judging.verdict import judge
from pytest_rightsize.part_data import with_references
from pytest_rightsize.records import Json, Run
from pytest_rightsize.reports.html.pictures import Pictures
from pytest_rightsize.reports.html.report import HtmlReport
from tests.reports.conftest import Open
from tests.runs import make_run
from tests.test_images import data_url, part, png

RED, BLUE = png(40, 30), png(4, 3)


def shown(pictures: Pictures) -> Json:
    return json.loads(gzip.decompress(base64.b64decode(pictures.pack())))


def asked(*parts: Json) -> dict[str, Json]:
    return {"role": "user", "content": [{"type": "text", "text": "Look."}, *parts]}


def reader(*images: bytes) -> Callable[[str], bytes | None]:
    return {hashlib.sha256(image).hexdigest(): image for image in images}.get


def test_an_image_is_in_the_page_once_from_the_file_beside_the_results_or_from_memory() -> None:
    (stored,) = with_references([asked(image_part(RED), image_part(BLUE))])
    pictures = Pictures(reader(RED, BLUE))
    assert pictures.of(stored) == ([0, 1], [])
    assert pictures.of(asked(image_part(BLUE))) == ([1], [])
    assert shown(pictures) == [
        [data_url("image/png", RED), 40, 30, f"PNG, {len(RED)} bytes"],
        [data_url("image/png", BLUE), 4, 3, f"PNG, {len(BLUE)} bytes"],
    ]
    assert Pictures(None).of(asked(image_part(RED))) == ([0], [])


@pytest.mark.parametrize(
    ("image", "read", "words"),
    [
        (
            data_url("image/svg+xml", b"<svg onload='alert(1)'/>"),
            None,
            "only gif, jpeg, png, webp of at most 64 million",
        ),
        (data_url("image/png", b"<svg onload='alert(1)'/>"), None, "only gif, jpeg, png, webp"),
        (data_url("image/png", RED[:16] + b"\0\0\xff\0\0\0\xff\0" + RED[24:]), None, "at most 64 million pixels"),
        (data_url("image/png", RED + b"\0" * 1_000_000), None, "it has 1.0 MB, more than is shown"),
        (with_references([asked(image_part(RED))])[0]["content"][1]["image_url"]["url"], lambda _: None, "not beside"),
        (with_references([asked(image_part(RED))])[0]["content"][1]["image_url"]["url"], None, "not beside"),
    ],
)
def test_what_is_not_shown_is_told(image: str, read: Callable[[str], bytes | None] | None, words: str) -> None:
    pictures = Pictures(read)
    numbers, (why,) = pictures.of(asked(part(image)))
    assert numbers == []
    assert words in why
    assert shown(pictures) == []


@pytest.mark.parametrize("said", [1, 10**12])
def test_an_image_is_as_large_as_its_file_whatever_the_record_says(said: int) -> None:
    large = RED.ljust(1_000_001)
    (stored,) = with_references([asked(image_part(RED), image_part(large))])
    for each, image in zip(stored["content"][1:], (RED, large), strict=True):
        each["image_url"]["url"] = each["image_url"]["url"].replace(f"bytes={len(image)}", f"bytes={said}")
    pictures = Pictures(reader(RED, large))
    numbers, (why,) = pictures.of(stored)
    assert numbers == [0]
    assert "it has 1.0 MB, more than is shown" in why
    assert len(shown(pictures)) == 1


def test_a_page_has_room_for_so_many() -> None:
    pictures = Pictures(None, budget_bytes=len(RED) + 10)
    assert pictures.of(asked(image_part(RED), image_part(RED)))[0] == [0, 0]
    numbers, (why,) = pictures.of(asked(image_part(png(40, 31))))
    assert numbers == []
    assert "more than this page has room for" in why


@pytest.mark.parametrize(
    "message",
    [
        {"role": "user", "content": "data:image/png;base64,AAAA"},
        {"role": "user", "content": None},
        asked({"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}),
        asked({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}),
        asked("text", None),
    ],
)
def test_nothing_is_fetched_and_nothing_else_is_an_image(message: dict[str, Any]) -> None:
    assert Pictures(lambda _: RED).of(message) == ([], [])


def test_a_run_that_was_made_has_none() -> None:
    assert Run(rungs=[]).read_data is None


def test_a_reader_sees_the_image_below_its_prompt(open_page: Open, tmp_path: Path) -> None:
    run = make_run({"look": {"a": "1"}})
    (trial,) = run.trials
    answer = replace(trial.answers[0], messages=(asked(image_part(RED), part(data_url("image/png", b"<svg/>"))),))
    run = replace(run, trials=[replace(trial, answers=(answer,))])
    page_file = tmp_path / "page.html"
    page_file.write_text(HtmlReport().render(run, judge(run)), encoding="utf-8")
    page = open_page(path=page_file)
    page.locator("article.case button").first.click()
    image = page.locator(".pictures img")
    image.wait_for()
    assert image.count() == 1
    assert image.evaluate("image => image.decode().then(() => [image.naturalWidth, image.naturalHeight])") == [40, 30]
    assert page.locator(".pictures figcaption").inner_text() == f"40 \u00d7 30 PNG, {len(RED)} bytes"
    assert "not shown" in page.locator(".prompt pre").inner_text()
    assert page.complaints == []
