"""Asks the chosen rung on a sample of cases that no verdict needs, so that what a smaller one saves is known.

In come the trials of a session that are settled; out goes which of them are asked all the same. What they bring is in
their trials, as `sampled`, and no verdict counts it.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from pytest_rightsize.judging.conclusions import conclude
from pytest_rightsize.judging.savings_sample import FEWEST, SavingsMode, cases_wanted, costs_nothing
from pytest_rightsize.records import Trial, TrialKey
from pytest_rightsize.session.cheaper_rungs import verdict_so_far
from pytest_rightsize.session.state import SessionState
from pytest_rightsize.statistics import cases_in_order

__all__ = ["SavingsSamples", "savings_mode", "wants_sample_order"]

_SEED = 0


def savings_mode(state: SessionState, rung: str) -> SavingsMode:
    """How a rung that is chosen is asked for savings: as the user said, else a sample where that takes no money."""
    if state.settings.savings is not None:
        return state.settings.savings
    provider = state.resources.providers.get(rung)
    if provider is None or state.settings.budget:
        return "none"  # what is left of a budget is for the verdicts
    is_free = costs_nothing(state.resources.known[rung], leaves_machine=provider.leaves_machine)
    return "sample" if is_free else "none"


def wants_sample_order(state: SessionState, task: str, rung: str, cases: int) -> bool:
    """Whether the cases of a task are best asked in a seeded order on this rung, as a sample may be taken of them."""
    is_last_needed = state.settings.strategy == "full" or rung not in state.turn or not state.turn[rung]
    if is_last_needed or rung != state.policies[task].chosen or cases <= FEWEST:
        return False
    return savings_mode(state, rung) == "sample"


@dataclass(kw_only=True)
class _Sample:
    """The sample of one task on its chosen rung: which cases are in it, and how many are wanted by now."""

    places: Mapping[str, int]
    instead: Mapping[str, Sequence[Trial]]
    is_full: bool
    chosen: dict[str, list[Trial]] = field(default_factory=lambda: defaultdict(list))
    begun: set[TrialKey] = field(default_factory=set)
    wanted: int = FEWEST

    def takes(self, key: TrialKey) -> bool:
        if key in self.begun:
            return True
        place = self.places.get(key.case)
        if place is None or (not self.is_full and (key.sample or place >= self.wanted)):
            return False
        self.begun.add(key)
        return True

    def add(self, trial: Trial) -> None:
        if trial.ended is None or trial.key.case not in self.places:
            return
        others = [other for other in self.chosen[trial.key.case] if other.key != trial.key]
        self.chosen[trial.key.case] = [*others, trial]
        if not self.is_full and len(self.chosen) >= self.wanted:
            self.wanted = max(cases_wanted(self.chosen, self.instead), self.wanted)

    def must_wait(self, in_flight: int) -> bool:
        """Whether the next case can only be decided on once those in flight have ended."""
        return bool(in_flight) and not self.is_full and len(self.begun) >= self.wanted


class SavingsSamples:
    """The samples of a session, one for each task whose chosen rung is larger than the one it needs."""

    def __init__(self, state: SessionState) -> None:
        self._state = state
        self._samples: dict[tuple[str, str], _Sample | None] = {}

    def takes(self, key: TrialKey) -> bool:
        """Whether a settled trial is asked all the same, for the sample."""
        group = (key.task, key.rung)
        if group not in self._samples:
            self._samples[group] = self._begin(key)
        sample = self._samples[group]
        return sample is not None and sample.takes(key)

    def add(self, trial: Trial) -> None:
        """A trial has ended."""
        sample = self._samples.get((trial.key.task, trial.key.rung))
        if sample is not None:
            sample.add(trial)

    def must_wait(self, group: tuple[str, str], in_flight: int) -> bool:
        """Whether a further trial of the task and rung may only start once those in flight have ended."""
        sample = self._samples.get(group)
        return sample is not None and sample.must_wait(in_flight)

    def is_taken(self, key: TrialKey) -> bool:
        """Whether the trial was asked for a sample."""
        sample = self._samples.get((key.task, key.rung))
        return sample is not None and key in sample.begun

    def _judges_take_money(self, trials: Iterable[Trial]) -> bool:
        """Whether a judge of the task would be paid for what it says of a sample."""
        resources = self._state.resources
        judges = {judgement.by for trial in trials for judgement in trial.judgements}
        return not all(
            costs_nothing(resources.known[by], leaves_machine=resources.providers[by].leaves_machine) for by in judges
        )

    def _begin(self, key: TrialKey) -> _Sample | None:
        """The sample of a task, if its chosen rung is `key`'s and a smaller one is recommended."""
        state, policy = self._state, self._state.policies[key.task]
        mode = savings_mode(state, key.rung)
        if key.rung != policy.chosen or mode == "none":
            return None
        run, verdict = verdict_so_far(state, key.task)
        if state.settings.savings is None and self._judges_take_money(run.trials):
            return None
        (conclusion,) = conclude(run, [verdict], objective=state.settings.objective)
        instead = conclusion.recommended or verdict.smallest
        if instead is None or instead == key.rung:
            return None
        answered: dict[str, list[Trial]] = defaultdict(list)
        for trial in run.trials:
            if trial.key.rung == instead and trial.outcome in ("passed", "failed") and trial.answers:
                answered[trial.key.case].append(trial)
        order = cases_in_order(answered, task=key.task, seed=policy.shuffle_seed or _SEED)
        sample = _Sample(
            places={case: place for place, case in enumerate(order)}, instead=answered, is_full=mode == "full"
        )
        for trial in run.trials:
            if trial.key.rung == key.rung:
                sample.add(trial)
        return sample
