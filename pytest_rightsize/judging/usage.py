"""Usage of a run: tokens, seconds, joules and money of its answers, per task and rung; pure.

Joules that are known in different ways are never added up: each kind has a subtotal, and answers of unknown energy are
counted. Rates (per case, per passed case, per token) are given only if the amount of every answer is known.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from pytest_rightsize.energy import Energy, Kind
from pytest_rightsize.judging.token_counts import ReasoningCounts, says_it_reasons
from pytest_rightsize.records import AnswerRecord, Json, Run, Trial, trials_by_task

__all__ = ["Amount", "RunUsage", "Subtotal", "Usage", "usage_of"]


@dataclass(frozen=True, kw_only=True)
class Amount:
    """A sum over the answers whose amount is known, with the number of `known` and `unknown` ones."""

    sum: float = 0
    known: int = 0
    unknown: int = 0

    @property
    def complete(self) -> float | None:
        """The sum if it covers every answer, of which there is at least one; else None."""
        return self.sum if self.known and not self.unknown else None

    def to_dict(self) -> dict[str, Json]:
        """The amount as JSON data; the sum is null if no answer's amount is known."""
        return {"sum": self.sum if self.known else None, "known": self.known, "unknown": self.unknown}

    @classmethod
    def of(cls, values: Iterable[float | None]) -> "Amount":
        """Sum the values that are not None, and count the others."""
        listed = list(values)
        known = [value for value in listed if value is not None]
        return cls(sum=sum(known), known=len(known), unknown=len(listed) - len(known))


@dataclass(frozen=True, kw_only=True)
class Subtotal:
    """Energy of the answers whose joules are known in one way; `replayed` joules were spent at the recording."""

    kind: Kind
    replayed: bool
    energy: Energy
    answers: int

    def to_dict(self) -> dict[str, Json]:
        """The subtotal as JSON data."""
        return {"answers": self.answers, "energy": self.energy.to_dict()}


@dataclass(frozen=True, kw_only=True)
class Usage:
    """Usage of some trials. `judged` counts those that passed or failed; a rate "per case" is per judged trial.

    `energies` are subtotals that must not be added up; `energy_unknown` counts the answers of unknown energy, and
    `reasons` says why it is unknown. Tokens, seconds and USD are sums over the same answers. `reasoning_doubt` says why
    the reported reasoning tokens cannot be: then they are unknown. `impossible` counts the answers that report more of
    them than completion tokens, where the rung as a whole does not.
    """

    task: str | None = None
    rung: str | None = None
    judged: int = 0
    passed: int = 0
    answers: int = 0
    energies: tuple[Subtotal, ...] = ()
    energy_unknown: int = 0
    reasons: tuple[str, ...] = ()
    prompt: Amount = Amount()
    cached: Amount = Amount()
    completion: Amount = Amount()
    reasoning: Amount = Amount()
    seconds: Amount = Amount()
    cost_usd: Amount = Amount()
    reasoning_doubt: str | None = None
    impossible: int = 0

    @property
    def energy(self) -> Energy | None:
        """The total energy, if it is known for every answer and in one way."""
        kinds = {subtotal.kind for subtotal in self.energies}
        if self.energy_unknown or len(kinds) != 1:
            return None
        return Energy.total(subtotal.energy for subtotal in self.energies)

    @property
    def energy_per_case(self) -> Energy | None:
        """Joules per case; None unless all energy is known in one way."""
        return self._per(self.judged)

    @property
    def energy_per_pass(self) -> Energy | None:
        """Joules per passed case; None as well if none passed."""
        return self._per(self.passed)

    @property
    def energy_per_output_token(self) -> Energy | None:
        """Joules per completion token."""
        return self._per(self.completion.complete)

    @property
    def answer_tokens(self) -> float | None:
        """Completion tokens without the reasoning, if both are known for every answer."""
        if self.completion.complete is None or self.reasoning.complete is None:
            return None
        return self.completion.complete - self.reasoning.complete

    @property
    def reasoning_share(self) -> float | None:
        """The part of the completion tokens that was spent on reasoning, 0 to 1."""
        if not self.completion.complete or self.reasoning.complete is None:
            return None
        return self.reasoning.complete / self.completion.complete

    def per_case(self, amount: Amount) -> float | None:
        """One of the amounts per case, if it is known for every answer."""
        return amount.complete / self.judged if amount.complete is not None and self.judged else None

    def per_pass(self, amount: Amount) -> float | None:
        """One of the amounts per passed case, if it is known for every answer and any case passed."""
        return amount.complete / self.passed if amount.complete is not None and self.passed else None

    def _per(self, count: float | None) -> Energy | None:
        energy = self.energy
        return None if energy is None or not count else energy.scaled(1 / count)

    def to_dict(self) -> dict[str, Json]:
        """The usage as JSON data, with the rates that can be given."""
        rates = {
            "energy_per_case": self.energy_per_case,
            "energy_per_pass": self.energy_per_pass,
            "energy_per_output_token": self.energy_per_output_token,
        }
        amounts = ("prompt", "cached", "completion", "reasoning", "seconds", "cost_usd")
        return {
            "task": self.task,
            "rung": self.rung,
            "judged": self.judged,
            "passed": self.passed,
            "answers": self.answers,
            "energies": [subtotal.to_dict() for subtotal in self.energies],
            "energy_unknown": self.energy_unknown,
            "reasons": list(self.reasons),
            **{name: getattr(self, name).to_dict() for name in amounts},
            "reasoning_share": self.reasoning_share,
            "reasoning_doubt": self.reasoning_doubt,
            **{name: None if rate is None else rate.to_dict() for name, rate in rates.items()},
        }


