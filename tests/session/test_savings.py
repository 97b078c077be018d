"""What a smaller rung saves: the chosen one is asked some cases more, and no verdict changes."""

import json
from pathlib import Path
from typing import Any

import pytest

from pytest_rightsize.commands.__main__ import main
from pytest_rightsize.records import Run, Trial
from pytest_rightsize.results.results_file import read_run

WORDS = [f"w{number}" for number in range(40)]
SUITE = f"""
import pytest

@pytest.mark.rightsize(task="upper", pass_rate=0.75, chosen="big")
@pytest.mark.parametrize("word", {WORDS})
def test_upper(model, word):
    assert model.ask(word) == word.upper()
"""


def answers(path: Path, tokens: Any, *, right: bool = True) -> None:
    lines = [
        {"prompt": word, "text": word.upper() if right else word, "tokens": {"prompt": 3, "completion": tokens(place)}}
        for place, word in enumerate(WORDS)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


@pytest.fixture
def forty(pytester: pytest.Pytester) -> pytest.Pytester:
    """Forty cases that `small` passes; `big`, which is chosen, takes about three times its tokens."""
    pytester.makepyfile(test_suite=SUITE)
    rungs = "".join(
        f'[ladder.{name}]\nprovider = "replay"\ncomplete = false\nfile = "{name}.jsonl"\n'
        for name in ("tiny", "small", "big")
    )
    (pytester.path / "rightsize.toml").write_text(rungs, encoding="utf-8")
    answers(pytester.path / "tiny.jsonl", lambda _: 5, right=False)
    answers(pytester.path / "small.jsonl", lambda place: 10 + place % 3)
    answers(pytester.path / "big.jsonl", lambda place: 30 + place % 5)
    return pytester


def ran(suite: pytest.Pytester, *options: str) -> tuple[Run, pytest.RunResult]:
    result = suite.runpytest(
        "--rightsize-ladder=tiny,small,big", "--rightsize-gate=none", "--rightsize-results=run.jsonl", *options
    )
    return read_run(suite.path / "run.jsonl"), result


def of_big(run: Run) -> list[Trial]:
    return [trial for trial in run.trials if trial.key.rung == "big"]


def verdict_lines(suite: pytest.Pytester) -> list[str]:
    lines = (suite.path / "run.jsonl").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if json.loads(line)["kind"] == "verdict"]


@pytest.mark.parametrize("options", [(), ("--rightsize-concurrency=1",), ("-n1",), ("--rightsize-strategy=bisect",)])
def test_a_chosen_rung_that_costs_nothing_is_asked_a_sample(options: tuple[str, ...], forty: pytest.Pytester) -> None:
    run, result = ran(forty, *options)
    sampled = [trial for trial in of_big(run) if trial.sampled]
    # Ten say enough of amounts that are so much alike, and no verdict counts them.
    assert len(sampled) == 10
    assert {trial.sampled for trial in sampled} == {"passed"}
    assert {trial.outcome for trial in of_big(run)} == {"not_run"}
    assert all(trial.answers and trial.answers[0].tokens.completion for trial in sampled)
    assert not any(trial.answers for trial in of_big(run) if not trial.sampled)
    assert "small instead of big saves" in result.stdout.str()
    assert "big was asked 10 cases for this alone" in result.stdout.str()


@pytest.mark.parametrize(("option", "asked"), [("none", 0), ("sample", 10), ("full", 40)])
def test_verdicts_are_the_same_however_savings_are_found(option: str, asked: int, forty: pytest.Pytester) -> None:
    ran(forty, "--rightsize-savings=none", "--rightsize-stopping=none")
    before = verdict_lines(forty)
    run, _ = ran(forty, f"--rightsize-savings={option}", "--rightsize-stopping=none")
    assert verdict_lines(forty) == before
    assert sum(trial.sampled is not None for trial in of_big(run)) == asked


def priced(suite: pytest.Pytester, **prices: float) -> None:
    """Give rungs a price of their completion tokens, in USD per million."""
    path = suite.path / "rightsize.toml"
    text = path.read_text(encoding="utf-8")
    for name, price in prices.items():
        text = text.replace(f'"{name}.jsonl"\n', f'"{name}.jsonl"\nprice = {{ prompt = 0, completion = {price} }}\n')
    path.write_text(text, encoding="utf-8")


