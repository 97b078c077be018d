"""Ratios of two rungs for a passed case: the common cases, the meters' errors, and what is not comparable."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import inf
from typing import Any

import pytest

from pytest_rightsize.energy import Energy, Kind
from pytest_rightsize.judging.rung_amounts import CaseAmount, RungAmounts
from pytest_rightsize.judging.rung_ratios import per_pass, ratio_of, surely_more, why_not_comparable
from pytest_rightsize.statistics.estimates import Ratio

MEASURED = Kind("measured", ("gpu.board",), "gross")
MODELLED = Kind("modelled", ("gpu.board",), "gross")
Row = tuple[float, int]


def rung(name: str, cases: Sequence[Row] | Mapping[str, Row], **more: Any) -> RungAmounts:
    """A rung's cases, each an amount and how many of its samples passed, of as many as passed or of one."""
    rows = cases if isinstance(cases, Mapping) else {f"c{place}": row for place, row in enumerate(cases)}
    found = {case: CaseAmount(amount, passed, max(passed, 1)) for case, (amount, passed) in rows.items()}
    return RungAmounts(rung=name, cases=found, **more)


def measured(joules: float, *, meter: str = "nvml", device: str = "nvml:0", systematic: float = 0.0) -> Energy:
    return Energy(joules=joules, provenance="measured", meter=meter, devices=(device,), systematic=systematic)


def known(ratio: Ratio | str | None) -> tuple[float, float, float]:
    assert isinstance(ratio, Ratio)
    assert ratio.low is not None
    assert ratio.high is not None
    return ratio.value, ratio.low, ratio.high


# Without any spread, interval and value are one.
TWICE = rung("a", [(2.0, 1)] * 4)
ONCE = rung("b", [(1.0, 1)] * 4)


def test_a_ratio_is_that_of_what_a_passed_case_takes() -> None:
    """6 J for 2 passed cases against 3 J for 3."""
    found = ratio_of(rung("a", [(2.0, 1), (2.0, 1), (2.0, 0)]), rung("b", [(1.0, 1)] * 3))
    assert isinstance(found, Ratio)
    assert found.value == pytest.approx(3.0)
    assert found.n == 3


def test_only_cases_that_both_answered_are_compared() -> None:
    found = ratio_of(rung("a", {"x": (2.0, 1), "y": (50.0, 1)}), rung("b", {"x": (1.0, 1), "z": (50.0, 1)}))
    assert found == Ratio(value=2.0, low=None, high=None, n=1)


@pytest.mark.parametrize(
    ("a", "b", "why"),
    [
        (rung("a", {"x": (1.0, 1)}), rung("b", {"y": (1.0, 1)}), "it has no case in common with a"),
        (rung("a", [(1.0, 0)]), ONCE, "it or a passed none of the cases that both answered"),
        (ONCE, rung("b", [(1.0, 0)]), "it or b passed none of the cases that both answered"),
        (rung("a", [(0.0, 1)]), ONCE, "it or a took nothing for the cases that both answered"),
        (
            rung("a", [(1.0, 1)], kind=MEASURED),
            rung("b", [(1.0, 1)], kind=MODELLED),
            "its joules (modelled, gpu.board, gross) are not comparable with those of a (measured, gpu.board, gross)",
        ),
        (
            rung("a", [(1.0, 1)], kind=MODELLED),
            rung("b", [(1.0, 1)], kind=MEASURED),
            "its joules (measured, gpu.board, gross) are not comparable with those of a (modelled, gpu.board, gross)",
        ),
    ],
)
def test_what_cannot_be_compared_says_why(a: RungAmounts, b: RungAmounts, why: str) -> None:
    assert ratio_of(a, b) == why


def test_a_pass_of_another_case_is_none_of_those_that_both_answered() -> None:
    a = rung("a", {"x": (1.0, 0), "y": (1.0, 1)})
    assert ratio_of(a, rung("b", {"x": (1.0, 1)})) == "it or a passed none of the cases that both answered"


# --- the meters' errors -----------------------------------------------------------------------------------------------


def test_errors_of_two_meters_widen_the_interval_and_leave_the_value() -> None:
    """Low is 2 x 0.9 / 1.25, high 2 x 1.2 / 0.8."""
    found = ratio_of(replace(TWICE, bounds=(0.9, 1.2)), replace(ONCE, bounds=(0.8, 1.25)))
    assert known(found) == pytest.approx((2.0, 1.44, 3.0))


