"""`rightsize lock`, `--rightsize-baseline` and waivers in whole sessions."""

import json
import tomllib
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from pytest_rightsize.commands.__main__ import main
from pytest_rightsize.errors import ConfigError
from pytest_rightsize.results.lockfile import parse_lock
from pytest_rightsize.results.results_file import read_run
from tests.conftest import LADDER as RUNGS
from tests.conftest import STRICT, SUITE, record

LADDER = "--rightsize-ladder=tiny,small,big"


@pytest.fixture
def locked(suite: pytest.Pytester) -> pytest.Pytester:
    """The suite with `small` as the smallest that passes, in run.jsonl and in rightsize.lock."""
    suite.runpytest(LADDER, "--rightsize-results=run.jsonl")
    assert main(["lock", "run.jsonl"]) == 0
    return suite


def last_line(path: Path) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(path.read_text(encoding="utf-8").splitlines()[-1])
    return plain


def test_the_lock_is_small_and_holds_what_a_reviewer_asks(locked: pytest.Pytester) -> None:
    text = (locked.path / "rightsize.lock").read_text(encoding="utf-8")
    plain = tomllib.loads(text)
    first = json.loads((locked.path / "run.jsonl").read_text(encoding="utf-8").splitlines()[0])
    assert plain["date"] == date.fromisoformat(first["started"][:10])
    assert plain["models"] == {
        "tiny": "replay: tiny.jsonl",
        "small": "replay: vendor/small-1",
        "big": "replay: big.jsonl",
    }
    task = plain["tasks"]["upper"]
    assert (task["smallest"], task["chosen"], task["evidence"]) == ("small", "big", "provisional")
    early = {"n": 3, "settled_early": 1}
    assert task["standing"] == {
        "tiny": {"state": "fails", "passed": 1, **early, "low": 0.0127, "high": 0.9024},
        "small": {"state": "passes", "passed": 3, **early, "low": 0.2486, "high": 1.0},
    }
    assert len(text.splitlines()) < 20


def test_a_lock_of_an_earlier_version_has_no_evidence_and_an_unknown_word_is_refused(locked: pytest.Pytester) -> None:
    text = (locked.path / "rightsize.lock").read_text(encoding="utf-8")
    assert parse_lock(text, where="x").tasks["upper"].evidence == "provisional"
    line = 'evidence = "provisional"\n'
    assert parse_lock(text.replace(line, ""), where="x").tasks["upper"].evidence is None
    with pytest.raises(ConfigError, match=r"x is not a lock .*evidence is 'sure'"):
        parse_lock(text.replace(line, 'evidence = "sure"\n'), where="x")


WORDS = "abcdefghijklmnopqrstuvwx"


@pytest.fixture
def long(pytester: pytest.Pytester) -> pytest.Pytester:
    """Twenty-four cases, of which `small` passes all and `tiny` none, in run.jsonl and in rightsize.lock."""
    pytester.makepyfile(test_suite=SUITE.replace('["a", "b", "c", "d"]', repr([*WORDS])))
    pytester.makefile(".toml", rightsize=RUNGS)
    for rung, answers in (("tiny", WORDS), ("small", WORDS.upper()), ("big", WORDS.upper())):
        record(pytester.path / f"{rung}.jsonl", dict(zip(WORDS, answers, strict=True)))
    pytester.runpytest(LADDER, "--rightsize-results=run.jsonl")
    assert main(["lock", "run.jsonl"]) == 0
    return pytester


def fall(long: pytest.Pytester, passing: int) -> None:
    """Have `small` pass only so many of the cases from now on."""
    answers = WORDS[:passing].upper() + WORDS[passing:]
    record(long.path / "small.jsonl", dict(zip(WORDS, answers, strict=True)))


@pytest.mark.parametrize("baseline", ["run.jsonl", "rightsize.lock"])
def test_a_task_that_is_shown_to_need_a_larger_rung_fails_the_gate(long: pytest.Pytester, baseline: str) -> None:
    options = (LADDER, f"--rightsize-baseline={baseline}", "--rightsize-gate=regressed")
    assert long.runpytest(*options).ret == 0
    fall(long, 4)
    result = long.runpytest(*options, "--rightsize-results=new.jsonl")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    lines = (long.path / "rightsize.lock").read_text(encoding="utf-8").splitlines()
    line = lines.index('smallest = "small"') + 1
    where = f": if that is to be, write smallest = 'big' in rightsize.lock:{line}" if "lock" in baseline else ""
    result.stdout.fnmatch_lines(
        [f"gate regressed: upper: small was the smallest that passes in {baseline}, and now it is big{where}*"]
    )
    assert last_line(long.path / "new.jsonl")["gate"]["failed"] == ["regressed: upper"]
    asked = [trial for trial in read_run(long.path / "new.jsonl").trials if trial.key.rung == "small"]
    assert {trial.outcome for trial in asked} == {"passed", "failed"}  # to its end, so that the fall can be shown


def test_a_smallest_rung_that_has_grown_within_chance_is_a_note(long: pytest.Pytester) -> None:
    fall(long, 17)
    result = long.runpytest(LADDER, "--rightsize-baseline=run.jsonl", "--rightsize-gate=regressed")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["upper: small was the smallest that passes in run.jsonl, and now it is big*chance*"])


