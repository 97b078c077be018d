"""Conclusions from the usage of a run: the passing rung that takes least, false economies, and savings; pure.

Two rungs are compared by the totals of the cases that both answered, paired by case, and only if their amounts are
known in the same way. A rung that cannot be compared is left out by name, with the reason. A tie is called a tie, and
no claim contradicts the totals over all cases that the table shows.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from pytest_rightsize.energy import Kind
from pytest_rightsize.judging.chosen_savings import Saving, savings_against_chosen
from pytest_rightsize.judging.escalations import cascades
from pytest_rightsize.judging.estimated_savings import MeanLengths
from pytest_rightsize.judging.rung_amounts import (
    MeterErrors,
    Quantity,
    RungAmounts,
    meter_errors,
    rung_amounts,
)
from pytest_rightsize.judging.rung_ratios import per_pass, surely_more, why_not_comparable
from pytest_rightsize.judging.usage import RunUsage
from pytest_rightsize.plain_data import plain_fields
from pytest_rightsize.records import Json, Run, Trial, trials_by_task
from pytest_rightsize.statistics.estimates import Ratio
from pytest_rightsize.verdict_records import Verdict

__all__ = ["OBJECTIVES", "Conclusion", "FalseEconomy", "Leader", "Objective", "Saving", "conclude", "idle_note"]

Objective = Literal["size", "energy", "cost", "latency"]
OBJECTIVES: tuple[Objective, ...] = get_args(Objective)
_CAVEATS: Mapping[Quantity, str] = {
    "latency": "; with others in flight, as they were asked",
    "completion_tokens": "; each by its own tokenizer",
}


@dataclass(frozen=True, kw_only=True)
class Leader:
    """The passing rung that takes least of one quantity for a passed case, by the totals over all its trials.

    `tied` are the rungs not shown to take more, `left_out` maps those that could not be compared to the reason. `rung`
    is None where no rung could be compared; `compared` names those that were, including the leader.
    """

    quantity: Quantity
    rung: str | None
    per_pass: float | None = None
    tied: tuple[str, ...] = ()
    compared: tuple[str, ...] = ()
    left_out: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class FalseEconomy:
    """The smallest passing rung takes more than a larger passing one: `ratio` times as much for a passed case.

    The ratio is one of totals. With `on_common`, cases that only one of the two rungs answered are not part of it.
    """

    quantity: Quantity
    smaller: str
    larger: str
    ratio: Ratio
    on_common: bool = False

    def __str__(self) -> str:
        """`25k takes 1.84 times the energy of 60k for a passed case (95 % interval 1.31 to 2.58)`."""
        what = {"energy": "the energy", "cost": "the cost", "latency": "the time"}.get(
            self.quantity, f"the {self.quantity.replace('_', ' ')}"
        )
        bounds = f"95 % interval {_clear_of_one(self.ratio.low)} to {_clear_of_one(self.ratio.high)}"
        common = f"; on the {self.ratio.n} cases that both answered" if self.on_common else ""
        return (
            f"false economy: {self.smaller} takes {self.ratio.value:.3g} times {what} of {self.larger} "
            f"for a passed case ({bounds}{common}{_CAVEATS.get(self.quantity, '')})"
        )


@dataclass(frozen=True, kw_only=True)
class Conclusion:
    """The conclusions for one task; `smallest` is the smallest rung that passes, `leaders` those that take least.

    `recommended` follows the objective; where it is None, `why` gives the reason.
    """

    task: str
    objective: Objective
    smallest: str | None
    recommended: str | None
    why: str | None
    leaders: tuple[Leader, ...]
    false_economies: tuple[FalseEconomy, ...]
    savings: tuple[Saving, ...]
    no_savings: str | None = None

    def to_dict(self) -> dict[str, Json]:
        """The conclusion as JSON data."""
        return plain_fields(self)


def conclude(run: Run, verdicts: Sequence[Verdict], *, objective: Objective = "size") -> list[Conclusion]:
    """The conclusions for each task, in the order of the verdicts."""
    by_task, lengths, errors = trials_by_task(run.trials), MeanLengths(run), meter_errors(run)
    return [_of_task(verdict, by_task.get(verdict.task, ()), lengths, errors, objective) for verdict in verdicts]


def _clear_of_one(ratio: float | None) -> str:
    """The ratio with three digits, or with more where three would round it to 1."""
    if ratio is None:
        return "?"
    texts = [f"{ratio:.3g}", *(f"{ratio:.{digits}f}" for digits in range(3, 9))]
    return next((text for text in texts if float(text) != 1), "1")


def idle_note(run: Run, run_usage: RunUsage) -> str | None:
    """A sentence if joules above idle power rank the rungs differently from all joules; None if not, or if unknown.

    Only rungs with the same number of judged trials and the same kind of joules are ranked.
    """
    groups: dict[tuple[Kind, int], dict[str, tuple[float, float]]] = defaultdict(dict)
    shared = {name for members in cascades(run).values() for name in members}
    for name in dict.fromkeys(metering.rung for metering in run.meters):
        usage = run_usage.by_rung.get(name)
        # The meter of a cascade's member saw what it answered for the cascade too.
        amounts = None if name in shared else _joules_above_idle(run, name)
        if usage is None or not usage.passed or amounts is None:
            continue
        kind, served_j, above_j = amounts
        groups[kind, usage.judged][name] = (served_j / usage.passed, above_j / usage.passed)
    for (kind, _), rungs in groups.items():
        by_all, by_above = (sorted(rungs, key=lambda rung: rungs[rung][place]) for place in (0, 1))
        if kind.basis == "gross" and by_all != by_above:
            return (
                f"by joules above idle power the order is {' < '.join(by_above)}, by all joules {' < '.join(by_all)}: "
                f"a slow model pays for the time it holds the device"
            )
    return None


def _joules_above_idle(run: Run, rung: str) -> tuple[Kind, float, float] | None:
    """The joules of a rung's answers, and those above idle power: of all of its replicas, and of each time it was open.

    None where one of them does not know either, or where they are of several kinds.
    """
    served_j, above_j, kinds = 0.0, 0.0, set[Kind]()
    for metering in run.meters:
        served = metering.served
        if metering.rung != rung or (served is None and not metering.answers):
            continue
        if served is None or served.joules is None or metering.idle_w is None:
            return None
        served_j += served.joules
        above_j += served.joules - metering.idle_w * metering.busy_s
        kinds.add(served.kind)
    return (kinds.pop(), served_j, above_j) if len(kinds) == 1 else None


def _of_task(
    verdict: Verdict, own: Sequence[Trial], lengths: MeanLengths, errors: MeterErrors, objective: Objective
) -> Conclusion:
    trials: dict[str, list[Trial]] = defaultdict(list)
    sampled: list[Trial] = []
    # Sorted, so that the last digit of a sum does not depend on which trial ended first.
    for trial in sorted(own, key=lambda trial: trial.key):
        if trial.outcome in ("passed", "failed"):
            trials[trial.key.rung].append(trial)
        elif trial.sampled is not None:  # also where it had no answer
            sampled.append(trial)
    ladder = [rung.name for rung in lengths.rungs]
    passing = [rung for rung in ladder if verdict.standing[rung].state == "passes"]
    tables = {
        rung: trials.get(rung, ()) for rung in dict.fromkeys([*passing, *([verdict.chosen] if verdict.chosen else [])])
    }
    leaders = tuple(_leader(quantity, passing, tables, errors) for quantity in _quantities(passing, tables, errors))
    recommended, why = _recommended(objective, verdict, leaders)
    instead = recommended or verdict.smallest
    savings, no_savings = savings_against_chosen(instead, verdict, tables, sampled, errors, lengths)
    return Conclusion(
        task=verdict.task,
        objective=objective,
        smallest=verdict.smallest,
        recommended=recommended,
        why=why,
        leaders=leaders,
        false_economies=_false_economies(
            verdict.smallest, passing, tables, errors, [leader.quantity for leader in leaders]
        ),
        savings=savings,
        no_savings=no_savings,
    )


def _quantities(
    passing: Sequence[str], tables: Mapping[str, Sequence[Trial]], errors: MeterErrors
) -> tuple[Quantity, ...]:
    """The quantities to compare passing rungs by; completion tokens where neither joules nor money are known of all."""
    usual: tuple[Quantity, ...] = ("energy", "cost", "latency")
    costs: tuple[Quantity, ...] = ("energy", "cost")
    known = [
        all(not isinstance(rung_amounts(rung, tables[rung], name, errors), str) for rung in passing) for name in costs
    ]
    return usual if any(known) else (*usual, "completion_tokens")


def _leader(
    quantity: Quantity, passing: Sequence[str], tables: Mapping[str, Sequence[Trial]], errors: MeterErrors
) -> Leader:
    """The passing rung that takes least; the first rung with known amounts sets what the others must compare with."""
    left_out: dict[str, str] = {}
    known: list[RungAmounts] = []
    for rung in passing:
        taken = rung_amounts(rung, tables[rung], quantity, errors)
        if isinstance(taken, str):
            left_out[rung] = taken
        elif not any(case.passed for case in taken.cases.values()):
            left_out[rung] = "it passed no case"
        elif known and isinstance(said := why_not_comparable(known[0], taken), str):
            left_out[rung] = said
        else:
            known.append(taken)
    if not known:
        return Leader(quantity=quantity, rung=None, left_out=left_out)
    best = min(known, key=per_pass)
    others = [taken for taken in known if taken is not best]
    # A rung that is shown to take more than any other is not tied: it would be recommended and a false economy at once.
    tied = tuple(
        taken.rung
        for taken in others
        if per_pass(best) and not any(surely_more(taken, other) for other in (best, *others) if other is not taken)
    )
    free = tuple(taken.rung for taken in others if not per_pass(best) and not per_pass(taken))
    return Leader(
        quantity=quantity,
        rung=best.rung,
        per_pass=per_pass(best),
        tied=tied + free,
        compared=tuple(taken.rung for taken in known),
        left_out=left_out,
    )


def _false_economies(
    smallest: str | None,
    passing: Sequence[str],
    tables: Mapping[str, Sequence[Trial]],
    errors: MeterErrors,
    quantities: Sequence[Quantity],
) -> tuple[FalseEconomy, ...]:
    """The cases where the smallest passing rung is shown to take more than a larger passing one."""
    if smallest is None:
        return ()
    found = []
    for quantity in quantities:
        mine = rung_amounts(smallest, tables[smallest], quantity, errors)
        for larger in passing[passing.index(smallest) + 1 :]:
            its = rung_amounts(larger, tables[larger], quantity, errors)
            if isinstance(mine, str) or isinstance(its, str):
                continue
            ratio = surely_more(mine, its)
            if ratio is not None:
                on_common = mine.cases.keys() != its.cases.keys()
                found.append(
                    FalseEconomy(quantity=quantity, smaller=smallest, larger=larger, ratio=ratio, on_common=on_common)
                )
    return tuple(found)


# --- what to do -------------------------------------------------------------------------------------------------------


def _recommended(objective: Objective, verdict: Verdict, leaders: Iterable[Leader]) -> tuple[str | None, str | None]:
    """The rung that the objective asks for, and the limits of that advice."""
    if verdict.smallest is None:
        return None, "no rung is known to be the smallest that passes"
    if objective == "size":
        return verdict.smallest, None
    leader = next(leader for leader in leaders if leader.quantity == objective)
    left_out = "; ".join(f"{rung}: {why}" for rung, why in leader.left_out.items())
    if leader.rung is None:
        return None, f"nothing is known of the {objective} of a passing rung ({left_out})"
    # Among rungs that are not shown to differ, the smallest is preferred: it needs the least hardware.
    order = list(verdict.standing)
    best = min((leader.rung, *leader.tied), key=order.index)
    notes = [
        *(
            [f"tied with {', '.join(rung for rung in (leader.rung, *leader.tied) if rung != best)}"]
            if leader.tied
            else []
        ),
        *([f"not compared: {left_out}"] if left_out else []),
        *([_only_one(verdict, leader.rung)] if len(leader.compared) == 1 and not left_out else []),
    ]
    return best, "; ".join(notes) or None


def _only_one(verdict: Verdict, rung: str) -> str:
    """Why a single rung was compared: larger ones were not run, or were left before they had shown that they pass."""
    order = list(verdict.standing)
    left = {
        name: standing.trials
        for name, standing in verdict.standing.items()
        if standing.trials and standing.state == "undecided" and order.index(name) > order.index(rung)
    }
    if not left:
        return "it is the only passing rung that was run"
    return " and ".join(f"{name} was left after {trials} trials" for name, trials in left.items())
