"""Why a rung has fewer answers than trials: it could not answer, or the tests broke. Pure."""

from pytest_rightsize.verdict_records import BROKEN, DOWN

__all__ = ["why_unanswered"]


def why_unanswered(*, answered: int, faults: int, broken: int, planned: int) -> str:
    """The reason of a standing that lacks answers: a clause, or one of the words that stand for no answer at all.

    `faults` trials had none because the rung failed, `broken` ones because the test did; the others of those `planned`
    that were not `answered` were never asked, and no count speaks of them.
    """
    if not answered:
        return DOWN if faults else BROKEN
    if not faults:
        return f"the test itself broke in {broken} of {planned} trials"
    if answered + faults + broken >= planned:
        return f"{faults + broken} of {planned} trials had no answer"
    return f"only {answered} of {planned} trials had an answer"
