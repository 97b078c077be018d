"""Usage of a run: tokens, seconds, joules and money of its answers, per task and rung; pure.

Joules that are known in different ways are never added up: each kind has a subtotal, and answers of unknown energy are
counted. Rates (per case, per passed case, per token) are given only if the amount of every answer is known.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from pytest_rightsize.energy import Energy, Kind
from pytest_rightsize.judging.token_counts import impossible, says_it_reasons, why_unsound
from pytest_rightsize.records import AnswerRecord, Json, Run, Trial

__all__ = ["Amount", "RunUsage", "Subtotal", "Usage", "usage_of"]

K = TypeVar("K", bound=Hashable)


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
    """Add up the usage of the run's answers."""
    judged = [trial for trial in run.trials if trial.outcome in ("passed", "failed")]
    usage = partial(_usage, doubts=_reasoning_doubts(run))
    return RunUsage(
        by_task_rung={
            key: usage(trials, task=key[0], rung=key[1])
            for key, trials in _grouped(judged, lambda trial: (trial.key.task, trial.key.rung)).items()
        },
        by_task={
            task: usage(trials, task=task) for task, trials in _grouped(judged, lambda trial: trial.key.task).items()
        },
        by_rung={
            rung: usage(trials, rung=rung) for rung, trials in _grouped(judged, lambda trial: trial.key.rung).items()
        },
        total=usage(run.trials),
        live=replace(usage(run.trials, live=True), judged=0, passed=0),
    )


def _reasoning_doubts(run: Run) -> dict[str, str]:
    """Why the reasoning tokens of a rung cannot be, by the rungs of which that is so."""
    tokens = {
        rung: [answer.tokens for trial in trials for answer in trial.answers]
        for rung, trials in _grouped(run.trials, lambda trial: trial.key.rung).items()
    }
    reasons = {rung.name: says_it_reasons(rung) for rung in run.rungs}
    doubts = {rung: why_unsound(counts, reasons=reasons.get(rung, False)) for rung, counts in tokens.items()}
    return {rung: why for rung, why in doubts.items() if why is not None}


def _grouped(trials: Iterable[Trial], key: Callable[[Trial], K]) -> dict[K, list[Trial]]:
    groups: dict[K, list[Trial]] = defaultdict(list)
    for trial in trials:
        groups[key(trial)].append(trial)
    return groups


def _usage(
    trials: Sequence[Trial],
    *,
    doubts: Mapping[str, str],
    task: str | None = None,
    rung: str | None = None,
    live: bool = False,
) -> Usage:
    """Usage of some trials; `doubts` are those of the rungs' reasoning tokens, which are then unknown."""
    pairs = [(answer, trial.key.rung) for trial in trials for answer in trial.answers if not (live and answer.cached)]
    answers = [answer for answer, _ in pairs]
    # By one rung in one task they may contradict each other too, even if not by the whole rung.
    doubt = None if rung is None else doubts.get(rung) or why_unsound((one.tokens for one in answers), reasons=False)
    return replace(
        _sum_of(answers),
        task=task,
        rung=rung,
        judged=sum(trial.outcome in ("passed", "failed") for trial in trials),
        passed=sum(trial.outcome == "passed" for trial in trials),
        reasoning=Amount.of(None if doubt or by in doubts else answer.tokens.reasoning for answer, by in pairs),
        reasoning_doubt=doubt,
        impossible=0 if doubt else impossible(answer.tokens for answer in answers),
    )


def _sum_of(answers: Sequence[AnswerRecord]) -> Usage:
    """Usage of answers, without counts of trials and of reasoning."""
    energies = [answer.energy for answer in answers]
    known = [energy for energy in energies if energy is not None and energy.joules is not None]
    reasons = ["nothing measured it" if energy is None else energy.reason for energy in energies]
    return Usage(
        answers=len(answers),
        energies=tuple(_subtotals(known)),
        energy_unknown=len(answers) - len(known),
        reasons=tuple(dict.fromkeys(reason for reason in reasons if reason is not None)),
        prompt=Amount.of(answer.tokens.prompt for answer in answers),
        cached=Amount.of(answer.tokens.cached for answer in answers),
        completion=Amount.of(answer.tokens.completion for answer in answers),
        seconds=Amount.of(answer.seconds for answer in answers),
        cost_usd=Amount.of(answer.cost_usd for answer in answers),
    )


def _subtotals(energies: Iterable[Energy]) -> Iterator[Subtotal]:
    """One subtotal for each kind, with replayed energy in a subtotal of its own."""
    groups: dict[tuple[Kind, bool], list[Energy]] = defaultdict(list)
    for energy in energies:
        groups[energy.kind, energy.replayed].append(energy)
    for (kind, replayed), group in sorted(groups.items()):
        total = Energy.total(group)
        assert total is not None  # as no group is empty
        yield Subtotal(kind=kind, replayed=replayed, energy=total, answers=len(group))
