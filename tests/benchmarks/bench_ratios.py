"""Do the intervals of ratios of totals and of savings keep their word? Observed over seeded draws, as JSON lines.

A draw is a session of two rungs on the same cases. `held` is the share of draws whose 95 % interval of "A takes so many
times what B takes for a passed case" holds the true one, `below` and `above` the shares in which it lies under or over
the interval, `width` the median of high / low. `claims` is the share that would call A a false economy, `wrong_claims`
the share that does though A takes no more, and `denied` the share whose claim the observed totals deny. `saving_held`
is the share whose interval of what B saves for a case (A - B) holds the true difference. On the `audited` shapes the
interval of a geometric mean held the ratio of totals in .00 to .97 of the draws. Of the others `rare` and `pareto` show
where 30 cases cannot know better: the cases that decide are not among them. 2,000 draws take 3 minutes of one core.

    python -m tests.benchmarks.bench_ratios [--draws=2000] [--cases=10,30,100,300] [--json=FILE]
"""

import argparse
import json
import math
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pytest_rightsize.statistics import mean_difference, ratio_per_success

SEED = 20240501

Numbers = NDArray[np.float64]


class Draws(NamedTuple):
    """Draws x cases: amounts and passes of A and B; then the true mean amounts and the true pass rates."""

    a: Numbers
    b: Numbers
    passes_a: Numbers
    passes_b: Numbers
    mean_a: float
    mean_b: float
    rate_a: float
    rate_b: float


Shape = Callable[[np.random.Generator, int, int], Draws]


def _normals(source: np.random.Generator, size: tuple[int, int], shared: float) -> tuple[Numbers, Numbers]:
    """Standard normal pairs with this correlation."""
    first = source.standard_normal(size)
    return first, shared * first + math.sqrt(1 - shared**2) * source.standard_normal(size)


def _passes(source: np.random.Generator, size: tuple[int, int], rate: float) -> Numbers:
    return (source.random(size) < rate).astype(np.float64)


def _lognormals(a: tuple[float, float], b: tuple[float, float], rates: tuple[float, float], shared: float) -> Shape:
    """Lognormal amounts from median and sigma, whose logarithms are correlated."""

    def draw(source: np.random.Generator, draws: int, cases: int) -> Draws:
        size = (draws, cases)
        of_a, of_b = _normals(source, size, shared)
        return Draws(
            a[0] * np.exp(a[1] * of_a),
            b[0] * np.exp(b[1] * of_b),
            _passes(source, size, rates[0]),
            _passes(source, size, rates[1]),
            a[0] * math.exp(a[1] ** 2 / 2),
            b[0] * math.exp(b[1] ** 2 / 2),
            *rates,
        )

    return draw


def _against_even(amounts: Callable[[np.random.Generator, tuple[int, int]], Numbers], mean: float) -> Shape:
    """Amounts of that mean against a narrow lognormal of the same mean: the true ratio is 1."""

    def draw(source: np.random.Generator, draws: int, cases: int) -> Draws:
        size = (draws, cases)
        even = mean * np.exp(0.3 * source.standard_normal(size) - 0.045)
        a, passes_a, passes_b = amounts(source, size), _passes(source, size, 0.9), _passes(source, size, 0.9)
        return Draws(a, even, passes_a, passes_b, mean, mean, 0.9, 0.9)

    return draw


def _spikes(share: float, times: float) -> Callable[[np.random.Generator, tuple[int, int]], Numbers]:
    """Around 1, and `times` as much in a share of the cases."""
    return lambda source, size: (
        np.where(source.random(size) < share, times, 1.0) * np.exp(0.2 * source.standard_normal(size) - 0.02)
    )


def _dear_failures(source: np.random.Generator, draws: int, cases: int) -> Draws:
    """A failing case takes five times as much: it argues with itself up to the limit."""
    size = (draws, cases)
    passes, spread = _passes(source, size, 0.8), 0.4 * source.standard_normal((2, *size)) - 0.08
    amounts = np.where(passes > 0, 1.0, 5.0) * np.exp(spread[0])
    return Draws(amounts, 1.8 * np.exp(spread[1]), passes, _passes(source, size, 0.8), 1.8, 1.8, 0.8, 0.8)


def _samples(source: np.random.Generator, draws: int, cases: int) -> Draws:
    """Sums over three samples a case: cases differ by sigma 1 (A) and .5 (B), their samples by .5."""
    size = (draws, cases)

    def amounts(between: float) -> Numbers:
        within = np.exp(0.5 * source.standard_normal((3, *size))).sum(axis=0)
        return np.asarray(np.exp(between * source.standard_normal(size)) * within)

    passes = [sum((_passes(source, size, 0.85) for _ in range(3)), np.zeros(size)) for _ in range(2)]
    means = [3 * math.exp((between**2 + 0.25) / 2) for between in (1.0, 0.5)]
    return Draws(amounts(1.0), amounts(0.5), passes[0], passes[1], means[0], means[1], 3 * 0.85, 3 * 0.85)


def _capped_mean(sigma: float, most: float) -> float:
    """The mean of a lognormal of median 1 that is cut off at `most`."""

    def below(z: float) -> float:
        return (1 + math.erf(z / math.sqrt(2))) / 2

    at = math.log(most) / sigma
    return math.exp(sigma**2 / 2) * below(at - sigma) + most * (1 - below(at))


