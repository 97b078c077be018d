"""Contents of messages for people: texts as they are, all else by what it is."""

import hashlib

import pytest

from pytest_rightsize.content_parts import audio_part, image_part
from pytest_rightsize.part_data import with_references
from pytest_rightsize.records import Json
from pytest_rightsize.reports.part_words import content_words, size_words

IMAGE = image_part(b"GIF89a")
NAMED = f"[image: image/gif, 6 bytes, SHA-256 {hashlib.sha256(b'GIF89a').hexdigest()[:12]}]"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("a text", "a text"),
        ([], ""),
        ([{"type": "text", "text": "What is it?"}, IMAGE], f"What is it?\n{NAMED}"),
        ([*with_references([{"content": [IMAGE]}])[0]["content"]], NAMED),
        ([audio_part(b"fLaC" + b"." * 1200)], "[sound: audio/flac, 1.2 KB, SHA-256 "),
        ([{"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBERg=="}}], "[document: application/"),
        ([{"type": "image_url", "image_url": {"url": "https://a.b/c"}}], '{"type": "image_url", "image_url": {"url"'),
        ([{"type": "new", "x": "y" * 400}], "[new, 424 characters]"),
        (["y" * 400], "[part, 402 characters]"),
        ({"type": "text", "text": "alone"}, "alone"),
    ],
)
def test_texts_are_shown_and_the_rest_is_named(content: Json, words: str) -> None:
    assert content_words(content).startswith(words)


@pytest.mark.parametrize(
    ("size", "words"), [(999, "999 bytes"), (1000, "1.0 KB"), (999_999, "1000.0 KB"), (2_500_000, "2.5 MB")]
)
def test_sizes(size: int, words: str) -> None:
    assert size_words(size) == words
