"""What early stopping saves and keeps, how seldom a rung is named wrongly, what a baseline alarms at, as JSON lines.

`stopping`: expected calls up a ladder and the chance that the right rung is named, exact, for curtailment, for early
stopping where an open rung ends the climb, and for what is shipped, where the climb goes on past it. `in_flight`: the
calls with 16 in flight, by the classes of a session, what is in flight at the end included; answers take equal times,
or times of a long tail and failures twice as long. `limits`: what early stopping saves of one rung, and the most that
any rule could that names it right nearly as often (0.02) as curtailment, even one made for its true rate.
`selection`: the chance that a rung below its bar is named, the true rates of all rungs chosen for the worst.
`regressions`: how often a session alarms where nothing has changed, by the rule before this and now, and how often a
fall is shown. `regressions_by_luck`: the same where rungs just below their bar were named by luck.

    python -m tests.benchmarks.bench_sequential [--draws=10000] [--json=FILE]
"""

import argparse
import heapq
import json
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

from pytest_rightsize.records import Trial, TrialKey
from pytest_rightsize.running.schedule import EarlyProgress, Progress
from pytest_rightsize.statistics import (
    Terms,
    budgets_after,
    cases_in_order,
    chances,
    claim_confidence,
    design_for,
    fell,
    fell_in_order,
    first_budget,
    passes_needed,
)
from pytest_rightsize.statistics.sequential import Chances, Design
from tests.benchmarks.stopping_limits import fewest_calls

SEED = 20261127
BAR, CONFIDENCE = 0.9, 0.95
# Those of STATISTICS.md section 8, and as many of our own.
LADDERS = (
    (0.6, 0.8, 0.99),
    (0.97, 0.99),
    (0.5, 0.7, 0.85, 0.97),
    (0.3, 0.5, 0.7, 0.99),
    (0.5, 0.95, 0.99),
    (0.7, 0.93, 0.98),
    (0.88, 0.96, 0.99),
    (0.4, 0.75, 0.96, 0.98),
    (0.85, 0.92, 0.97, 0.995),
    (0.95, 0.98, 0.99),
    (0.2, 0.55, 0.82, 0.9, 0.985),
    (0.65, 0.98),
)
BELOW = (1e-9, 0.005, 0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.5)


@cache
def _curtailed(cases: int, claim: float) -> Design:
    """Curtailment as a design: the numbers that decide at the last case, whenever they are reached."""
    passes = passes_needed(cases, pass_rate=BAR, confidence=claim)
    failures = passes_needed(cases, pass_rate=round(1 - BAR, 12), confidence=CONFIDENCE)
    never = cases + 1
    return Design(
        cases=cases,
        pass_rate=BAR,
        passes_at=(passes or never,) * (cases + 1),
        fails_at=(failures or never,) * (cases + 1),
    )


@cache
def _early(cases: int, claim: float) -> Design:
    return design_for(cases, pass_rate=BAR, confidence=CONFIDENCE, claim_confidence=claim)


@cache
def _chances(design_of: Callable[[int, float], Design], cases: int, claim: float, rate: float) -> Chances:
    return chances(design_of(cases, claim), rate)


def _climb(design_of: Callable[[int, float], Design], cases: int, rates: Sequence[float], *, goes_on: bool) -> Any:
    """Expected calls, and the chances that the right rung, any, and one below the bar is named."""
    terms = Terms(pass_rate=BAR, confidence=CONFIDENCE, cases=cases, rungs=len(rates), stops_early=design_of is _early)
    right = next(place for place, rate in enumerate(rates) if rate >= BAR)
    sums = {"calls": 0.0, "right": 0.0, "named": 0.0, "false": 0.0}

    def visit(place: int, budget: float, reached: float) -> None:
        if place == len(rates) or reached < 1e-9:
            return
        claim = claim_confidence(budget, terms, is_largest=place == len(rates) - 1) if goes_on else CONFIDENCE
        found = _chances(design_of, cases, claim, rates[place])
        sums["calls"] += reached * found.expected_cases
        sums["named"] += reached * found.passes
        sums["right"] += reached * found.passes * (place == right)
        sums["false"] += reached * found.passes * (rates[place] < BAR)
        visit(place + 1, budget, reached * found.fails)
        if goes_on:
            (left,) = budgets_after([budget], terms)
            visit(place + 1, left, reached * found.undecided)

    visit(0, first_budget(terms), 1.0)
    return {name: round(value, 4) for name, value in sums.items()}