AUDITED: Mapping[str, Shape] = {
    "same shape, sigma .5": _lognormals((1.3, 0.5), (1, 0.5), (0.95, 0.95), 0.3),
    "same shape, sigma 1.2": _lognormals((1.3, 1.2), (1, 1.2), (0.95, 0.95), 0.3),
    "B heavy-tailed (1.5), A narrow (.3)": _lognormals((1.5, 0.3), (1, 1.5), (0.95, 0.95), 0.3),
    "A heavy-tailed (1.5), B narrow (.3)": _lognormals((1, 1.5), (1.5, 0.3), (0.95, 0.95), 0.3),
    "B moderately skew (1.0), A (.3)": _lognormals((1.3, 0.3), (1, 1.0), (0.95, 0.95), 0.3),
    "low pass rates .6/.9, sigma .8": _lognormals((1, 0.8), (1, 0.8), (0.6, 0.9), 0.3),
}
OTHERS: Mapping[str, Shape] = {
    "sigma 2 against .3": _lognormals((1, 2.0), (1, 0.3), (0.9, 0.9), 0.0),
    "strongly paired, sigma 1.2": _lognormals((1.3, 1.2), (1, 1.2), (0.95, 0.95), 0.99),
    "narrow, sigma .2, ratio 1": _lognormals((1, 0.2), (1, 0.2), (0.95, 0.95), 0.3),
    "gamma .5": _against_even(lambda source, size: source.gamma(0.5, 2.0, size), 1.0),
    "30 % take five times as much": _against_even(_spikes(0.3, 5.0), 2.2),
    "rare: 10 % take ten times as much": _against_even(_spikes(0.1, 10.0), 1.9),
    "20 % take nothing": _against_even(
        lambda source, size: (
            np.where(source.random(size) < 0.8, 1.25, 0.0) * np.exp(0.3 * source.standard_normal(size) - 0.045)
        ),
        1.0,
    ),
    "capped at a limit": _against_even(
        lambda source, size: np.minimum(np.exp(1.2 * source.standard_normal(size)), 8.0), _capped_mean(1.2, 8.0)
    ),
    "pareto 2.5": _against_even(lambda source, size: source.pareto(2.5, size) + 1.0, 5 / 3),
    "dear failures": _dear_failures,
    "three samples a case": _samples,
}


def setting(name: str, shape: Shape, cases: int, draws: int) -> dict[str, Any]:
    """What the intervals hold for one shape and number of cases."""
    drawn = shape(np.random.default_rng([SEED, cases, *name.encode()]), draws, cases)
    true = drawn.mean_a / drawn.rate_a / (drawn.mean_b / drawn.rate_b)
    saved = drawn.mean_a - drawn.mean_b
    ends, observed, saving_held = [], [], 0
    for rows in zip(*(column.tolist() for column in drawn[:4]), strict=True):
        ratio = ratio_per_success(zip(*rows, strict=True))
        saving = mean_difference(zip(rows[0], rows[1], strict=True))
        saving_held += saving is not None and saving.low <= saved <= saving.high
        if ratio is not None and ratio.low is not None and ratio.high is not None:
            ends.append((ratio.low, ratio.high))
            observed.append(sum(rows[0]) / sum(rows[2]) > sum(rows[1]) / sum(rows[3]))
    claims = [low > 1 for low, _ in ends]
    return {
        "shape": name,
        "audited": name in AUDITED,
        "cases": cases,
        "draws": len(ends),
        "ratio": round(true, 3),
        "held": round(sum(low <= true <= high for low, high in ends) / len(ends), 4),
        "below": round(sum(true < low for low, _ in ends) / len(ends), 4),
        "above": round(sum(true > high for _, high in ends) / len(ends), 4),
        "width": round(median(high / low for low, high in ends), 2),
        "claims": round(sum(claims) / len(ends), 4),
        "wrong_claims": round(sum(claims) / len(ends), 4) if true <= 1 + 1e-9 else 0.0,
        "denied": sum(claim and not seen for claim, seen in zip(claims, observed, strict=True)) / len(ends),
        "saving_held": round(saving_held / draws, 4),
    }


def settings(draws: int, cases: list[int]) -> Iterator[dict[str, Any]]:
    """One setting after the other: the shapes by number of cases."""
    for number in cases:
        for name, shape in {**AUDITED, **OTHERS}.items():
            yield setting(name, shape, number, draws)


def main() -> int:
    """Print one JSON object a line for each setting, then the worst of the audited shapes, and write all of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=2_000)
    parser.add_argument("--cases", default="10,30,100,300", help="numbers of cases, with commas")
    parser.add_argument("--json", type=Path, help="where the numbers go as well")
    args = parser.parse_args()
    found = []
    for one in settings(args.draws, [int(number) for number in args.cases.split(",")]):
        print(json.dumps(one), flush=True)
        found.append(one)
    for audited in (True, False):
        of = [one for one in found if one["audited"] == audited and one["cases"] >= 30]
        worst = {name: min((one[name] for one in of), default=None) for name in ("held", "saving_held")}
        print(json.dumps({"worst": "audited" if audited else "others", "cases": "30 and more", **worst}))
    if args.json:
        args.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
