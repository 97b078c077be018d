"""Which correction for a judge's errors keeps its word? Wrong claims over seeded draws, as JSON.

A judge of known sensitivity and specificity is held against labels of people, and then decides a task whose true pass
rate is just the bar. `wrong_passes` is the share of draws in which the corrected one-sided 95 % bound claims that the
bar is reached, `wrong_fails` the share that claims it is missed; a method that holds stays at 0.05. For each method and
number of labels stands the largest share over all settings: it is looked for with `--draws` draws each, and counted
anew in ten times as many others, as the largest of many is large by chance. `without_the_judge` does the first for
tasks of which some cases pass or fail without it. Then, of a rung that is better than its bar
(`power`), the share that claims "passes".

Methods: `melded` is the one that is used (`pytest_rightsize.statistics.misjudged`). `bonferroni` splits the error over
exact bounds of all three rates; `rogan-gladen` has the delta method's normal interval, `lang-reiczigel` that of Lang
and Reiczigel 2014; `ppi` and `ppi++` are prediction-powered inference (Angelopoulos et al. 2023) with labels of the
very task and rung, which these need and the others do not; `uncorrected` is what the judge says. A judge that is not
shown to be better than chance claims nothing, by any of the methods that correct for it.

    python -m tests.benchmarks.bench_judges [--draws=2000] [--json=FILE]
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc, betaincinv, ndtri
from scipy.stats import hypergeom

from pytest_rightsize.statistics import Correction
from pytest_rightsize.statistics.misjudged import corrected_p
from pytest_rightsize.statistics.tallies import p_value_of

SEED = 20261127
ALPHA = 0.05
Z = float(ndtri(1 - ALPHA))
BARS = (0.5, 0.8, 0.9, 0.95)
JUDGES = ((0.7, 0.7), (0.7, 0.99), (0.8, 0.95), (0.9, 0.7), (0.9, 0.9), (0.95, 0.95), (0.99, 0.7), (0.99, 0.99))
LABELS = (20, 50, 100, 200, 500)
GOOD_SHARES = (0.3, 0.8)
CASES = (20, 100, 500)
POWER = ((0.8, 0.95), (0.9, 0.98))
NODES = 12

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """Counts of each draw: cases that the judge passed of `cases`, and labels by what people and the judge say."""

    passed: Counts
    cases: int
    good: Counts
    good_passed: Counts
    bad: Counts
    bad_passed: Counts

    @property
    def mirrored(self) -> "Drawn":
        """With passes and failures exchanged."""
        return Drawn(
            passed=self.cases - self.passed,
            cases=self.cases,
            good=self.bad,
            good_passed=self.bad - self.bad_passed,
            bad=self.good,
            bad_passed=self.good - self.good_passed,
        )

    @property
    def is_better_than_chance(self) -> NDArray[np.bool_]:
        """As `pytest_rightsize.statistics.is_better_than_chance`."""
        passed, labels = self.good_passed + self.bad_passed, self.good + self.bad
        p = hypergeom.cdf(self.bad_passed, labels, passed, self.bad)
        return np.asarray((self.good > 0) & (self.bad > 0) & (p <= ALPHA))


def _upper(passed: Counts, of: Counts, levels: Floats) -> Floats:
    """Exact upper bounds of shares, a row for each draw."""
    inside = betaincinv(passed[:, None] + 1.0, np.maximum(of - passed, 1)[:, None], levels[None, :])
    return np.where((passed >= of)[:, None], 1.0, inside)


def _tail(passed: Counts, cases: int, rate: Floats) -> Floats:
    """P(at least so many passes) at the rate."""
    return np.where(passed <= 0, 1.0, betainc(np.maximum(passed, 1), cases - passed + 1, np.clip(rate, 0, 1)))


def melded(drawn: Drawn, bar: float, alone: Floats | None = None) -> NDArray[np.bool_]:
    """`alone` is the share of the cases that passed without the judge."""
    points, weights = np.polynomial.legendre.leggauss(NODES)
    levels, weights = (points + 1) / 2, weights / 2
    good, bad = _upper(drawn.good_passed, drawn.good, levels), _upper(drawn.bad_passed, drawn.bad, levels)
    seen = bar * np.maximum(good[:, :, None], bad[:, None, :]) + (1 - bar) * bad[:, None, :]
    if alone is not None:
        seen = seen + np.minimum(alone, bar)[:, None, None] * (1 - np.maximum(good[:, :, None], bad[:, None, :]))
    p = np.einsum("dij,i,j->d", _tail(drawn.passed[:, None, None], drawn.cases, seen), weights, weights)
    return np.asarray(p <= ALPHA)


def bonferroni(drawn: Drawn, bar: float) -> NDArray[np.bool_]:
    level = np.array([1 - ALPHA / 3])
    good = _upper(drawn.good_passed, drawn.good, level)[:, 0]
    bad = _upper(drawn.bad_passed, drawn.bad, level)[:, 0]
    return _tail(drawn.passed, drawn.cases, bar * good + (1 - bar) * bad) <= ALPHA / 3


def rogan_gladen(drawn: Drawn, bar: float) -> NDArray[np.bool_]:
    good, bad = drawn.good_passed / drawn.good, drawn.bad_passed / drawn.bad
    seen = drawn.passed / drawn.cases
    rate = (seen - bad) / (good - bad)
    spread = seen * (1 - seen) / drawn.cases + rate**2 * good * (1 - good) / drawn.good
    spread = (spread + (1 - rate) ** 2 * bad * (1 - bad) / drawn.bad) / (good - bad) ** 2
    return _claims(np.minimum(rate, 1), spread, bar)


def lang_reiczigel(drawn: Drawn, bar: float) -> NDArray[np.bool_]:
    cases = drawn.cases + Z * Z
    seen = (drawn.passed + Z * Z / 2) / cases
    good, fails = (drawn.good_passed + 1) / (drawn.good + 2), 1 - (drawn.bad_passed + 1) / (drawn.bad + 2)
    youden = good + fails - 1
    rate = (seen + fails - 1) / youden
    of_good, of_bad = good * (1 - good) / (drawn.good + 2), fails * (1 - fails) / (drawn.bad + 2)
    shift = 2 * Z * Z * (rate * of_good - (1 - rate) * of_bad)
    spread = (seen * (1 - seen) / cases + rate**2 * of_good + (1 - rate) ** 2 * of_bad) / youden**2
    return _claims(rate + shift, spread, bar)


def ppi(drawn: Drawn, bar: float) -> NDArray[np.bool_]:
    labels = drawn.good + drawn.bad
    missed, wrong = (drawn.good - drawn.good_passed) / labels, drawn.bad_passed / labels
    seen, difference = drawn.passed / drawn.cases, missed - wrong
    spread = seen * (1 - seen) / drawn.cases + (missed + wrong - difference**2) / labels
    return _claims(seen + difference, spread, bar)


def ppi_tuned(drawn: Drawn, bar: float) -> NDArray[np.bool_]:
    labels = drawn.good + drawn.bad
    people, judge = drawn.good / labels, (drawn.good_passed + drawn.bad_passed) / labels
    seen = drawn.passed / drawn.cases
    together = drawn.good_passed / labels - people * judge
    share = np.clip(together / ((1 + labels / drawn.cases) * np.maximum(seen * (1 - seen), 1e-12)), 0, 1)
    spread = people * (1 - people) / labels - 2 * share * together / labels
    spread = spread + share**2 * (judge * (1 - judge) / labels + seen * (1 - seen) / drawn.cases)
    return _claims(people + share * (seen - judge), np.maximum(spread, 0), bar)


def uncorrected(drawn: Drawn, bar: float) -> NDArray[np.bool_]:
    return _tail(drawn.passed, drawn.cases, np.array(bar)) <= ALPHA


def _claims(rate: Floats, spread: Floats, bar: float) -> NDArray[np.bool_]:
    return np.nan_to_num(rate - Z * np.sqrt(spread), nan=-1.0) >= bar


METHODS: Mapping[str, Callable[[Drawn, float], NDArray[np.bool_]]] = {
    "melded": melded,
    "bonferroni": bonferroni,
    "rogan-gladen": rogan_gladen,
    "lang-reiczigel": lang_reiczigel,
    "ppi": ppi,
    "ppi++": ppi_tuned,
    "uncorrected": uncorrected,
}
OF_THE_TASK = ("ppi", "ppi++")


def draw(
    source: np.random.Generator,
    draws: int,
    *,
    rate: float,
    judge: tuple[float, float],
    labels: int,
    share: float,
    cases: int,
) -> Drawn:
    """Seeded counts: `share` of the labels are good answers, `rate` of the cases."""
    sensitivity, specificity = judge
    good = source.binomial(labels, share, draws)
    return Drawn(
        passed=source.binomial(cases, rate * sensitivity + (1 - rate) * (1 - specificity), draws),
        cases=cases,
        good=good,
        good_passed=source.binomial(good, sensitivity),
        bad=labels - good,
        bad_passed=source.binomial(labels - good, 1 - specificity),
    )


def _both(name: str, drawn: Drawn, rate: float) -> tuple[float, float]:
    """The shares that claim "passes", and "fails"."""
    with np.errstate(all="ignore"):
        claims = METHODS[name](drawn, rate), METHODS[name](drawn.mirrored, 1 - rate)
    may = np.ones(1) if name in (*OF_THE_TASK, "uncorrected") else drawn.is_better_than_chance
    passes, fails = (float((claim & (may > 0)).mean()) for claim in claims)
    return passes, fails


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One setting of `wrong_claims`; without a `share` the labels are of the task itself."""

    bar: float
    judge: tuple[float, float]
    cases: int
    share: float | None
    labels: int

    def drawn(self, draws: int, seed: int) -> Drawn:
        parts = (self.bar, *self.judge, self.share or 0)
        source = np.random.default_rng([seed, self.labels, self.cases, *(round(1000 * part) for part in parts)])
        share = self.bar if self.share is None else self.share
        return draw(source, draws, rate=self.bar, judge=self.judge, labels=self.labels, share=share, cases=self.cases)