def test_a_chosen_rung_that_costs_money_is_estimated_and_says_so(forty: pytest.Pytester) -> None:
    priced(forty, small=1, big=9)
    forty.makeconftest("""
        from pytest_rightsize.providers.replay import Replay

        class Paid(Replay):
            pass

        def pytest_rightsize_providers():
            return {"paid": Paid}
    """)
    path = forty.path / "rightsize.toml"
    before, big = path.read_text(encoding="utf-8").split("[ladder.big]")
    path.write_text(f"{before}[ladder.big]{big.replace('replay', 'paid')}", encoding="utf-8")
    run, result = ran(forty)
    assert not any(trial.answers for trial in of_big(run))
    assert (
        "small instead of big saves about $0.0878 per 1,000 cases (estimate, as big was not run" in result.stdout.str()
    )
    run, result = ran(forty, "--rightsize-savings=sample")
    assert sum(trial.sampled is not None for trial in of_big(run)) == 10
    assert "(estimate" not in result.stdout.str()


def test_an_objective_looks_at_larger_rungs_until_they_are_shown_to_take_more(forty: pytest.Pytester) -> None:
    priced(forty, small=1, big=9)
    run, result = ran(forty, "--rightsize-objective=cost", "--rightsize-stopping=settled")
    big = of_big(run)
    assert 10 <= sum(trial.outcome == "passed" for trial in big) <= 20
    (why,) = {trial.detail for trial in big if trial.outcome == "not_run"}
    assert why is not None
    assert why.startswith("settled: it takes 2")
    assert why.endswith(" times the cost of small for a passed case")
    assert "recommended by cost: small (big was left after 1" in result.stdout.str()


def test_an_objective_finds_the_larger_rung_that_takes_less(forty: pytest.Pytester) -> None:
    priced(forty, small=9, big=1)
    for options in ((), ("--rightsize-strategy=bisect",), ("--rightsize-strategy=full",)):
        run, result = ran(forty, "--rightsize-objective=cost", *options)
        assert sum(trial.outcome == "passed" for trial in of_big(run)) >= 30
        assert "recommended by cost: big" in result.stdout.str()
        assert "upper: false economy: small takes 3" in result.stdout.str()


def test_a_rung_without_the_amount_of_the_objective_is_left_at_once(forty: pytest.Pytester) -> None:
    run, _ = ran(forty, "--rightsize-objective=cost", "--rightsize-concurrency=1", "--rightsize-savings=none")
    big = of_big(run)
    assert sum(trial.outcome == "passed" for trial in big) == 1
    assert "settled: by cost it cannot be compared, as its price is not known" in {trial.detail for trial in big}


def test_a_task_that_stops_early_has_a_sample_too_and_the_same_verdict(forty: pytest.Pytester) -> None:
    ran(forty, "--rightsize-confidence=0.8", "--rightsize-savings=none")
    before = verdict_lines(forty)
    run, _ = ran(forty, "--rightsize-confidence=0.8")
    assert verdict_lines(forty) == before
    # Only cases that the smaller rung answered can be compared: it stopped before it had answered ten.
    answered = {trial.key.case for trial in run.trials if trial.key.rung == "small" and trial.outcome == "passed"}
    assert {trial.key.case for trial in of_big(run) if trial.sampled} <= answered
    assert any(trial.sampled for trial in of_big(run))


def test_show_says_why_a_trial_that_no_verdict_counts_was_asked(
    forty: pytest.Pytester, capsys: pytest.CaptureFixture[str]
) -> None:
    run, _ = ran(forty)
    case = next(trial.key.case for trial in of_big(run) if trial.sampled)
    capsys.readouterr()
    assert main(["show", "run.jsonl", "--case", case, "--rung", "big"]) == 0
    assert "passed (asked for savings only, no verdict" in capsys.readouterr().out


def test_a_fault_of_a_sample_is_nobodys(forty: pytest.Pytester) -> None:
    (forty.path / "big.jsonl").write_text(json.dumps({"prompt": "other", "text": "x"}) + "\n", encoding="utf-8")
    run, result = ran(forty)
    assert {trial.sampled for trial in of_big(run)} == {"error", None}
    assert {trial.outcome for trial in of_big(run)} == {"not_run"}
    assert result.ret == 0
    assert "upper: big was asked what small saves, and could not answer" in result.stdout.str()


def test_a_budget_is_for_the_verdicts(forty: pytest.Pytester) -> None:
    run, _ = ran(forty, "--rightsize-budget=tokens:1e6")
    assert not any(trial.sampled for trial in of_big(run))


def test_the_session_says_what_a_month_takes_where_the_ladder_file_says_how_often(forty: pytest.Pytester) -> None:
    path = forty.path / "rightsize.toml"
    priced(forty, small=1, big=9)
    path.write_text(path.read_text(encoding="utf-8") + "\n[tasks.upper]\nrequests_per_month = 1e6\n", encoding="utf-8")
    _, result = ran(forty)
    assert "upper: per year on small (smallest): $1" in result.stdout.str()
    assert "upper: per year saved by small instead of big: $3,3" in result.stdout.str()
