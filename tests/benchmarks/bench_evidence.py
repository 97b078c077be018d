"""How often does a session without a confidence name a rung that is below its bar, and block a merge for it? Exact.

One JSON line for each number of cases and true rate of a smaller rung, the chosen one being larger: `named` is the
chance that the smaller one passes by its observed rate, so that the verdict is over-sized; `likely` and `shown` that
the verdict has at least that evidence. By default the session fails where it is likely. `asked` is `all` where every
case is asked (`--rightsize-strategy=full`), and `until settled` where a climb leaves out the rest of the cases.

    python -m tests.benchmarks.bench_evidence [--json=FILE]
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from itertools import product
from math import ceil, comb
from pathlib import Path
from typing import Any

from pytest_rightsize.judging.verdict import judge
from pytest_rightsize.records import Evidence, Trial, TrialKey
from pytest_rightsize.running.schedule import Progress
from tests.runs import make_run

BAR = 0.9
CASES = (10, 20, 40, 100, 200)
RATES = (0.8, 0.85, 0.88, 0.9)
AT_LEAST_LIKELY = ("likely", "shown")


@cache
def _evidence(passed: int, failed: int, left_out: int) -> Evidence | None:
    """The evidence of the verdict over-sized; None where the smaller rung does not pass."""
    cases = passed + failed + left_out
    marks = {"s": "1" * passed + "0" * failed + "-" * left_out, "l": "-" * cases}
    run = make_run({"t": marks}, chosen="l", pass_rate=BAR)
    trials = [
        replace(one, reason="settled") if one.key.rung == "s" and one.outcome == "not_run" else one
        for one in run.trials
    ]
    (verdict,) = judge(replace(run, trials=trials))
    return verdict.evidence if verdict.verdict == "over-sized" else None


def ends(cases: int, *, bar: float = BAR, all_asked: bool) -> Iterator[tuple[int, int, int]]:
    """Passes and failures of each way to end in which the rung passes, and in how many orders they may come."""
    enough = ceil(bar * cases - 1e-9)
    if all_asked:
        yield from ((cases - failed, failed, comb(cases, failed)) for failed in range(cases - enough + 1))
        return
    going_on = {(0, 0): 1}
    for asked in range(1, cases + 1):
        orders: Counter[tuple[int, int]] = Counter()
        for (passed, failed), count in going_on.items():
            orders[passed + 1, failed] += count
            orders[passed, failed + 1] += count
        going_on = {}
        for (passed, failed), count in orders.items():
            if failed > cases - enough:
                continue
            if asked == cases or _stops(passed, failed, cases, bar):
                yield passed, failed, count
            else:
                going_on[passed, failed] = count


def _stops(passed: int, failed: int, cases: int, bar: float) -> bool:
    """Whether a climb leaves out the rest of a rung's cases."""
    progress = Progress({str(case): 1 for case in range(cases)}, pass_rate=bar)
    for case in range(passed + failed):
        key = TrialKey(task="t", case=str(case), sample=0, rung="s")
        progress.add(Trial(key=key, outcome="passed" if case < passed else "failed"))
    return progress.reason_to_stop() is not None


def settings() -> Iterator[dict[str, Any]]:
    """One setting after the other."""
    for all_asked, cases, rate in product((True, False), CASES, RATES):
        chance = {"named": 0.0, "likely": 0.0, "shown": 0.0}
        for passed, failed, orders in ends(cases, all_asked=all_asked):
            evidence = _evidence(passed, failed, cases - passed - failed)
            assert evidence is not None
            found = orders * rate**passed * (1 - rate) ** failed
            chance["named"] += found
            chance["likely"] += found * (evidence in AT_LEAST_LIKELY)
            chance["shown"] += found * (evidence == "shown")
        yield {
            "bar": BAR,
            "cases": cases,
            "rate": rate,
            "asked": "all" if all_asked else "until settled",
            **{name: round(value, 4) for name, value in chance.items()},
        }


def main() -> int:
    """Print one JSON object a line for each setting, and write all of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="where the numbers go as well")
    args = parser.parse_args()
    found = []
    for one in settings():
        print(json.dumps(one), flush=True)
        found.append(one)
    if args.json:
        args.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
