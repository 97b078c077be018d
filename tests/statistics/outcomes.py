"""Cases from short strings, and what tests of rates and pairs share."""

from functools import partial

import pytest

from pytest_rightsize.statistics import (
    pass_rate_interval,
)


def cases(*samples: str) -> dict[str, list[bool]]:
    """Cases from strings such as "110": a passed, a passed and a failed sample."""
    return {f"case{number}": [mark == "1" for mark in text] for number, text in enumerate(samples)}


def enumerate_names(results: list[list[bool]]) -> list[tuple[str, list[bool]]]:
    """Names for cases."""
    return [(f"case{number}", samples) for number, samples in enumerate(results)]


six_digits = partial(pytest.approx, rel=5e-6, abs=5e-7)


TEN_BY_THREE = cases("111", "111", "101", "000", "111", "110", "111", "011", "111", "111")


def ends(results: list[list[bool]], confidence: float = 0.95) -> tuple[float, float]:
    """The one-sided bounds."""
    interval = pass_rate_interval(dict(enumerate_names(results)), confidence=confidence, one_sided=True)
    assert interval is not None
    return interval.low, interval.high
