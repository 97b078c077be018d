"""What the judges of a run took, apart from every rung's figures, and which verdicts rest on them; pure."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from pytest_rightsize.judgement_records import Judgement
from pytest_rightsize.judging.usage import Amount
from pytest_rightsize.records import Json, Run

__all__ = ["JudgeUsage", "judge_usage"]


@dataclass(frozen=True, kw_only=True)
class JudgeUsage:
    """The judgements of one rung as a judge in the tasks of a run; amounts say of how many they are known.

    `kinds` are the ways in which joules are known: more than one make no sum.
    """

    by: str
    tasks: tuple[str, ...]
    judgements: int
    cached: int
    tokens: Amount
    seconds: Amount
    joules: Amount
    cost_usd: Amount
    kinds: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Json]:
        """The usage as JSON data."""
        amounts = {name: getattr(self, name).to_dict() for name in ("tokens", "seconds", "joules", "cost_usd")}
        counts = {"judgements": self.judgements, "cached": self.cached}
        return {"by": self.by, "tasks": list(self.tasks), **counts, **amounts}


def judge_usage(run: Run) -> Iterator[JudgeUsage]:
    """Each judge of the run, in the order in which they first judged."""
    judgements: dict[str, list[Judgement]] = defaultdict(list)
    tasks: dict[str, dict[str, None]] = defaultdict(dict)
    for trial in run.trials:
        for each in trial.judgements:
            judgements[each.by].append(each)
            tasks[each.by][trial.key.task] = None
    for by, those in judgements.items():
        energies = [each.energy for each in those]
        kinds = sorted({str(energy.kind) for energy in energies if energy is not None and energy.joules is not None})
        yield JudgeUsage(
            by=by,
            tasks=tuple(tasks[by]),
            judgements=len(those),
            cached=sum(each.cached for each in those),
            tokens=Amount.of(each.tokens.total for each in those),
            seconds=Amount.of(each.seconds for each in those),
            joules=Amount.of(None if energy is None or len(kinds) > 1 else energy.joules for energy in energies),
            cost_usd=Amount.of(each.cost_usd for each in those),
            kinds=tuple(kinds),
        )
