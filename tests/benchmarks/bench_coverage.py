"""Do the statistics keep their word? Observed over seeded draws, 10,000 a setting, as JSON.

`rates`: one sample a case. `lower` and `upper` are the shares of draws whose one-sided 95 % bound holds the true rate,
`wrong_passes` the share that claims "passes" at a true rate equal to the bar.

`samples`: several samples a case, of populations whose mean is the bar: a share of the cases at another rate than the
rest, or rates that are beta distributed. For each bar and number of cases, the largest shares over all populations
and numbers of samples that claim "passes" or "fails", and where; and of "passes" by Korn and Graubard's bounds.

`power`: the shares that claim "passes" where they should, by our bounds and three that are not used: Korn and
Graubard's, the same with one failing case added to the variance, and one trial a case.

`pairs`: `wrong_claims` is the share that claims "not worse by more than 5 points" where the true difference is just
that, `held` the share whose 95 % interval holds it; `changed` is the share of cases that only one of the two passes.

`pairs_of_samples`: the same claim with several samples a case, where the loss sits in a share of the cases: the largest
share for each margin and number of cases, and that of Student's t; then, of rungs that are equally good, the power.

    python -m tests.benchmarks.bench_coverage [--draws=10000] [--part=samples] [--json=FILE]
"""

import argparse
import json
import random
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import product
from math import lcm
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.special import betainc

from pytest_rightsize.records import State
from pytest_rightsize.statistics import (
    non_inferiority_p,
    pass_rate_interval,
    stand,
    tango_interval,
)
from pytest_rightsize.statistics.bounded import gaffke_ps, pooled_p

SEED = 20240501
MARGIN = 0.05
ALPHA = 0.05
BARS = (0.5, 0.8, 0.9, 0.95, 0.99)
CASES = (5, 10, 20, 30, 50, 100, 200)
SAMPLES = ((2,), (3,), (5,), (10,), (20,), (1, 5), (2, 10))  # two sizes: every other case has the second
FEW = (0.01, 0.02, 0.05, 0.08, 0.095)
CORRELATIONS = (0.02, 0.1, 0.3, 0.6, 0.9)

Floats = NDArray[np.float64]
# The probabilities of 0, 1 .. passed samples of a case, given how many it has.
Population = Callable[[int], Floats]


@cache
def _estimate(passed: int, cases: int, bar: float) -> tuple[float, float, State]:
    """The bounds and the state, one sample a case."""
    drawn = {str(place): [place < passed] for place in range(cases)}
    interval = pass_rate_interval(drawn, one_sided=True)
    assert interval is not None
    state = stand(drawn, pass_rate=bar, planned=cases, confidence=0.95).state
    return interval.low, interval.high, state


def rates(draws: int) -> Iterator[dict[str, Any]]:
    """One setting after the other: cases and true rate."""
    for cases, rate in product((10, 30, 100), (0.5, 0.8, 0.9, 0.95)):
        source = random.Random(f"{SEED}-{cases}-1-{rate}")
        seen = [_estimate(sum(source.random() < rate for _ in range(cases)), cases, rate) for _ in range(draws)]
        yield {
            "cases": cases,
            "rate": rate,
            "draws": draws,
            "lower": sum(low <= rate for low, _, _ in seen) / draws,
            "upper": sum(high >= rate for _, high, _ in seen) / draws,
            "wrong_passes": sum(state == "passes" for _, _, state in seen) / draws,
        }


def _binomial(samples: int, rate: float) -> Floats:
    return np.asarray(stats.binom.pmf(np.arange(samples + 1), samples, rate))


def _with_few(share: float, at: float, mean: float) -> Population:
    rest = (mean - share * at) / (1 - share)
    return lambda samples: share * _binomial(samples, at) + (1 - share) * _binomial(samples, rest)


def _beta(correlation: float, mean: float) -> Population:
    size = (1 - correlation) / correlation
    return lambda samples: np.asarray(
        stats.betabinom.pmf(np.arange(samples + 1), samples, mean * size, (1 - mean) * size)
    )


