"""Observed coverage of the bounds, as JSON: `python -m tests.benchmarks.bench_coverage [DRAWS]`, 10,000 by default.

`lower` and `upper` are the shares of draws whose one-sided 95 % bound holds the true rate, `wrong_passes` the share
that claims "passes" at a true rate equal to the bar. With samples, cases differ: their rates are drawn from a beta
distribution of that mean and of concentration 2.
"""

import json
import random
import sys
from functools import cache
from itertools import product

from pytest_rightsize.records import State
from pytest_rightsize.statistics import pass_rate_interval, stand

SEED = 20240501


@cache
def _estimate(counts: tuple[int, ...], samples: int, bar: float) -> tuple[float, float, State]:
    """The bounds and the state for the passes of each case, their order left out."""
    cases = {str(place): [sample < passes for sample in range(samples)] for place, passes in enumerate(counts)}
    interval = pass_rate_interval(cases, one_sided=True)
    assert interval is not None
    state = stand(cases, pass_rate=bar, planned=len(counts) * samples, confidence=0.95).state
    return interval.low, interval.high, state


def _draw(source: random.Random, cases: int, samples: int, rate: float) -> tuple[int, ...]:
    rates = [rate if samples == 1 else source.betavariate(2 * rate, 2 * (1 - rate)) for _ in range(cases)]
    return tuple(sorted(sum(source.random() < one for _ in range(samples)) for one in rates))


def main(draws: int) -> None:
    """Print one JSON object a line for each setting."""
    for cases, samples, rate in product((10, 30, 100), (1, 3), (0.5, 0.8, 0.9, 0.95)):
        source = random.Random(f"{SEED}-{cases}-{samples}-{rate}")
        seen = [_estimate(_draw(source, cases, samples, rate), samples, rate) for _ in range(draws)]
        print(
            json.dumps(
                {
                    "cases": cases,
                    "samples": samples,
                    "rate": rate,
                    "draws": draws,
                    "lower": sum(low <= rate for low, _, _ in seen) / draws,
                    "upper": sum(high >= rate for _, high, _ in seen) / draws,
                    "wrong_passes": sum(state == "passes" for _, _, state in seen) / draws,
                }
            ),
            flush=True,
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
