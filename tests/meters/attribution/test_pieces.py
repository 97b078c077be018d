"""On which side of a piece of time its device was idle, and the joules of pieces, which add up to the counter's."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, cast

import pytest

from pytest_rightsize.meters.attribution.flight import Flight
from pytest_rightsize.meters.attribution.pieces import DeviceTotal, Piece, idle_side
from pytest_rightsize.meters.attribution.timeline import Timeline


@dataclass
class Edge:
    at: float


@dataclass
class Ticks:
    """A time line whose last tick before the end of a piece is at 8, and whose next is at 12."""

    low: Edge | None
    high: Edge | None

    def least(self, _moment: float) -> Edge | None:
        return self.low

    def most(self, _moment: float) -> Edge | None:
        return self.high


def flight(start: float, end: float | None) -> Flight:
    return Flight(ticket=1, began=start, start=start, end=end, shares=[0.0])


LOW, HIGH = Edge(8.0), Edge(12.0)


def side(
    piece: Piece, flights: list[Flight], busy_until: float, *, low: Edge | None = LOW, high: Edge | None = HIGH
) -> str:
    return idle_side(cast(Timeline, Ticks(low, high)), piece, flights, busy_until=busy_until)


IDLE = Piece(start=5.0, end=10.0, flights=(), is_loading=False)


@pytest.mark.parametrize(("busy_until", "found"), [(3.0, "before"), (8.0, "before"), (8.5, "")])
def test_before_the_end_of_an_idle_piece_the_device_was_idle_since_the_tick_if_it_was_so_long(
    busy_until: float, found: str
) -> None:
    assert side(IDLE, [flight(1.0, busy_until)], busy_until) == found


def test_a_piece_of_loading_is_not_idle() -> None:
    assert side(IDLE._replace(is_loading=True), [], 3.0) == ""


@pytest.mark.parametrize(
    ("others", "found"),
    [
        ([], "after"),
        ([flight(5.0, 10.0)], "after"),
        ([flight(2.0, 9.0)], "after"),  # ended before
        ([flight(12.0, None)], "after"),  # begins with the tick
        ([flight(13.0, None)], "after"),
        ([flight(11.9, None)], ""),
        ([flight(11.0, 11.5)], ""),
        ([flight(5.0, 10.5)], ""),
        ([flight(5.0, None)], ""),
    ],
)
def test_after_the_end_of_a_busy_piece_the_device_is_idle_until_the_next_tick_if_nothing_begins(
    others: list[Flight], found: str
) -> None:
    own = flight(5.0, 10.0)
    assert side(IDLE._replace(flights=(own,)), [own, *others], 10.0) == found


@pytest.mark.parametrize(("low", "high"), [(None, Edge(12.0)), (Edge(8.0), None), (None, None)])
def test_without_a_tick_on_either_side_nothing_is_known(low: Edge | None, high: Edge | None) -> None:
    assert side(IDLE, [], 3.0, low=low, high=high) == ""
    own = flight(5.0, 10.0)
    assert side(IDLE._replace(flights=(own,)), [own], 10.0, low=low, high=high) == ""


@dataclass
class Guesses:
    """A time line with a guess for each moment; `broken` are the ends of windows of which it does not say."""

    guesses: dict[float, float | None]
    broken: frozenset[float] = frozenset()

    def guess(self, moment: float, **_: Any) -> float | None:
        return self.guesses[moment]

    def at_most(self, _start: float, end: float) -> float | None:
        return None if end in self.broken else 1e9


def spent(guesses: dict[float, float | None], *, broken: frozenset[float] = frozenset()) -> list[float | None]:
    total = DeviceTotal(cast(Timeline, Guesses(guesses, broken)))
    return [total.spent(start, end, idle_w=None, idle="") for start, end in pairwise(guesses)]


def test_pieces_add_up_and_none_takes_less_than_nothing() -> None:
    assert spent({0.0: 10.0, 1.0: 14.0, 2.0: 13.0, 3.0: 20.0}) == [4.0, 0.0, 6.0]


def test_a_piece_whose_counter_was_lost_is_unknown_and_the_next_begins_anew() -> None:
    assert spent({0.0: 10.0, 1.0: None, 2.0: 13.0, 3.0: 20.0}) == [None, None, 7.0]
    assert spent({0.0: 10.0, 1.0: 4.0, 2.0: 6.0}, broken=frozenset({1.0})) == [None, 2.0]
