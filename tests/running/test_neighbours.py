"""Beside other plugins a test is the same as one at a time: it is not started again where somebody would notice."""

import json
import re

import pytest

from pytest_rightsize.records import Trial
from pytest_rightsize.results.results_file import read_run
from pytest_rightsize.running.neighbours import HARMLESS, WAITING
from tests.running.test_first_start import PLAIN
from tests.running.test_suspension import NOTE, PROVIDER, asked, gated, most, starts

__all__ = ["gated"]

SUITE = """
    import pytest
    @pytest.mark.parametrize("word", ["a", "b", "c", "d"])
    def test_it(model, word):
        assert model.ask(word) == word.upper() and word != "b"
    def test_plain():
        pass
"""
# Each notices more than the last start of a test, or tells a later test what became of an earlier one.
NOTICE = {
    "an outcome of every start": """
        @pytest.hookimpl(hookwrapper=True)
        def pytest_runtest_makereport(item, call):
            outcome = yield
            note(f"{item.name} {call.when} {outcome.get_result().outcome}")
        """,
    "the call of every start": """
        @pytest.hookimpl(wrapper=True)
        def pytest_pyfunc_call(pyfuncitem):
            try:
                return (yield)
            finally:
                note(f"called {pyfuncitem.name}")
        """,
    "it calls the function itself": """
        def pytest_pyfunc_call(pyfuncitem):
            note(f"calls {pyfuncitem.name}")
        """,
    "an order of tests": """
        FAILED = []
        def pytest_runtest_setup(item):
            note(f"{item.name} after {FAILED}")
            if FAILED:
                pytest.skip("an earlier one failed")
        def pytest_runtest_logreport(report):
            if report.when == "call" and not report.passed:
                FAILED.append(report.nodeid.rpartition("::")[2])
        """,
}
INCREMENTAL = """
    # From pytest's documentation.
    from typing import Dict, Tuple
    _test_failed_incremental: Dict[str, Dict[Tuple[int, ...], str]] = {}

    def pytest_runtest_makereport(item, call):
        if "incremental" in item.keywords:
            if call.excinfo is not None:
                cls_name = str(item.cls)
                parametrize_index = (tuple(item.callspec.indices.values()) if hasattr(item, "callspec") else ())
                test_name = item.originalname or item.name
                _test_failed_incremental.setdefault(cls_name, {}).setdefault(parametrize_index, test_name)

    def pytest_runtest_setup(item):
        if "incremental" in item.keywords:
            cls_name = str(item.cls)
            if cls_name in _test_failed_incremental:
                parametrize_index = (tuple(item.callspec.indices.values()) if hasattr(item, "callspec") else ())
                test_name = _test_failed_incremental[cls_name].get(parametrize_index, None)
                if test_name is not None:
                    pytest.xfail(f"previous test failed ({test_name})")
"""


def with_conftest(gated: pytest.Pytester, hooks: str) -> None:
    with (gated.path / "conftest.py").open("a", encoding="utf-8") as file:
        file.write(dedented(NOTE) + dedented(hooks))


def at_once(gated: pytest.Pytester) -> None:
    """Have each question answered at once, where nobody counts how many are in flight together."""
    ladder = "".join(f'[ladder.{name}]\nprovider = "gate"\ntogether = 1\n' for name in ("gate", "gate2"))
    gated.makefile(".toml", rightsize=f'default = "gate"\n{ladder}')


