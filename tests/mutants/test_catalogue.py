"""The list of equivalent mutants and of tests is true of the tree; the mutants themselves take hours, and run apart."""

import pytest

from tests.mutants.catalogue import PACKAGE, ROOT, TESTS, Mutant, covering_tests, equivalents, files_of, modules


@pytest.mark.parametrize("mutant", equivalents(), ids=lambda mutant: f"{mutant.module}: {mutant.becomes}")
def test_an_equivalent_mutant_has_its_line_and_its_reason(mutant: Mutant) -> None:
    lines = (PACKAGE / f"{mutant.module}.py").read_text(encoding="utf-8").splitlines()
    assert mutant.line in " ".join(line.strip() for line in lines), "the line has changed: look at this mutant again"
    assert mutant.becomes != mutant.line
    assert mutant.reason.endswith(".")


def test_every_room_and_each_of_its_tests_is_there() -> None:
    for name, tests in TESTS.items():
        assert (PACKAGE / name).is_dir() or (PACKAGE / f"{name}.py").is_file(), name
        assert all((ROOT / test).exists() for test in tests), tests


def test_a_module_has_the_tests_of_the_longest_name_that_fits() -> None:
    assert covering_tests("statistics/rates") == TESTS["statistics/rates"]
    assert covering_tests("statistics/tallies") == TESTS["statistics"]
    assert covering_tests("statistics/bounded") == ("tests/statistics/test_bounded.py", *TESTS["statistics"])


def test_files_of_tests_come_once_each_and_in_the_order_that_is_named() -> None:
    own = "tests/judging/test_gates.py"
    files = files_of((own, "tests/judging"))
    assert files[0] == own
    assert sorted(files) == sorted({*files})
    assert "tests/judging/test_verdict.py" in files


def test_rooms_and_modules_are_named_once_each_and_unknown_ones_are_refused() -> None:
    assert modules(["running/grading", "running/grading", "records"]) == ["running/grading", "records"]
    assert "statistics/__init__" not in modules([])
    assert {"statistics/pairs", "judging/usage", "meters/attribution/timeline"} <= {*modules([])}
    for name in ("running/loop", "nothing"):
        with pytest.raises(SystemExit, match="no tests are named for"):
            modules([name])
