"""Ratios of what two rungs took for the same cases."""

import pytest

from pytest_rightsize.statistics import (
    geometric_mean_ratio,
)


def test_geometric_mean_ratio() -> None:
    ratio = geometric_mean_ratio([(2, 1), (4, 1), (8, 1)])
    assert ratio is not None
    assert ratio.value == pytest.approx(4)
    assert (ratio.low, ratio.high) == pytest.approx((0.7149, 22.3800), abs=1e-4)  # 4 exp(-+ 4.302653 ln 2 / sqrt 3)
    assert ratio.tie
    single = geometric_mean_ratio([(2, 1)])
    assert single is not None
    assert single.tie
    assert geometric_mean_ratio([]) is None
    with pytest.raises(ValueError, match="a ratio needs amounts above 0, got 0 and 1"):
        geometric_mean_ratio([(0, 1)])
