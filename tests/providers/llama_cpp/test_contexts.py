"""A session up the contexts of one local model: what does not fit is the rung's failure, and the next one is asked."""

import importlib.util
import shutil
from pathlib import Path

import pytest

from pytest_rightsize.results.results_file import read_run

MODEL = Path(__file__).parents[3] / "example_suite" / "models" / "160k.gguf"
pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("llama_cpp") is None,
    reason="llama-cpp-python is not installed: pip install 'pytest-rightsize[local]'",
)
LADDER = """
[ladder.m]
provider = "llama_cpp"
model = "m.gguf"
contexts = [512, 16, 40]
"""
SUITE = """
import pytest

@pytest.mark.rightsize(task="date", chosen="m-ctx40")
@pytest.mark.parametrize("day", range(10, 12))
def test_date(model, day):
    assert model.ask(f"ISO date: {day} March 2024", max_tokens=12) == f"2024-03-{day}"
"""


def test_a_prompt_that_does_not_fit_is_the_failure_of_its_context(pytester: pytest.Pytester) -> None:
    shutil.copy(MODEL, pytester.path / "m.gguf")
    pytester.makefile(".toml", rightsize=LADDER)
    pytester.makepyfile(test_suite=SUITE)
    result = pytester.runpytest("--rightsize-ladder=m", "--rightsize-cache=off", "--rightsize-results=run.jsonl")
    assert result.ret == pytest.ExitCode.OK
    run = read_run(pytester.path / "run.jsonl")
    assert [rung.name for rung in run.rungs] == ["m-ctx16", "m-ctx40", "m-ctx512"]
    assert {(trial.key.rung, trial.outcome, trial.reason) for trial in run.trials} == {
        ("m-ctx16", "failed", "too_long"),
        ("m-ctx40", "passed", None),
        ("m-ctx512", "not_run", "settled"),
    }
    result.stdout.fnmatch_lines(
        [
            "rightsize: ladder m-ctx16 < m-ctx40 < m-ctx512; *",
            "  m-ctx16: test_suite.py::test_date* (too_long)",
            "*the prompt is * tokens and the context holds 16, the answer included; *set a larger n_ctx*",
            "date * 0/2 * 2/2[*] * - * m-ctx40 * m-ctx40 * right-sized",
        ]
    )