def populations(mean: float) -> dict[str, Population]:
    """What the cases may be like, by name, all of that mean."""
    few = {
        f"{share:.1%} at {at}": _with_few(share, at, mean)
        for share, at in product(FEW, (0.0, 0.3, 0.5, 1.0))
        if 0 <= (mean - share * at) / (1 - share) <= 1
    }
    beta = {f"beta, correlation {one}": _beta(one, mean) for one in CORRELATIONS}
    return {"all alike": lambda samples: _binomial(samples, mean), **few, **beta}


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """Draws of a rung: for each size of a case, one row a draw of how many cases passed 0, 1 .. of their samples."""

    sizes: tuple[int, ...]
    rows: list[NDArray[np.int64]]
    cases: int

    @property
    def values(self) -> Floats:
        """The case means that the columns of all rows count."""
        return np.concatenate([np.arange(size + 1) / size for size in self.sizes])

    @property
    def counts(self) -> NDArray[np.int64]:
        """The rows of all sizes side by side."""
        return np.hstack(self.rows)

    @property
    def means(self) -> Floats:
        """The pass rate that each draw observes."""
        return np.asarray(self.counts @ self.values / self.cases)

    def mirrored(self) -> "Drawn":
        """Passed and failed exchanged."""
        return Drawn(sizes=self.sizes, rows=[rows[:, ::-1] for rows in self.rows], cases=self.cases)

    def example(self, place: int) -> dict[str, list[bool]]:
        """One of the draws as cases."""
        counted = [
            (passed, size)
            for size, rows in zip(self.sizes, self.rows, strict=True)
            for passed, number in enumerate(rows[place])
            for _ in range(number)
        ]
        return {str(case): [sample < passed for sample in range(size)] for case, (passed, size) in enumerate(counted)}


