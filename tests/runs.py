"""Runs for the tests of judging and reports, written as tables of outcomes."""

from collections.abc import Mapping

from pytest_rightsize.records import AnswerRecord, Policy, Run, Rung, Strategy, Tokens, Trial, TrialKey

__all__ = ["make_run"]


def make_run(
    outcomes: Mapping[str, Mapping[str, str]],
    *,
    pass_rate: float = 0.75,
    chosen: str | None = None,
    planned: int | None = None,
    strategy: Strategy = "climb",
) -> Run:
    """A run from task -> rung -> outcomes: `1` passed, `0` failed, `E` error, `-` not run, each another case."""
    rungs = list(dict.fromkeys(rung for by_rung in outcomes.values() for rung in by_rung))
    trials = [
        _trial(task, rung, number, mark)
        for task, by_rung in outcomes.items()
        for rung, marks in by_rung.items()
        for number, mark in enumerate(marks)
    ]
    return Run(
        rungs=[Rung(name=rung, provider="replay") for rung in rungs],
        trials=trials,
        policies={
            task: Policy(task=task, pass_rate=pass_rate, chosen=chosen, chosen_from="the marker") for task in outcomes
        },
        planned={
            (task, rung): planned if planned is not None else len(marks)
            for task, by_rung in outcomes.items()
            for rung, marks in by_rung.items()
        },
        strategy=strategy,
    )


def _trial(task: str, rung: str, number: int, mark: str) -> Trial:
    key = TrialKey(task=task, case=f"{task}-{number}", rung=rung)
    answer = AnswerRecord(text="x", tokens=Tokens(prompt=10, completion=2, source="counted"))
    if mark == "1":
        return Trial(key=key, outcome="passed", answers=(answer,))
    if mark == "0":
        return Trial(key=key, outcome="failed", reason="wrong", answers=(answer,))
    if mark == "E":
        return Trial(key=key, outcome="error", reason="transport", detail="refused")
    return Trial(key=key, outcome="not_run", reason="settled", detail="settled below")
