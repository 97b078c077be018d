"""`rightsize plan`: the words and the numbers of STATISTICS.md."""

import pytest

from pytest_rightsize.commands.__main__ import main


def plan(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    assert main(["plan", *arguments]) == 0
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize(("bar", "least"), [("0.8", 14), ("0.9", 29), ("0.95", 59), ("0.99", 299)])
def test_the_least_number_of_cases_is_the_published_one(
    capsys: pytest.CaptureFixture[str], bar: str, least: int
) -> None:
    lines = plan(capsys, "--bar", bar, "--confidence", "0.95")
    assert lines[0] == f"to show a pass rate of {bar} at 0.95 takes at least {least} cases, and then all must pass"
    first = next(line.split() for line in lines if line.startswith(f"{least} "))
    assert first[1] == "0"


def test_the_power_at_several_numbers_of_cases(capsys: pytest.CaptureFixture[str]) -> None:
    """Power of 50 cases at a true rate of 0.97: one failure is allowed, so 0.97^50 + 50 x 0.03 x 0.97^49."""
    lines = plan(capsys, "--bar", "0.9", "--true-rate", "0.97")
    assert lines[1] == "if the true rate is 0.97: 76 cases for a power of 0.8"
    rows = {line.split()[0]: line.split()[1:] for line in lines[4 : lines.index("", 4)]}
    assert rows["50"] == ["1", f"{0.97**50 + 50 * 0.03 * 0.97**49:.2f}"]
    assert list(rows)[:7] == ["29", "30", "50", "76", "100", "200", "500"]


def test_a_margin_is_planned_for_too(capsys: pytest.CaptureFixture[str]) -> None:
    lines = plan(capsys, "--bar", "0.9", "--true-rate", "0.97", "--margin", "0.05")
    at = next(place for place, line in enumerate(lines) if "not worse than another by more than 5 points" in line)
    assert lines[at + 1] == "if both are right in 97 % of the cases (5.82 % change sides): 167 cases for a power of 0.8"


def test_without_a_true_rate_three_are_supposed_for_the_bar_and_for_the_margin(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines = plan(capsys, "--bar", "0.9", "--margin", "0.05")
    supposed = [line.split()[5] for line in lines if line.startswith("if the true rate is ")]
    assert supposed == ["0.95:", "0.975:", "0.99:"]
    assert [line.split()[5] for line in lines if line.startswith("if both are right in ")] == ["95", "97.5", "99"]
    assert lines[-1] == "(power rises in steps, where one more case may fail, and falls a little between them)"


def test_a_rate_that_is_nearly_1_is_not_called_1(capsys: pytest.CaptureFixture[str]) -> None:
    lines = plan(capsys, "--bar", "0.9999")
    assert lines[1].startswith("if the true rate is 0.99995: ")


def test_no_number_would_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    lines = plan(capsys, "--bar", "0.9", "--true-rate", "0.9")
    assert lines[1] == "if the true rate is 0.9: no number of cases up to 20,000 gives a power of 0.8"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--bar", "1"], "--bar was given 1: give a number between 0 and 1: no number of cases shows a rate of 1"),
        (["--bar", "0.9", "--confidence", "95"], "--confidence was given 95, which looks like percent: write 0.95"),
        (["--bar", "0.9", "--margin", "5"], "--margin was given 5"),
        (["--bar", "0.9", "--true-rate", "0"], "--true-rate was given 0"),
    ],
)
def test_bad_input_is_said(capsys: pytest.CaptureFixture[str], arguments: list[str], message: str) -> None:
    assert main(["plan", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_the_cases_that_early_stopping_asks_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "--bar", "0.9", "--true-rate", "0.97"]) == 0
    lines = capsys.readouterr().out.splitlines()
    table = lines[lines.index("cases    asked at 0.97") :]
    asked = {int(cases.replace(",", "")): int(number) for cases, number in map(str.split, table[1:])}
    assert (asked[100], asked[200]) == (69, 96)  # STATISTICS.md, section 8
    assert max(asked) <= 2_000


@pytest.mark.parametrize(
    ("options", "session"),
    [
        (["--tasks", "10", "--rungs", "2"], "10 tasks on a ladder of 2 rungs"),
        (["--tasks", "5"], "5 tasks on a ladder of 4 rungs"),
        (["--tasks", "20", "--rungs", "1"], "20 tasks on a ladder of 1 rung"),
    ],
)
def test_the_power_to_show_a_regression_is_told(
    options: list[str], session: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Twenty tests in each of these sessions, of which one may show a fall: at a twentieth of 0.05."""
    assert main(["plan", "--bar", "0.9", "--true-rate", "0.97", "--drop-to", "0.85", *options]) == 0
    text = capsys.readouterr().out
    assert f"to show a regression to 0.85 against a baseline, in a session of {session}\n" in text
    assert "if the true rate was 0.97: 154 cases for a power of 0.8" in text


@pytest.mark.parametrize(("option", "value"), [("--drop-to", "1"), ("--tasks", "0"), ("--rungs", "0")])
def test_a_regression_that_cannot_be_planned_is_said(
    capsys: pytest.CaptureFixture[str], option: str, value: str
) -> None:
    assert main(["plan", "--bar", "0.9", option, value]) == 2
    assert f"{option} was given {value}" in capsys.readouterr().err
