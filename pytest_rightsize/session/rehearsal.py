"""Rehearses the end of a session before anything is asked: what it needs is found now, and not when all is paid for.

A small run is judged and shown to nobody; a library that is missing or broken ends the session here. What takes longer
to load than a small session takes, and many sessions never need, is only looked for.
"""

from collections.abc import Sequence
from importlib.util import find_spec

from pytest_rightsize.errors import ConfigError
from pytest_rightsize.judging.conclusions import conclude
from pytest_rightsize.judging.usage import usage_of
from pytest_rightsize.judging.verdict import judge
from pytest_rightsize.records import AnswerRecord, Policy, Run, Rung, Tokens, Trial, TrialKey
from pytest_rightsize.reports.facts import intervals
from pytest_rightsize.reports.terminal import table_lines
from pytest_rightsize.reports.usage_tables import usage_lines

__all__ = ["rehearse_end"]

_TASK, _CASES = "rehearsal", 3
# Loaded for several samples, early stopping and comparisons.
_HEAVY = ("numpy", "scipy")


def rehearse_end(rungs: Sequence[Rung], *, confidence: float | None) -> None:
    """Judge and show a small run on these rungs; raises ConfigError where a library keeps it from that."""
    trials = (
        Trial(
            key=TrialKey(task=_TASK, case=str(case), rung=rung.name),
            outcome="passed" if case or confidence is None else "failed",
            answers=(AnswerRecord(text="", seconds=1.0 + case, tokens=Tokens(prompt=1, completion=1 + case)),),
        )
        for rung in rungs
        for case in range(_CASES)
    )
    run = Run(
        rungs=tuple(rungs),
        trials=tuple(trials),
        policies={_TASK: Policy(task=_TASK, confidence=confidence)},
        planned={(_TASK, rung.name): _CASES for rung in rungs},
    )
    try:
        missing = [name for name in _HEAVY if find_spec(name) is None]
        if missing:
            raise ImportError(f"{missing[0]} is not there")
        verdicts = judge(run)
        usage_lines(usage_of(run), conclude(run, verdicts), intervals=intervals(run, verdicts))
        table_lines(run, verdicts)
    except (ImportError, OSError) as error:
        raise ConfigError(
            f"the verdicts of this session could not be made ({error}): install the package that is named again, as in "
            f"python -m pip install --force-reinstall pytest-rightsize"
        ) from None
