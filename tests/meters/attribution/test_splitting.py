"""Splits of a device's joules among requests in flight, and the bounds of one answer's part, on plain numbers."""

from typing import Any

import pytest

from pytest_rightsize.meters.attribution.accounts import Account
from pytest_rightsize.meters.attribution.bounds import part_of
from pytest_rightsize.meters.attribution.flight import Flight
from pytest_rightsize.meters.attribution.shares import Part
from pytest_rightsize.meters.attribution.sharing import Ledger
from pytest_rightsize.meters.attribution.splitting import TokenTotals, fractions, lacks_tokens
from pytest_rightsize.meters.attribution.timeline import Break, Timeline


def flight(written: float | None = 10.0, read: float = 0.0, end: float | None = 2.0, **more: Any) -> Flight:
    """A request of the first two seconds."""
    options: dict[str, Any] = {"ticket": "x", "began": 0.0, "start": 0.0, "shares": [0.0]}
    return Flight(**options | {"written": written, "read": read, "end": end} | more)


@pytest.mark.parametrize(
    ("prompt_weight", "flights", "expected"),
    [
        (0.1, [flight(10), flight(30)], [0.25, 0.75]),
        (0.1, [flight(10, 200), flight(30)], [0.5, 0.5]),  # 200 prompt tokens weigh as much as 20 written ones
        (0.5, [flight(10, 200), flight(110)], [0.5, 0.5]),
        (0.0, [flight(10, 200), flight(30)], [0.25, 0.75]),
        (0.1, [flight(10, end=1.0), flight(10, end=2.0)], [2 / 3, 1 / 3]),  # by tokens per second
        (0.1, [flight(None), flight(30)], [0.5, 0.5]),
        (0.1, [flight(10, end=0.0), flight(30)], [0.5, 0.5]),  # it took no time, and has no rate
        (0.1, [flight(0), flight(0)], [0.5, 0.5]),
        (0.1, [flight(0), flight(5)], [0.0, 1.0]),
    ],
)
def test_joules_are_split_by_tokens_per_second_and_evenly_where_those_are_unknown(
    prompt_weight: float, flights: list[Flight], expected: list[float]
) -> None:
    assert fractions(flights, prompt_weight, TokenTotals()) == pytest.approx(expected)


def test_a_request_that_has_not_ended_counts_at_the_mean_rate_so_far() -> None:
    totals = TokenTotals()
    assert totals.mean_rate(0.1) is None
    assert fractions([flight(10), flight(end=None)], 0.1, totals) == [0.5, 0.5]
    totals.add(written=20, read=100, duration_s=2.0)
    totals.add(written=10, read=0, duration_s=2.0)
    assert totals.mean_rate(0.1) == pytest.approx((30 + 10) / 4)
    # 5 tokens a second against 10.
    assert fractions([flight(10), flight(end=None)], 0.1, totals) == pytest.approx([1 / 3, 2 / 3])


@pytest.mark.parametrize(
    ("flights", "lacks"),
    [
        ([flight(10), flight(30)], False),
        ([flight(0), flight(5)], False),
        ([flight(None), flight(30)], True),
        ([flight(0), flight(0)], True),
    ],
)
def test_an_even_split_is_flagged_where_tokens_are_unknown(flights: list[Flight], lacks: bool) -> None:
    assert lacks_tokens(flights, TokenTotals()) is lacks


def line() -> Timeline:
    """An exact counter at 10 W from 0 to 9 s."""
    timeline = Timeline(exact=True)
    for moment in range(10):
        timeline.read(moment, moment, 10.0 * moment)
    return timeline


@pytest.mark.parametrize(
    ("idle_w", "low", "high"),
    [
        (None, 20.0, 40.0),
        ((3.0, 3.0), 14.0, 28.0),
        ((2.0, 4.0), 12.0, 32.0),  # the most idle power below, the least above
        ((-1.0, 11.0), 0.0, 40.0),  # an idle power below 0 takes nothing off, nor does a bound go below 0
    ],
)
def test_bounds_leave_the_idle_power_out_at_its_worst_either_way(
    idle_w: tuple[float, float] | None, low: float, high: float
) -> None:
    """In flight from 1 to 5 s at 10 W, and alone from 2 to 4 s."""
    request = flight(began=1.0, start=1.0, end=5.0, shares=[25.0], alone=[(2.0, 4.0)])
    part = part_of(request, 5.0, 0, line(), Account(idle=100.0), idle_w)
    assert isinstance(part, Part)
    assert (part.low, part.joules, part.high) == (low, 25.0, high)


@pytest.mark.parametrize(
    ("share", "joules", "idle"),
    [(25.0, 25.0, 100.0), (50.0, 40.0, 110.0), (5.0, 20.0, 85.0), (0.0, 30.0, 70.0), (-5.0, 30.0, 65.0)],
)
def test_a_share_is_told_within_its_bounds_and_idle_has_the_difference(
    share: float, joules: float, idle: float
) -> None:
    request = flight(began=1.0, start=1.0, end=5.0, shares=[share], alone=[(2.0, 4.0)])
    account = Account(idle=100.0, served=share)
    part = part_of(request, 5.0, 0, line(), account, None)
    assert isinstance(part, Part)
    assert part.joules == joules
    assert (account.idle, account.served) == (idle, joules)


def test_what_idle_cannot_give_is_not_told() -> None:
    request = flight(began=1.0, start=1.0, end=5.0, shares=[5.0], alone=[(2.0, 4.0)])
    account = Account(idle=14.0, served=5.0)
    assert part_of(request, 5.0, 0, line(), account, None) == Break(
        reason="the counter did not move", flag="below_resolution"
    )
    assert (account.idle, account.served) == (14.0, 5.0)


def test_a_counter_that_was_lost_meanwhile_has_no_part() -> None:
    request = flight(began=1.0, start=1.0, end=5.0, shares=[None])
    part = part_of(request, 5.0, 0, line(), Account(), None)
    assert part == Break(reason="the counter was lost meanwhile", flag="lost")


def test_an_answer_that_was_alone_is_not_shared_and_two_at_once_are() -> None:
    timeline = line()
    ledger = Ledger([timeline], opened=0.0, patience_s=1.0, loads=False)
    for ticket, start in (("alone", 1.0), ("one", 4.0), ("other", 4.0)):
        ledger.admit(ticket, start)
    for ticket, end in (("alone", 2.0), ("one", 6.0), ("other", 6.0)):
        ledger.land(ticket, end=end, seconds=end - (1.0 if ticket == "alone" else 4.0), written=10.0)
    shares = {share.ticket: share for share in ledger.settle(9.0)}
    assert {ticket: share.shared for ticket, share in shares.items()} == {"alone": False, "one": True, "other": True}
    parts = {ticket: share.parts[0] for ticket, share in shares.items()}
    assert {ticket: part.joules for ticket, part in parts.items() if isinstance(part, Part)} == pytest.approx(
        {"alone": 10.0, "one": 10.0, "other": 10.0}
    )
