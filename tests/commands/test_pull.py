"""`rightsize pull`: what is missing and how large it is, and a model fetched from a server of the hub's protocol."""

import os
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from pytest_rightsize.commands import pull
from pytest_rightsize.commands.__main__ import main
from pytest_rightsize.errors import RungError
from pytest_rightsize.providers.llama_cpp.provider import HubModel
from tests.providers.llama_cpp.test_hub import WEIGHTS, hub_url

__all__ = ["hub_url"]  # a fixture

LADDER = """
[ladder.tiny]
provider = "llama_cpp"
model = "hf:o/r:Q4_K_M"
[ladder.gone]
provider = "llama_cpp"
model = "hf:o/gone"
[ladder.file]
provider = "llama_cpp"
model = "models/x.gguf"
[ladder.recorded]
provider = "replay"
file = "x.jsonl"
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "rightsize.toml").write_text(LADDER, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_model_is_fetched_once_and_found_ever_after(here: Path, hub_url: str) -> None:  # the fixture
    """In a process of its own: huggingface_hub reads its variables when it is imported."""
    if find_spec("huggingface_hub") is None:
        pytest.skip("huggingface_hub is not installed: pip install 'pytest-rightsize[local]'")
    script = (
        "from pytest_rightsize.commands.__main__ import main\n"
        "for arguments in (['--ladder=tiny', '--dry-run'], ['--ladder=tiny,recorded'], []):\n"
        "    print('status', main(['pull', *arguments]))"
    )
    environment = {**os.environ, "HF_ENDPOINT": hub_url, "HF_HOME": str(here / "hub"), "HF_HUB_OFFLINE": "0"}
    environment.pop("HF_HUB_CACHE", None)
    run = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    lines = run.stdout.splitlines()
    size = f"{WEIGHTS.stat().st_size / 1e6:.1f} MB"
    assert lines[0] == f"tiny: hf:o/r:Q4_K_M: {size} to fetch"
    assert lines[1].startswith(f"{size} to fetch into {here / 'hub'}")
    assert lines[2:4] == ["status 0", f"tiny: hf:o/r:Q4_K_M: {size} to fetch"]
    assert lines[4] == "recorded: replay x.jsonl: nothing to fetch"
    fetched = Path(lines[6].removeprefix("hf:o/r:Q4_K_M: "))
    assert fetched.read_bytes() == WEIGHTS.read_bytes()
    assert lines[7:9] == ["status 0", f"tiny: hf:o/r:Q4_K_M: on this machine ({size})"]
    assert lines[-1] == "status 1"
    assert "gone: hf:o/gone is not on this machine, and the hub does not tell its size (" in run.stderr


Pull = Callable[..., str]


@pytest.fixture
def pulled(here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Pull:
    """Run the command beside a hub that has one model of 2 GB, on a disk with so much room."""

    def ask(model: str) -> HubModel | None:
        if model == "hf:o/gone":
            raise RungError("the hub is down", reason="transport")
        is_known = model.startswith("hf:")
        return HubModel(path=None, size_bytes=2_000_000_000, have_bytes=500_000_000) if is_known else None

    def pulled(*arguments: str, free: int = 10_000_000_000, status: int = 0) -> str:
        monkeypatch.setattr(pull, "hub_model", ask)
        monkeypatch.setattr(pull, "free_bytes", lambda: (here, free))
        assert main(["pull", *arguments]) == status
        printed = capsys.readouterr()
        return printed.out + printed.err

    return pulled


def test_what_came_before_is_not_fetched_again(pulled: Pull) -> None:
    shown = pulled("--ladder=tiny,file", "--dry-run")
    assert "tiny: hf:o/r:Q4_K_M: 2.00 GB to fetch, of which 0.50 GB came before\n" in shown
    assert "file: llama_cpp models/x.gguf: nothing to fetch\n" in shown
    assert "1.50 GB to fetch into " in shown


def test_the_vision_projector_of_a_model_is_fetched_with_it(pulled: Pull, here: Path) -> None:
    ladder = '[ladder.eye]\nprovider = "llama_cpp"\nmodel = "hf:o/r:Q4_K_M"\nmmproj = "hf:o/r:mmproj-f16"\n'
    (here / "rightsize.toml").write_text(ladder, encoding="utf-8")
    shown = pulled("--dry-run")
    assert "eye: hf:o/r:Q4_K_M: 2.00 GB to fetch" in shown
    assert "eye: hf:o/r:mmproj-f16: 2.00 GB to fetch" in shown
    assert "3.00 GB to fetch into " in shown


def test_nothing_is_fetched_where_there_is_no_room(pulled: Pull) -> None:
    shown = pulled("--ladder=tiny", free=1_700_000_000, status=2)
    assert "where 1.70 GB are free: make room, set HF_HOME to another disk, or fetch fewer with --ladder" in shown


def test_a_hub_that_cannot_be_asked_is_asked_once(pulled: Pull) -> None:
    shown = pulled("--ladder=gone,tiny", status=1)
    assert "gone: the hub is down" in shown
    assert "tiny" not in shown


def test_an_unknown_rung_is_told(pulled: Pull) -> None:
    assert "unknown rung 'tinny': did you mean 'tiny'?" in pulled("--ladder=tinny", status=2)
