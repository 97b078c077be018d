"""This process's part of the processor time: bounded by what is known, and never 0 for want of a reading."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_rightsize.energy import Energy
from pytest_rightsize.meters.attribution.processes import OwnShare, OwnSum, ProcessorTrack


def track(*readings: tuple[float, float, float]) -> ProcessorTrack:
    made = ProcessorTrack()
    for moment, own_s, busy_s in readings:
        made.read(moment, own_s, busy_s)
    return made


def test_the_part_is_own_seconds_by_busy_seconds() -> None:
    found = track((0.0, 5.0, 50.0), (10.0, 11.0, 60.0)).share(0.0, 10.0)
    assert found is not None
    assert found.share == pytest.approx(0.6)
    assert found.low < 0.6 < found.high
    assert found.high - found.low < 0.02


def test_a_window_between_two_readings_is_bounded_by_them() -> None:
    found = track((0.0, 0.0, 0.0), (4.0, 4.0, 4.0), (6.0, 4.0, 8.0), (10.0, 4.0, 16.0)).share(3.0, 9.0)
    assert found is not None
    # Surely none of its own from 4 to 6, at most 4 s of at least 4.
    assert (found.low, found.high) == (0.0, 1.0)
    assert 0 < found.share < 1


def test_without_a_reading_on_either_side_nothing_is_known() -> None:
    made = track((1.0, 0.0, 0.0), (2.0, 0.5, 1.0))
    assert made.share(0.5, 2.0) is None
    assert made.share(1.0, 2.5) is None
    assert made.share(1.0, 2.0) is not None


def test_so_short_a_time_that_nothing_was_booked_is_not_nothing() -> None:
    found = track((0.0, 7.0, 70.0), (0.004, 7.0, 70.0)).share(0.0, 0.004)
    assert found is not None
    assert (found.low, found.share, found.high) == (0.0, 0.5, 1.0)


SECONDS = st.lists(st.tuples(st.floats(0.01, 5), st.floats(0, 4), st.floats(0, 4)), min_size=2, max_size=12)


@given(SECONDS, st.data())
def test_the_true_part_is_within_the_bounds(pieces: list[tuple[float, float, float]], data: st.DataObject) -> None:
    """Own and others' seconds come evenly within each piece; the system rounds them down to hundredths."""
    at = own = busy = 0.0
    moments = [(at, own, busy)]
    for length, mine, others in pieces:
        at, own, busy = at + length, own + mine, busy + mine + others
        moments.append((at, own, busy))
    made = track(*((moment, a // 0.01 * 0.01, b // 0.01 * 0.01) for moment, a, b in moments))
    first = data.draw(st.floats(0, at))
    last = data.draw(st.floats(first, at))

    def then(moment: float, place: int) -> float:
        for before, after in pairwise(moments):
            if moment <= after[0]:
                part = (moment - before[0]) / (after[0] - before[0])
                return before[place] + part * (after[place] - before[place])
        return moments[-1][place]

    true_own, true_busy = then(last, 1) - then(first, 1), then(last, 2) - then(first, 2)
    found = made.share(first, last)
    assert found is not None
    assert 0 <= found.low <= found.share <= found.high <= 1
    assert found.share > 0
    if true_busy > 1e-6:
        assert found.low - 1e-9 <= true_own / true_busy <= found.high + 1e-9


def test_little_time_is_a_share_too() -> None:
    found = track((0.0, 5.0, 50.0), (4.0, 5.5, 52.0)).share(0.0, 4.0)
    assert found is not None
    assert found.share == pytest.approx(0.25)
    assert found.low == pytest.approx(0.48 / 2.05)
    assert found.high == pytest.approx(0.52 / 1.95)


def test_shares_of_answers_add_up_with_their_bounds() -> None:
    own = OwnSum()
    own.add(OwnShare(low=0.25, share=0.5, high=0.75), 8.0)
    own.add(OwnShare(low=0.5, share=0.5, high=1.0), 2.0)
    assert own == OwnSum(low=3.0, joules=5.0, high=8.0)
    energy = Energy(joules=5.0, low=4.0, high=10.0, provenance="measured", meter="rapl")
    assert own.widened(energy) == replace(energy, low=4.0 * 3.0 / 5.0, high=10.0 * 8.0 / 5.0)
    for unchanged in (None, replace(energy, low=None, high=None)):
        assert own.widened(unchanged) == unchanged
    assert OwnSum().widened(energy) == energy
