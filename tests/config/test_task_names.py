"""Tables of the ladder file that belong to no test: what is told, what ends the session, and what is nothing new."""

from pathlib import Path

import pytest

from pytest_rightsize.config.task_names import UncollectedFiles, misnamed_tasks
from pytest_rightsize.config.task_settings import TaskSettings
from pytest_rightsize.records import Waiver
from tests.conftest import SUITE

LADDER = "--rightsize-ladder=tiny,small,big"
PRIVATE = TaskSettings(private=True)
WAIVED = TaskSettings(waive=(Waiver(gate="oversized", until="2099-01-31", reason="contract"),))
PLAIN = TaskSettings(pass_rate=0.9)


def files(root: Path, *, collected: tuple[str, ...] = (), testpaths: tuple[str, ...] = ()) -> UncollectedFiles:
    """What pytest's defaults say of a folder."""
    return UncollectedFiles(
        root,
        collected=collected,
        patterns=["test_*.py", "*_test.py"],
        testpaths=testpaths,
        not_searched=["*.egg", ".*", "build", "venv"],
    )


def write(root: Path, **texts: str) -> None:
    """Files by their path with `__` for a slash, without the suffix."""
    for name, text in texts.items():
        path = root / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "settings", "nearest", "is_error"),
    [
        ("route-tickt", PRIVATE, "route-ticket", True),
        ("route_ticket", WAIVED, "route-ticket", True),
        ("route-tickt", PLAIN, "route-ticket", False),
        ("route-tickt", TaskSettings(private=False), "route-ticket", False),
        ("xyz", PRIVATE, None, True),
    ],
)
def test_in_a_whole_session_a_table_of_no_test_is_told(
    tmp_path: Path, name: str, settings: TaskSettings, nearest: str | None, is_error: bool
) -> None:
    write(tmp_path, test_a='task="route-ticket", task="xyz", model', helper="ask a model")
    found = misnamed_tasks({name: settings}, ["route-ticket", "add"], files(tmp_path, collected=("test_a.py",)))
    assert [(one.task, one.nearest, one.is_error) for one in found] == [(name, nearest, is_error)]


def test_a_table_of_a_test_that_was_not_given_to_the_session_is_nothing_new(tmp_path: Path) -> None:
    write(
        tmp_path,
        test_a="model",
        tests__test_b="@pytest.mark.rightsize(task='in another file')",
        tests__names='TASK = "in a helper"',
        tests__test_c="def test_it(model): ...",
    )
    tables = dict.fromkeys(["in another file", "in a helper", "tests/test_c.py::test_it"], PRIVATE)
    assert misnamed_tasks(tables, ["add"], files(tmp_path, collected=("test_a.py",))) == []


def test_of_two_like_names_that_both_have_a_table_none_is_taken_for_the_other(tmp_path: Path) -> None:
    """`route-de` may be put together in a file that this session was not given."""
    write(tmp_path, test_a='task="route-fr"', test_b='task=f"route-{language}" model')
    tables = {"route-de": PRIVATE, "route-fr": PRIVATE}
    (found,) = misnamed_tasks(tables, ["route-fr"], files(tmp_path, collected=("test_a.py",)))
    assert (found.task, found.nearest, found.is_error) == ("route-de", "route-fr", False)


def test_in_a_session_of_some_files_only_a_name_that_is_almost_a_collected_one_is_an_error(tmp_path: Path) -> None:
    write(tmp_path, test_a='task="route-ticket"', test_b='task=f"x-{language}" model')
    tables = {"route-tickt": PRIVATE, "summarise": PRIVATE}
    found = misnamed_tasks(tables, ["route-ticket"], files(tmp_path, collected=("test_a.py",)))
    assert [(one.task, one.is_error) for one in found] == [("route-tickt", True), ("summarise", False)]


def test_only_test_files_of_the_project_that_may_ask_a_model_are_missed(tmp_path: Path) -> None:
    write(
        tmp_path,
        tests__test_a="model",
        tests__test_plain="def test_it(): assert True",
        examples__test_x="model",
        build__test_y="model",
        env__test_z="model",
    )
    (tmp_path / "env" / "pyvenv.cfg").write_text("", encoding="utf-8")
    assert not files(tmp_path, collected=("tests/test_a.py",)).are_all_collected()
    assert files(tmp_path, collected=("tests/test_a.py",), testpaths=("tests",)).are_all_collected()
    assert not files(tmp_path, testpaths=("tests",)).are_all_collected()


