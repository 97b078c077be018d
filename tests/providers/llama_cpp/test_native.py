"""llama.cpp as a guest: its threads do not spin for long, and code that would crash is found out in another process."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_rightsize.providers.llama_cpp import amx, native
from pytest_rightsize.providers.llama_cpp.weight_layouts import layout_names, remove_layout

llama_cpp = pytest.importorskip(
    "llama_cpp", reason="llama-cpp-python is not installed: pip install 'pytest-rightsize[local]'"
)
LOAD = """
import os
from pytest_rightsize.providers.llama_cpp import native
native.load()
print(os.environ.get("GOMP_SPINCOUNT"))
"""
SETTINGS = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_"))}


def loaded(**settings: str) -> tuple[str, str]:
    """What a process that loads llama.cpp has in its environment afterwards, and what OpenMP says of its settings."""
    ended = subprocess.run(
        [sys.executable, "-c", LOAD],
        check=True,
        capture_output=True,
        text=True,
        env=SETTINGS | {"OMP_DISPLAY_ENV": "verbose"} | settings,
    )
    if "GOMP_SPINCOUNT" not in ended.stderr:
        pytest.skip("this llama.cpp is not built with GNU OpenMP")
    return ended.stdout.strip(), ended.stderr


def test_threads_that_wait_for_others_sleep_soon() -> None:
    left, said = loaded()
    assert "GOMP_SPINCOUNT = '1000'" in said
    assert left == "None"


@pytest.mark.parametrize(("given", "spins"), [("OMP_WAIT_POLICY", "PASSIVE"), ("GOMP_SPINCOUNT", "77")])
def test_who_has_said_how_threads_wait_is_heard(given: str, spins: str) -> None:
    _, said = loaded(**{given: spins})
    assert f"{given} = '{spins}'" in said
    assert "GOMP_SPINCOUNT = '1000'" not in said


@pytest.mark.skipif(os.name != "posix", reason="the stand-ins are shell scripts")
@pytest.mark.parametrize(("end", "works"), [("exit 0", True), ("exit 1", False), ("kill -SEGV $$", False)])
def test_amx_works_if_a_process_that_tries_it_survives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str, works: bool
) -> None:
    stand_in = tmp_path / "python"
    stand_in.write_text(f"#!/bin/sh\n{end}\n", encoding="ascii")
    stand_in.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(stand_in))
    assert amx.works(tmp_path) is works


def test_amx_that_cannot_be_tried_is_left_alone(tmp_path: Path) -> None:
    assert not amx.works(tmp_path)


LAYOUTS = """
from pytest_rightsize.providers.llama_cpp import amx, native
from pytest_rightsize.providers.llama_cpp.weight_layouts import layout_names, remove_layout
amx.works = lambda _: {works}
library = native.load().llama_cpp._lib
print(layout_names(library), remove_layout(library, b"no such layout"), remove_layout(library, b"CPU_REPACK"))
print(layout_names(library))
"""


def layouts(*, amx_works: bool) -> list[str]:
    """What a process prints that has loaded llama.cpp: the list is that of the whole process."""
    program = LAYOUTS.format(works=amx_works)
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout.splitlines()


def test_one_layout_of_weights_can_be_taken_away() -> None:
    before, after = layouts(amx_works=True)
    if "CPU_REPACK" not in before:
        pytest.skip("this llama.cpp is built without other layouts")
    assert before.endswith(" False True")
    assert "CPU_REPACK" not in after


def test_of_a_broken_amx_only_its_own_layout_is_given_up() -> None:
    (with_amx, _), (without, _) = layouts(amx_works=True), layouts(amx_works=False)
    assert "AMX" not in without
    assert ("CPU_REPACK" in without) == ("CPU_REPACK" in with_amx)


def test_a_library_without_the_list_keeps_its_layouts() -> None:
    assert not remove_layout(SimpleNamespace(), b"AMX")
    assert layout_names(SimpleNamespace()) == []


def test_a_broken_amx_is_kept_from_the_weights() -> None:
    low_level: Any = SimpleNamespace(llama_model_default_params=llama_cpp.llama_cpp.llama_model_default_params)
    native._keep_plain_weights(low_level)
    assert low_level.llama_model_default_params().use_extra_bufts is False
