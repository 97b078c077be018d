"""Who the rungs were: in the results file whether or not answers are recorded, and from workers too."""

import hashlib
from typing import Any, cast

import pytest

from pytest_rightsize.providers import Provider
from pytest_rightsize.recorded.fingerprints import fingerprints_of
from pytest_rightsize.records import Identity
from pytest_rightsize.results.results_file import read_run

CONFTEST = """
    from concurrent.futures import Future
    from pathlib import Path
    from pytest_rightsize.errors import RungError
    from pytest_rightsize.providers import Identity
    from pytest_rightsize.records import Reply

    class FromFile:
        options = {"file": str}
        required = ("file",)
        leaves_machine = False

        def __init__(self, rung):
            self.path = Path(rung.options["file"])

        def check(self):
            return None

        def identity(self, sha256):
            if not self.path.exists():
                raise RungError("the file is gone", reason="missing", permanent=True)
            return Identity(content={"provider": "from_file", "sha256": [sha256(self.path)]})

        def submit(self, request):
            future = Future()
            future.set_result(Reply(text=request.messages[-1]["content"].upper()))
            return future

        def close(self):
            pass

    def pytest_rightsize_providers():
        return {"from_file": FromFile}
"""
LADDER = """
    [ladder.one]
    provider = "from_file"
    file = "one.bin"
    [ladder.two]
    provider = "from_file"
    file = "two.bin"
"""
OPTIONS = ("--rightsize-ladder=one,two", "--rightsize-results=run.jsonl", "--rightsize-gate=none")


@pytest.fixture
def hashed(suite: pytest.Pytester) -> pytest.Pytester:
    suite.makeconftest(CONFTEST)
    suite.makefile(".toml", rightsize=LADDER)
    source = (suite.path / "test_suite.py").read_text(encoding="utf-8")
    (suite.path / "test_suite.py").write_text(source.replace(', chosen="big"', ""), encoding="utf-8")
    (suite.path / "one.bin").write_bytes(b"one")
    return suite


@pytest.mark.parametrize("options", [(), ("--rightsize-cache=off",), ("-n2",), ("-n2", "--rightsize-cache=off")])
def test_a_rung_that_answered_is_known_by_its_hash(hashed: pytest.Pytester, options: tuple[str, ...]) -> None:
    hashed.runpytest(*OPTIONS, *options).assert_outcomes(passed=3)
    content = {"provider": "from_file", "sha256": [hashlib.sha256(b"one").hexdigest()]}
    assert read_run(hashed.path / "run.jsonl").about["identities"] == {"one": content}


def test_a_file_that_is_gone_at_the_end_is_left_out(hashed: pytest.Pytester) -> None:
    hashed.makepyfile(test_zzz="import os\ndef test_zzz():\n    os.unlink('one.bin')\n")
    hashed.runpytest_inprocess(*OPTIONS, "--rightsize-cache=off", "--rightsize-concurrency=1")
    assert read_run(hashed.path / "run.jsonl").about["identities"] == {}


class OpenedFirst:
    """A provider whose model says what it is where it runs."""

    opens_to_identify = True

    def identity(self, sha256: Any) -> Identity:
        return Identity(content={"model": "m"})


def test_a_provider_that_cannot_tell_has_no_fingerprint() -> None:
    """Whatever a third party's raises: the session has its verdicts by then."""

    class Broken:
        def identity(self, sha256: Any) -> Identity:
            raise KeyError("model")

    providers = cast(dict[str, Provider], {"a": Broken(), "b": object()})
    assert fingerprints_of(["a", "b"], providers, known={}) == {}


@pytest.mark.parametrize(("are_open", "known"), [(False, {}), (True, {"a": {"model": "m"}})])
def test_a_model_is_not_loaded_for_its_fingerprint_unless_it_is_open(are_open: bool, known: dict[str, Any]) -> None:
    providers = cast(dict[str, Provider], {"a": OpenedFirst()})
    assert fingerprints_of(["a", "b"], providers, known={}, are_open=are_open) == known
