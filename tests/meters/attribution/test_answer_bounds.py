"""What one device took for an answer: its bounds, and the joules told within them."""

from dataclasses import dataclass
from typing import Any, cast

import pytest

from pytest_rightsize.meters.attribution.accounts import Account
from pytest_rightsize.meters.attribution.bounds import part_of
from pytest_rightsize.meters.attribution.flight import Flight
from pytest_rightsize.meters.attribution.shares import Part
from pytest_rightsize.meters.attribution.timeline import Break, Timeline

START, END = 100.0, 110.0


@dataclass
class Line:
    """A time line of a device that takes `watts` all the time, and whose ticks leave `loose` joules open."""

    watts: float = 5.0
    loose: float = 2.0
    lost: bool = False

    def at_most(self, start: float, end: float) -> float | None:
        return None if self.lost else self.watts * (end - start) + self.loose

    def at_least(self, start: float, end: float) -> float | None:
        return None if self.lost else self.watts * (end - start) - self.loose

    def bracket(self, _start: float, _end: float) -> object:
        return Break(reason="it was unplugged", flag="lost") if self.lost else (0.0, 1.0)

    def ticks(self, start: float, end: float) -> int:
        return int(end - start)


def part(
    line: Line,
    share: float | None,
    *,
    alone: tuple[tuple[float, float], ...] = (),
    idle_w: tuple[float, float] | None = None,
    account: Account | None = None,
) -> Part | Break:
    flight = Flight(ticket=1, began=START, start=START, end=END, shares=[share], alone=[*alone])
    assert flight.read == 0.0
    return part_of(flight, END, 0, cast(Timeline, line), account or Account(idle=1000.0, served=share or 0.0), idle_w)


def test_a_share_between_its_bounds_is_told_as_it_is() -> None:
    found = part(Line(), 30.0, alone=((101.0, 103.0), (104.0, 105.0)))
    assert found == Part(low=8.0 + 3.0, joules=30.0, high=52.0, ticks=10)


@pytest.mark.parametrize(("share", "told"), [(1.0, 8.0), (60.0, 52.0), (0.0, 30.0), (-1.0, 30.0)])
def test_a_share_beyond_its_bounds_is_told_within_them(share: float, told: float) -> None:
    """Of nothing, or less, the middle is told; what is told more or less comes from idle."""
    account = Account(idle=100.0, served=share)
    assert part(Line(), share, alone=((101.0, 103.0),), account=account) == Part(
        low=8.0, joules=told, high=52.0, ticks=10
    )
    assert (account.served, account.idle) == (told, 100.0 - (told - share))


def test_idle_power_is_left_out_of_both_bounds() -> None:
    """The most of it from what was surely taken in the three seconds alone, the least of it from all."""
    found = part(Line(), 20.0, alone=((101.0, 103.0), (104.0, 105.0)), idle_w=(1.5, 2.5))
    assert found == Part(low=11.0 - 2.5 * 3, joules=20.0, high=52.0 - 15.0, ticks=10)


def test_idle_power_below_nothing_is_none() -> None:
    found = part(Line(), 20.0, alone=((101.0, 103.0),), idle_w=(-1.0, 9.0))
    assert found == Part(low=0.0, joules=20.0, high=52.0, ticks=10)


@pytest.mark.parametrize(("watts", "moved"), [(0.0, False), (-1.0, False), (0.05, True)])
def test_a_counter_that_did_not_move_tells_nothing(watts: float, moved: bool) -> None:
    found = part(Line(watts=watts, loose=0.0), 0.0)
    if moved:
        assert found == Part(low=0.0, joules=0.25, high=0.5, ticks=10)
    else:
        assert found == Break(reason="the counter did not move", flag="below_resolution")


def test_idle_that_has_too_little_tells_nothing() -> None:
    account = Account(idle=1.0, served=1.0)
    assert part(Line(), 1.0, alone=((101.0, 103.0),), account=account) == Break(
        reason="the counter did not move", flag="below_resolution"
    )
    assert (account.served, account.idle) == (1.0, 1.0)


@pytest.mark.parametrize(
    ("line", "share", "why"),
    [(Line(lost=True), 3.0, "it was unplugged"), (Line(), None, "the counter was lost meanwhile")],
)
def test_a_counter_that_was_lost_tells_why(line: Line, share: float | None, why: Any) -> None:
    assert part(line, share) == Break(reason=why, flag="lost")


def test_idle_power_is_left_out_over_the_whole_length_of_an_answer() -> None:
    """Of 37 J in 7 s at least 1 W is idle power; nothing was spent while the answer was alone."""
    flight = Flight(ticket=1, began=3.0, start=3.0, end=10.0, shares=[20.0])
    account = Account(idle=1000.0, served=20.0)
    found = part_of(flight, 10.0, 0, cast(Timeline, Line()), account, (1.0, 2.0))
    assert found == Part(low=0.0, joules=20.0, high=30.0, ticks=7)