@dataclass(frozen=True, kw_only=True)
class RunUsage:
    """Usage of a run, in total and by task and rung. `live` leaves replayed answers out, which were paid before.

    `total` and `live` count every answer, the others only those of trials that passed or failed.
    """

    by_task_rung: Mapping[tuple[str, str], Usage]
    by_task: Mapping[str, Usage]
    by_rung: Mapping[str, Usage]
    total: Usage
    live: Usage

    def to_dict(self) -> dict[str, Json]:
        """The sums as JSON data."""
        return {
            "total": self.total.to_dict(),
            "live": self.live.to_dict(),
            "rungs": [usage.to_dict() for usage in self.by_rung.values()],
            "tasks": [usage.to_dict() for usage in self.by_task_rung.values()],
        }


def usage_of(run: Run) -> RunUsage:
    """Add up the usage of the run's answers, a task at a time."""
    doubts = _reasoning_doubts(run)
    by_rung: dict[str, _Sums] = {}
    by_task_rung: dict[tuple[str, str], Usage] = {}
    by_task: dict[str, Usage] = {}
    total, live = _Sums(doubts), _Sums(doubts)
    for task, trials in trials_by_task(run.trials).items():
        of_task, of_rungs = _Sums(doubts), dict[str, _Sums]()
        for trial in trials:
            total.add(trial)
            live.add(trial, live=True)
            if trial.outcome in ("passed", "failed"):
                rung = trial.key.rung
                for sums in (
                    of_task,
                    of_rungs.setdefault(rung, _Sums(doubts)),
                    by_rung.setdefault(rung, _Sums(doubts)),
                ):
                    sums.add(trial)
        if of_rungs:
            by_task[task] = of_task.usage(task=task)
        by_task_rung.update(
            {(task, rung): of_rungs[rung].usage(task=task, rung=rung) for rung in _in_order(run, of_rungs)}
        )
    return RunUsage(
        by_task_rung=by_task_rung,
        by_task=by_task,
        by_rung={rung: by_rung[rung].usage(rung=rung) for rung in _in_order(run, by_rung)},
        total=total.usage(),
        live=replace(live.usage(), judged=0, passed=0),
    )


def _in_order(run: Run, rungs: Iterable[str]) -> list[str]:
    """The rungs in the order of the ladder."""
    ladder = {rung.name: place for place, rung in enumerate(run.rungs)}
    return sorted(rungs, key=lambda rung: ladder.get(rung, len(ladder)))