def _draw(source: np.random.Generator, population: Population, cases: int, sizes: tuple[int, ...], draws: int) -> Drawn:
    parts = [cases // len(sizes)] * len(sizes)
    parts[0] += cases - sum(parts)
    shares = [np.maximum(population(size), 0) for size in sizes]
    rows = [source.multinomial(part, share / share.sum(), draws) for part, share in zip(parts, shares, strict=True)]
    return Drawn(sizes=sizes, rows=rows, cases=cases)


def _claims(drawn: Drawn, bar: float) -> NDArray[np.bool_]:
    """Whether "passes" is claimed of each draw, by the p values that `stand` takes the smallest of."""
    claimed = np.zeros(len(drawn.means), dtype=bool)
    if ALPHA ** (1 / drawn.cases) >= bar:  # else not even all passing would do
        claimed = _gaffke_p_at_most_alpha(drawn.values, drawn.counts, bar)
    sizes = tuple((size, int(rows[0].sum())) for size, rows in zip(drawn.sizes, drawn.rows, strict=True))
    return np.asarray(claimed | ((1 - drawn.means) * drawn.cases <= _pooled_limit(sizes, bar) + 1e-9))


def _gaffke_p_at_most_alpha(values: Floats, rows: NDArray[np.int64], at: float) -> NDArray[np.bool_]:
    """Of each row of counts, found only for those that come near it, and once for those that are the same."""
    cases = int(rows[0].sum())
    mean, square = rows @ values / (cases + 1), rows @ values**2 / (cases + 1)
    deviation = np.sqrt((square - mean**2) / (cases + 2))
    # No bounded mean of Dirichlet shares has 5 % so near below its mean: even of an exponential it is 0.95 deviations.
    near = np.flatnonzero(mean - at >= 0.9 * deviation)
    claimed = np.zeros(len(rows), dtype=bool)
    if len(near):
        distinct, which = np.unique(rows[near], axis=0, return_inverse=True)
        claimed[near] = (gaffke_ps(values, distinct, at) <= ALPHA)[which.ravel()]
    return claimed


@cache
def _pooled_limit(sizes: tuple[tuple[int, int], ...], bar: float) -> float:
    """The most failed cases' worth of samples that `pooled_p` calls few enough; -1 if none is."""
    parts = lcm(*(size for size, _ in sizes))
    enough, short = -parts, sum(number for _, number in sizes) * parts
    while short - enough > 1:
        middle = (short + enough) // 2
        shown = middle < 0 or pooled_p(dict(sizes), middle / parts, bar) <= ALPHA
        enough, short = (middle, short) if shown else (enough, middle)
    return max(-1.0, enough / parts)


def _korn_graubard(drawn: Drawn, bar: float, *, failing: int = 0) -> NDArray[np.bool_]:
    """Whether Clopper-Pearson on Korn and Graubard's effective number of trials claims "passes"."""
    trials = sum(int(rows[0].sum()) * size for size, rows in zip(drawn.sizes, drawn.rows, strict=True))
    rate, cases, all_cases = drawn.means, drawn.cases, drawn.cases + failing
    spread = drawn.counts @ drawn.values**2 - all_cases * (rate * cases / all_cases) ** 2
    factor = (stats.t.ppf(0.975, trials - 1) / stats.t.ppf(0.975, cases - 1)) ** 2
    with np.errstate(all="ignore"):
        worth = rate * (1 - rate) * all_cases * (all_cases - 1) / spread * factor
    worth = np.where(spread > 1e-9, np.minimum(worth, trials), cases)
    return _clopper_pearson(rate, worth, bar)


def _clopper_pearson(rate: Floats, worth: Floats | float, bar: float) -> NDArray[np.bool_]:
    passed = np.maximum(rate * worth, 1e-300)
    return np.asarray(betainc(passed, worth - passed + 1, bar) <= ALPHA)


def _seeded(*setting: object) -> np.random.Generator:
    return np.random.default_rng([SEED, *f"{setting}".encode()])


def samples(draws: int) -> Iterator[dict[str, Any]]:
    """The largest shares of wrong claims for each bar and number of cases, and in which population they are."""
    for bar, cases in product(BARS, CASES):
        found = [
            _wrong_claims(bar, cases, sizes, name, population, draws)
            for sizes in SAMPLES
            for name, population in populations(bar).items()
        ]
        passes = max(found, key=lambda one: float(one["passes"]))
        fails = max(found, key=lambda one: float(one["fails"]))
        yield {
            "bar": bar,
            "cases": cases,
            "draws": draws,
            "wrong_passes": passes["passes"],
            "wrong_passes_in": passes["in"],
            "wrong_fails": fails["fails"],
            "wrong_fails_in": fails["in"],
            "korn_graubard": max(float(one["korn_graubard"]) for one in found),
        }


def _wrong_claims(
    bar: float, cases: int, sizes: tuple[int, ...], name: str, population: Population, draws: int
) -> dict[str, Any]:
    drawn = _draw(_seeded(bar, cases, sizes, name), population, cases, sizes, draws)
    passes, fails = _claims(drawn, bar), _claims(drawn.mirrored(), 1 - bar)
    for state, claimed in (("passes", passes), ("fails", fails)):
        for place in np.flatnonzero(claimed)[:1]:  # what was drawn in rows is what the plugin says of such cases
            cases_drawn = drawn.example(int(place))
            planned = sum(map(len, cases_drawn.values()))
            assert stand(cases_drawn, pass_rate=bar, planned=planned, confidence=1 - ALPHA).state == state
    return {
        "in": f"{' or '.join(map(str, sizes))} samples, {name}",
        "passes": float(passes.mean()),
        "fails": float(fails.mean()),
        "korn_graubard": float(_korn_graubard(drawn, bar).mean()),
    }


def power(draws: int) -> Iterator[dict[str, Any]]:
    """One setting after the other: the bar, cases, samples, the true rate and how alike the cases are."""
    settings = [
        *product([0.5], [(10, 10)], [0.7, 0.8], [0, 0.3]),
        *product([0.8], [(20, 5), (20, 10), (30, 5), (50, 5)], [0.9, 0.95], [0, 0.3]),
        *product([0.9], [(30, 3), (30, 10), (50, 3), (50, 5), (100, 5)], [0.97, 0.99], [0, 0.1, 0.3]),
        *product([0.95], [(100, 3), (200, 5)], [0.98, 0.99], [0, 0.3]),
    ]
    for bar, (cases, size), rate, correlation in settings:
        population = _beta(correlation, rate) if correlation else populations(rate)["all alike"]
        drawn = _draw(_seeded(bar, cases, size, rate, correlation), population, cases, (size,), draws)
        yield {
            "bar": bar,
            "cases": cases,
            "samples": size,
            "rate": rate,
            "correlation": correlation,
            "draws": draws,
            "ours": float(_claims(drawn, bar).mean()),
            "korn_graubard": float(_korn_graubard(drawn, bar).mean()),
            "with_a_failing_case": float(_korn_graubard(drawn, bar, failing=1).mean()),
            "one_trial_a_case": float(_clopper_pearson(drawn.means, float(cases), bar).mean()),
        }


@cache
def _paired(only_a: int, only_b: int, cases: int) -> tuple[bool, bool]:
    """Whether "not worse by more than the margin" is claimed, and whether the 95 % interval holds the margin."""
    wide, narrow = (tango_interval(only_a, only_b, cases, confidence=confidence) for confidence in (0.95, 0.9))
    return narrow.low > -MARGIN, wide.low <= -MARGIN <= wide.high


def pairs(draws: int) -> Iterator[dict[str, Any]]:
    """One setting after the other: cases, and the share of them that change sides."""
    for cases, changed in product((50, 200, 800), (0.06, 0.1, 0.3)):
        source = random.Random(f"{SEED}-{cases}-{changed}")
        weights = ((changed - MARGIN) / 2, (changed + MARGIN) / 2, 1 - changed)
        seen = []
        for _ in range(draws):
            sides = source.choices("abn", weights, k=cases)
            seen.append(_paired(sides.count("a"), sides.count("b"), cases))
        yield {
            "cases": cases,
            "changed": changed,
            "margin": MARGIN,
            "draws": draws,
            "wrong_claims": sum(claimed for claimed, _ in seen) / draws,
            "held": sum(held for _, held in seen) / draws,
        }


# Kinds of cases: what share they are, and the rates of A and B on them.
Kinds = tuple[tuple[float, float, float], ...]


def losses(margin: float) -> dict[str, Kinds]:
    """Populations in which A is worse by just the margin, by name."""
    found: dict[str, Kinds] = {}
    for share, base in product((0.05, 0.0526, 0.0556, 0.1, 0.2, 0.5, 1.0), (1.0, 0.95, 0.9, 0.7, 0.5, 0.2)):
        if margin / share <= base:
            found[f"{share:.2%} of cases, else {base} both"] = (
                (share, base - margin / share, base),
                (1 - share, base, base),
            )
    for gain in (0.01, 0.02, 0.05, 0.1):  # A gains all of some cases, and loses all of more
        for base in (1.0, 0.9, 0.5):
            rest = 1 - margin - 2 * gain
            found[f"{gain:.0%} gained, else {base} both"] = ((gain, 1, 0), (gain + margin, 0, 1), (rest, base, base))
    half = 2 * margin  # cases that differ among themselves: half of them are easy, half are hard
    found["loss in hard cases"] = ((0.5, 1, 1), (half / 2, 0, 0.5), (0.5 - half / 2, 0.5, 0.5), (0, 0, 0))
    return {name: kinds for name, kinds in found.items() if abs(sum(w * (a - b) for w, a, b in kinds) + margin) < 1e-9}


def _differences(kinds: Kinds, cases: int, size: int, draws: int, source: np.random.Generator) -> NDArray[np.int64]:
    """One row a draw: how many cases differ by -size .. size passed samples."""
    share = sum(
        weight * np.convolve(_binomial(size, rate_a), _binomial(size, rate_b)[::-1]) for weight, rate_a, rate_b in kinds
    )
    return source.multinomial(cases, share / np.sum(share), draws)


def _not_worse(rows: NDArray[np.int64], size: int, margin: float) -> NDArray[np.bool_]:
    """Whether "not worse by more than the margin" is claimed of each draw."""
    claimed = _gaffke_p_at_most_alpha((1 + np.arange(-size, size + 1) / size) / 2, rows, (1 - margin) / 2)
    for place in np.flatnonzero(claimed)[:1]:  # what was drawn in rows is what the plugin says of such cases
        counted = [change for change, number in enumerate(rows[place], -size) for _ in range(number)]
        a = {str(case): [sample < change for sample in range(size)] for case, change in enumerate(counted)}
        b = {str(case): [sample < -change for sample in range(size)] for case, change in enumerate(counted)}
        assert non_inferiority_p(a, b, margin=margin) < ALPHA
    return claimed


def _paired_t(rows: NDArray[np.int64], size: int, margin: float) -> NDArray[np.bool_]:
    """The same by Student's t over the differences of the case means."""
    values, cases = np.arange(-size, size + 1) / size, int(rows[0].sum())
    mean = rows @ values / cases
    spread = np.sqrt(np.maximum(rows @ values**2 - cases * mean**2, 0) / (cases - 1) / cases)
    with np.errstate(all="ignore"):
        claimed = stats.t.cdf(-(mean + margin) / spread, cases - 1) < ALPHA
    return np.asarray(np.where(spread > 1e-9, claimed, 1.353 / (1.353 + cases / 2) < margin))


def pairs_of_samples(draws: int) -> Iterator[dict[str, Any]]:
    """The largest shares of wrong claims for each margin and number of cases, then the power."""
    for margin, cases in product((0.05, 0.1), (10, 20, 30, 50, 100, 200)):
        found = []
        for size, (name, kinds) in product((2, 3, 5, 10, 20), losses(margin).items()):
            rows = _differences(kinds, cases, size, draws, _seeded(margin, cases, size, name))
            found.append(
                (
                    float(_not_worse(rows, size, margin).mean()),
                    float(_paired_t(rows, size, margin).mean()),
                    f"{size} samples, loss in {name}",
                )
            )
        wrong, _, where = max(found)
        yield {
            "margin": margin,
            "cases": cases,
            "draws": draws,
            "wrong_claims": wrong,
            "in": where,
            "students_t": max(by_t for _, by_t, _ in found),
        }
    for margin, cases, size, rate in product((0.05, 0.1), (30, 50, 100, 200), (3, 10), (0.8, 0.95)):
        rows = _differences(((1.0, rate, rate),), cases, size, draws, _seeded(margin, cases, size, rate))
        yield {
            "margin": margin,
            "cases": cases,
            "samples": size,
            "rate": rate,
            "draws": draws,
            "power": float(_not_worse(rows, size, margin).mean()),
            "power_students_t": float(_paired_t(rows, size, margin).mean()),
        }


PARTS = {
    "rates": rates,
    "samples": samples,
    "power": power,
    "pairs": pairs,
    "pairs_of_samples": pairs_of_samples,
}


def main() -> int:
    """Print one JSON object a line for each setting, and write all of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=10_000)
    parser.add_argument("--part", choices=PARTS, action="append", help="only this part; may be given several times")
    parser.add_argument("--json", type=Path, help="where the numbers go as well")
    args = parser.parse_args()
    found: dict[str, list[dict[str, Any]]] = {}
    for name in args.part or PARTS:
        found[name] = []
        for one in PARTS[name](args.draws):
            print(json.dumps({"part": name, **one}), flush=True)
            found[name].append(one)
    if args.json:
        args.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