def test_the_own_error_of_one_instrument_cancels_and_the_rest_stays() -> None:
    """Of 0.72 to 1.32 a systematic 10 % cancels: 0.72 / 0.9 = 0.8 and 1.32 / 1.1 = 1.2 are left."""
    a = replace(TWICE, bounds=(0.72, 1.32), energy=measured(8, systematic=0.1))
    b = replace(ONCE, bounds=(0.9, 1.1), energy=measured(4, systematic=0.1))
    assert known(ratio_of(a, b)) == pytest.approx((2.0, 1.6, 2.4))
    assert known(ratio_of(b, a)) == pytest.approx((0.5, 0.5 / 1.2, 0.5 / 0.8))


def test_what_is_left_of_an_error_never_narrows_the_interval() -> None:
    """Bounds closer than the systematic error would leave factors above 1 and below 1: they count as 1."""
    a = replace(TWICE, bounds=(0.99, 1.01), energy=measured(8, systematic=0.1))
    b = replace(ONCE, bounds=(0.99, 1.01), energy=measured(4, systematic=0.1))
    assert known(ratio_of(a, b)) == pytest.approx((2.0, 2.0, 2.0))


@pytest.mark.parametrize("other", [measured(4, systematic=0.1, device="nvml:1"), measured(4, meter="rapl"), None])
def test_nothing_cancels_between_two_instruments(other: Energy | None) -> None:
    a = replace(TWICE, bounds=(0.9, 1.1), energy=measured(8, systematic=0.1))
    b = replace(ONCE, bounds=(1.0, 1.0), energy=other)
    assert known(ratio_of(a, b)) == pytest.approx((2.0, 1.8, 2.2))
    assert known(ratio_of(b, a)) == pytest.approx((0.5, 0.5 / 1.1, 0.5 / 0.9))


def test_where_the_other_may_have_taken_nothing_the_ratio_has_no_interval() -> None:
    found = ratio_of(TWICE, replace(ONCE, bounds=(0.0, 1.5)))
    assert isinstance(found, Ratio)
    assert (found.value, found.low, found.high, found.n) == (2.0, None, None, 4)
    assert known(ratio_of(replace(TWICE, bounds=(0.0, 1.5)), ONCE)) == pytest.approx((2.0, 0.0, 3.0))


# --- who takes more ---------------------------------------------------------------------------------------------------


def test_a_rung_that_is_shown_to_take_more_does_surely() -> None:
    assert known(surely_more(TWICE, ONCE)) == pytest.approx((2.0, 2.0, 2.0))
    assert surely_more(ONCE, TWICE) is None


def test_a_meter_that_may_be_off_by_as_much_shows_nothing() -> None:
    assert surely_more(replace(TWICE, bounds=(0.5, 1.5)), ONCE) is None
    assert surely_more(replace(TWICE, bounds=(0.51, 1.5)), ONCE) is not None


def test_equal_amounts_are_not_more_and_nor_is_what_rounding_adds() -> None:
    assert surely_more(ONCE, rung("c", [(1.0, 1)] * 4)) is None
    assert surely_more(rung("a", [(1.0 + 1e-10, 1)] * 4), ONCE) is None
    assert surely_more(rung("a", [(1.0 + 1e-8, 1)] * 4), ONCE) is not None


def test_one_case_shows_nothing() -> None:
    assert surely_more(rung("a", [(9.0, 1)]), rung("b", [(1.0, 1)])) is None


def test_what_is_more_on_common_cases_must_be_more_in_the_table_too() -> None:
    """On the four common cases A takes twice as much, but B took far more for cases of its own."""
    b = rung("b", {**{f"c{place}": (1.0, 1) for place in range(4)}, "own": (20.0, 1)})
    assert surely_more(TWICE, b) is None


def test_what_is_more_in_the_table_alone_is_not_shown() -> None:
    assert surely_more(rung("a", {"x": (9.0, 1)}), rung("b", {"y": (1.0, 1)})) is None


def test_a_rung_that_takes_nothing_can_be_compared_with_any() -> None:
    free = rung("free", [(0.0, 1)] * 4)
    assert why_not_comparable(free, ONCE) is None
    assert why_not_comparable(ONCE, free) is None
    assert why_not_comparable(TWICE, ONCE) is None
    assert why_not_comparable(ONCE, rung("c", {"other": (1.0, 1)})) == "it has no case in common with b"


def test_what_a_passed_case_takes_is_a_total_and_infinite_where_none_passed() -> None:
    assert per_pass(rung("a", [(1.0, 2), (4.0, 0), (1.0, 1)])) == 2.0
    assert per_pass(rung("a", [(1.0, 0)])) == inf
    assert per_pass(rung("a", [(0.0, 1)])) == 0.0
