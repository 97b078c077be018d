"""Images at local models: read as llama.cpp's own helper reads them, among others as alone, or refused."""

import base64
import ctypes
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from pytest_rightsize.content_parts import audio_part, image_part
from pytest_rightsize.errors import ConfigError, RungError, TooLongError
from pytest_rightsize.providers.llama_cpp.provider import LlamaCpp
from pytest_rightsize.providers.llama_cpp.vision import OLDEST
from pytest_rightsize.records import Json, Request, Rung
from pytest_rightsize.versions import is_older
from tests.providers.llama_cpp.random_vision import (
    GEMMA,
    LLAVA,
    QWEN,
    SMOLVLM,
    write_projector,
    write_seeing_model,
)
from tests.test_images import png

pytest.importorskip("llama_cpp", reason="llama-cpp-python is not installed: pip install 'pytest-rightsize[local]'")
if is_older(version("llama-cpp-python"), OLDEST):
    pytest.skip(f"images need llama-cpp-python {OLDEST} or newer", allow_module_level=True)

KINDS = {"mlp": LLAVA, "idefics3": SMOLVLM, "qwen2vl_merger": QWEN, "gemma3": GEMMA}
RED, BLUE = png(40, 30), png(40, 30, b"\x10\x20\xff")
TOKENS = 3


# With these weights no token is nearly as likely as another, whatever rounds.
SEEDS = {"mlp": 15, "idefics3": 19, "qwen2vl_merger": 17, "gemma3": 2}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model and its vision projector of each kind."""
    folder = tmp_path_factory.mktemp("seeing")
    for name, kind in KINDS.items():
        write_seeing_model(folder / f"{name}.gguf", kind, seed=SEEDS[name])
        write_projector(folder / f"mmproj-{name}.gguf", kind)
    return folder


@pytest.fixture
def opened() -> Iterator[list[LlamaCpp]]:
    providers: list[LlamaCpp] = []
    yield providers
    for one in providers:
        one.close()


def seeing(folder: Path, name: str, opened: list[LlamaCpp], **options: Any) -> LlamaCpp:
    options = {"mmproj": f"mmproj-{name}.gguf", **options}
    opened.append(
        LlamaCpp(Rung(name="a", provider="llama_cpp", model=f"{name}.gguf", base_dir=str(folder), options=options))
    )
    return opened[-1]


def asking(*parts: Json, max_tokens: int | None = TOKENS) -> Request:
    content = [{"type": "text", "text": part} if isinstance(part, str) else part for part in parts]
    return Request(messages=({"role": "user", "content": content},), max_tokens=max_tokens)


QUESTIONS: Sequence[Request] = [
    asking("Which?", image_part(RED), "Say it."),
    asking("Which?", image_part(BLUE), "Say it."),
    asking(image_part(RED), image_part(BLUE), "The same?"),
    asking("No image at all"),
    asking("Which?", image_part(png(90, 20)), "Say it."),
]


def by_llama_cpp(folder: Path, name: str, request: Request) -> tuple[str, int]:
    """What llama.cpp's own helper makes of a request: the answer, and the tokens of its prompt."""
    import llama_cpp
    from llama_cpp import mtmd_cpp as mtmd

    native = llama_cpp.Llama(str(folder / f"{name}.gguf"), n_ctx=512, verbose=False)
    params = mtmd.mtmd_context_params_default()
    params.warmup, params.n_threads = False, 1
    context: Any = mtmd.mtmd_init_from_file(str(folder / f"mmproj-{name}.gguf").encode(), native.model, params)
    lines, images = [], []
    for part in request.messages[0]["content"]:
        if part["type"] == "text":
            lines.append(part["text"])
            continue
        lines.append("<__media__>")
        data = base64.b64decode(part["image_url"]["url"].partition(",")[2])
        buffer = (ctypes.c_uint8 * len(data)).from_buffer_copy(data)
        images.append(mtmd.mtmd_helper_bitmap_init_from_buf(context, buffer, len(data), False))
    text = mtmd.mtmd_input_text()
    prompt = "".join(lines).encode()
    text.text, text.text_len, text.add_special, text.parse_special = prompt, len(prompt), False, True
    chunks: Any = mtmd.mtmd_input_chunks_init()
    bitmaps = (mtmd.mtmd_bitmap_p_ctypes * len(images))(*images)
    assert mtmd.mtmd_tokenize(context, chunks, ctypes.byref(text), bitmaps, len(images)) == 0
    end = llama_cpp.llama_pos(0)
    assert mtmd.mtmd_helper_eval_chunks(context, native.ctx, chunks, 0, 0, 512, True, ctypes.byref(end)) == 0
    written = []
    for _ in range(TOKENS):
        logits = native._ctx.get_logits_ith(-1)
        written.append(max(range(native.n_vocab()), key=lambda token: logits[token]))
        batch = llama_cpp.llama_batch_get_one((llama_cpp.llama_token * 1)(written[-1]), 1)
        assert llama_cpp.llama_decode(native.ctx, batch) == 0
    size = int(mtmd.mtmd_helper_get_n_tokens(chunks))
    for image in images:
        mtmd.mtmd_bitmap_free(image)
    mtmd.mtmd_input_chunks_free(chunks)
    mtmd.mtmd_free(context)
    answer = native.detokenize(written).decode()
    native.close()
    return answer, size