def wrong_claims(draws: int) -> Iterator[dict[str, Any]]:
    """The largest shares of each method for each number of labels."""
    for labels in LABELS:
        worst: dict[str, list[tuple[float, Setting]]] = {name: [] for name in METHODS}
        for bar, judge, cases, share in product(BARS, JUDGES, CASES, (*GOOD_SHARES, None)):
            setting = Setting(bar=bar, judge=judge, cases=cases, share=share, labels=labels)
            drawn = setting.drawn(draws, SEED)
            for name in METHODS:
                if (name in OF_THE_TASK) == (share is None):
                    found = [(value, setting) for value in _both(name, drawn, bar)]
                    pairs = zip(worst[name] or found, found, strict=True)
                    worst[name] = [max(pair, key=lambda one: one[0]) for pair in pairs]
        for name, (passes, fails) in worst.items():
            counted = [
                (_both(name, one.drawn(10 * draws, SEED + 1), one.bar)[place], one)
                for place, (_, one) in enumerate((passes, fails))
            ]
            told = {
                what: {"share": value, "bar": one.bar, "judge": one.judge, "cases": one.cases, "good": one.share}
                for what, (value, one) in zip(("wrong_passes", "wrong_fails"), counted, strict=True)
            }
            yield {"method": name, "labels": labels, "draws": 10 * draws, **told}


