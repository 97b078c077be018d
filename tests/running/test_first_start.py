"""Tests that first start without pytest's protocol around them: which do, and that it makes no visible difference."""

import pytest

from tests.running.test_suspension import NOTE, PROVIDER, asked, gated, starts

__all__ = ["gated"]

BODY = (
    NOTE
    + """
    import os, sys, traceback

    def how():
        for frame in reversed(traceback.extract_stack()):
            if frame.name in ("pytest_runtest_protocol", "pytest_runtestloop"):
                return "whole" if frame.name == "pytest_runtest_protocol" else "bare"
"""
)
PLAIN = (
    BODY
    + """
    @pytest.mark.parametrize("word", ["a", "b", "c"])
    def test_it(model, word):
        note(how())
        assert model.ask(word) == word.upper()
"""
)


def run(gated: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    """A session without pytest-asyncio, which sets up a fixture of its own with the first test of all."""
    return gated.runpytest("-p", "no:pytest_asyncio.plugin", *arguments)


def test_a_plain_test_starts_bare_and_ends_within_pytests_protocol(gated: pytest.Pytester) -> None:
    gated.makepyfile(PLAIN)
    run(gated, "--rightsize-ladder=gate").assert_outcomes(passed=3)
    assert starts(gated) == ["bare"] * 3 + ["whole"] * 3
    assert asked(gated) == ["a", "b", "c"]


@pytest.mark.parametrize(
    "hook",
    [
        "pytest_runtest_setup(item): pass",
        "pytest_runtest_call(item): pass",
        "pytest_pyfunc_call(pyfuncitem): pass",
        "pytest_runtest_protocol(item): pass",  # which pytest calls for every test: each starts once
    ],
)
def test_where_a_conftest_has_a_say_in_how_tests_run_every_start_is_whole(gated: pytest.Pytester, hook: str) -> None:
    gated.makepyfile(PLAIN)
    gated.mkdir("below").joinpath("conftest.py").write_text(f"def {hook}\n", encoding="utf-8")
    gated.path.joinpath("below", "test_below.py").write_text("def test_below(): pass\n", encoding="utf-8")
    run(gated, "--rightsize-ladder=gate").assert_outcomes(passed=4)
    assert starts(gated) == ["whole"] * (3 if "protocol" in hook else 6)


@pytest.mark.parametrize(
    "fixture",
    [
        "@pytest.fixture(autouse=True)\n    def around(): note('around'); yield",
        "@pytest.fixture\n    def word(word): return word",
        "def setup_function(): note('around')",
    ],
)
def test_a_test_with_fixtures_of_its_own_starts_whole(gated: pytest.Pytester, fixture: str) -> None:
    gated.makepyfile(PLAIN + f"\n    {fixture}\n")
    run(gated, "--rightsize-ladder=gate").assert_outcomes(passed=3)
    log = [line for line in starts(gated) if line != "around"]
    assert log == (["bare"] * 3 + ["whole"] * 3 if "word(word)" in fixture else ["whole"] * 6)


def test_wider_fixtures_are_used_as_they_are_set_up_and_never_another_ones(gated: pytest.Pytester) -> None:
    gated.makepyfile(
        BODY
        + """
    @pytest.fixture(scope="session")
    def of_session():
        note("session"); return "s"

    @pytest.fixture(scope="class")
    def of_class(request, of_session):
        note(f"up {request.cls.__name__}")
        yield of_session + request.cls.__name__.lower()
        note(f"down {request.cls.__name__}")

    @pytest.fixture(scope="module", params=["x", "y"])
    def of_module(request):
        return request.param

    class TestA:
        @pytest.mark.parametrize("word", ["1", "2", "3"])
        def test_it(self, model, of_class, word):
            assert not hasattr(self, "seen")
            self.seen = note(f"{how()} {type(self).__name__}")
            assert of_class.endswith(type(self).__name__.lower())
            assert model.ask(of_class + word) == (of_class + word).upper()

    class TestB(TestA):
        pass

    @pytest.mark.parametrize("word", ["1", "2"])
    def test_parameter(model, of_module, word):
        note(f"{how()} {of_module}")
        assert model.ask(of_module + word) == (of_module + word).upper()
    """
    )
    run(gated, "--rightsize-ladder=gate").assert_outcomes(passed=10)
    log = starts(gated)
    assert [line for line in log if line.startswith(("session", "up", "down"))] == [
        "session",
        "up TestA",
        "down TestA",
        "up TestB",
        "down TestB",
    ]
    # The first of a class sets its fixture up, and parameters of a wider fixture are for pytest to sort out.
    assert [log.count(f"bare {name}") for name in ("TestA", "TestB", "x", "y")] == [2, 2, 0, 0]
    assert [log.count(f"whole {name}") for name in ("TestA", "TestB", "x", "y")] == [4, 4, 4, 4]


def test_what_a_bare_start_shows_and_does_is_seen_by_nobody(gated: pytest.Pytester) -> None:
    gated.makepyfile(
        BODY
        + """
    import logging, warnings

    def test_shows(model):
        note(f"{how()} {os.environ['PYTEST_CURRENT_TEST']}")
        print("printed"); os.write(1, b"written\\n"); print("erred", file=sys.stderr)
        logging.getLogger("x").error("logged"); warnings.warn("warned")
        assert model.ask("a") == "no"

    def test_after():
        assert len(logging.getLogger().handlers) >= 1
    """
    )
    result = run(gated)
    result.assert_outcomes(failed=1, passed=1, warnings=1)
    text = str(result.stdout)
    call = "test_what_a_bare_start_shows_and_does_is_seen_by_nobody.py::test_shows (call)"
    assert starts(gated) == [f"bare {call}", f"whole {call}"]
    for word in ("printed", "written", "erred"):
        assert text.count(f"\n{word}\n") == 1, word
    assert text.count(" logged\n") == 1
    assert (result.stderr.str().count("printed"), result.stderr.str().count("warned")) == (0, 0)


def test_what_a_test_does_before_it_asks_is_told_as_ever(gated: pytest.Pytester) -> None:
    gated.makepyfile(
        BODY
        + """
    def test_fails(model):
        assert "x" == "y"
    def test_skips(model):
        pytest.skip("not here")
    def test_ends(model):
        sys.exit("enough")
    def test_asks_nothing(model):
        pass
    @pytest.mark.skip(reason="never")
    def test_skipped(model):
        note("ran")
    @pytest.mark.skipif("True", reason="never")
    def test_skipped_if(model):
        note("ran")
    @pytest.mark.xfail(run=False)
    def test_not_run(model):
        note("ran")
    @pytest.mark.parametrize("word", ["a", pytest.param("b", marks=pytest.mark.skip)])
    def test_one_of_two(model, word):
        note(word); assert model.ask(word) == word.upper()
    """
    )
    result = run(gated, "-rs")
    result.assert_outcomes(failed=2, skipped=4, xfailed=1, passed=2)
    result.stdout.fnmatch_lines(["*assert 'x' == 'y'", "*SystemExit: enough*", "SKIPPED*not here*"])
    assert starts(gated) == ["a", "a"]


@pytest.mark.parametrize("how", ["raise KeyboardInterrupt", "pytest.exit('enough')"])
def test_who_leaves_in_a_bare_start_leaves(gated: pytest.Pytester, how: str) -> None:
    gated.makepyfile(
        f"""
        import pytest
        def test_it(model):
            {how}
        def test_after(model):
            assert model.ask("b") == "B"
        """
    )
    result = gated.runpytest_subprocess("-p", "no:pytest_asyncio.plugin", "--rightsize-ladder=gate")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.assert_outcomes()
    assert not (gated.path / "asked.txt").exists()


def test_recorded_answers_do_not_make_tests_start_twice(gated: pytest.Pytester) -> None:
    known = (
        "from pytest_rightsize.records import Identity\nGate.identity = lambda *_: Identity(content={'model': 'gate'})"
    )
    gated.makeconftest(f"{PROVIDER}\n{known}\n")
    gated.makepyfile(PLAIN)
    run(gated, "--rightsize-ladder=gate").assert_outcomes(passed=3)
    gated.path.joinpath("log.txt").unlink()
    run(gated, "--rightsize-ladder=gate").assert_outcomes(passed=3)
    # The first one finds out.
    assert starts(gated) == ["bare", "whole", "whole", "whole"]


def test_a_plugins_own_kind_of_test_starts_whole(gated: pytest.Pytester) -> None:
    gated.makepyfile(
        BODY
        + """
    import unittest
    from hypothesis import HealthCheck, given, settings, strategies as st

    @settings(suppress_health_check=list(HealthCheck), max_examples=2, database=None)
    @given(number=st.just(1))
    def test_property(model, number):
        note(how()); assert model.ask("a")

    async def test_async(model):
        assert model.ask("b") == "B"
    """
    )
    result = run(gated, "-p", "hypothesispytest")
    assert result.ret in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
    assert "bare" not in starts(gated)
