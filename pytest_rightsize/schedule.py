"""What to run next, given what is known: pure functions from standings to a reason not to run a rung."""

from collections.abc import Mapping, Sequence

from pytest_rightsize.records import Standing, Strategy

__all__ = ["reason_not_to_run"]


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
