"""Why a rung has fewer answers than trials: no count speaks of answers that were never asked for."""

import pytest

from pytest_rightsize.judging.unanswered import why_unanswered
from pytest_rightsize.judging.verdict import judge
from tests.runs import make_run


@pytest.mark.parametrize(
    ("answered", "faults", "broken", "planned", "words"),
    [
        (0, 1, 0, 6, "down"),
        (0, 3, 1, 6, "down"),
        (0, 0, 2, 6, "broken"),
        (3, 1, 0, 4, "1 of 4 trials had no answer"),
        (2, 1, 1, 4, "2 of 4 trials had no answer"),
        (2, 2, 1, 5, "3 of 5 trials had no answer"),
        (2, 1, 0, 6, "only 2 of 6 trials had an answer"),  # the other three were never asked
        (2, 2, 1, 6, "only 2 of 6 trials had an answer"),
        (4, 1, 0, 6, "only 4 of 6 trials had an answer"),
        (5, 0, 1, 6, "the test itself broke in 1 of 6 trials"),
    ],
)
def test_why(answered: int, faults: int, broken: int, planned: int, words: str) -> None:
    assert why_unanswered(answered=answered, faults=faults, broken=broken, planned=planned) == words


def test_a_rung_without_a_single_answer_is_the_same_in_every_task() -> None:
    """The trial that runs into the fault is an error, and those after it are not run: both mean the same."""
    run = make_run({"t": {"a": "E--", "b": "111"}, "u": {"a": "EEE", "b": "111"}}, chosen="b")
    verdicts = judge(run)
    assert [verdict.standing["a"].could_not_answer for verdict in verdicts] == [True, True]
    assert {verdict.notes for verdict in verdicts} == {("a: it could not answer",)}