@pytest.mark.parametrize("name", KINDS)
def test_images_are_read_as_by_llama_cpps_own_helper_however_many_at_once(
    name: str, folder: Path, opened: list[LlamaCpp]
) -> None:
    model = seeing(folder, name, opened)
    futures = [model.submit(request) for request in [*QUESTIONS, *QUESTIONS]]
    replies = [future.result() for future in futures]
    expected = [by_llama_cpp(folder, name, request) for request in QUESTIONS]
    assert [(reply.text, reply.tokens.prompt) for reply in replies] == expected * 2
    assert len({text for text, _ in expected[:2]}) == 2  # it does see them
    again = model.submit(QUESTIONS[0]).result()
    assert (again.text, again.tokens.cached) == (expected[0][0], expected[0][1] - 1)


def test_prompts_that_have_no_room_beside_each_other_are_read_one_after_the_other(
    folder: Path, opened: list[LlamaCpp], monkeypatch: pytest.MonkeyPatch
) -> None:
    long = [asking("x" * 130, image_part(png(30 + n, 30, bytes([20 * n] * 3))), "y" * 130) for n in range(8)]
    alone = seeing(folder, "gemma3", opened, deterministic=True)
    expected = [alone.submit(request).result().text for request in long]
    monkeypatch.setattr("pytest_rightsize.providers.llama_cpp.layout._budget_bytes", lambda: 1)  # of one context
    model = seeing(folder, "gemma3", opened, n_parallel=4)
    futures = [model.submit(request) for request in long]
    assert [future.result().text for future in futures] == expected


def fault_of(model: LlamaCpp, request: Request) -> RungError:
    with pytest.raises(RungError) as told:
        model.submit(request).result()
    return told.value


WEBP = b"RIFF....WEBPVP8L\0\0\0\0\x2f" + b"\x27\xc0\x07\0" + b"." * 20


