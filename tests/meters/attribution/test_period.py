"""A counter's period, from readings at times that a played clock tells."""

from collections.abc import Iterable, Iterator

import pytest

from pytest_rightsize.meters import CounterError
from pytest_rightsize.meters.attribution.period import Period, measure_period


class Readings:
    """A counter that shows these values in turn, and a clock that shows these times."""

    facts = None

    def __init__(self, values: Iterable[float], times: Iterable[float]) -> None:
        self._values: Iterator[float] = iter(values)
        self.times: Iterator[float] = iter(times)

    def read(self) -> float:
        return next(self._values)

    def clock(self) -> float:
        return next(self.times)


def period_of(readings: Readings, *, longest_s: float = 3.0) -> Period:
    return measure_period(readings, longest_s=longest_s, clock=readings.clock)  # type: ignore[arg-type]  # has no facts


def test_it_reads_for_so_long_and_no_longer() -> None:
    """Readings a second apart from 10 s on: after the fourth, 3 s are over."""
    readings = Readings([100.0, 100.0, 106.0, 118.0], [10.0, 11.0, 12.0, 13.0])
    assert period_of(readings) == Period(tick_s=1.0, ticks=1, read_s=0.75, watts=6.0)


def test_it_ends_after_twenty_ticks() -> None:
    """The value moves with every second reading, so that gaps are of 2 s; the last one is of 8."""
    values = [0.0, *(number // 2 for number in range(1, 42)), 21.0]
    times = [5.0 + number for number in range(42)] + [53.0]
    found = period_of(Readings(map(float, values), times), longest_s=1000.0)
    assert found == Period(tick_s=2.0, ticks=20, read_s=48.0 / 43, watts=21.0 / 48.0)


def test_the_period_is_the_median_of_the_gaps() -> None:
    readings = Readings([7.0, 8.0, 9.0, 10.0, 11.0, 11.0], [20.0, 21.0, 22.0, 23.0, 28.0, 40.0])
    assert period_of(readings, longest_s=20.0) == Period(tick_s=1.0, ticks=3, read_s=20 / 6, watts=0.2)


def test_a_gap_is_the_time_between_two_ticks_however_late_it_is() -> None:
    readings = Readings([7.0, 8.0, 9.0, 10.0], [0.0, 1.0, 3.0, 5.0])
    assert period_of(readings, longest_s=5.0) == Period(tick_s=2.0, ticks=2, read_s=1.25, watts=0.6)


@pytest.mark.parametrize("values", [[4.0, 4.0, 4.0], [4.0, 5.0, 5.0]])
def test_less_than_two_ticks_are_no_period(values: list[float]) -> None:
    found = period_of(Readings(values, [0.0, 2.0, 4.0]))
    assert (found.tick_s, found.ticks) == (None, 0)
    assert found.watts == (values[-1] - 4.0) / 4.0


@pytest.mark.parametrize("now", [9.0, 8.5])
def test_a_clock_that_stands_still_or_goes_back_is_told(now: float) -> None:
    with pytest.raises(CounterError, match="the clock does not move") as raised:
        period_of(Readings([1.0] * 25, [9.0, *[now] * 24]), longest_s=0.0)
    assert raised.value.flag == "clock"