def test_a_session_without_a_task_says_nothing(tmp_path: Path) -> None:
    assert misnamed_tasks({"x": PRIVATE}, [], files(tmp_path)) == []


def test_the_message_says_what_is_wrong_why_it_matters_and_what_to_do(tmp_path: Path) -> None:
    (found,) = misnamed_tasks({"uper": PRIVATE}, ["upper"], files(tmp_path))
    assert found.message("rightsize.toml [tasks.uper]") == (
        "rightsize.toml [tasks.uper]: no test has this task: did you mean 'upper'? A private task under another name "
        "is sent to endpoints like any other. Correct the name, or remove the table."
    )


# --- whole sessions ---------------------------------------------------------------------------------------------------

OTHER = SUITE.replace("upper", "lower").replace("word.lower()", "word.upper()")


def add_table(suite: pytest.Pytester, text: str) -> None:
    with (suite.path / "rightsize.toml").open("a", encoding="utf-8") as file:
        file.write(f"\n{text}\n")


def test_a_misspelt_private_task_ends_the_session_before_a_model_is_asked(suite: pytest.Pytester) -> None:
    add_table(suite, "[tasks.uper]\nprivate = true")
    result = suite.runpytest(LADDER, "--rightsize-results=run.jsonl")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["ERROR: rightsize.toml [[]tasks.uper[]]: no test has this task: did you mean 'upper'*"]
    )
    assert not (suite.path / "run.jsonl").exists()
    listed = suite.runpytest(LADDER, "--collect-only")
    assert listed.ret == pytest.ExitCode.OK
    listed.stdout.fnmatch_lines(["rightsize: rightsize.toml [[]tasks.uper[]]: no test has this task: *"])


def test_without_a_ladder_it_is_an_error_too(suite: pytest.Pytester) -> None:
    add_table(suite, "[tasks.uper]\nprivate = true")
    assert suite.runpytest().ret == pytest.ExitCode.USAGE_ERROR


def test_under_xdist_it_is_an_error_and_nothing_is_asked(suite: pytest.Pytester) -> None:
    add_table(suite, "[tasks.uper]\nprivate = true")
    result = suite.runpytest(LADDER, "-n2", "--continue-on-collection-errors")
    assert result.ret != pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["*no test has this task: did you mean 'upper'*"])
    outcomes = result.parseoutcomes()
    assert outcomes == {"errors": 1} or outcomes == {"error": 1}


@pytest.mark.parametrize("workers", [(), ("-n2",)])
def test_a_misspelt_table_is_a_warning(suite: pytest.Pytester, workers: tuple[str, ...]) -> None:
    add_table(suite, "[tasks.uper]\npass_rate = 0.5")
    result = suite.runpytest(LADDER, "--rightsize-gate=none", *workers)
    assert result.ret == pytest.ExitCode.OK
    text = result.stdout.str()
    assert text.count("rightsize.toml [tasks.uper]: no test has this task: did you mean 'upper'?") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("-k", "upper"),
        ("-k", "upper", "-n1"),
        ("test_suite.py",),
        ("test_suite.py::test_upper",),
        ("--deselect", "test_other.py"),
        ("--ignore", "test_other.py"),
        ("--lf",),
    ],
)
def test_a_task_that_is_not_selected_is_no_mistake(suite: pytest.Pytester, arguments: tuple[str, ...]) -> None:
    suite.makepyfile(test_other=OTHER)
    add_table(suite, "[tasks.lower]\nprivate = true\nwaive = { gate = 'oversized', until = 2099-01-31, reason = 'r' }")
    if "--lf" in arguments:
        # So that only the other file has a failure to run again.
        suite.makepyfile(test_broken="def test_it(): assert False")
        suite.runpytest("test_broken.py")
    result = suite.runpytest(LADDER, "--rightsize-gate=none", *arguments)
    assert "no test has this task" not in result.stdout.str()
    assert result.ret in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
    whole = suite.runpytest(LADDER, "--rightsize-gate=none", "--ignore=test_broken.py")
    assert whole.ret == pytest.ExitCode.OK