def _reasoning_doubts(run: Run) -> dict[str, str]:
    """Why the reasoning tokens of a rung cannot be, by the rungs of which that is so."""
    reasons = {rung.name: says_it_reasons(rung) for rung in run.rungs}
    counts: dict[str, ReasoningCounts] = defaultdict(ReasoningCounts)
    for trial in run.trials:
        for answer in trial.answers:
            counts[trial.key.rung].add(answer.tokens)
    doubts = {rung: of_rung.doubt(reasons=reasons.get(rung, False)) for rung, of_rung in counts.items()}
    return {rung: why for rung, why in doubts.items() if why is not None}


class _Sums:
    """The usage of some trials so far; `doubts` are those of the rungs' reasoning tokens, which are then unknown."""

    def __init__(self, doubts: Mapping[str, str]) -> None:
        self._doubts = doubts
        self._judged = self._passed = self._answers = self._energy_unknown = 0
        self._energies: dict[tuple[Kind, bool], tuple[Energy, int]] = {}
        self._reasons: dict[str, None] = {}
        self._amounts = {name: _Amount() for name in (*_TOKENS, "seconds", "cost_usd")}
        self._counts = ReasoningCounts()

    def add(self, trial: Trial, *, live: bool = False) -> None:
        """Add a trial; with `live` without its replayed answers."""
        self._judged += trial.outcome in ("passed", "failed")
        self._passed += trial.outcome == "passed"
        for answer in trial.answers:
            if not (live and answer.cached):
                self._add_answer(answer, trial.key.rung)

    def _add_answer(self, answer: AnswerRecord, rung: str) -> None:
        self._answers += 1
        energy, tokens, amounts = answer.energy, answer.tokens, self._amounts
        if energy is None or energy.joules is None:
            self._energy_unknown += 1
        else:
            key = (energy.kind, energy.replayed)
            before = self._energies.get(key)
            self._energies[key] = (energy, 1) if before is None else (before[0] + energy, before[1] + 1)
        reason = "nothing measured it" if energy is None else energy.reason
        if reason is not None:
            self._reasons[reason] = None
        for name in _TOKENS:
            amounts[name].add(getattr(tokens, name) if name != "reasoning" or rung not in self._doubts else None)
        amounts["seconds"].add(answer.seconds)
        amounts["cost_usd"].add(answer.cost_usd)
        self._counts.add(tokens)

    def usage(self, *, task: str | None = None, rung: str | None = None) -> Usage:
        """The usage of what was added."""
        # By one rung in one task they may contradict each other too, even if not by the whole rung.
        doubt = None if rung is None else self._doubts.get(rung) or self._counts.doubt(reasons=False)
        amounts = {name: amount.amount() for name, amount in self._amounts.items()}
        if doubt:
            amounts["reasoning"] = Amount(unknown=self._answers)
        return Usage(
            task=task,
            rung=rung,
            judged=self._judged,
            passed=self._passed,
            answers=self._answers,
            energies=tuple(
                Subtotal(kind=kind, replayed=replayed, energy=energy, answers=answers)
                for (kind, replayed), (energy, answers) in sorted(self._energies.items(), key=lambda item: item[0])
            ),
            energy_unknown=self._energy_unknown,
            reasons=tuple(self._reasons),
            reasoning_doubt=doubt,
            impossible=0 if doubt else self._counts.impossible,
            **amounts,
        )


_TOKENS = ("prompt", "cached", "completion", "reasoning")


class _Amount:
    """An amount so far."""

    __slots__ = ("_known", "_sum", "_unknown")

    def __init__(self) -> None:
        self._sum: float = 0
        self._known = self._unknown = 0

    def add(self, value: float | None) -> None:
        if value is None:
            self._unknown += 1
        else:
            self._sum += value
            self._known += 1

    def amount(self) -> Amount:
        return Amount(sum=self._sum, known=self._known, unknown=self._unknown)