def without_the_judge(draws: int) -> Iterator[dict[str, Any]]:
    """The largest shares of wrong "passes" where a part of the cases passes, or fails, without the judge."""
    for labels in LABELS:
        worst: tuple[float, dict[str, Any]] = (0.0, {})
        for bar, judge, cases, alone, failing in product(BARS, JUDGES, (20, 100), (0.02, 0.5, 1.0), (0.0, 1.0)):
            source = np.random.default_rng([SEED, labels, cases, round(1000 * bar), round(1000 * alone)])
            drawn = draw(source, draws, rate=bar, judge=judge, labels=labels, share=0.8, cases=cases)
            # Cases that pass without it, that fail without it, good ones that it passes and fails, and bad ones.
            good, bad = bar * (1 - alone), (1 - bar) * (1 - failing)
            shares = [good * judge[0], good * (1 - judge[0]), bad * (1 - judge[1]), bad * judge[1]]
            counts = source.multinomial(cases, [bar * alone, (1 - bar) * failing, *shares], size=draws)
            drawn = replace(drawn, passed=counts[:, 0] + counts[:, 2] + counts[:, 4])
            claims = melded(drawn, bar, counts[:, 0] / cases) & drawn.is_better_than_chance
            setting = {"bar": bar, "judge": judge, "cases": cases, "passing_alone": alone, "failing_alone": failing}
            worst = max(worst, (float(claims.mean()), setting), key=lambda one: one[0])
        yield {"without_the_judge": True, "labels": labels, "draws": draws, "wrong_passes": worst[0], **worst[1]}


def power(draws: int) -> Iterator[dict[str, Any]]:
    """The share that claims "passes" of a rung that is better than its bar."""
    for (bar, rate), judge, labels, cases in product(POWER, ((0.9, 0.9), (0.95, 0.95)), LABELS, (100, 500)):
        source = np.random.default_rng([SEED, labels, cases, round(1000 * rate), round(1000 * judge[0])])
        drawn = draw(source, draws, rate=rate, judge=judge, labels=labels, share=0.5, cases=cases)
        shares = {}
        for name in ("melded", "bonferroni"):
            shares[name] = float((METHODS[name](drawn, bar) & drawn.is_better_than_chance).mean())
        yield {"bar": bar, "rate": rate, "judge": judge, "labels": labels, "cases": cases, **shares}


def check_formula(draws: int = 200) -> float:
    """The largest difference between this file's decisions and the package's p values, of draws that are not close."""
    drawn = draw(np.random.default_rng(SEED), draws, rate=0.85, judge=(0.9, 0.9), labels=100, share=0.5, cases=100)
    mine = melded(drawn, 0.8)
    differ = 0
    for place in range(draws):
        correction = Correction(
            good=int(drawn.good[place]),
            good_passed=int(drawn.good_passed[place]),
            bad=int(drawn.bad[place]),
            bad_passed=int(drawn.bad_passed[place]),
        )
        passed = int(drawn.passed[place])
        p = corrected_p(p_value_of({(1, 1): passed, (0, 1): 100 - passed}), correction, 100)(0.8)
        differ += (p <= ALPHA) != bool(mine[place]) and abs(p - ALPHA) > 1e-4
    return differ / draws


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=2000)
    parser.add_argument("--json", type=Path, metavar="FILE")
    args = parser.parse_args()
    differing = check_formula()
    found: dict[str, Any] = {"differs_from_the_package": differing, "wrong_claims": []}
    for line in wrong_claims(args.draws):
        found["wrong_claims"].append(line)
        print(json.dumps(line), flush=True)
    for part, lines in (("without_the_judge", without_the_judge), ("power", power)):
        for line in lines(args.draws):
            found.setdefault(part, []).append(line)
            print(json.dumps(line), flush=True)
    if args.json:
        args.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
