"""One counter's time line: what its ticks say of a moment and a window, and what they leave open."""

from collections.abc import Iterable

import pytest

from pytest_rightsize.meters.attribution.timeline import Bracket, Break, Timeline

INF = float("inf")


def read(line: Timeline, readings: Iterable[tuple[float, float]]) -> Timeline:
    """The line after readings that took no time: (moment, joules)."""
    for moment, joules in readings:
        line.read(moment, moment, joules)
    return line


def ticking(**options: float) -> Timeline:
    """A line that was read at 0, 1, 2, ... 9 s and showed 0, 10, 20, ... 90 J."""
    return read(Timeline(**options), [(float(moment), 10.0 * moment) for moment in range(10)])  # type: ignore[arg-type]  # floats only


def test_a_reading_is_news_only_where_the_value_is_new() -> None:
    line = Timeline()
    assert [line.read(at, at, joules) for at, joules in ((0, 1), (1, 1), (2, 2), (3, 2))] == [True, False, True, False]


def test_every_reading_of_an_exact_counter_is_news() -> None:
    line = Timeline(exact=True)
    assert [line.read(at, at, 1.0) for at in (0, 1)] == [True, True]


@pytest.mark.parametrize(
    ("resolution", "least", "most"), [(0.0, 10.0, 50.0), (2.5, 7.5, 52.5), (10.0, 0.0, 60.0), (50.0, 0.0, 100.0)]
)
def test_a_window_takes_a_step_less_and_a_step_more_than_its_ticks_show(
    resolution: float, least: float, most: float
) -> None:
    """From 3.5 to 6.5 s: 50 J came up after it began and 60 J before it ended, 30 J before and 80 J after it."""
    line = ticking(resolution=resolution)
    assert line.at_least(3.5, 6.5) == least
    assert line.at_most(3.5, 6.5) == most


@pytest.mark.parametrize(
    ("lag_s", "least", "most"), [(0.0, 10.0, 50.0), (0.4, 10.0, 50.0), (0.6, 0.0, 60.0), (1.6, 0.0, None)]
)
def test_a_value_that_comes_up_late_bounds_an_earlier_moment(lag_s: float, least: float, most: float | None) -> None:
    """A value may be as old as the lag when it is shown, so what comes up within the lag may be of before."""
    line = ticking(lag_s=lag_s)
    assert line.at_least(3.5, 6.5) == least
    assert line.at_most(3.5, 6.5) == most


@pytest.mark.parametrize(("lag_s", "until"), [(0.0, 8.0), (0.25, 7.75)])
def test_nothing_more_is_learned_of_what_lies_a_lag_before_the_last_tick(lag_s: float, until: float) -> None:
    assert ticking(lag_s=lag_s).known_until == until


def test_of_a_line_that_has_shown_one_value_nothing_is_known_and_of_a_broken_one_nothing_will_be() -> None:
    line = Timeline()
    assert line.known_until == -INF
    line.read(0.0, 0.0, 5.0)
    assert line.known_until == -INF
    line.broke("denied", "permission_lost")
    assert (line.known_until, line.is_broken) == (INF, True)
    line.read(1.0, 1.0, 6.0)
    assert (line.known_until, line.is_broken) == (-INF, False)


def test_a_counter_without_ticks_is_known_up_to_its_last_reading() -> None:
    line = Timeline(exact=True)
    line.read(1.0, 1.2, 5.0)
    assert line.known_until == 1.0


# --- the period -------------------------------------------------------------------------------------------------------


def test_the_period_is_the_median_gap_of_the_ticks_that_were_seen() -> None:
    """The first value may have stood there for any time: no gap is counted from it."""
    line = read(Timeline(), [(0.0, 0.0), (1.0, 1.0)])
    assert line.tick_s is None
    read(line, [(2.0, 2.0)])
    assert line.tick_s == 1.0
    read(line, [(6.0, 3.0), (6.5, 4.0), (7.0, 5.0)])
    # Best guesses at 0.5, 1.5, 4, 6.25 and 6.75 s.
    assert line.tick_s == pytest.approx(1.625)


def test_a_period_that_changes_is_learned_anew_from_the_last_200_ticks() -> None:
    slow = [(float(moment), float(moment)) for moment in range(300)]
    fast = [(300 + moment / 10, 300.0 + moment) for moment in range(203)]
    assert read(Timeline(), slow).tick_s == 1.0
    assert read(Timeline(), [*slow, *fast]).tick_s == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("line", "tick_s", "knows"),
    [(Timeline(), None, False), (Timeline(exact=True), 0.0, True), (Timeline(period_s=0.02), 0.02, True)],
)
def test_a_period_is_known_beforehand_only_where_the_counter_says_it(
    line: Timeline, tick_s: float | None, knows: bool
) -> None:
    assert (line.tick_s, line.knows_tick) == (tick_s, knows)


@pytest.mark.parametrize(
    ("gap_s", "ticks", "knows"),
    [(0.1, 21, False), (0.1, 22, True), (8.0, 4, False), (8.0, 5, True)],
)
def test_a_period_is_sure_after_twenty_gaps_or_twenty_seconds_of_them(gap_s: float, ticks: int, knows: bool) -> None:
    line = read(Timeline(), [(gap_s * tick, float(tick)) for tick in range(ticks)])
    assert line.knows_tick is knows


