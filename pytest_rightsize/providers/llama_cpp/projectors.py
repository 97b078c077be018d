"""Finds the vision projector of a local model, tells from its header whether it is one, and loads it.

A reference as in `mmproj` of the ladder file comes in; out goes the file, or a Problem that says how to get one.
"""

import importlib.metadata
from pathlib import Path
from typing import Any

from pytest_rightsize.errors import RungError
from pytest_rightsize.providers import Problem
from pytest_rightsize.providers.llama_cpp import gguf, hub
from pytest_rightsize.providers.llama_cpp.model_files import locate
from pytest_rightsize.providers.llama_cpp.vision import OLDEST, Vision, VisionError
from pytest_rightsize.records import Rung
from pytest_rightsize.versions import is_older

__all__ = ["find_projector", "load_projector", "projector_problem"]

_ANOTHER = "name the file that belongs to the model in mmproj, often mmproj-*.gguf"
_PACKAGE = "llama-cpp-python"


def find_projector(reference: str, base_dir: str) -> Path | Problem:
    """The file on this machine, or what keeps it from being found; a path is not looked at."""
    return hub.find(reference) if hub.is_reference(reference) else locate(reference, base_dir)


def projector_problem(path: Path) -> Problem | None:
    """Report what is wrong with the file, as far as its header shows, or with the binding that is to load it."""
    installed = importlib.metadata.version(_PACKAGE)
    if is_older(installed, OLDEST):
        return Problem(
            what=f"{_PACKAGE} {installed} is too old for images: at least {OLDEST} is needed",
            remedy=f'run `python -m pip install -U "{_PACKAGE}>={OLDEST}"`',
        )
    if not path.is_file():
        return Problem(what=f"the vision projector {path} is not there", remedy=_ANOTHER)
    try:
        header = gguf.read_header(path)
    except gguf.GgufError as error:
        return Problem(what=f"the vision projector {path} {error}", remedy="get the file again")
    except OSError as error:
        return Problem(what=f"{path} cannot be read ({error.strerror})", remedy="make the file readable")
    metadata = header.metadata
    if metadata.get("general.architecture") != "clip":
        return Problem(what=f"{path} is no vision projector", remedy=_ANOTHER)
    if not metadata.get("clip.has_vision_encoder"):
        return Problem(what=f"{path} is a projector that sees no images", remedy=_ANOTHER)
    return None


def load_projector(native: Any, path: Path, rung: Rung) -> Vision:
    """Load the projector beside its model; raises RungError if it is not for that model."""
    try:
        return Vision(
            native, path, threads=rung.options.get("n_threads"), uses_gpu=rung.options.get("n_gpu_layers", -1) != 0
        )
    except VisionError as error:
        raise RungError(f"rung {rung.name!r}: {error}; {_ANOTHER}", reason="load", permanent=True) from None