def test_the_gate_holds_under_xdist_too(long: pytest.Pytester) -> None:
    fall(long, 4)
    result = long.runpytest(LADDER, "-n2", "--rightsize-baseline=run.jsonl", "--rightsize-gate=regressed")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["gate regressed: upper: small was the smallest *"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--rightsize-gate=regressed"], "--rightsize-gate=regressed needs something to compare with"),
        (["--rightsize-baseline=no.lock"], "--rightsize-baseline cannot read"),
        (["--rightsize-baseline=rightsize.toml"], "has schema None; this version reads 1"),
    ],
)
def test_a_baseline_that_cannot_be_used_is_said_before_anything_runs(
    suite: pytest.Pytester, arguments: list[str], message: str
) -> None:
    result = suite.runpytest(LADDER, *arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert message in str(result.stderr)


def test_a_run_that_was_cut_off_is_not_locked(locked: pytest.Pytester, capsys: pytest.CaptureFixture[str]) -> None:
    lines = (locked.path / "run.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    (locked.path / "cut.jsonl").write_text("".join(lines[:-1]), encoding="utf-8")
    assert main(["lock", "cut.jsonl", "--output", "other.lock"]) == 2
    assert "cut.jsonl was cut off" in capsys.readouterr().err
    assert not (locked.path / "other.lock").exists()


def waive(suite: pytest.Pytester, until: date, gate: str = "oversized") -> None:
    with (suite.path / "rightsize.toml").open("a", encoding="utf-8") as file:
        file.write(
            f'\n[tasks.upper]\nwaive = {{ gate = "{gate}", until = {until}, reason = "contract ends in May" }}\n'
        )


@pytest.mark.parametrize("workers", [(), ("-n2",)])
def test_a_waiver_excuses_its_gate_until_its_day_and_is_shown(suite: pytest.Pytester, workers: tuple[str, ...]) -> None:
    until = date.today() + timedelta(days=1)
    waive(suite, until)
    result = suite.runpytest(LADDER, STRICT, "--rightsize-results=run.jsonl", *workers)
    assert result.ret == pytest.ExitCode.OK
    line = f"waived until {until}: gate oversized: upper: contract ends in May"
    result.stdout.fnmatch_lines(["upper * OVER-SIZED", line])
    assert last_line(suite.path / "run.jsonl")["gate"] == {"failed": [], "warned": [], "waived": [line]}


def test_a_waiver_that_is_over_is_shown_and_excuses_nothing(suite: pytest.Pytester) -> None:
    until = date.today() - timedelta(days=1)
    waive(suite, until)
    result = suite.runpytest(LADDER, STRICT)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines([f"waiver over since {until}: gate oversized: upper: *", "gate oversized: upper: *"])


def test_a_waiver_that_is_not_needed_is_shown_and_excuses_nothing_else(suite: pytest.Pytester) -> None:
    waive(suite, date.today() + timedelta(days=1), gate="undecided")
    result = suite.runpytest(LADDER, STRICT)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["waived until *: gate undecided: upper: contract ends in May (not needed now)"])


def test_a_waiver_of_a_task_that_no_test_has_is_an_error(suite: pytest.Pytester) -> None:
    with (suite.path / "rightsize.toml").open("a", encoding="utf-8") as file:
        file.write('\n[tasks.uper]\nwaive = { gate = "oversized", until = 2099-01-31, reason = "contract" }\n')
    result = suite.runpytest(LADDER)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["*[[]tasks.uper[]]: no test has this task: did you mean 'upper'? A waiver of a task that is not there *"]
    )


def test_a_waiver_of_a_test_that_was_not_given_to_the_session_is_shown(suite: pytest.Pytester) -> None:
    suite.makepyfile(test_other="TASK = 'other'  # its tests are for another model")
    with (suite.path / "rightsize.toml").open("a", encoding="utf-8") as file:
        file.write('\n[tasks.other]\nwaive = { gate = "oversized", until = 2099-01-31, reason = "contract" }\n')
    result = suite.runpytest(LADDER, STRICT, "test_suite.py")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["waiver of no test here, until 2099-01-31: gate oversized: other: contract"])


@pytest.mark.parametrize(
    ("waiver", "message"),
    [
        (
            '{ gate = "oversize", until = 2027-01-31, reason = "x" }',
            "unknown gate 'oversize': did you mean 'oversized'?",
        ),
        ('{ gate = "oversized", until = "soon", reason = "x" }', "until = 'soon' cannot be: give a day without quotes"),
        ('{ gate = "oversized", until = 2027-01-31 }', "waive has no reason: write { gate ="),
        ('{ gate = "oversized", untl = 2027-01-31, reason = "x" }', "unknown key 'untl': did you mean 'until'?"),
    ],
)
def test_a_waiver_that_cannot_be_is_refused(suite: pytest.Pytester, waiver: str, message: str) -> None:
    with (suite.path / "rightsize.toml").open("a", encoding="utf-8") as file:
        file.write(f"\n[tasks.upper]\nwaive = {waiver}\n")
    result = suite.runpytest(LADDER)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert message in str(result.stderr)


def test_a_marker_takes_no_waiver(suite: pytest.Pytester) -> None:
    source = (suite.path / "test_suite.py").read_text(encoding="utf-8")
    (suite.path / "test_suite.py").write_text(source.replace("pass_rate=0.75", "waive={}"), encoding="utf-8")
    assert "unknown argument 'waive'" in str(suite.runpytest(LADDER).stdout)
