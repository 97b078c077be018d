"""A number that is none, or far too large, is refused where it is given: in one sentence, before anything is asked."""

from pathlib import Path
from typing import Any

import pytest

from pytest_rightsize.answers import Transcript
from pytest_rightsize.config.ladder import parse_ladder
from pytest_rightsize.errors import ConfigError
from pytest_rightsize.model import Model
from pytest_rightsize.providers.llama_cpp.provider import LlamaCpp
from pytest_rightsize.providers.openai.provider import OpenAI
from pytest_rightsize.records import Reply, Rung

RUNG = {"provider": "openai", "model": "m"}


def ladder(**rung: object) -> dict[str, object]:
    return {"ladder": {"a": {**RUNG, **rung}}}


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")], ids=str)
@pytest.mark.parametrize(
    "plain",
    [
        lambda n: ladder(temperature=n),
        lambda n: ladder(timeout_s=n),
        lambda n: ladder(params_b=n),
        lambda n: ladder(price={"prompt": n, "completion": 1}),
        lambda n: ladder(extra_body={"top_k": [1, {"deep": n}]}),
        lambda n: {**ladder(), "electricity_usd_per_kwh": n},
        lambda n: {**ladder(), "tasks": {"t": {"pass_rate": n}}},
        lambda n: {**ladder(), "tasks": {"t": {"confidence": n}}},
    ],
    ids=("temperature", "timeout", "params", "price", "nested", "electricity", "pass_rate", "confidence"),
)
def test_a_ladder_file_has_no_number_that_is_none(plain: object, number: float) -> None:
    with pytest.raises(ConfigError, match="cannot be"):
        parse_ladder(plain(number), {"openai": OpenAI}, where="f.toml", base_dir=Path())  # type: ignore[operator]


@pytest.mark.parametrize(
    ("plain", "words"),
    [
        (ladder(retries=10**9), "retries = 1e+09 cannot be: give a number of 1,000 at most"),
        (ladder(timeout_s=1e300), "timeout_s = 1e+300 cannot be: give a number of 31,536,000 at most"),
        (ladder(max_in_flight=10**6), "max_in_flight = 1e+06 cannot be: give a number of 100,000 at most"),
        (ladder(params_b=1e12), "params_b = 1e+12 cannot be: give a number of 1,000,000 at most"),
        (
            {**ladder(), "tasks": {"t": {"samples": 10**9}}},
            "samples = 1e+09 cannot be: give a number of 10,000 at most",
        ),
    ],
)
def test_a_count_has_a_bound(plain: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError) as told:
        parse_ladder(plain, {"openai": OpenAI}, where="f.toml", base_dir=Path())
    assert words in str(told.value)


@pytest.mark.parametrize("key", ["download_timeout_s", "n_batch", "n_ctx", "n_gpu_layers", "n_threads"])
def test_a_count_of_a_local_model_has_a_bound(key: str) -> None:
    plain = {"ladder": {"a": {"provider": "llama_cpp", "model": "m.gguf", key: 10**15}}}
    with pytest.raises(ConfigError, match=f"{key} = 1e\\+15 cannot be: give a number of"):
        parse_ladder(plain, {"llama_cpp": LlamaCpp}, where="f.toml", base_dir=Path())


@pytest.mark.parametrize("name", ["a\nb", "\x1b[2J", "a\u202eb"], ids=ascii)
@pytest.mark.parametrize("table", ["ladder", "tasks"])
def test_a_name_that_breaks_a_line_is_refused(name: str, table: str) -> None:
    with pytest.raises(ConfigError, match="a name cannot hold control characters"):
        parse_ladder({table: {name: {}}}, {"openai": OpenAI}, where="f.toml", base_dir=Path())


@pytest.mark.parametrize(
    ("option", "words"),
    [
        (
            "--rightsize-samples=1000000000",
            "--rightsize-samples was given '1000000000': give a whole number, 1 to 10,000",
        ),
        (f"--rightsize-samples={'9' * 6000}", "give a whole number, 1 to 10,000"),
        ("--rightsize-concurrency=1000000", "give a whole number, 1 to 100,000"),
        ("--rightsize-pass-rate=nan", "give a number from 0 to 1"),
        ("--rightsize-confidence=nan", "give a number between 0.5 and 1"),
        ("--rightsize-energy-budget=inf", "give seconds"),
        ("--rightsize-budget=usd:nan", "give each unit once, and an amount above 0"),
    ],
    ids=lambda value: value[:30],
)
def test_an_option_is_refused_in_one_sentence(pytester: pytest.Pytester, option: str, words: str) -> None:
    result = pytester.runpytest(option)

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: *{words}*"])


def test_a_seed_may_be_large() -> None:
    read = parse_ladder(ladder(seed=2**62), {"openai": OpenAI}, where="f.toml", base_dir=Path())

    assert read.rungs["a"].seed == 2**62


def test_a_marker_is_refused(pytester: pytest.Pytester) -> None:
    pytester.makefile(".toml", rightsize='[ladder.a]\nprovider = "replay"\nfile = "answers.jsonl"\n')
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.rightsize(samples=10**9)
        def test_it(model):
            model.ask("x")
        """
    )

    result = pytester.runpytest("--rightsize-ladder=a")

    result.stdout.fnmatch_lines(["*samples=1000000000: give a whole number, 1 to 10,000*"])


@pytest.mark.parametrize("name", ["temperature", "top_p", "frequency_penalty"])
def test_a_question_has_no_number_that_is_none(name: str) -> None:
    asked: list[object] = []

    def answer(request: object) -> Reply:
        asked.append(request)
        return Reply(text="y")

    model = Model(rung_record=Rung(name="a", provider="p"), answer=answer, transcript=Transcript())
    arguments: dict[str, Any] = {name: float("nan")}
    with pytest.raises(ValueError, match=f"{name}=nan: give a number"):
        model.ask("x", **arguments)
    assert not asked