def stopping(_: int) -> Iterator[dict[str, Any]]:
    """Exact figures, ladder by ladder."""
    for cases, rates in product((200, 100, 50), LADDERS):
        curtailed = _climb(_curtailed, cases, rates, goes_on=False)
        early, shipped = (_climb(_early, cases, rates, goes_on=goes_on) for goes_on in (False, True))
        yield {
            "rates": rates,
            "cases": cases,
            "curtailed": curtailed,
            "early": early,
            "early_past_open_rungs": shipped,
            "settled_past_open_rungs": _climb(_curtailed, cases, rates, goes_on=True),
            "saved": round(1 - early["calls"] / curtailed["calls"], 3),
        }


def _asked(progress: Progress, order: Sequence[str], passes: Sequence[bool], times: Sequence[float]) -> tuple[int, str]:
    """How many are asked until the progress stops, 16 in flight at the most, and why it stops."""
    flying: list[tuple[float, int]] = []
    asked, now = 0, 0.0
    while progress.reason_to_stop() is None:
        while asked < len(order) and len(flying) < 16 and progress.has_room(len(flying)):
            heapq.heappush(flying, (now + times[asked], asked))
            asked += 1
        if not flying:
            return asked, "settled: undecided"
        now, place = heapq.heappop(flying)
        key = TrialKey(task="t", case=order[place], rung="s")
        progress.add(Trial(key=key, outcome="passed" if passes[place] else "failed"))
    return asked, progress.reason_to_stop() or ""


