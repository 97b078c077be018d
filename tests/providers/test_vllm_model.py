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
    (tmp_path / "m" / "more" / "loop").symlink_to(tmp_path / "m", target_is_directory=True)
    (tmp_path / "m" / ".cache").mkdir()
    (tmp_path / "m" / ".cache" / "when").write_text("it was downloaded")
    for name in ("m/b.safetensors", "m/a.json", "m/more/c", "chat.jinja", "float16"):
        (tmp_path / name).write_text(name)
    served = model(tmp_path, "m", chat_template="chat.jinja", tokenizer="m", dtype="float16")
    assert served.content(lambda path: path.read_text()) == {
        "files": {"a.json": "m/a.json", "b.safetensors": "m/b.safetensors", "more/c": "m/more/c"},
        "options": {
            "chat_template": {"chat.jinja": "chat.jinja"},
            "tokenizer": {"a.json": "m/a.json", "b.safetensors": "m/b.safetensors", "more/c": "m/more/c"},
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


def test_an_adapter_and_a_draft_model_beside_the_ladder_file_are_known_by_their_content(
    hub: Hub, tmp_path: Path
) -> None:
    for folder in ("m", "sql", "draft", "speech"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "w").write_text(folder)
    served = model(
        tmp_path,
        "m",
        lora_modules="sql-lora=sql",
        default_mm_loras={"audio": "speech"},
        speculative_config={"model": "draft", "method": "eagle", "num_speculative_tokens": 3},
    )

    def options() -> Any:
        return served.content(lambda path: path.read_text())["options"]

    assert options() == {
        "lora_modules": {"name": "sql-lora", "path": {"w": "sql"}},
        "default_mm_loras": {"audio": {"w": "speech"}},
        "speculative_config": {"model": {"w": "draft"}, "method": "eagle", "num_speculative_tokens": 3},
    }
    given = served.options()
    assert given["lora_modules"] == {"name": "sql-lora", "path": str(tmp_path / "sql")}
    assert given["enable_lora"] is True
    assert given["default_mm_loras"] == {"audio": str(tmp_path / "speech")}
    assert given["speculative_config"] == {
        "method": "eagle",
        "num_speculative_tokens": 3,
        "model": str(tmp_path / "draft"),
    }
    assert served.name == "sql-lora", "the model without its adapter would answer"
    before = options()
    for folder in ("sql", "draft", "speech"):
        (tmp_path / folder / "w").write_text("another one")
    changed = options()
    assert [name for name in before if before[name] == changed[name]] == []
    assert hub.asked == []


@pytest.mark.parametrize("download", [False, True])
def test_an_adapter_and_a_draft_model_of_the_hub_are_served_at_one_commit(
    hub: Hub, tmp_path: Path, download: bool
) -> None:
    (tmp_path / "m").mkdir()
    adapter = {"name": "sql", "path": "org/sql", "revision": "v1", "base_model_name": "m"}
    draft = {"model": "org/draft", "revision": "v2", "num_speculative_tokens": 3}
    served = model(tmp_path, "m", lora_modules=[adapter], speculative_config=draft, download=download)
    assert served.content(str)["options"] == {
        "lora_modules": {
            "name": "sql",
            "base_model_name": "m",
            "path": {"name": "org/sql", "commit": f"{COMMIT}1"},
        },
        "speculative_config": {"num_speculative_tokens": 3, "model": {"name": "org/draft", "commit": f"{COMMIT}2"}},
    }
    options = served.options()
    folder = f"/cache/models--org/sql/snapshots/{COMMIT}1"
    assert options["lora_modules"] == {"name": "sql", "base_model_name": "m", "path": folder}
    assert options["speculative_config"] == {"num_speculative_tokens": 3} | (
        {"model": "org/draft", "revision": f"{COMMIT}2"}
        if download
        else {"model": f"/cache/models--org/draft/snapshots/{COMMIT}2"}
    )
    assert [(asked["revision"], asked["allow_patterns"]) for asked in hub.asked] == [
        ("v1", None),
        ("v2", ["config.json"]),
    ]
    assert [asked["local_files_only"] for asked in hub.asked] == [not download, not download]


def test_drafting_from_the_text_needs_no_model(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    config = {"method": "ngram", "num_speculative_tokens": 3}
    served = model(tmp_path, "m", speculative_config=config)
    assert served.content(str)["options"] == {"speculative_config": config}
    assert served.options()["speculative_config"] == config
    assert served.name == "m"
    assert hub.asked == []


@pytest.mark.parametrize("option", ["lora_modules", "speculative_config"])
def test_a_missing_adapter_or_draft_model_says_how_to_get_it(hub: Hub, tmp_path: Path, option: str) -> None:
    (tmp_path / "m").mkdir()
    served = model(
        tmp_path,
        "m",
        **{
            option: {"name": "a", "path": "nobody/none", "model": "nobody/none"}
            if option == "speculative_config"
            else "a=nobody/none"
        },
    )
    for ask in (served.options, lambda: served.content(str)):
        with pytest.raises(RungError, match="run with --rightsize-download, or run `hf download nobody/none` there"):
            ask()
    served = model(tmp_path, "m", lora_modules="a=nobody/none", download=True)
    with pytest.raises(RungError, match=r"correct lora_modules\.path"):
        served.options()


@pytest.mark.parametrize("option", ["generation_config", "hf_config_path"])
def test_a_configuration_that_is_no_folder_here_is_refused(hub: Hub, tmp_path: Path, option: str) -> None:
    """The server would fetch it at whatever commit the hub has then."""
    (tmp_path / "m").mkdir()
    for ask in (ServedModel.options, lambda served: served.content(str)):
        with pytest.raises(RungError, match=f"{option} = 'org/config' is no folder below .*Copy it there, or leave"):
            ask(model(tmp_path, "m", **{option: "org/config"}))
    assert model(tmp_path, "m", **{option: "m"}).options()[option] == "m"
    assert hub.asked == []


def test_the_usual_words_for_a_generation_config_are_no_files(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    for word in ("auto", "vllm"):
        assert model(tmp_path, "m", generation_config=word).content(str)["options"] == {"generation_config": word}
    assert hub.asked == []


def test_code_of_another_repository_needs_its_commit(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    config = '{"auto_map": {"AutoModel": "modeling.Own", "AutoTokenizer": ["org/code--tokens.Fast", null]}}'
    (tmp_path / "m" / "config.json").write_text(config)
    with pytest.raises(RungError, match="its code is in another repository, org/code, which may change: give code_rev"):
        model(tmp_path, "m", trust_remote_code=True, code_revision="main").content(str)
    assert model(tmp_path, "m").options()["model"] == str(tmp_path / "m")
    pinned = model(tmp_path, "m", trust_remote_code=True, code_revision="0123456789" * 4)
    assert pinned.content(str)["options"]["code_revision"] == "0123456789" * 4
    assert hub.asked == []
