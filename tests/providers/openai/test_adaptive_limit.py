"""The limit of a rung's flight, for any order of answers and refusals."""

from hypothesis import given
from hypothesis import strategies as st

from pytest_rightsize.providers.openai.adaptive_limit import AdaptiveLimit

MOST = st.integers(1, 200)


def fly(flight: AdaptiveLimit, refusals: list[bool]) -> None:
    """Outcomes one after another, each of a request that departed after the one before."""
    for refused in refusals:
        (flight.refused if refused else flight.answered)(flight.epoch)


@given(MOST, st.lists(st.tuples(st.booleans(), st.integers(0, 3))))
def test_the_limit_stays_between_one_and_the_most(most: int, outcomes: list[tuple[bool, int]]) -> None:
    flight = AdaptiveLimit(most)
    for refused, departed_before in outcomes:
        (flight.refused if refused else flight.answered)(flight.epoch - departed_before)
        assert 1 <= flight.limit <= most


@given(MOST, st.lists(st.booleans(), max_size=50), st.integers(1, 300))
def test_a_burst_of_refusals_halves_once(most: int, before: list[bool], burst: int) -> None:
    flight = AdaptiveLimit(most)
    fly(flight, before)
    limit, departure = flight.limit, flight.epoch
    for _ in range(burst):
        flight.refused(departure)
    assert flight.limit == max(limit // 2, 1)


@given(MOST, st.lists(st.booleans(), max_size=50))
def test_a_refusal_of_what_departed_after_the_cut_halves_again(most: int, before: list[bool]) -> None:
    flight = AdaptiveLimit(most)
    fly(flight, [*before, True])
    limit = flight.limit
    flight.refused(flight.epoch)
    assert flight.limit == max(limit // 2, 1)


@given(MOST, st.lists(st.booleans(), max_size=50))
def test_each_answer_lets_it_grow_by_one_up_to_the_most(most: int, before: list[bool]) -> None:
    flight = AdaptiveLimit(most)
    fly(flight, before)
    for _ in range(most):
        limit = flight.limit
        flight.answered(flight.epoch)
        assert flight.limit == min(limit + 1, most)
    assert flight.limit == most


@given(MOST, st.integers(1, 50))
def test_an_answer_to_what_departed_before_the_cut_lets_nothing_grow(most: int, late: int) -> None:
    flight = AdaptiveLimit(most)
    departure = flight.epoch
    flight.refused(departure)
    limit = flight.limit
    for _ in range(late):
        flight.answered(departure)
    assert flight.limit == limit


def test_a_full_cache_halves_what_was_in_flight_and_is_grown_into_slowly() -> None:
    flight = AdaptiveLimit(64)
    flight.crowded(flight.epoch, 12)
    assert flight.limit == 6
    limits = []
    for _ in range(40):
        flight.answered(flight.epoch)
        limits.append(flight.limit)
    assert limits[:5] == [7, 8, 9, 10, 11]
    # Twelve ended all that were in flight: it is tried again after sixteen answers, and then one more.
    assert limits.index(12) == 15
    assert limits.index(13) == 31


@given(MOST, st.lists(st.tuples(st.sampled_from(["answered", "refused", "crowded"]), st.integers(1, 200))))
def test_a_full_cache_keeps_the_limit_between_one_and_the_most(most: int, outcomes: list[tuple[str, int]]) -> None:
    flight = AdaptiveLimit(most)
    for outcome, in_flight in outcomes:
        before = flight.limit
        if outcome == "crowded":
            flight.crowded(flight.epoch, in_flight)
            assert flight.limit <= max(before // 2, 1)
        else:
            getattr(flight, outcome)(flight.epoch)
        assert 1 <= flight.limit <= most
