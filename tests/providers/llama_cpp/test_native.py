"""llama.cpp as a guest: its threads do not spin for long, and code that would crash is found out in another process."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_rightsize.providers.llama_cpp import amx, native

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


def test_a_broken_amx_is_kept_from_the_weights() -> None:
    low_level: Any = SimpleNamespace(llama_model_default_params=llama_cpp.llama_cpp.llama_model_default_params)
    native._keep_plain_weights(low_level)
    assert low_level.llama_model_default_params().use_extra_bufts is False
