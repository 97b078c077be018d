"""Error rates of the statistics, observed over seeded draws, 10,000 a setting, as JSON.

`rates`: `lower` and `upper` are the shares of draws whose one-sided 95 % bound holds the true rate, `wrong_passes` the
share that claims "passes" at a true rate equal to the bar. With samples, cases differ: their rates are drawn from a
beta distribution of that mean and of concentration 2. `pairs`: `wrong_claims` is the share that claims "not worse by
more than 5 points" where the true difference is just that, `held` the share whose 95 % interval holds it; `changed` is
the share of cases that only one of the two passes.

    python -m tests.benchmarks.bench_coverage [--draws=10000] [--json=FILE]
"""

import argparse
import json
import random
import sys
from collections.abc import Iterator
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

from pytest_rightsize.records import State
from pytest_rightsize.statistics import pass_rate_interval, stand, tango_interval

SEED = 20240501
MARGIN = 0.05


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
    return tuple(sorted(sum(source.random() < case_rate for _ in range(samples)) for case_rate in rates))


def rates(draws: int) -> Iterator[dict[str, Any]]:
    """Results for each setting of cases, samples and true rate."""
    for cases, samples, rate in product((10, 30, 100), (1, 3), (0.5, 0.8, 0.9, 0.95)):
        source = random.Random(f"{SEED}-{cases}-{samples}-{rate}")
        estimates = [_estimate(_draw(source, cases, samples, rate), samples, rate) for _ in range(draws)]
        yield {
            "cases": cases,
            "samples": samples,
            "rate": rate,
            "draws": draws,
            "lower": sum(low <= rate for low, _, _ in estimates) / draws,
            "upper": sum(high >= rate for _, high, _ in estimates) / draws,
            "wrong_passes": sum(state == "passes" for _, _, state in estimates) / draws,
        }


@cache
def _paired(only_a: int, only_b: int, cases: int) -> tuple[bool, bool]:
    """Whether "not worse by more than the margin" is claimed, and whether the 95 % interval holds the margin."""
    wide, narrow = (tango_interval(only_a, only_b, cases, confidence=confidence) for confidence in (0.95, 0.9))
    return narrow.low > -MARGIN, wide.low <= -MARGIN <= wide.high


def pairs(draws: int) -> Iterator[dict[str, Any]]:
    """Results for each setting of cases and of the share of them that change sides."""
    for cases, changed in product((50, 200, 800), (0.06, 0.1, 0.3)):
        source = random.Random(f"{SEED}-{cases}-{changed}")
        weights = ((changed - MARGIN) / 2, (changed + MARGIN) / 2, 1 - changed)
        results = []
        for _ in range(draws):
            sides = source.choices("abn", weights, k=cases)
            results.append(_paired(sides.count("a"), sides.count("b"), cases))
        yield {
            "cases": cases,
            "changed": changed,
            "margin": MARGIN,
            "draws": draws,
            "wrong_claims": sum(claimed for claimed, _ in results) / draws,
            "held": sum(held for _, held in results) / draws,
        }


def main() -> int:
    """Print one JSON object a line for each setting, and write all of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=10_000)
    parser.add_argument("--json", type=Path, help="where the numbers go as well")
    args = parser.parse_args()
    results: dict[str, list[dict[str, Any]]] = {}
    for name, settings in (("rates", rates(args.draws)), ("pairs", pairs(args.draws))):
        results[name] = []
        for result in settings:
            print(json.dumps(result), flush=True)
            results[name].append(result)
    if args.json:
        args.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