def session(gated: pytest.Pytester, *options: str) -> tuple[pytest.RunResult, list[str], dict[str, tuple[object, ...]]]:
    """The result of a session on both rungs, what was noted in it, and its trials."""
    for name in ("log.txt", "asked.txt", "most.txt", "run.jsonl"):
        (gated.path / name).unlink(missing_ok=True)
    arguments = ("--rightsize-ladder=gate,gate2", "--rightsize-strategy=full", "--rightsize-results=run.jsonl")
    ladder = (gated.path / "rightsize.toml").read_text(encoding="utf-8")
    if "--rightsize-concurrency=1" in options:  # nobody else asks while one waits
        gated.makefile(".toml", rightsize=re.sub(r"together = \d+", "together = 1", ladder))
    result = gated.runpytest("-p", "no:pytest_asyncio.plugin", "--rightsize-gate=none", *arguments, *options)
    gated.makefile(".toml", rightsize=ladder)
    noted = starts(gated) if (gated.path / "log.txt").exists() else []
    lines = [json.loads(line) for line in (gated.path / "run.jsonl").read_text(encoding="utf-8").splitlines()]
    trials = read_run(gated.path / "run.jsonl").trials
    assert sum(line["kind"] == "trial" for line in lines) == len({trial.key for trial in trials})  # once each
    return result, noted, {of(trial): ending(trial) for trial in trials}


def of(trial: Trial) -> str:
    return f"{trial.key.case} {trial.key.rung}"


def ending(trial: Trial) -> tuple[object, ...]:
    return trial.outcome, trial.reason, len(trial.answers)


def same_as_one_at_a_time(gated: pytest.Pytester, *options: str) -> tuple[pytest.RunResult, list[str]]:
    """Run both ways, and compare all that can be told from outside."""
    one, noted_one, trials_one = session(gated, "--rightsize-concurrency=1", *options)
    many, noted, trials = session(gated, *options)
    assert many.ret == one.ret
    assert many.parseoutcomes() == one.parseoutcomes()
    assert noted == noted_one
    assert trials == trials_one
    return many, noted


def test_whoever_would_notice_a_dropped_start_sees_none(gated: pytest.Pytester) -> None:
    """A folder for each, as what stands in its conftest.py concerns its own tests."""
    at_once(gated)
    for number, hooks in enumerate(NOTICE.values()):
        folder = gated.mkdir(f"f{number}")
        folder.joinpath("conftest.py").write_text(dedented(NOTE) + dedented(hooks), encoding="utf-8")
        folder.joinpath(f"test_f{number}.py").write_text(dedented(SUITE), encoding="utf-8")
    result, noted = same_as_one_at_a_time(gated)
    assert len({line.split()[0] for line in noted}) > len(NOTICE)
    assert most(gated) == 1
    for number in range(len(NOTICE)):
        told = f"*8 tests wait for their answers one at a time: f{number}/conftest.py has the hook pytest_*"
        result.stdout.fnmatch_lines_random([told])


def test_a_hook_around_every_test_concerns_those_of_other_folders_too(gated: pytest.Pytester) -> None:
    at_once(gated)
    below = gated.mkdir("below")
    hook = "@pytest.hookimpl(hookwrapper=True)\ndef pytest_runtest_protocol(item):\n    note(item.name)\n    yield\n"
    below.joinpath("conftest.py").write_text(dedented(NOTE) + hook, encoding="utf-8")
    below.joinpath("test_below.py").write_text("def test_below(): pass", encoding="utf-8")
    gated.makepyfile(SUITE)
    result, noted = same_as_one_at_a_time(gated)
    assert len(noted) == 10
    result.stdout.fnmatch_lines(["*8 tests wait for their answers one at a time: below/conftest.py has*protocol*"])


def test_whoever_knows_the_hook_may_say_that_a_test_starts_again(gated: pytest.Pytester) -> None:
    with_conftest(gated, NOTICE["an outcome of every start"])
    gated.makepyfile("import pytest\npytestmark = pytest.mark.rightsize(concurrent=True)\n" + dedented(SUITE))
    result, _, _ = session(gated)
    assert most(gated) >= 4
    assert "one at a time" not in str(result.stdout)


