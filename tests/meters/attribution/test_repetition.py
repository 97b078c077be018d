"""How often a short request is repeated, and the energy that its repetitions give."""

from collections.abc import Sequence
from math import sqrt

import pytest

from pytest_rightsize.energy import Energy
from pytest_rightsize.meters.attribution.repetition import Row, combined, rows_needed
from pytest_rightsize.meters.attribution.shares import Share

T = 4.302652729911275  # Student's t, 2 degrees of freedom, two-sided 95 %


@pytest.mark.parametrize(
    ("seconds", "ticks_s", "budget_s", "per_block"),
    [
        (0.5, [0.1], 10.0, 2),  # 20 ticks are 2 s, or 4 repetitions: two in each of three blocks
        (0.4, [0.1], 10.0, 2),  # 5
        (0.1, [0.1], 10.0, 7),  # 20
        (0.25, [0.1, None, 0.3], 10.0, 8),  # the slowest counter counts: 6 s, or 24 of them
        (0.1, [0.1], 1.0, 3),  # 20 are wanted, 10 can be afforded: three in each block
        (0.1, [0.1], 0.35, 1),
        (0.1, [0.1], 0.2, 0),  # less than one for each block
        (2.0, [0.1], 60.0, 0),  # it is resolved as it is
        (0.5, [0.1], 0.0, 0),
        (None, [0.1], 10.0, 0),
        (0.0, [0.1], 10.0, 0),
        (0.5, [None], 10.0, 0),
        (0.5, [0.0], 10.0, 0),  # an exact counter needs none
        (0.5, [], 10.0, 0),
    ],
)
def test_as_many_repetitions_as_twenty_ticks_take_within_the_budget(
    seconds: float | None, ticks_s: Sequence[float | None], budget_s: float, per_block: int
) -> None:
    assert rows_needed(seconds, ticks_s, budget_s=budget_s) == per_block


def joules(amount: float, low: float | None = None, high: float | None = None) -> Energy:
    return Energy(
        joules=amount,
        low=amount if low is None else low,
        high=amount if high is None else high,
        provenance="measured",
        boundary=frozenset({"gpu.board"}),
    )


def bounds(energy: Energy | None) -> tuple[float, float, float]:
    assert energy is not None
    assert energy.joules is not None
    assert energy.low is not None
    assert energy.high is not None
    return energy.low, energy.joules, energy.high


def test_blocks_that_agree_give_their_mean_within_the_counters_bounds() -> None:
    """Six repetitions took 18 J, between 15 and 21."""
    found = combined([joules(6, 5, 7)] * 3, per_block=2)
    assert bounds(found) == pytest.approx((2.5, 3.0, 3.5))
    assert found is not None
    assert (found.repeats, found.flags) == (6, ("repeated",))


def test_blocks_that_differ_widen_the_bounds_by_students_t() -> None:
    """A repetition took 2, 3 and 4 J: their deviation is 1."""
    reach = T / sqrt(3)
    assert bounds(combined([joules(4), joules(6), joules(8)], per_block=2)) == pytest.approx((3 - reach, 3, 3 + reach))


def test_an_energy_is_never_below_0() -> None:
    found = bounds(combined([joules(0), joules(0), joules(18)], per_block=2))
    assert found[0] == 0.0
    assert found[1] == pytest.approx(3.0)


def test_one_block_has_the_counters_bounds_alone() -> None:
    assert bounds(combined([joules(8, 6, 12)], per_block=4)) == pytest.approx((1.5, 2.0, 3.0))


def test_a_block_that_is_unknown_leaves_the_repetitions_unknown() -> None:
    assert combined([joules(6), Energy(reason="the counter was reset")], per_block=2) is None
    assert combined([], per_block=2) is None


def share() -> Share:
    return Share(ticket="0/0", start=0.0, end=1.0, window_s=1.0, parts=(), shared=False)


def test_a_row_is_complete_when_all_shares_are_there_or_will_not_come() -> None:
    row = Row(per_block=2, block_tickets=["0/0", "0/1"])
    assert (row.block_ticket, row.is_complete) == ("0/0", False)
    row.block = 1
    assert row.block_ticket == "0/1"
    row.shares += [share(), share()]
    assert not row.is_complete  # it goes on
    row.ended = True
    assert row.is_complete
    del row.shares[0]
    assert not row.is_complete
    row.failed = True
    assert row.is_complete