@pytest.mark.parametrize(
    ("part", "words"),
    [
        (image_part(WEBP), "an image of the message is webp, which llama.cpp does not read: give gif, jpeg, png"),
        (image_part(RED[:60]), "an image of the message cannot be decoded, it is broken: save it as PNG"),
        (image_part(RED[:16]), "its header has no width and height: save it anew"),
        (image_part(RED[:16] + b"\0\0\x80\0\0\0\x80\0" + RED[24:]), "32,768 x 32,768 pixels"),
        (
            {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
            "a local model fetches nothing: give image_part(FILE)",
        ),
        (audio_part(b"fLaC"), "this llama_cpp rung reads text and images alone; give this case to rungs that take it"),
    ],
)
def test_what_it_cannot_read_is_a_fault_of_this_request_alone(
    part: Json, words: str, folder: Path, opened: list[LlamaCpp]
) -> None:
    model = seeing(folder, "mlp", opened)
    fault = fault_of(model, asking("Which?", part))
    assert words in str(fault)
    assert fault.reason == "request"
    assert model.submit(QUESTIONS[0]).result().text


def test_a_prompt_whose_images_are_too_many_is_too_long(folder: Path, opened: list[LlamaCpp]) -> None:
    model = seeing(folder, "mlp", opened, n_ctx=256)
    with pytest.raises(TooLongError, match=r"the prompt is 257 tokens and the context holds 256"):
        model.submit(asking(*[image_part(RED)] * 16, "?")).result()
    most = model.submit(asking(*[image_part(RED)] * 13, "?", max_tokens=None)).result()
    assert most.tokens.total == 256


def test_the_images_of_a_request_have_so_many_pixels_together(folder: Path, opened: list[LlamaCpp]) -> None:
    vast = image_part(RED[:16] + b"\0\0\x1f\x40" * 2 + RED[24:])  # its header says 8,000 x 8,000
    model = seeing(folder, "mlp", opened)
    fault = fault_of(model, asking(*[vast] * 4, image_part(RED), "?"))
    assert (
        "the 5 images of this request have 256,001,200 pixels together, and 256,000,000 pixels is the most that is "
        "read at once: send fewer images, or smaller ones"
    ) in str(fault)
    assert fault.reason == "request"
    assert "cannot be decoded, it is broken" in str(fault_of(model, asking(*[vast] * 4, "?")))  # they are decoded


def test_an_image_that_a_model_reads_at_once_must_fit_a_step(folder: Path, opened: list[LlamaCpp]) -> None:
    fault = fault_of(seeing(folder, "gemma3", opened, n_batch=8, n_parallel=1), QUESTIONS[0])
    assert "a piece of the image is 16 tokens, which this model reads at once" in str(fault)
    assert "set n_batch = 16 or more" in str(fault)
    assert seeing(folder, "gemma3", opened, n_batch=16).submit(QUESTIONS[0]).result().tokens.prompt


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{{ messages[-1].content }}", "the chat template in its model file leaves out an image, or writes it twice"),
        ("{% for message in messages %}{{ message.content }}{% endfor %}", "writes nothing after the image"),
    ],
)
def test_a_template_that_has_no_place_for_an_image_is_a_fault(
    template: str, words: str, folder: Path, opened: list[LlamaCpp], tmp_path: Path
) -> None:
    write_seeing_model(tmp_path / "mlp.gguf", LLAVA, template=template)
    model = seeing(tmp_path, "mlp", opened, mmproj=str(folder / "mmproj-mlp.gguf"))
    turns: list[dict[str, Json]] = [{"role": "user", "content": [image_part(RED)]}, {"role": "user", "content": "?"}]
    messages = tuple(turns if "messages[-1]" in template else turns[:1])
    assert words in str(fault_of(model, Request(messages=messages, max_tokens=2)))


def test_a_text_cannot_stand_for_an_image(folder: Path, opened: list[LlamaCpp]) -> None:
    model = seeing(folder, "mlp", opened)
    plain = model.submit(asking("<__media__>")).result()
    assert plain.tokens.prompt == len("<__media__>")
    both = model.submit(asking("<__media__>", image_part(RED), "?")).result()
    assert both.tokens.prompt == len("<__media__>?") + 16


def test_a_projector_of_another_model_takes_its_rung_out(folder: Path, opened: list[LlamaCpp], tmp_path: Path) -> None:
    write_projector(tmp_path / "wide.gguf", LLAVA, width=128)
    fault = fault_of(seeing(folder, "mlp", opened, mmproj=str(tmp_path / "wide.gguf")), QUESTIONS[0])
    assert "could not load" in str(fault)
    assert "name the file that belongs to the model in mmproj" in str(fault)
    assert (fault.reason, fault.permanent) == ("load", True)


def test_a_model_without_the_tokens_around_an_image_refuses_it(
    folder: Path, opened: list[LlamaCpp], tmp_path: Path
) -> None:
    write_seeing_model(tmp_path / "idefics3.gguf", LLAVA)
    model = seeing(tmp_path, "idefics3", opened, mmproj=str(folder / "mmproj-idefics3.gguf"))
    assert "no tokens for the marks that mmproj sets around an image" in str(
        fault_of(model, asking(image_part(png(90, 90)), "?"))
    )


