"""Each SDK in its own words, unmodified: a real call on a real connection, left at least once, on each of two rungs.

`tox run -e sdks` runs them. With RIGHTSIZE_SDKS=some those of missing SDKs are skipped; with RIGHTSIZE_SDKS=write the
table of docs/sdks.md is written anew.
"""

import importlib.util
import os
import re
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

from tests.served.sdks.rungs import RUNGS
from tests.served.sdks.sessions import Ran, run_suite
from tests.served.sdks.table import SUITES, Suite, cells_of, functions_in, name_of, with_table, written

PAGE = Path(__file__).parents[3] / "docs" / "sdks.md"
MODE = os.environ.get("RIGHTSIZE_SDKS", "")
pytestmark = pytest.mark.skipif(not MODE, reason="`tox run -e sdks` runs the SDKs; or set RIGHTSIZE_SDKS=required")
CASES = [(suite, function) for suite in SUITES for function in functions_in(suite)]


@pytest.fixture(scope="module")
def sessions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Ran]]:
    """The sessions that were run, by suite; the table is printed when all are through."""
    ran: dict[str, Ran] = {}
    yield ran
    table = written([_row(suite, ran[suite.name]) for suite in SUITES if suite.name in ran])
    print(f"\n{table}\n")  # noqa: T201  # it is what the environment is for
    if MODE == "write" and len(ran) == len(SUITES):
        PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8"), table), encoding="utf-8")


def _row(suite: Suite, ran: Ran) -> tuple[str, str, dict[str, str]]:
    functions = functions_in(suite)
    name = name_of(suite, None if suite.package is None else version(suite.package))
    failed = [function for function in functions if _what_is_wrong(ran, function)]
    return name, suite.by, cells_of(functions, failed)


def _what_is_wrong(ran: Ran, function: str) -> str | None:
    """Why a test does not count as served; None where it does."""
    trials, starts = ran.of(function), ran.starts_of(function)
    if {trial["rung"] for trial in trials} != set(RUNGS):
        return "it did not run on both rungs"
    if function.startswith("test_refused"):
        wrong = [trial for trial in trials if (trial["outcome"], trial["reason"]) != ("error", "unserved")]
        notes = re.findall(rf"^{function} ", ran.refused, re.MULTILINE)
        return f"it is no error that says so: {wrong}" if wrong or len(notes) < len(trials) else None
    if bad := [f"{trial['rung']}: {trial['detail']}" for trial in trials if trial["outcome"] != "passed"]:
        return "\n".join(bad)
    return None if min(starts) >= 2 else f"it was never left: it started {starts} times"


def _ran(suite: Suite, sessions: dict[str, Ran], folders: pytest.TempPathFactory) -> Ran:
    if suite.name not in sessions:
        sessions[suite.name] = run_suite(suite, folders.mktemp(suite.name))
    return sessions[suite.name]


def _missing(suite: Suite) -> str | None:
    try:
        if suite.package is not None:
            version(suite.package)
    except PackageNotFoundError:
        return suite.package
    return next((name for name in suite.needs if importlib.util.find_spec(name) is None), None)


@pytest.mark.parametrize(
    ("suite", "function"), CASES, ids=[f"{suite.name}-{function.removeprefix('test_')}" for suite, function in CASES]
)
def test_an_sdk_is_served(
    suite: Suite, function: str, sessions: dict[str, Ran], tmp_path_factory: pytest.TempPathFactory
) -> None:
    missing = _missing(suite)
    if missing is not None:
        assert MODE == "some", f"{missing} is not installed: `tox run -e sdks` installs it"
        pytest.skip(f"{missing} is not installed")
    ran = _ran(suite, sessions, tmp_path_factory)
    wrong = _what_is_wrong(ran, function)
    assert wrong is None, f"{wrong}\n{ran.output}"
