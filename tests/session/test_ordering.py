"""Whatever else sorts or filters the tests after collection: tasks climb rung by rung, and what is left is judged."""

import pytest

from pytest_rightsize.records import Run
from pytest_rightsize.results.results_file import read_run

LADDER = ("--rightsize-ladder=tiny,small,big", "--rightsize-results=run.jsonl", "--rightsize-strategy=full")
RUNGS = ["tiny", "small", "big"]
SORTERS = {
    "trylast": """
    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(items):
        items.reverse()
""",
    "after all others": """
    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(items):
        yield
        items.reverse()
""",
    "registered last": """
    class Late:
        @pytest.hookimpl(trylast=True)
        def pytest_collection_modifyitems(self, items):
            items[:] = items[::-1]

    def pytest_sessionstart(session):
        session.config.pluginmanager.register(Late())
""",
    "when collection has finished": """
    def pytest_collection_finish(session):
        session.items = session.items[::-1]
""",
    "when the tests begin": """
    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtestloop(session):
        session.items.reverse()
        return (yield)
""",
}


def run_of(suite: pytest.Pytester) -> Run:
    return read_run(suite.path / "run.jsonl")


@pytest.mark.parametrize("options", [(), ("--rightsize-concurrency=1",)])
@pytest.mark.parametrize("sorter", SORTERS)
def test_tests_that_are_sorted_late_climb_all_the_same(
    sorter: str, options: tuple[str, ...], suite: pytest.Pytester
) -> None:
    suite.makeconftest("import pytest\n" + SORTERS[sorter].replace("\n    ", "\n"))
    suite.runpytest(*LADDER, *options)
    keys = [trial.key for trial in run_of(suite).trials]
    assert [key.rung for key in keys] == [rung for rung in RUNGS for _ in "abcd"]
    # In a rung they stay as they were sorted.
    assert [key.case[-2] for key in keys] == ["d", "c", "b", "a"] * 3


@pytest.mark.parametrize("order", ["--ff", "--nf"])
def test_the_orders_of_pytests_own_cache(order: str, suite: pytest.Pytester) -> None:
    """A test that failed comes first, on its own rung; so do the tests of a new file."""
    suite.makepyfile(test_old="def test_it(model):\n    assert model.rung != 'big' or unknown\n")
    suite.runpytest(*LADDER, "test_old.py")
    suite.runpytest(*LADDER, order)
    run = run_of(suite)
    rungs = [trial.key.rung for trial in run.trials]
    assert sorted(rungs, key=RUNGS.index) == rungs
    on_big = [trial.key.task for trial in run.trials if trial.key.rung == "big"]
    assert (on_big[0] == "test_old.py::test_it") == (order == "--ff")
    assert len(run.trials) == 15


def test_what_is_taken_out_late_is_not_waited_for(suite: pytest.Pytester) -> None:
    """The plan counts what is left: three cases a rung, of which `big` passes all."""
    suite.makeconftest(
        """
        import pytest

        @pytest.hookimpl(wrapper=True, tryfirst=True)
        def pytest_collection_modifyitems(config, items):
            yield
            gone = [item for item in items if "[a" in item.name or "-a]" in item.name]
            items[:] = [item for item in items if item not in gone]
            config.hook.pytest_deselected(items=gone)
        """
    )
    result = suite.runpytest(*LADDER)
    run = run_of(suite)
    assert set(run.planned.values()) == {3}
    result.stdout.fnmatch_lines(["upper   *0/3*2/3*3/3[*]*"])


def test_a_test_that_a_plugin_adds_late_is_a_trial_like_any_other(suite: pytest.Pytester) -> None:
    suite.makeconftest(
        """
        import pytest

        held = []

        @pytest.hookimpl(wrapper=True, tryfirst=True)
        def pytest_collection_modifyitems(items):
            held.extend(item for item in items if "a" in item.callspec.id.split("-"))
            items[:] = [item for item in items if item not in held]
            yield
            items.extend(held)
        """
    )
    suite.runpytest(*LADDER)
    run = run_of(suite)
    assert set(run.planned.values()) == {4}
    assert [trial.key.rung for trial in run.trials] == [rung for rung in RUNGS for _ in "abcd"]


def test_a_group_that_xdist_appends_to_an_id_is_no_part_of_a_case(suite: pytest.Pytester) -> None:
    """As its workers do with --dist=loadgroup, before any other plugin names anything by the ids."""
    suite.makeconftest(
        """
        def pytest_collection_modifyitems(items):
            for item in items:
                if hasattr(item, "_nodeid"):
                    item._nodeid += "@upper"
                else:  # pytest 9.2
                    item._id = type(item._id).parse(item.nodeid + "@upper")
                assert item.nodeid.endswith("]@upper")
        """
    )
    suite.runpytest(*LADDER)
    assert {trial.key.case for trial in run_of(suite).trials} == {
        f"test_suite.py::test_upper[{word}]" for word in "abcd"
    }


def test_an_error_in_the_ladder_file_still_ends_the_session_before_a_test(suite: pytest.Pytester) -> None:
    with (suite.path / "rightsize.toml").open("a", encoding="utf-8") as file:
        file.write("\n[tasks.uper]\nprivate = true\n")
    result = suite.runpytest(*LADDER)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert not (suite.path / "run.jsonl").exists()


def test_parameters_that_describe_their_task_differently_are_told_in_a_sentence(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        """
        import pytest

        @pytest.mark.parametrize("word", ["a", pytest.param("b", marks=pytest.mark.rightsize(pass_rate=0.5))])
        def test_upper(model, word):
            assert model.ask(word) == word.upper()
        """
    )
    result = suite.runpytest(*LADDER)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: the task *test_upper' is described differently by *"])
    assert "gate undecided" not in result.stdout.str()
    assert not (suite.path / "run.jsonl").exists()


def test_samples_of_one_parameter_only_are_refused_in_a_sentence(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        """
        import pytest

        @pytest.mark.parametrize("word", ["a", pytest.param("b", marks=pytest.mark.rightsize(task="b", samples=2))])
        def test_upper(model, word):
            assert model.ask(word) == word.upper()
        """
    )
    result = suite.runpytest(*LADDER)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: *test_upper?tiny-b?: its task b has samples = 2, set for one parameter*"])
    result.stderr.fnmatch_lines(["*: set samples in the marker of the function, or with --rightsize-samples"])
