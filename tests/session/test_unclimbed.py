"""Tests that look as if they climbed the ladder and do not are told once, each kind with its remedy."""

import pytest

LADDER = ("--rightsize-ladder=tiny,big", "--rightsize-gate=none", "-p", "no:pytest_asyncio.plugin")
UNCLIMBED = "so the ladder is not climbed and no verdict counts it"


def notices(result: pytest.RunResult) -> list[str]:
    return [line for line in result.outlines if line.startswith("rightsize: ") and UNCLIMBED in line]


CLIMBED = """
    def test_climbs(model):
        assert model.ask("a")
"""
DYNAMIC = """
    import pytest

    def test_one(request):
        assert request.getfixturevalue("model").ask("a") == "A"

    @pytest.fixture
    def answer(request):
        return request.getfixturevalue("model").ask("b")

    def test_two(answer):
        assert answer == "B"
"""
TEST_CASE = """
    import unittest, pytest

    class TestOld(unittest.TestCase):
        @pytest.fixture(autouse=True)
        def _model(self, model):
            self.model = model
        def test_one(self):
            assert self.model.ask("a") == "A"
        def test_two(self):
            assert self.model.ask("b") == "B"
"""
OWN = """
    import pytest

    @pytest.fixture
    def model():
        return "a model of weather"

    def test_one(model):
        assert model == "a model of weather"
    def test_two(model):
        assert model
"""
MARKED = """
    import pytest

    @pytest.mark.rightsize(task="t")
    def test_one():
        pass

    @pytest.mark.rightsize(task="u")
    class TestClass:
        def test_two(self):
            pass
"""


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (DYNAMIC, "*::test_one gets its `model` only while it runs*usefixtures(*"),
        (TEST_CASE, "*TestOld::test_one (and 1 more like it) is a method of a unittest.TestCase*in a plain class"),
        (OWN, "*::test_one (and 1 more like it) takes the fixture `model` of test_*.py,*take `rightsize_model`*"),
        (MARKED, "*::test_one (and 1 more like it) has the marker rightsize and takes no `model`*name `model` among*"),
    ],
    ids=["dynamic", "unittest.TestCase", "own fixture", "marker"],
)
def test_each_kind_is_told_once(suite: pytest.Pytester, body: str, told: str) -> None:
    suite.makepyfile(test_suite=CLIMBED, test_unclimbed=body)
    result = suite.runpytest(*LADDER)
    (line,) = notices(result)
    result.stdout.fnmatch_lines([told])
    assert "no verdict counts it" in line
    assert "failed" not in result.parseoutcomes()
    one = suite.runpytest(*LADDER, "--rightsize-concurrency=1")
    assert len(notices(one)) == 1


def test_without_a_ladder_there_is_nothing_to_tell(suite: pytest.Pytester) -> None:
    suite.makepyfile(test_suite=CLIMBED, test_a=DYNAMIC, test_b=TEST_CASE, test_c=OWN, test_d=MARKED)
    result = suite.runpytest("-p", "no:pytest_asyncio.plugin")
    assert not notices(result)
    result.assert_outcomes(passed=9)


def test_usefixtures_is_a_remedy(suite: pytest.Pytester) -> None:
    suite.makepyfile(test_suite=DYNAMIC + '\n    pytestmark = pytest.mark.usefixtures("model")\n')
    result = suite.runpytest(*LADDER)
    assert not notices(result)
    # Two tests on two rungs; `tiny` knows a only, and the second task goes on to `big`.
    assert result.parseoutcomes()["passed"] == 2


def test_a_class_or_module_may_have_tests_of_both_kinds_below_its_marker(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        test_suite="""
        import pytest
        pytestmark = pytest.mark.rightsize(pass_rate=0.5)
        def test_climbs(model):
            assert model.ask("a") == "A"
        def test_plain():
            pass
        """
    )
    assert not notices(suite.runpytest(*LADDER))


def test_a_project_with_a_model_of_its_own_takes_the_alias(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        test_suite=OWN
        + """
    @pytest.mark.rightsize(task="upper")
    @pytest.mark.parametrize("word", ["a", "b"])
    def test_upper(model, rightsize_model, word):
        assert model == "a model of weather"
        assert rightsize_model.ask(word) == word.upper()
    """
    )
    result = suite.runpytest(*LADDER)
    assert not notices(result)
    result.stdout.fnmatch_lines(["*upper*1/2*2/2*"])
    assert result.parseoutcomes() == {"passed": 5, "too": 1}


def test_a_test_may_take_the_fixture_and_its_alias(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        test_suite="""
        def test_both(model, rightsize_model):
            assert model.ask("a") + rightsize_model.ask("b") == "AB"
        """
    )
    suite.runpytest(
        "-p", "no:pytest_asyncio.plugin", "--rightsize-ladder=big", "--rightsize-gate=none"
    ).assert_outcomes(passed=1)


def test_without_any_rung_the_alias_says_what_to_do(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_it(rightsize_model): pass")
    result = pytester.runpytest("-p", "no:pytest_asyncio.plugin")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*the fixture `rightsize_model` has no rung to ask.*"])