def in_flight(draws: int) -> Iterator[dict[str, Any]]:
    """Means over draws by the classes of a session; an open rung ends the climb, so that both ask of the same rungs."""
    draws = max(20, draws // 200)
    for cases, rates, tail in product((200, 100), LADDERS[:8], (False, True)):
        source = random.Random(f"{SEED}-{cases}-{rates}-{tail}")
        names = cases_in_order([f"c{place}" for place in range(cases)], task="t", seed=0)
        plan, sums = dict.fromkeys(names, 1), {"curtailed": 0, "early": 0}
        for _, name in product(range(draws), sums):
            for rate in rates:
                passes = [source.random() < rate for _ in names]
                times = [
                    source.lognormvariate(0, 1) * (1 if one else 2) if tail else source.uniform(0.99, 1.01)
                    for one in passes
                ]
                progress = (
                    Progress(plan, pass_rate=BAR, confidence=CONFIDENCE)
                    if name == "curtailed"
                    else EarlyProgress(plan, task="t", seed=0, pass_rate=BAR, confidence=CONFIDENCE)
                )
                asked, reason = _asked(progress, names, passes, times)
                sums[name] += asked
                if "fails" not in reason:
                    break
        means = {name: round(value / draws, 1) for name, value in sums.items()}
        saved = round(1 - means["early"] / means["curtailed"], 3)
        yield {"rates": rates, "cases": cases, "long_tail": tail, "draws": draws, "calls": means, "saved": saved}


def selection(_: int) -> Iterator[dict[str, Any]]:
    """The worst chance of a wrong name, exact where rungs err independently, over a net of true rates."""
    for stops_early, cases in product((False, True), (20, 50, 59, 76, 100, 200)):
        yield {
            "stops_early": stops_early,
            "cases": cases,
            "bar": BAR,
            "worst_false_name": {
                rungs: round(_worst(stops_early, cases, rungs, naive=False), 4) for rungs in (1, 2, 4, 8)
            },
            "naive": round(_worst(stops_early, cases, 8, naive=True), 4),
        }


def _worst(stops_early: bool, cases: int, rungs: int, *, naive: bool) -> float:
    design_of = _early if stops_early else _curtailed
    terms = Terms(pass_rate=BAR, confidence=CONFIDENCE, cases=cases, rungs=rungs, stops_early=stops_early)

    @cache
    def worst(place: int, budget: float) -> float:
        if place == rungs:
            return 0.0
        claim = CONFIDENCE if naive else claim_confidence(budget, terms, is_largest=place == rungs - 1)
        (left,) = budgets_after([budget], terms)
        found = [_chances(design_of, cases, claim, BAR - gap) for gap in BELOW]
        failed, stayed = worst(place + 1, budget), worst(place + 1, left)
        return max(one.passes + one.fails * failed + one.undecided * stayed for one in found)

    return worst(0, first_budget(terms))


def limits(_: int) -> Iterator[dict[str, Any]]:
    """Exact calls of one rung, and a lower bound for those of any rule."""
    for cases, rate in product((200, 100), (0.6, 0.8, 0.85, 0.88, 0.92, 0.95, 0.97, 0.99)):
        curtailed, early = (_chances(design_of, cases, CONFIDENCE, rate) for design_of in (_curtailed, _early))
        right = (curtailed.passes if rate > BAR else curtailed.fails) - 0.02
        calls = {"curtailed": round(curtailed.expected_cases, 1), "early": round(early.expected_cases, 1)}
        fewest = fewest_calls(rate, bar=BAR, cases=cases, error=1 - CONFIDENCE, right=right)
        yield {
            "rate": rate,
            "cases": cases,
            "calls": calls,
            "saved": round(1 - early.expected_cases / curtailed.expected_cases, 3),
            "saved_by_any_rule_at_most": round(1 - fewest / curtailed.expected_cases, 3),
        }


@cache
def _p(lost: int, won: int) -> float:
    return fell([-1] * lost + [1] * won)


def regressions(draws: int) -> Iterator[dict[str, Any]]:
    """One task by its smallest rung, then ten alike: a session alarms if Holm leaves one of its p values below 0.05."""
    for cases, (rate, now), repeats in product(
        (20, 40, 100, 200), ((0.92, 0.92), (0.95, 0.95), (0.97, 0.85), (0.95, 0.75)), (False, True)
    ):
        source = random.Random(f"{SEED}-{cases}-{rate}-{now}-{repeats}")
        p_values, grown = [], 0
        for _ in range(draws):
            changes = _changes(source, cases, rate, now, repeats=repeats)
            before, after = sum(was for was, _ in changes), sum(passed for _, passed in changes)
            grown += before >= BAR * cases > after
            p_values.append(_p(sum(a > b for a, b in changes), sum(a < b for a, b in changes)))
        yield _alarms("complete runs", cases, rate, now, repeats, draws, p_values) | {
            "grown": round(grown / draws, 4),
            "grown_in_one_of_ten": round(1 - (1 - grown / draws) ** 10, 4),
        }
    few = max(100, draws // 10)
    for cases, (rate, now) in product((100, 200), ((0.93, 0.93), (0.97, 0.97), (0.97, 0.85), (0.97, 0.75))):
        source = random.Random(f"{SEED}-{cases}-{rate}-{now}")
        yield _alarms(
            "stopped early", cases, rate, now, False, few, [_early_p(source, cases, rate, now) for _ in range(few)]
        )


def regressions_by_luck(draws: int) -> Iterator[dict[str, Any]]:
    """How often a session alarms where nothing has changed, and rungs just below their bar were named by luck.

    `only_named` has Holm over the rungs that were named, `asked` also over the smaller ones that were asked, `now` over
    all rungs of the ladder.
    """
    ladders = (
        *((0.88,), (0.92, 0.97), (0.88,) * 2, (0.85, 0.88, 0.95), (0.8, 0.85, 0.88, 0.95), (0.88,) * 4, (0.87,) * 6),
        *((0.85, 0.86, 0.87, 0.88, 0.89, 0.95), (0.85,) * 8, (0.87,) * 8, (0.88,) * 8, (0.89,) * 8, (0.88,) * 16),
    )
    for rates, cases, tasks in product(ladders, (40, 100, 200, 400), (1, 10)):
        source = random.Random(f"{SEED}-{rates}-{cases}-{tasks}")
        sessions, only_named, of_asked, now = draws // tasks, 0, 0, 0
        for _ in range(sessions):
            found = [_named_then_asked_again(source, rates, cases) for _ in range(tasks)]
            least = min(p for p, _ in found)
            only_named += least * max(1, sum(asked > 0 for _, asked in found)) < 0.05
            of_asked += least * sum(asked or len(rates) for _, asked in found) < 0.05
            now += least * len(rates) * tasks < 0.05
        yield {"rates": rates, "cases": cases, "tasks": tasks, "sessions": sessions} | {
            "only_named": round(only_named / sessions, 4),
            "asked": round(of_asked / sessions, 4),
            "now": round(now / sessions, 4),
        }


def _named_then_asked_again(source: random.Random, rates: Sequence[float], cases: int) -> tuple[float, int]:
    """The p value of the rung that a climb names if the next one names a larger one, else 1; how many it asked.

    0 asked stands for a climb that names none.
    """
    was = [[source.random() < rate for _ in range(cases)] for rate in rates]
    place = next((place for place, passed in enumerate(was) if sum(passed) >= BAR * cases), None)
    if place is None:
        return 1.0, 0
    if any(_passed(source, smaller, cases) >= BAR * cases for smaller in rates[:place]):
        return 1.0, place + 1
    again = [source.random() < rates[place] for _ in range(cases)]
    if sum(again) >= BAR * cases:
        return 1.0, place + 1
    lost = sum(before and not after for before, after in zip(was[place], again, strict=True))
    return _p(lost, sum(again) - sum(was[place]) + lost), place + 1


def _passed(source: random.Random, rate: float, cases: int) -> int:
    return sum(source.random() < rate for _ in range(cases))


def _changes(source: random.Random, cases: int, rate: float, now: float, *, repeats: bool) -> list[tuple[bool, bool]]:
    """Each case in both runs: drawn anew, or the same answer again in all but what has changed and a tenth."""
    pairs = []
    for _ in range(cases):
        was = source.random() < rate
        keeps = repeats and source.random() < 0.9
        passed = (was and source.random() < now / rate) if keeps else source.random() < now
        pairs.append((was, passed))
    return pairs


def _early_p(source: random.Random, cases: int, rate: float, now: float) -> float:
    """The p value of a baseline that stops by the design, and of a run that does so only where it passes."""
    design, changes = _early(cases, CONFIDENCE), _changes(source, cases, rate, now, repeats=False)
    seen = []
    for column, may_stop in ((0, ("passes", "fails", "undecided")), (1, ("passes",))):
        passed, stop = 0, cases
        for place, pair in enumerate(changes, 1):
            passed += pair[column]
            if design.state(passed, place - passed) in may_stop:
                stop = place
                break
        seen.append(stop)
    return fell_in_order([int(after) - int(before) for before, after in changes[: min(seen)]], cases)


def _alarms(
    kind: str, cases: int, rate: float, now: float, repeats: bool, draws: int, p_values: Sequence[float]
) -> dict[str, Any]:
    one, tenth = (sum(p < error for p in p_values) / draws for error in (0.05, 0.005))
    return {
        "kind": kind,
        "cases": cases,
        "rate_before": rate,
        "rate_now": now,
        "answers_repeat": repeats,
        "draws": draws,
        "shown": round(one, 4),
        "shown_by_one_task_of_ten": round(tenth, 4),
        "alarm_of_ten_tasks_alike": round(1 - (1 - tenth) ** 10, 4),
    }


def main() -> int:
    """Print one JSON object a line for each setting, and write all of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=10_000)
    parser.add_argument("--json", type=Path, help="where the numbers go as well")
    args = parser.parse_args()
    found: dict[str, list[dict[str, Any]]] = {}
    for part in (stopping, in_flight, limits, selection, regressions, regressions_by_luck):
        found[part.__name__] = []
        for one in part(args.draws):
            print(json.dumps({"part": part.__name__, **one}), flush=True)
            found[part.__name__].append(one)
    if args.json:
        args.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