def test_a_hook_to_which_it_makes_no_difference_costs_nothing(gated: pytest.Pytester) -> None:
    hooks = [
        "def pytest_runtest_setup(item): assert item",
        "def pytest_runtest_teardown(item): assert item",
        "def pytest_runtest_makereport(item, call): assert item",
        "def pytest_runtest_logreport(report): assert report",
        "def pytest_collection_modifyitems(items): items.reverse()",
    ]
    for number, hook in enumerate(hooks):
        folder = gated.mkdir(f"f{number}")
        folder.joinpath("conftest.py").write_text(hook, encoding="utf-8")
        folder.joinpath(f"test_f{number}.py").write_text("def test_it(model): assert model.ask('a')", encoding="utf-8")
    result, _, _ = session(gated)
    assert most(gated) >= 4
    assert "one at a time" not in str(result.stdout)


def test_the_incremental_recipe_of_pytests_documentation(gated: pytest.Pytester) -> None:
    at_once(gated)
    with_conftest(gated, INCREMENTAL)
    gated.makeini("[pytest]\nmarkers = incremental: steps\n")
    gated.makepyfile(
        """
        import pytest
        @pytest.mark.incremental
        class TestSteps:
            def test_login(self, model): assert model.ask("login") == "no"
            def test_change(self, model): assert model.ask("change") == "CHANGE"
            def test_delete(self, model): assert model.ask("delete") == "DELETE"
        """
    )
    result, _ = same_as_one_at_a_time(gated)
    assert result.parseoutcomes()["xfailed"] == 4


def test_a_test_with_a_known_marker_runs_when_no_other_is_in_flight(gated: pytest.Pytester) -> None:
    markers = sorted(name for rule in WAITING if not rule.plugin for name in rule.markers)
    marked = "".join(
        f"""
    @pytest.mark.{marker}
    def test_{marker}(model):
        note("begin {marker}")
        assert model.ask("marked") == "MARKED"
        note("end {marker}")

    @pytest.mark.parametrize("word", ["{marker}1", "{marker}2", "{marker}3", "{marker}4"])
    def test_after_{marker}(model, word):
        assert model.ask(word) == word.upper()
        note(word)
    """
        for marker in markers
    )
    gated.makepyfile(NOTE + marked)
    gated.makeini("[pytest]\nmarkers =\n" + "".join(f"    {marker}: known\n" for marker in markers))
    gated.runpytest("-p", "no:pytest_asyncio.plugin").assert_outcomes(passed=5 * len(markers))
    noted = starts(gated)
    for marker in markers:
        begin = noted.index(f"begin {marker}")
        assert noted[begin + 1] == f"end {marker}"
        assert sorted(noted[begin + 2 : begin + 6]) == [f"{marker}{number}" for number in range(1, 5)]
    assert most(gated) >= 4


def test_a_test_with_a_known_fixture_waits(gated: pytest.Pytester) -> None:
    at_once(gated)
    fixtures = sorted(name for rule in WAITING for name in rule.fixtures)
    tests = "".join(
        f"""
    @pytest.fixture
    def {fixture}():
        note("up {fixture}"); yield; note("down {fixture}")

    def test_{fixture}(model, {fixture}):
        assert model.ask("a") == "A"
    """
        for fixture in fixtures
    )
    gated.makepyfile(NOTE + tests)
    same_as_one_at_a_time(gated)
    assert starts(gated) == [f"{way} {fixture}" for fixture in fixtures for way in ("up", "down")] * 2


def test_a_plain_test_that_changes_the_network_runs_when_nothing_is_in_flight(gated: pytest.Pytester) -> None:
    gated.makepyfile(
        NOTE
        + """
    @pytest.mark.parametrize("word", ["a", "b", "c", "d"])
    def test_before(model, word):
        assert model.ask(word) == word.upper()
        note(word)

    @pytest.mark.vcr
    def test_plain():
        note("plain")
    """
    )
    # Without a ladder, as a ladder puts tests without a rung first.
    gated.runpytest("-p", "no:pytest_asyncio.plugin", "-o", "markers=vcr: known").assert_outcomes(passed=5)
    noted = starts(gated)
    assert noted[-1] == "plain"
    assert sorted(noted[:-1]) == list("abcd")


