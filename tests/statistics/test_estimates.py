"""What an estimate says of itself."""

import pytest

from pytest_rightsize.statistics.estimates import Interval, NonInferiority, Ratio


@pytest.mark.parametrize(
    ("low", "high", "tie"),
    [
        (0.5, 2.0, True),
        (1.0, 2.0, True),
        (0.5, 1.0, True),
        (1.0, 1.0, True),
        (0.5, 0.9, False),
        (1.1, 2.0, False),
        (None, None, True),
        (None, 0.9, True),
        (1.1, None, True),
    ],
)
def test_a_ratio_is_a_tie_where_1_is_not_left_out(low: float | None, high: float | None, tie: bool) -> None:
    assert Ratio(value=1.2, low=low, high=high, n=3).tie is tie


def test_an_interval_is_two_sided_at_95_percent_unless_it_says_otherwise() -> None:
    assert Interval(low=0.1, high=0.2) == Interval(low=0.1, high=0.2, confidence=0.95, one_sided=False)


def test_two_claims_of_non_inferiority_are_equal_where_margin_and_p_value_are() -> None:
    shown = NonInferiority(margin=0.05, holds=True, p=0.01)
    assert shown == NonInferiority(margin=0.05, holds=True, p=0.01)
    assert shown != NonInferiority(margin=0.1, holds=True, p=0.01)
