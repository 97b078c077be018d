"""The files of a vLLM rung: the server gets those that the fingerprint names, and one commit of a repository."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_rightsize.errors import RungError
from pytest_rightsize.providers.vllm_model import ServedModel
from pytest_rightsize.records import Rung

COMMIT = "0f3c1e2d"


class Hub:
    """The hub's client, with one repository."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []

    def snapshot_download(self, repository: str, **given: Any) -> str:
        """The folder of the newest commit, which moves with each question."""
        self.asked.append({"repository": repository, **given})
        if repository == "nobody/none":
            raise FileNotFoundError(f"no {repository} here")
        return f"/cache/models--{repository}/snapshots/{COMMIT}{len(self.asked)}"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Hub:
    """A hub whose main branch moves."""
    made = Hub()
    monkeypatch.setitem(sys.modules, "huggingface_hub", SimpleNamespace(snapshot_download=made.snapshot_download))
    return made


def model(folder: Path, name: str = "Qwen/Qwen3-4B", **options: Any) -> ServedModel:
    return ServedModel(Rung(name="4b", provider="vllm", model=name, base_dir=str(folder), options=options))


def test_a_repository_is_served_at_the_commit_that_the_fingerprint_names(hub: Hub, tmp_path: Path) -> None:
    given: dict[str, Any] = {
        "revision": "main",
        "tokenizer": "other/tokenizer",
        "download_dir": "cache",
        "max_model_len": 8,
    }
    served = model(tmp_path, **given, download=True)
    content = served.content(str)
    assert content == {
        "files": {"commit": f"{COMMIT}1"},
        "options": {
            "revision": "main",
            "tokenizer": {"commit": f"{COMMIT}2", "name": "other/tokenizer"},
            "max_model_len": 8,
        },
    }
    options = served.options()
    assert (options["model"], options["revision"]) == ("Qwen/Qwen3-4B", f"{COMMIT}1")
    assert (options["tokenizer"], options["tokenizer_revision"]) == ("other/tokenizer", f"{COMMIT}2")
    first, second = hub.asked
    assert (first["revision"], second["revision"]) == ("main", None)
    assert first["cache_dir"] == str(tmp_path / "cache")
    assert first["local_files_only"] is False


def test_without_a_download_the_server_is_given_the_folder_in_the_cache(hub: Hub, tmp_path: Path) -> None:
    served = model(tmp_path, revision="main", tokenizer="other/tokenizer")
    assert served.content(str)["files"] == {"commit": f"{COMMIT}1"}
    assert served.options() == {
        "served_model_name": "Qwen/Qwen3-4B",
        "model": f"/cache/models--Qwen/Qwen3-4B/snapshots/{COMMIT}1",
        "revision": "main",
        "tokenizer": f"/cache/models--other/tokenizer/snapshots/{COMMIT}2",
    }
    assert [asked["local_files_only"] for asked in hub.asked] == [True, True]


def test_what_is_not_there_says_how_to_get_it(hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(RungError) as refused:
        model(tmp_path, "nobody/none").options()
    assert (refused.value.reason, refused.value.permanent) == ("missing", True)
    assert "nobody/none is neither a path below" in str(refused.value)
    assert "run with --rightsize-download, or run `hf download nobody/none` there" in str(refused.value)
    with pytest.raises(
        RungError, match=r"nor a repository that the hub gives \(FileNotFoundError: no nobody/none here"
    ):
        model(tmp_path, "nobody/none", download=True).options()
    assert hub.asked[-1]["local_files_only"] is False


def test_files_beside_the_ladder_file_are_known_by_their_content(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "m" / "more").mkdir(parents=True)
    for name in ("m/b.safetensors", "m/a.json", "m/more/c", "chat.jinja", "float16"):
        (tmp_path / name).write_text(name)
    served = model(tmp_path, "m", chat_template="chat.jinja", tokenizer="m", dtype="float16")
    assert served.content(lambda path: path.read_text()) == {
        "files": {"a.json": "m/a.json", "b.safetensors": "m/b.safetensors"},
        "options": {
            "chat_template": {"chat.jinja": "chat.jinja"},
            "tokenizer": {"a.json": "m/a.json", "b.safetensors": "m/b.safetensors"},
            "dtype": "float16",
        },
    }
    assert served.options() == {
        "served_model_name": "m",
        "model": str(tmp_path / "m"),
        "chat_template": "chat.jinja",
        "tokenizer": str(tmp_path / "m"),
        "dtype": "float16",
    }
    assert served.folder == str(tmp_path), "where the server finds chat.jinja"
    assert hub.asked == []


def test_a_folder_that_a_node_lacks_lets_no_other_folder_pass_for_the_model(hub: Hub, tmp_path: Path) -> None:
    away = tmp_path / "away"
    assert model(away).folder == tmp_path.anchor
    assert model(away, download=True).options()["revision"] == f"{COMMIT}1"
    text = model(away, chat_template="{% if x %}\0" * 999)
    assert text.options()["chat_template"] == "{% if x %}\0" * 999