def test_a_property_asks_its_examples_once(gated: pytest.Pytester) -> None:
    at_once(gated)
    gated.makepyfile(
        NOTE
        + """
    from hypothesis import HealthCheck, Phase, given, settings, strategies as st

    unsuspicious = {"suppress_health_check": list(HealthCheck), "database": None, "derandomize": True}

    @settings(max_examples=5, phases=[Phase.generate, Phase.shrink], **unsuspicious)
    @given(number=st.integers(0, 1000))
    def test_fails(model, number):
        note(str(number))
        assert model.ask(f"number {number}") == "wrong"
    """
    )
    same_as_one_at_a_time(gated, "-p", "hypothesispytest")
    assert len(starts(gated)) == len(asked(gated))


def test_an_intercepted_network_is_asked_while_the_interception_lasts(gated: pytest.Pytester) -> None:
    """As under VCR.py's context manager in a test, or a fixture that nobody knows."""
    at_once(gated)
    gated.makepyfile(
        NOTE
        + """
    import socket

    @pytest.fixture
    def cassette(monkeypatch):
        monkeypatch.setattr(socket.socket, "connect", lambda *_: note("intercepted"))
        note("open"); yield; note("closed")

    @pytest.mark.parametrize("word", ["a", "b"])
    def test_it(model, cassette, word):
        assert model.ask(word) == word.upper()
    """
    )
    same_as_one_at_a_time(gated)
    assert starts(gated) == ["open", "closed"] * 4


def test_a_cassette_that_is_opened_in_the_test_stays_open_for_its_answer(gated: pytest.Pytester) -> None:
    at_once(gated)
    pytest.importorskip("aiohttp")
    gated.makepyfile(
        NOTE
        + """
    import aiohttp.client
    from unittest import mock

    @pytest.mark.rightsize(task="t")
    def test_it(model):
        with mock.patch.object(aiohttp.client.ClientSession, "_request"):
            answer = model.ask("a")
            note("answered within")
        assert answer == "A"
    """
    )
    session(gated)
    # The first start may be one that asks, and no more; it stays within as well.
    assert set(starts(gated)) == {"answered within"}
    assert most(gated) == 1


def test_items_that_cannot_be_set_aside_for_one_that_is_alone_do_not_stop_the_session(gated: pytest.Pytester) -> None:
    """The second file's fixture is up when the first one's answer comes, and its next test is to be alone."""
    gated.makepyfile(
        test_m1="def test_one(model): assert model.ask('one') == 'ONE'",
        test_m2=NOTE
        + """
    @pytest.fixture(scope="module", autouse=True)
    def own():
        note("up"); yield; note("down")

    def test_two(model): assert model.ask("two") == "TWO"

    @pytest.mark.vcr
    def test_three(model): assert model.ask("three") == "THREE"
    """,
    )
    result = gated.runpytest("-p", "no:pytest_asyncio.plugin", "-o", "markers=vcr: known")
    result.assert_outcomes(passed=3)
    assert starts(gated) == ["up", "down"]


def test_coverage_by_test_starts_every_test_as_pytest_does(gated: pytest.Pytester) -> None:
    """pytest-cov learns in its hooks which test runs; a start without them would count for another one."""
    gated.makeconftest(
        PROVIDER + "\ndef pytest_addoption(parser): parser.addoption('--cov-context', dest='cov_context')\n"
    )
    gated.makepyfile(PLAIN)
    session(gated, "--cov-context=test")
    assert set(starts(gated)) == {"whole"}
    session(gated)
    assert set(starts(gated)) == {"whole", "bare"}


def test_every_rule_has_a_reason_and_names_whom_it_means() -> None:
    for rule in WAITING:
        assert len(rule.reason.split()) >= 5
        assert rule.markers | rule.fixtures | rule.attributes | rule.options | rule.ini
    assert all(len(harmless.why.split()) >= 1 for harmless in HARMLESS.values())


def dedented(text: str) -> str:
    indent = min(len(line) - len(line.lstrip()) for line in text.splitlines() if line.strip())
    return "\n".join(line[indent:] for line in text.splitlines()) + "\n"
