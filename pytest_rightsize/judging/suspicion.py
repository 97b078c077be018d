"""The doubt about a task that no rung passes, where every trial ended in one exception at one line; pure.

A bug of the test looks like that, and so does an answer's format that no prompt asks for: a larger rung mends neither.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from pytest_rightsize.records import Trial
from pytest_rightsize.verdict_records import Verdict

__all__ = ["with_suspicion"]


def with_suspicion(verdict: Verdict, ladder: Sequence[str], trials: Iterable[Trial]) -> Verdict:
    """The verdict with a note that names the exception and its line, if the task's trials are all alike in that.

    Those on the largest rung must be among them; an assertion that fails is no such exception.
    """
    judged = [trial for trial in trials if trial.outcome in ("passed", "failed")]
    places = {trial.raised_at for trial in judged}
    on_largest = any(trial.key.rung == ladder[-1] for trial in judged) if ladder else False
    if verdict.verdict != "unsolved" or len(places) != 1 or not on_largest:
        return verdict
    (place,) = places
    if place is None:
        return verdict
    note = f"suspicious: every trial ended in {place}, which may be a bug of the test and not the models' doing"
    return replace(verdict, notes=(*verdict.notes, note), suspicion=place)
