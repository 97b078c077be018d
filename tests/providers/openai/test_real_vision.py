"""Images at a real llama-server: it answers as the same model in this process does, and refuses where it sees none."""

import importlib.util
import sys
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import pytest

from pytest_rightsize.content_parts import image_part
from pytest_rightsize.errors import RungError
from pytest_rightsize.providers.llama_cpp.provider import LlamaCpp
from pytest_rightsize.providers.llama_cpp.vision import OLDEST
from pytest_rightsize.providers.openai.provider import OpenAI
from pytest_rightsize.records import Reply, Request, Rung
from pytest_rightsize.versions import is_older
from tests.providers.llama_cpp.random_gguf import TEMPLATE
from tests.providers.llama_cpp.random_vision import LLAVA, write_projector, write_seeing_model
from tests.providers.openai.test_real_servers import running
from tests.test_images import png

pytest.importorskip("llama_cpp", reason="llama-cpp-python is not installed: pip install 'pytest-rightsize[local]'")
if importlib.util.find_spec("xllamacpp") is None:
    pytest.skip("xllamacpp is not installed: pip install --group servers", allow_module_level=True)
if is_older(version("llama-cpp-python"), OLDEST):
    pytest.skip(f"images need llama-cpp-python {OLDEST} or newer", allow_module_level=True)

RED, BLUE = png(40, 30), png(40, 30, b"\x10\x20\xff")


def asking(*images: bytes) -> Request:
    parts = [{"type": "text", "text": "Which?"}, *map(image_part, images), {"type": "text", "text": "Say it."}]
    return Request(messages=({"role": "user", "content": parts},), max_tokens=3, temperature=0.0)


QUESTIONS = [asking(RED), asking(BLUE), asking(RED, BLUE)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("seeing")
    # The server begins each prompt with the token of a beginning, whatever the template says.
    write_seeing_model(folder / "model.gguf", LLAVA, seed=15, template="{{ bos_token }}" + TEMPLATE)
    write_projector(folder / "mmproj.gguf", LLAVA)
    return folder


def answers(folder: Path, *more: str) -> Sequence[Reply | RungError]:
    """What a server of the model says to each question."""
    script = ["-m", "tests.providers.openai.llama_server", str(folder / "model.gguf"), "512", "2", *more]
    with running([sys.executable, *script], None) as url:
        rung = OpenAI(Rung(name="a", provider="openai", model="m", options={"base_url": url, "timeout_s": 600}))
        futures = [rung.submit(question) for question in QUESTIONS]
        said = [future.exception() or future.result() for future in futures]
        rung.close()
    return said  # type: ignore[return-value]  # it raises nothing else


def test_a_server_that_sees_answers_as_the_model_in_this_process_does(folder: Path) -> None:
    said = answers(folder, str(folder / "mmproj.gguf"))
    rung = Rung(name="b", provider="llama_cpp", model="model.gguf", base_dir=str(folder))
    local = LlamaCpp(replace(rung, options={"mmproj": "mmproj.gguf"}))
    expected = [future.result() for future in [local.submit(question) for question in QUESTIONS]]
    local.close()
    assert [(reply.text, reply.tokens.prompt) for reply in said if isinstance(reply, Reply)] == [
        (reply.text, reply.tokens.prompt) for reply in expected
    ]
    assert len({reply.text for reply in expected}) > 1


def test_a_server_of_text_alone_refuses_and_that_is_no_wrong_answer(folder: Path) -> None:
    for fault in answers(folder):
        assert isinstance(fault, RungError)
        assert fault.reason == "request"
        assert "image input is not supported" in str(fault)
        assert "set images = false in the ladder file" in str(fault)
