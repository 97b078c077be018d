"""A small session loads no more than it needs: heavy libraries cost it more than its tests."""

import pytest

from tests.conftest import record

_REPORT = """
    import sys

    def pytest_unconfigure(config):
        loaded = [name for name in {names} if name in sys.modules]
        ours = [name for name in sys.modules if name.startswith("pytest_rightsize.session.")]
        rewritten = [name for name in ours if "Rewriting" in type(sys.modules[name].__loader__).__name__]
        print("LOADED", loaded, "OURS", bool(ours), "REWRITTEN", rewritten)
    """
_HEAVY = (
    *("scipy", "numpy", "aiohttp", "openai", "jinja2", "jsonschema", "rapidfuzz", "pynvml", "llama_cpp"),
    *("huggingface_hub", "yaml", "pytest_rightsize.meters.attribution.counted"),
    # What this session does not use of ours.
    *("pytest_rightsize.providers.llama_cpp", "pytest_rightsize.providers.openai", "pytest_rightsize.meters.nvml"),
    *("pytest_rightsize.reports.html", "pytest_rightsize.session.playing"),
    *("pytest_rightsize.judging.baseline", "pytest_rightsize.judging.fleet", "pytest_rightsize.results.lockfile"),
)


# What loads such libraries itself.
_OTHER_PLUGINS = (
    *("randomly", "allure_pytest", "benchmark", "dependency", "flaky"),
    *("pytest-bdd", "pytest-retry", "recording", "hypothesispytest"),
)


@pytest.mark.parametrize("answer", ["X", "wrong"])
def test_a_session_of_one_test_loads_no_heavy_library(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    """Whether its answer is right or wrong; the plugin is loaded by its entry point, as pytest rewrites those."""
    monkeypatch.delenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD")
    monkeypatch.delenv("PYTEST_PLUGINS")
    monkeypatch.setenv("PYTEST_ADDOPTS", " ".join(f"-p no:{plugin}" for plugin in _OTHER_PLUGINS))
    record(pytester.path / "small.jsonl", {"x": answer})
    pytester.makefile(".toml", rightsize='[ladder.small]\nprovider = "replay"\nfile = "small.jsonl"\n')
    pytester.makeconftest(_REPORT.format(names=_HEAVY))
    pytester.makepyfile("def test_upper(model):\n    assert model.ask('x') == 'X'\n")
    result = pytester.runpytest_subprocess(
        "--rightsize-ladder=small", "--rightsize-gate=none", "--rightsize-results=run.jsonl", "-s"
    )
    assert result.ret == 0
    result.stdout.fnmatch_lines(["LOADED [[]] OURS True REWRITTEN [[]]"])
