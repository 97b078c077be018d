"""A small session loads no more than it needs: heavy libraries cost it more than its tests."""

import pytest

from tests.conftest import record
from tests.providers.openai.endpoint import Answering, completion, serve

_REPORT = """
    import sys

    def pytest_unconfigure(config):
        loaded = [name for name in {names} if name in sys.modules]
        rooms = ("session.", "running.", "providers.", "judging.", "results.")
        ours = [name for name in sys.modules if name.startswith(tuple(f"pytest_rightsize.{{room}}" for room in rooms))]
        rewritten = [name for name in ours if "Rewriting" in type(sys.modules[name].__loader__).__name__]
        print("LOADED", loaded, "OURS", bool(ours), "REWRITTEN", rewritten)
        if "aiohttp" in sys.modules:
            from aiohttp.connector import _SSL_CONTEXT_UNVERIFIED, _SSL_CONTEXT_VERIFIED
            print("CONTEXTS", {{type(one).__module__ for one in (_SSL_CONTEXT_UNVERIFIED, _SSL_CONTEXT_VERIFIED)}})
    """
_HEAVY = (
    *("scipy", "numpy", "aiohttp", "openai", "jinja2", "jsonschema", "rapidfuzz", "pynvml", "llama_cpp"),
    *("huggingface_hub", "yaml", "pytest_rightsize.meters.attribution.counted"),
    # What this session does not use of ours.
    *("pytest_rightsize.providers.llama_cpp", "pytest_rightsize.providers.openai", "pytest_rightsize.meters.nvml"),
    *("pytest_rightsize.reports.html", "pytest_rightsize.session.playing"),
    *("pytest_rightsize.judging.baseline", "pytest_rightsize.judging.fleet", "pytest_rightsize.results.lockfile"),
)


# What an endpoint needs for some requests only.
_ONLY_HTTP = ("pytest_rightsize.providers.replay", "pytest_rightsize.providers.openai.transcriptions")


# What loads such libraries itself.
_OTHER_PLUGINS = (
    *("randomly", "allure_pytest", "benchmark", "dependency", "flaky"),
    *("pytest-bdd", "pytest-retry", "recording", "hypothesispytest"),
)


def test_a_small_session_loads_no_heavy_library(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether an answer is right or wrong; the plugin is loaded by its entry point, as pytest rewrites those."""
    monkeypatch.delenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD")
    monkeypatch.delenv("PYTEST_PLUGINS")
    monkeypatch.setenv("PYTEST_ADDOPTS", " ".join(f"-p no:{plugin}" for plugin in _OTHER_PLUGINS))
    record(pytester.path / "small.jsonl", {"x": "X", "y": "wrong"})
    pytester.makefile(".toml", rightsize='[ladder.small]\nprovider = "replay"\nfile = "small.jsonl"\n')
    pytester.makeconftest(_REPORT.format(names=_HEAVY))
    pytester.makepyfile(
        """
        def test_right(model):
            assert model.ask("x") == "X"

        def test_wrong(model):
            assert model.ask("y") == "Y"
        """
    )
    result = pytester.runpytest_subprocess(
        "--rightsize-ladder=small", "--rightsize-gate=none", "--rightsize-results=run.jsonl", "-s"
    )
    assert result.ret == 0
    result.stdout.fnmatch_lines(["LOADED [[]] OURS True REWRITTEN [[]]"])


def test_a_session_of_one_endpoint_test_loads_little_more(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its client without certificates, as its endpoint has none; and nothing of other providers, meters or reports."""
    monkeypatch.delenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD")
    monkeypatch.delenv("PYTEST_PLUGINS")
    monkeypatch.setenv("PYTEST_ADDOPTS", " ".join(f"-p no:{plugin}" for plugin in _OTHER_PLUGINS))
    # It is on this machine, so that meters are tried.
    needed = {"aiohttp", "pytest_rightsize.providers.openai", "pytest_rightsize.meters.nvml"}
    pytester.makeconftest(_REPORT.format(names=(*(name for name in _HEAVY if name not in needed), *_ONLY_HTTP)))
    pytester.makepyfile("def test_upper(model):\n    assert model.ask('x') == 'X'\n")
    with serve(lambda _: Answering(body=completion("X"))) as endpoint:
        ladder = f'[ladder.small]\nprovider = "openai"\nbase_url = "{endpoint.url}"\nmodel = "m"\n'
        pytester.makefile(".toml", rightsize=ladder)
        result = pytester.runpytest_subprocess("--rightsize-ladder=small", "--rightsize-gate=none", "-s")
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        ["LOADED [[]] OURS True REWRITTEN [[]]", "CONTEXTS {'pytest_rightsize.providers.late_certificates'}"]
    )
