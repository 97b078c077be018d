"""`rightsize compare` on results files that real sessions wrote."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pytest_rightsize.commands.__main__ import main
from tests.conftest import record

FULL = ("--rightsize-strategy=full", "--rightsize-gate=none", "--rightsize-ladder=tiny,small,big")


def energy(joules: float, provenance: str = "measured") -> dict[str, Any]:
    return {"joules": joules, "provenance": provenance, "boundary": ["gpu.board"], "basis": "marginal"}


def usage_of(path: Path, amounts: dict[str, Any]) -> None:
    """Add amounts to every line of a replay file."""
    lines = [json.loads(line) | amounts for line in path.read_text(encoding="utf-8").splitlines()]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


@pytest.fixture
def full(suite: pytest.Pytester) -> pytest.Pytester:
    """The suite, and `run.jsonl` of its full ladder; `big` takes ten times the joules of `small`."""
    usage_of(suite.path / "small.jsonl", {"energy": energy(2.0), "seconds": 0.5})
    usage_of(suite.path / "big.jsonl", {"energy": energy(20.0), "seconds": 1.0})
    suite.runpytest(*FULL, "--rightsize-results=run.jsonl")
    return suite


def compared(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    """What `rightsize compare --json` says."""
    capsys.readouterr()
    assert main(["compare", *arguments, "--json"]) == 0
    plain: dict[str, Any] = json.loads(capsys.readouterr().out)
    return plain


def test_the_json_has_every_figure_by_task_and_overall(
    full: pytest.Pytester, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = compared(capsys, "run.jsonl", "--rungs", "small,big", "--margin", "0.1")
    for paired in (plain["overall"], plain["tasks"]["upper"]):
        assert (paired["a"], paired["b"], paired["n"]) == ("small", "big", 4)
        assert (paired["only_a"], paired["only_b"], paired["mcnemar_p"]) == (0, 1, 1.0)
        assert paired["difference"]["value"] == -0.25
        assert {"low", "high", "low90", "high90"} < paired["difference"].keys()
        assert paired["non_inferior"]["margin"] == 0.1
        assert paired["non_inferior"]["holds"] is False
        assert paired["ratios"]["energy"]["value"] == pytest.approx(0.1)
        assert paired["ratios"]["seconds"]["value"] == pytest.approx(0.5)
        assert paired["ratios"]["completion_tokens"]["value"] == pytest.approx(1)
        assert paired["ratios"]["cost"] is None
        assert paired["unknown"]["cost"] == "not known: neither has cost"
    (changed,) = plain["tasks"]["upper"]["changed"]
    assert changed["case"].endswith("[d]")
    assert (changed["texts_a"], changed["texts_b"]) == (["d"], ["D"])


def test_the_answer_comes_first_and_both_answers_stand_side_by_side(
    full: pytest.Pytester, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert main(["compare", "run.jsonl", "--rungs", "small,big"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("it is not shown that small is not worse than big by more than 5 points (lower bound -6")
    assert lines[0].endswith("; it takes 10 % [10, 10] of its energy in a typical case.")
    assert [line.split() for line in lines[-2:]] == [
        ["upper:", "test_suite.py::test_upper[d]", "failed", "passed"],
        ["'d'", "'D'"],
    ]


def test_each_of_several_rungs_is_compared_with_the_last(
    full: pytest.Pytester, capsys: pytest.CaptureFixture[str]
) -> None:
    both = compared(capsys, "run.jsonl", "--rungs", "tiny,small,big")["comparisons"]
    assert [(one["a"], one["b"]) for one in both] == [("tiny", "big"), ("small", "big")]
    alone = compared(capsys, "run.jsonl", "--rungs", "small,big")
    assert alone["overall"]["non_inferior"]["p"] < both[1]["overall"]["non_inferior"]["p"] <= 1


def test_energy_of_another_kind_is_not_compared(full: pytest.Pytester, capsys: pytest.CaptureFixture[str]) -> None:
    usage_of(full.path / "big.jsonl", {"energy": energy(20.0, "modelled")})
    full.runpytest(*FULL, "--rightsize-results=run.jsonl")
    paired = compared(capsys, "run.jsonl", "--rungs", "small,big")["overall"]
    assert paired["ratios"]["energy"] is None
    assert paired["unknown"]["energy"] == (
        "not comparable: that of small is measured, gpu.board, marginal, that of big is modelled, gpu.board, marginal"
    )


def test_what_differs_between_two_runs_is_said_and_only_the_same_is_paired(
    full: pytest.Pytester, capsys: pytest.CaptureFixture[str]
) -> None:
    source = (full.path / "test_suite.py").read_text(encoding="utf-8")
    changed = source.replace('["a", "b", "c", "d"]', '["a", "b", "e"]').replace("model.ask(word)", "model.ask(PROMPT)")
    changed = changed.replace("PROMPT", "word if word == 'a' else word + word")
    (full.path / "test_suite.py").write_text(changed, encoding="utf-8")
    record(full.path / "small.jsonl", {"a": "A", "bb": "B", "ee": "E"})
    ladder = (full.path / "rightsize.toml").read_text(encoding="utf-8")
    (full.path / "rightsize.toml").write_text(ladder.replace("vendor/small-1", "vendor/small-2"), encoding="utf-8")
    full.runpytest(
        "--rightsize-strategy=full",
        "--rightsize-ladder=small",
        "--rightsize-gate=none",
        "--rightsize-results=new.jsonl",
    )
    plain = compared(capsys, "run.jsonl", "new.jsonl", "--rungs", "small")
    assert plain["overall"]["n"] == 1
    assert plain["differs"] == [
        "rung small: model is vendor/small-1 in run.jsonl and vendor/small-2 in new.jsonl",
        "2 cases are only in run.jsonl: upper: test_suite.py::test_upper[c], upper: test_suite.py::test_upper[d]",
        "1 case is only in new.jsonl: upper: test_suite.py::test_upper[e]",
        "1 case asks small of run.jsonl and small of new.jsonl something else and is left out: "
        "upper: test_suite.py::test_upper[b]",
    ]
    assert "small of run.jsonl" in plain["answer"]
    assert plain["labels"] == ["small of run.jsonl", "small of new.jsonl"]


def test_a_run_that_was_cut_off_says_so(full: pytest.Pytester, capsys: pytest.CaptureFixture[str]) -> None:
    lines = (full.path / "run.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    (full.path / "cut.jsonl").write_text("".join(lines[:-2]), encoding="utf-8")
    plain = compared(capsys, "cut.jsonl", "--rungs", "small,big")
    assert plain["differs"] == ["cut.jsonl was cut off: of what it lacks nothing is said"]
    assert plain["overall"]["n"] == 4


def test_nothing_is_claimed_of_a_run_that_gave_up_trials(
    suite: pytest.Pytester, capsys: pytest.CaptureFixture[str]
) -> None:
    suite.runpytest("--rightsize-ladder=tiny,small", "--rightsize-results=run.jsonl")
    plain = compared(capsys, "run.jsonl", "--rungs", "tiny,small", "--margin", "0.99")
    assert plain["overall"]["non_inferior"]["holds"] is False
    assert plain["answer"] == (
        "nothing is claimed of tiny and small: small was not asked all of upper because that was settled before, so "
        "the cases are no fair sample: run with --rightsize-strategy=full."
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run.jsonl", "--rungs", "smal,big"], "--rungs, in run.jsonl: unknown rung 'smal': did you mean 'small'?"),
        (["run.jsonl", "--rungs", "small"], "name two rungs, as in --rungs 4b,frontier"),
        (["run.jsonl", "--rungs", "big,big"], "a rung of one run cannot be compared with itself"),
        (["run.jsonl", "--rungs", "small,big", "--margin", "5"], "--margin was given 5: give a fraction of 1"),
        (["no.jsonl", "--rungs", "small,big"], "cannot read the results file no.jsonl"),
    ],
)
def test_bad_input_is_one_line(
    full: pytest.Pytester, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    capsys.readouterr()
    assert main(["compare", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_who_reads_only_the_beginning_gets_no_traceback(full: pytest.Pytester) -> None:
    """As with `rightsize compare ... | head -1`: the reader is gone before the first line is written."""
    program = "import sys; from pytest_rightsize.commands.__main__ import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", program, "compare", "run.jsonl", "--rungs", "small,big"]
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(command, cwd=full.path, stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")
