"""Stretches of time with answers in flight: where they end, what is in them, and which are left out."""

from typing import Any

import pytest

from pytest_rightsize.meters.attribution.flight import Flight
from pytest_rightsize.meters.attribution.pieces import Piece
from pytest_rightsize.meters.attribution.stretches import Stretch, StretchCollector
from pytest_rightsize.meters.attribution.timeline import Timeline


def exact(watts: float = 10.0, until: float = 60.0) -> Timeline:
    """A counter without ticks."""
    line = Timeline(exact=True)
    for moment in range(int(until) + 1):
        line.read(float(moment), float(moment), watts * moment)
    return line


def ticking(tick_s: float, *, watts: float = 10.0, until: float = 60.0) -> Timeline:
    """A counter whose every tick is read as it comes, and the one before it just before."""
    line = Timeline()
    for place in range(int(until / tick_s) + 1):
        moment = place * tick_s
        line.read(moment - 1e-6, moment - 1e-6, watts * (place - 1) * tick_s)
        line.read(moment, moment, watts * moment)
    return line


def flight(start: float, end: float | None, written: float | None = 10.0, read: float = 0.0, **more: Any) -> Flight:
    return Flight(ticket=start, began=start, start=start, end=end, written=written, read=read, shares=[], **more)


def piece(start: float, end: float, *flights: Flight, is_loading: bool = False) -> Piece:
    return Piece(start=start, end=end, flights=flights, is_loading=is_loading)


def collected(*pieces: Piece, line: Timeline | None = None, joules: float | None = 10.0) -> list[Stretch]:
    """The stretches of pieces that took so many joules each, with every request that is in one of them."""
    every = list({id(one): one for each in pieces for one in each.flights}.values())
    collector = StretchCollector([line or exact()])
    for each in pieces:
        collector.add(each, [joules], every)
    return collector.stretches


def test_an_answer_alone_is_a_stretch_of_its_own() -> None:
    one = flight(1, 5, written=12, read=300)
    assert collected(piece(1, 5, one)) == [Stretch(prompt=300, completion=12, answers=1, joules=(10.0,))]


def test_pieces_of_answers_that_overlap_are_one_stretch() -> None:
    first, second = flight(1, 5, written=12, read=300), flight(3, 7, written=8, read=100)
    (found,) = collected(piece(1, 3, first), piece(3, 5, first, second), piece(5, 7, second))
    assert (found.prompt, found.completion, found.answers) == pytest.approx((400, 20, 2))
    assert found.joules == (30.0,)


def test_a_pause_or_the_next_answer_at_the_same_moment_begins_another() -> None:
    first, second, third = flight(1, 3, written=1), flight(3, 6, written=2), flight(9, 10, written=4)
    found = collected(piece(1, 3, first), piece(3, 6, second), piece(6, 9), piece(9, 10, third))
    assert [one.completion for one in found] == [1, 2, 4]


def test_where_answers_always_overlap_a_stretch_is_twice_their_length() -> None:
    """Each takes 4 s, and the next begins after 2 s: after 8 s the stretch ends, in the middle of one."""
    flights = [flight(start, start + 4, written=8) for start in range(0, 40, 2)]
    pieces = [
        piece(start, start + 2, *(one for one in flights if one.covers(start, start + 2))) for start in range(0, 24, 2)
    ]
    found = collected(*pieces)
    assert [one.joules for one in found] == [(40.0,), (40.0,), (40.0,)]
    # The first one began alone: 3.5 answers in 8 s, of 4 that would be.
    assert [(one.answers, one.completion) for one in found] == [(3.5, 28.0), (4.0, 32.0), (4.0, 32.0)]


@pytest.mark.parametrize(
    "spoilt",
    [
        flight(3, 5, written=None),
        flight(3, 5, outcome="lost"),
        flight(3, None),
        flight(3, 3),
    ],
)
def test_a_stretch_with_an_answer_of_unknown_tokens_or_length_teaches_nothing(spoilt: Flight) -> None:
    first, later = flight(1, 5), flight(9, 10, written=4)
    found = collected(piece(1, 3, first), piece(3, 5, first, spoilt), piece(9, 10, later))
    assert [one.completion for one in found if spoilt.end is not None] == ([4] if spoilt.end is not None else [])
    assert all(one.answers == 1 for one in found)


def test_unknown_joules_of_a_device_spoil_their_stretch_only() -> None:
    collector = StretchCollector([exact(), exact()])
    first, second = flight(1, 3, written=1), flight(5, 7, written=2)
    collector.add(piece(1, 3, first), [5.0, None], [first])
    collector.add(piece(5, 7, second), [5.0, 7.0], [first, second])
    assert collector.stretches == [Stretch(prompt=0, completion=2, answers=1, joules=(5.0, 7.0))]


def test_loading_the_model_is_in_no_stretch() -> None:
    one = flight(1, 9, written=4)
    found = collected(piece(1, 5, one, is_loading=True), piece(5, 9, flight(5, 9, written=4)))
    assert found == [Stretch(prompt=0, completion=4, answers=1, joules=(10.0,))]


@pytest.mark.parametrize(("seconds", "is_kept"), [(3.0, False), (3.9, False), (4.1, True), (9.0, True)])
def test_a_stretch_that_its_counter_cannot_resolve_to_a_quarter_is_left_out(seconds: float, is_kept: bool) -> None:
    """At 10 W and a tick of 1 s either end is off by up to 10 J, so that 40 J are known to a quarter."""
    start = 10.5
    one = flight(start, start + seconds)
    found = collected(piece(start, start + seconds, one), line=ticking(1.0), joules=10.0 * seconds)
    assert bool(found) is is_kept


def test_a_counter_that_was_not_read_before_or_after_resolves_nothing() -> None:
    for start, end in ((-5.0, 5.0), (55.0, 65.0)):
        assert collected(piece(start, end, flight(start, end))) == []


def test_so_many_stretches_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytest_rightsize.meters.attribution.stretches._MOST_STRETCHES", 2)
    flights = [flight(start, start + 1, written=start) for start in (1, 3, 5)]
    assert [one.completion for one in collected(*(piece(one.start, one.start + 1, one) for one in flights))] == [1, 3]
