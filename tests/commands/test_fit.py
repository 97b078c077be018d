"""`rightsize fit`: what fits into so much memory, from the shapes of models, and from the header of a file."""

import json
from pathlib import Path

import pytest

from pytest_rightsize.commands.__main__ import main
from pytest_rightsize.commands._plugins import classes
from pytest_rightsize.config.catalogue import CATALOGUE
from pytest_rightsize.config.ladder import parse_ladder, select_rungs
from pytest_rightsize.config.model_sizes import BITS, KNOWN_MODELS, download_words, need, suggested

MODELS = Path(__file__).parents[2] / "example_suite" / "models"
SHAPES = {shape.name: shape for shape in KNOWN_MODELS}


def fit(capsys: pytest.CaptureFixture[str], *arguments: str, status: int = 0) -> str:
    assert main(["fit", *arguments]) == status
    printed = capsys.readouterr()
    return printed.err or printed.out


@pytest.mark.parametrize(
    ("name", "quant", "file_gb"),
    # Sizes of published files.
    [
        ("qwen3-8b", "Q4_K_M", 5.03),
        ("qwen3-8b", "Q8_0", 8.71),
        ("llama-3.1-8b", "Q4_K_M", 4.92),
        ("llama-3.1-8b", "Q6_K", 6.60),
        ("qwen3-30b-a3b", "Q4_K_M", 18.6),
        ("qwen3-32b", "Q4_K_M", 19.8),
        ("gemma-3-12b", "Q4_K_M", 7.30),
    ],
)
def test_weights_are_those_of_published_files_within_a_tenth(name: str, quant: str, file_gb: float) -> None:
    weights = need(SHAPES[name], quant, context=4096, parallel=1).weights / 1e9
    assert weights == pytest.approx(file_gb, rel=0.1)


def test_the_cache_of_one_context_is_that_of_all_its_tokens() -> None:
    # 36 layers, 8 heads of 128 values, keys and values of 2 bytes: 147,456 bytes a token.
    assert need(SHAPES["qwen3-8b"], "F16", context=1000, parallel=1).cache == 147_456_000
    shared = need(SHAPES["qwen3-8b"], "F16", context=1000, parallel=16).cache
    assert 2**30 - 147_456 < shared <= 2**30
    assert need(SHAPES["qwen3-8b"], "F16", context=100_000, parallel=4).cache == 14_745_600_000


@pytest.mark.parametrize(
    ("gigabytes", "names"),
    [
        (1, []),
        (4, ["gemma-3-1b"]),
        (16, ["gemma-3-1b", "qwen3-4b", "qwen3-14b"]),
        (24, ["gemma-3-1b", "qwen3-4b", "qwen3-30b-a3b"]),
        (80, ["gemma-3-1b", "qwen3-4b", "llama-3.3-70b"]),
    ],
)
def test_a_ladder_is_proposed_that_fits(gigabytes: int, names: list[str]) -> None:
    assert [shape.name for shape in suggested(int(gigabytes * 1e9))] == names


def test_the_proposed_ladder_is_one(capsys: pytest.CaptureFixture[str]) -> None:
    import tomllib

    text = fit(capsys, "--memory", "24")
    plain = tomllib.loads(text[text.index("[ladder.") :])
    ladder = parse_ladder(plain, classes()[0], where="x", base_dir=Path())
    assert [rung.name for rung in select_rungs(ladder, [*ladder.rungs])] == ["1b", "4b", "30b"]


def test_what_does_not_fit_is_shown_as_such(capsys: pytest.CaptureFixture[str]) -> None:
    lines = [line.split() for line in fit(capsys, "--memory", "8").splitlines()]
    assert lines[0][:3] == ["8", "GB", "of"]
    table = {line[0]: line[2:] for line in lines if line and line[0] in SHAPES}
    assert table.keys() == SHAPES.keys()
    assert table["qwen3-32b"] == ["-"] * len(BITS)
    assert table["qwen3-8b"][0] == "6.6"
    assert "none of them fits" in fit(capsys, "--memory", "1")


def test_a_file_is_told_from_its_header(capsys: pytest.CaptureFixture[str]) -> None:
    path = MODELS / "60k.gguf"
    plain = json.loads(fit(capsys, "--model", str(path), "--memory", "8", "--json"))
    assert plain["weights_bytes"] == path.stat().st_size
    assert plain["cache_bytes"] == 4 * 4096 * (plain["cache_bytes"] // (4 * 4096))
    assert plain["fits"] is True
    assert "does not fit" in fit(capsys, "--model", str(path), "--memory", "0.1", status=1)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--memory", "-3"], "--memory was given -3: give a number above 0"),
        (
            ["--model", "nothing.gguf"],
            "--model nothing.gguf cannot be read: No such file or directory: name a GGUF file",
        ),
        (["--model", __file__], "is not a GGUF file (it does not begin with the letters GGUF): name a GGUF file"),
    ],
)
def test_what_cannot_be_is_told(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert words in fit(capsys, *arguments, status=2)


def test_a_model_that_is_not_here_is_told_with_its_size() -> None:
    assert {name: download_words(rung) for name, rung in CATALOGUE.items()} == {
        "1b": " (about 0.6 GB)",
        "4b": " (about 2.6 GB)",
        "30b": " (about 18.7 GB)",
        "frontier": "",
    }
