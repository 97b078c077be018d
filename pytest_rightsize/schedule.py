"""What to run next, given what is known: from standings to the next rung, or a reason not to run one; pure."""

from collections.abc import Mapping, Sequence
from typing import Literal

from pytest_rightsize.records import Standing, Strategy
from pytest_rightsize.statistics import settled

__all__ = ["fallback", "next_rung", "reason_not_to_run", "reason_to_stop"]


def reason_not_to_run(
    rung: str, *, ladder: Sequence[str], standings: Mapping[str, Standing], strategy: Strategy
) -> str | None:
    """Why a task's trials on `rung` cannot change its verdict, or None if they can.

    `ladder` names the rungs smallest first, `standings` holds what is known of the rungs below. `full` runs all.
    `climb` stops above the first rung that passes, and above one that is undecided: no rung higher up can be called
    the smallest then.
    """
    if strategy == "full":
        return None
    for below in ladder[: ladder.index(rung)]:
        state = standings[below].state if below in standings else "not_run"
        if state == "passes":
            return f"settled: {below} passes"
        if state == "undecided":
            return f"{below} is undecided, so no larger rung can be called the smallest"
    return None


def next_rung(
    ladder: Sequence[str], standings: Mapping[str, Standing], strategy: Strategy | Literal["bisect"]
) -> str | None:
    """The rung to ask next, or None when nothing more can change the verdict; `ladder` stands smallest first.

    `bisect` halves the ladder down to a rung that passes above one that fails, then asks every smaller rung that it
    jumped over: that a larger one fails proves nothing of them. If one of them passes, the ladder is not monotone, and
    all rungs are asked (see `fallback`). Rungs that may not see a private task are left out.
    """
    open_to_it = [rung for rung in ladder if _known(standings, rung).reason != "private"]
    unasked = [rung for rung in open_to_it if _known(standings, rung).state == "not_run"]
    if strategy != "bisect":
        return next(
            (
                rung
                for rung in unasked
                if reason_not_to_run(rung, ladder=ladder, standings=standings, strategy=strategy) is None
            ),
            None,
        )
    if fallback(ladder, standings):
        return unasked[0] if unasked else None
    states = [_known(standings, rung).state for rung in open_to_it]
    # An undecided rung bounds the search as one that passes does: no rung above it can be called the smallest.
    end = next((place for place, state in enumerate(states) if state in ("passes", "undecided")), len(states))
    start = max((place + 1 for place in range(end) if states[place] == "fails"), default=0)
    if start < end:
        return open_to_it[(start + end - 1) // 2]
    below = [rung for rung in open_to_it[:end] if rung in unasked]
    return below[-1] if below else None


def fallback(ladder: Sequence[str], standings: Mapping[str, Standing]) -> str | None:
    """Why `bisect` asks all rungs after all: a smaller rung passes where a larger one fails. None while none does."""
    passing = next((rung for rung in ladder if _known(standings, rung).state == "passes"), None)
    above = ladder[ladder.index(passing) + 1 :] if passing else ()
    failing = next((rung for rung in above if _known(standings, rung).state == "fails"), None)
    return f"non-monotone: {passing} passes, {failing} fails, so bisect fell back to full" if failing else None


def reason_to_stop(
    cases: Mapping[str, Sequence[bool]],
    remaining: Mapping[str, int],
    *,
    pass_rate: float,
    confidence: float | None = None,
) -> str | None:
    """Why the remaining trials of a task on a rung cannot change its standing (curtailment), or None if they can.

    `cases` holds each case's samples so far (True passed), `remaining` how many each is still to have. A trial that
    had no answer is in neither, and leaves the standing undecided: do not ask about a rung that has one.
    """
    left = sum(remaining.values())
    state = settled(cases, remaining, pass_rate=pass_rate, confidence=confidence) if left else None
    return None if state is None else f"settled: {state} whatever the remaining {left} trials bring"


def _known(standings: Mapping[str, Standing], rung: str) -> Standing:
    return standings.get(rung, Standing(state="not_run"))
