"""The pass rate of a rung and how it stands."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_rightsize.statistics import stand


def cases(*samples: str) -> dict[str, list[bool]]:
    """Cases from strings such as "110": a passed, a passed and a failed sample."""
    return {f"case{number}": [mark == "1" for mark in text] for number, text in enumerate(samples)}


@pytest.mark.parametrize(
    ("results", "pass_rate", "state"),
    [
        (["1"] * 9 + ["0"], 0.9, "passes"),
        (["1"] * 8 + ["0"] * 2, 0.9, "fails"),
        (["1"] * 10, 1.0, "passes"),
        (["1"] * 2 + ["0"], 0.67, "fails"),
        (["1"] * 2 + ["0"], 0.66, "passes"),
        (["0"], 0.0, "passes"),
        (["1"] * 7 + ["0"] * 3, 0.7, "passes"),  # 7/10 >= 0.7 must not fall to floating point
        (["110", "111", "000"], 0.55, "passes"),  # 5/9 = 0.5556
        (["110", "111", "000"], 0.56, "fails"),
    ],
)
def test_the_rate_against_the_bar(results: list[str], pass_rate: float, state: str) -> None:
    planned = sum(map(len, results))
    assert stand(cases(*results), pass_rate=pass_rate, planned=planned).state == state


def test_each_case_weighs_the_same() -> None:
    """One case of four failed samples counts as much as one with a single passed one."""
    standing = stand(cases("0000", "1"), pass_rate=0.5, planned=5)
    assert standing.rate == 0.5
    assert standing.passed == 1
    assert standing.trials == 5
    assert standing.state == "passes"


def test_nothing_tried_is_no_rate() -> None:
    standing = stand({}, pass_rate=0.0, planned=4)
    assert standing.state == "not_run"
    assert standing.rate is None


def test_a_fault_leaves_it_undecided() -> None:
    standing = stand(cases("1", "1"), pass_rate=0.5, planned=3, faults=1)
    assert standing.state == "undecided"
    assert standing.reason == "1 of 3 trials had no answer"


def test_only_faults_is_undecided_and_no_rate() -> None:
    standing = stand({}, pass_rate=0.0, planned=3, faults=3)
    assert standing.state == "undecided"
    assert standing.rate is None


def test_missing_trials_leave_it_undecided() -> None:
    standing = stand(cases("1", "1"), pass_rate=0.5, planned=40)
    assert standing.state == "undecided"
    assert standing.reason == "only 2 of 40 trials ran"


@given(
    results=st.lists(st.lists(st.booleans(), min_size=1, max_size=4), min_size=1, max_size=12),
    bar=st.floats(min_value=0, max_value=1),
)
def test_one_more_pass_never_harms(results: list[list[bool]], bar: float) -> None:
    """Turning a failed sample into a passed one never turns `passes` into `fails`."""
    planned = sum(map(len, results))
    before = stand(dict(enumerate_names(results)), pass_rate=bar, planned=planned)
    results[0][0] = True
    after = stand(dict(enumerate_names(results)), pass_rate=bar, planned=planned)
    assert not (before.state == "passes" and after.state == "fails")
    assert before.rate is not None
    assert after.rate is not None
    assert 0 <= before.rate <= after.rate <= 1


def enumerate_names(results: list[list[bool]]) -> list[tuple[str, list[bool]]]:
    """Names for cases."""
    return [(f"case{number}", samples) for number, samples in enumerate(results)]