# --- breaks -----------------------------------------------------------------------------------------------------------


def test_a_break_that_goes_on_is_one_and_another_kind_is_another() -> None:
    """A counter may be denied for hours; the reason that is told is that of the first."""
    line = ticking()
    for reason, flag in (("denied", "permission_lost"), ("denied again", "permission_lost"), ("gone", "lost")):
        line.broke(reason, flag)
    assert [gap.reason for gap in line._breaks] == ["denied", "gone"]
    read(line, [(20.0, 0.0), (21.0, 5.0), (22.0, 9.0)])
    assert line.bracket(5.5, 20.5) == Break(reason="denied", flag="permission_lost")


def test_a_break_after_a_reading_is_a_new_one_whatever_its_kind() -> None:
    """A counter that begins anew twice: no window reaches over the second time either."""
    line = ticking()
    line.broke("it began anew", "counter_reset")
    read(line, [(10.0, 0.0), (11.0, 10.0), (12.0, 20.0)])
    line.broke("it began anew again", "counter_reset")
    read(line, [(13.0, 25.0), (14.0, 30.0), (15.0, 40.0), (16.0, 50.0)])
    assert line.bracket(11.5, 14.5) == Break(reason="it began anew again", flag="counter_reset")


def test_no_window_reaches_over_a_break() -> None:
    line = ticking()
    line.broke("it began anew", "counter_reset")
    read(line, [(10.0, 0.0), (11.0, 10.0), (12.0, 20.0), (13.0, 30.0), (14.0, 40.0)])
    assert line.at_least(5.5, 12.5) is None
    assert line.at_most(5.5, 12.5) is None
    assert line.guess(9.5) is None
    assert isinstance(line.bracket(11.5, 12.5), Bracket)


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (-1.0, 4.5, Break(reason="the counter was not read before the answer began", flag="no_reading")),
        (4.5, 20.0, None),  # the tick that ends it is to come
        (4.5, 6.5, Bracket(low=0.0, joules=20.0, high=40.0, ticks=2)),
        (4.2, 4.4, Bracket(low=0.0, joules=2.0, high=20.0, ticks=0)),
    ],
)
def test_a_bracket_or_why_there_is_none(start: float, end: float, expected: Bracket | Break | None) -> None:
    found = ticking().bracket(start, end)
    if isinstance(expected, Bracket):
        assert isinstance(found, Bracket)
        assert (found.low, found.high, found.ticks) == (expected.low, expected.high, expected.ticks)
        assert found.joules == pytest.approx(expected.joules)
    else:
        assert found == expected


@pytest.mark.parametrize(("side", "idle_w", "joules"), [("", None, 45.0), ("before", 4.0, 42.0), ("after", 4.0, 48.0)])
def test_beside_a_device_that_was_idle_a_guess_goes_by_its_idle_power(
    side: str, idle_w: float | None, joules: float
) -> None:
    """At 4.0 s, between 40 J that came up at 3.5 s, at best guess, and 50 J at 4.5 s."""
    assert ticking().guess(4.0, idle_w=idle_w, idle=side) == pytest.approx(joules)


def test_a_guess_stays_within_the_values_around_it() -> None:
    assert ticking().guess(4.4, idle_w=1000.0, idle="before") == 60.0
    assert ticking().guess(4.4, idle_w=1000.0, idle="after") == 40.0


def test_old_values_are_dropped_and_no_window_that_needs_them_changes() -> None:
    readings = [(float(moment), float(moment)) for moment in range(1000)]
    line, whole = read(Timeline(), readings), read(Timeline(), readings)
    line.forget_before(900.5)
    assert line.bracket(900.5, 950.5) == whole.bracket(900.5, 950.5)
    assert line.least(10.0) is None
    few = read(Timeline(), readings[:100])
    few.forget_before(90.5)
    assert few.least(10.0) is not None


@pytest.mark.parametrize(("idle", "joules"), [("", 34.0), ("before", 16.0), ("after", 46.0)])
def test_beside_a_tick_an_idle_device_took_its_idle_power(idle: str, joules: float) -> None:
    """Ticks at 0.5 s (10 J) and 3 s (50 J), at best guess: at 2 s on a line, or 4 W from the tick on the idle side."""
    line = Timeline()
    for moment, shown in ((0.0, 0.0), (1.0, 10.0), (5.0, 50.0), (9.0, 90.0)):
        line.read(moment, moment, shown)
    assert line.guess(2.0, idle_w=4.0, idle=idle) == pytest.approx(joules)


@pytest.mark.parametrize(
    ("more", "joules"), [({}, 46.0), ({"guarded": (True, False)}, 64.0), ({"guarded": (False, True)}, 52.0)]
)
def test_a_device_is_not_taken_to_be_idle_beside_a_window_unless_that_is_said(
    more: dict[str, tuple[bool, bool]], joules: float
) -> None:
    """From 34 J to 80 J on a line; 16 J at the start if idle before it, 86 J at the end if idle after it."""
    line = read(Timeline(), [(0.0, 0.0), (1.0, 10.0), (5.0, 50.0), (9.0, 90.0), (13.0, 130.0)])
    found = line.bracket(2.0, 6.0, idle_w=4.0, **more)
    assert isinstance(found, Bracket)
    assert found.joules == pytest.approx(joules)