def other_projector(folder: Path, what: str) -> str:
    if what == "model":
        return "mlp.gguf"
    if what == "deaf":
        return str(write_projector(folder / "deaf.gguf", LLAVA, sees=False))
    if what == "cut":
        (folder / "cut.gguf").write_bytes((folder / "mmproj-mlp.gguf").read_bytes()[:-2000])
        return "cut.gguf"
    return what


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("gone.gguf", "gone.gguf is not there"),
        ("model", "mlp.gguf is no vision projector"),
        ("deaf", "sees no images"),
        ("cut", "is cut off"),
        ("hf:example/none:mmproj-f16", "is not on this machine"),
        ("package:no_such_package/mmproj.gguf", "the package no_such_package is not installed"),
    ],
)
def test_a_file_that_is_no_projector_is_told_before_anything_is_asked(
    what: str, words: str, folder: Path, opened: list[LlamaCpp], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    model = seeing(folder, "mlp", opened, mmproj=other_projector(folder, what))
    problem = model.check()
    assert problem is not None
    assert words in problem.what
    assert model.weight_bytes() is None or what in ("model", "deaf", "cut")
    assert words in str(fault_of(model, QUESTIONS[0]))


def test_a_binding_that_is_too_old_is_told_with_its_remedy(
    folder: Path, opened: list[LlamaCpp], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.metadata.version", lambda _: "0.3.16")
    problem = seeing(folder, "mlp", opened).check()
    assert problem is not None
    assert "llama-cpp-python 0.3.16 is too old for images" in problem.what


def test_it_is_known_by_the_content_of_both_files(folder: Path, opened: list[LlamaCpp], tmp_path: Path) -> None:
    model, hashes = seeing(folder, "mlp", opened), {"mlp.gguf": "aa", "mmproj-mlp.gguf": "bb"}
    content = model.identity(lambda path: hashes[path.name]).content
    assert (content["sha256"], content["mmproj"]) == (["aa"], "bb")
    assert str(folder) not in str(content)
    assert "mmproj-mlp" not in str(content)
    assert model.weight_bytes() == sum((folder / name).stat().st_size for name in hashes)
    blind = LlamaCpp(Rung(name="a", provider="llama_cpp", model="mlp.gguf", base_dir=str(folder)))
    assert "mmproj" not in blind.identity(lambda _: "aa").content
    assert (model.takes_images, blind.takes_images, model.takes_sound) == (True, False, False)


@pytest.mark.parametrize(
    ("options", "images", "words"),
    [
        ({"mmproj": "a.gguf", "chat_format": "chatml"}, None, "mmproj and chat_format, which knows no images"),
        ({"mmproj": "a.gguf"}, False, "mmproj and images = false cannot be together"),
        ({}, True, "images = true needs the model's vision projector: name its file in mmproj"),
    ],
)
def test_keys_that_contradict_each_other_are_refused(options: dict[str, Json], images: bool | None, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        LlamaCpp(Rung(name="a", provider="llama_cpp", model="m.gguf", images=images, options=options))


def test_a_session_asks_a_local_model_about_an_image_and_replays_it_without_the_model(
    folder: Path, pytester: pytest.Pytester
) -> None:
    for name in ("mlp.gguf", "mmproj-mlp.gguf"):
        (pytester.path / name).write_bytes((folder / name).read_bytes())
    (pytester.path / "red.png").write_bytes(RED)
    pytester.makefile(
        ".toml",
        rightsize="""
            [ladder.eye]
            provider = "llama_cpp"
            model = "mlp.gguf"
            mmproj = "mmproj-mlp.gguf"
            max_tokens = 3
        """,
    )
    pytester.makepyfile(
        """
        from pytest_rightsize import image_part

        def test_it(model):
            content = [{"type": "text", "text": "Which?"}, image_part("red.png"), {"type": "text", "text": "Say it."}]
            model.ask(messages=[{"role": "user", "content": content}])
            assert model.tokens.prompt == 31  # 16 of the image; a blank is three
        """
    )
    options = ("--rightsize-ladder=eye", "--rightsize-cache-dir=kept", "--rightsize-results=run.jsonl")
    pytester.inline_run(*options).assertoutcome(passed=1)
    for name in ("mlp.gguf", "mmproj-mlp.gguf"):
        (pytester.path / name).unlink()
    pytester.inline_run(*options, "--rightsize-cache=replay").assertoutcome(passed=1)
    assert '"cached": true' in (pytester.path / "run.jsonl").read_text(encoding="utf-8")
