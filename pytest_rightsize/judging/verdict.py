"""Verdicts of a run; pure, so that a results file is judged as its session was."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

from pytest_rightsize.judging.evidence import Sample, with_evidence
from pytest_rightsize.judging.judge_checks import check_judge
from pytest_rightsize.judging.near_ties import near_tie_notes
from pytest_rightsize.judging.prompt_variants import with_prompts_compared
from pytest_rightsize.judging.rung_results import RungResults, results_by_rung
from pytest_rightsize.judging.strength import with_strength
from pytest_rightsize.judging.suspicion import with_suspicion
from pytest_rightsize.records import Policy, Run, Rung, Trial, VerdictName, trials_by_task
from pytest_rightsize.statistics import (
    Design,
    Terms,
    bounds_whatever_comes,
    budgets_after,
    cases_in_order,
    claim_confidence,
    claimed,
    decide,
    design_bounds,
    design_for,
    first_budget,
    settled,
    stand,
)
from pytest_rightsize.verdict_records import BROKEN, DOWN, Standing, Verdict

__all__ = ["claimed_standings", "judge"]

# Longer words for a trial's reason not to run, where the reason alone says too little.
_IDLE_WORDS = {
    DOWN: "it could not answer",
    BROKEN: "its tests broke before they could judge an answer",
    "budget": "the budget was spent before it was asked",
    "skipped": "its tests were skipped",
    "xfail": "its tests are expected to fail",
}
# The confidence of the bounds that are shown for a task without a confidence of its own.
_CONFIDENCE = 0.95


def judge(run: Run) -> list[Verdict]:
    """One verdict for each task, in the order of the run's policies; the order of the trials does not matter."""
    by_task = trials_by_task(run.trials)
    verdicts = [_judge_task(policy, by_task.get(policy.task, ()), run) for policy in run.policies.values()]
    return with_prompts_compared(run, [with_strength(verdict, run.strengths) for verdict in verdicts])


def claimed_standings(
    policy: Policy, trials: Iterable[Trial], run: Run
) -> dict[str, tuple[tuple[float, ...], Standing]]:
    """Of every rung of the ladder in the task of `policy` its claims, and its standing without bounds.

    The claims are the confidences at which it must reach the bar to be named, given the standings of the smaller rungs.
    There are several while smaller rungs are unfinished: the cases asked must then be enough for each. There are none
    for a task without a confidence.
    """
    return dict(_up_the_ladder(policy, results_by_rung(trials, run), run))


def _up_the_ladder(
    policy: Policy, results: Mapping[str, RungResults], run: Run
) -> Iterator[tuple[str, tuple[tuple[float, ...], Standing]]]:
    """Each rung with its claims and its standing; the claims depend on the error that smaller rungs have spent."""
    planned = {rung.name: run.planned.get((policy.task, rung.name), 0) for rung in run.rungs}
    order = _order(policy, results) if policy.stops_early else []
    if policy.confidence is None:
        for rung in run.rungs:
            yield rung.name, ((), _standing(policy, results[rung.name], planned[rung.name], None))
        return
    is_corrected = any(of_rung.correction is not None for of_rung in results.values())
    terms = Terms(
        pass_rate=policy.pass_rate,
        confidence=policy.confidence,
        cases=max(1, *planned.values()) if planned else 1,
        rungs=len(run.rungs),
        stops_early=policy.stops_early and not is_corrected,
        is_single=policy.samples == 1 and not is_corrected,
    )
    budgets, is_named = frozenset([first_budget(terms)]), False
    for rung in run.rungs:
        # No rung above one that passes is named, so only the task's own confidence applies there; and a smaller rung
        # that has not been asked may still pass.
        is_largest = rung is run.rungs[-1]
        claims = {claim_confidence(budget, terms, is_largest=is_largest) for budget in budgets}
        if len(budgets) != 1 or is_named:
            claims = {policy.confidence} | (set() if is_named else claims)
        found = [
            _claimed_standing(policy, results[rung.name], planned[rung.name], order, claim) for claim in sorted(claims)
        ]
        standing = _agreed(found)
        yield rung.name, (tuple(sorted(claims)), standing)
        is_named |= standing.state == "passes"
        if standing.is_open:
            budgets = budgets_after(budgets, terms)
        elif standing.state not in ("passes", "fails") and standing.reason != "private":
            budgets |= budgets_after(budgets, terms)


def _order(policy: Policy, results: Mapping[str, "RungResults"]) -> list[str]:
    """The cases of a task that stops early, in the order that decides."""
    names = dict.fromkeys(case for of_rung in results.values() for case in of_rung.names)
    return cases_in_order(names, task=policy.task, seed=policy.shuffle_seed or 0)


def _agreed(standings: Sequence[Standing]) -> Standing:
    """The standing that holds at every claim; undecided if it depends on smaller rungs that were not asked."""
    *_, strictest = standings
    if {standing.state for standing in standings} == {strictest.state}:
        return strictest
    reason = "how surely it must pass depends on smaller rungs that were not asked"
    return replace(strictest, state="undecided", reason=reason, is_open=False)


def _claimed_standing(
    policy: Policy, results: RungResults, planned: int, order: Sequence[str], claim: float
) -> Standing:
    """The standing of a rung that passes only if it does so at the confidence `claim`."""
    if policy.stops_early and results.correction is None:
        return _early_standing(policy, results, planned, order, claim)
    own = _standing(policy, results, planned, policy.confidence)
    if own.state in ("not_run", "fails"):
        return own
    strict = _standing(policy, results, planned, claim)
    state = claimed(own.state, strict.state)
    assert state is not None
    # With too few trials, or with faults that could matter, it is not known what all of its cases come to.
    is_short = own.trials + results.unknown.total() < planned - results.excused or not _is_known(policy, results, claim)
    if own.state == "undecided":
        return replace(own, claim=claim, is_open=not is_short)
    reason = strict.reason if state != "passes" else own.reason
    return replace(own, state=state, reason=reason, claim=claim, is_open=state == "undecided" and not is_short)


def _is_known(policy: Policy, results: RungResults, claim: float) -> bool:
    """Whether no answer that is missing could change how the rung stands at its own confidence, or at `claim`."""
    if not results.faults:
        return True
    levels = (policy.confidence, claim)
    at = partial(settled, pass_rate=policy.pass_rate, correction=results.correction)
    return None not in [at(results.cases, results.unknown, confidence=level) for level in levels]


def _early_standing(policy: Policy, results: RungResults, planned: int, order: Sequence[str], claim: float) -> Standing:
    """The standing of a rung in a task that stops early: by its cases in order, whatever the missing ones would be."""
    if results.chance is not None:
        return _standing(policy, results, planned, policy.confidence)
    assert policy.confidence is not None
    names = [case for case in order if case not in results.left_out]
    cases = max(len(names), planned - results.excused)
    trials = sum(map(len, results.cases.values()))
    if trials == 0 and results.faults == 0:
        return Standing(state="not_run", reason=results.idle_reason)
    design, outcomes = _in_order(policy, results, planned, order, claim)
    decision = decide(design, outcomes)
    bounds = design_bounds(design, outcomes, confidence=policy.confidence)
    passed = sum(map(sum, results.cases.values()))
    standing = Standing(
        state="undecided",
        passed=passed,
        trials=trials,
        rate=passed / trials if trials == cases else None,
        low=bounds.low if bounds else None,
        high=bounds.high if bounds else None,
        claim=claim,
    )
    if decision is None:
        missing = results.why_unanswered(cases) if results.faults else None
        return replace(standing, reason=missing or f"only {trials} of {cases} trials ran")
    is_open = decision.state == "undecided"
    return replace(
        standing,
        state=decision.state,
        reason=_why_open(results, policy) if is_open else None,
        given_up=cases - trials - results.faults,
        unanswered=results.faults,
        is_open=is_open,
        decided_at=decision.at,
    )


def _in_order(
    policy: Policy, results: RungResults, planned: int, order: Sequence[str], claim: float
) -> tuple[Design, list[bool | None]]:
    """The boundaries of a rung of a task that stops early, and its outcomes in order; None where there is none."""
    assert policy.confidence is not None
    names = [case for case in order if case not in results.left_out]
    cases = max(len(names), planned - results.excused)
    # Cases of which not even the name is known may stand anywhere in the order: at its beginning they decide most.
    outcomes = [None] * (cases - len(names)) + [
        results.cases[case][0] if case in results.cases else None for case in names
    ]
    design = design_for(
        cases,
        pass_rate=policy.pass_rate,
        confidence=policy.confidence,
        claim_confidence=claim,
        planned=max(cases, planned),
    )
    return design, outcomes


def _why_open(results: RungResults, policy: Policy) -> str:
    """A reason for a rung whose cases are all in and did not decide."""
    trials = sum(map(len, results.cases.values()))
    by_count = stand(results.cases, pass_rate=policy.pass_rate, planned=trials, confidence=policy.confidence)
    return by_count.reason or "its cases came too near the bar to decide in their order"


def _standing(policy: Policy, results: RungResults, planned: int, confidence: float | None) -> Standing:
    """The standing of one rung at a confidence, or by its observed rate."""
    planned -= results.excused
    rate = policy.pass_rate
    correction = results.correction
    standing = stand(
        results.cases,
        pass_rate=rate,
        planned=planned,
        faults=results.faults,
        confidence=confidence,
        correction=correction,
    )
    if results.chance is not None and standing.state in ("passes", "fails"):
        return replace(standing, state="undecided", rate=None, low=None, high=None, reason=results.chance)
    if standing.state == "not_run" and results.idle_reason:
        return Standing(state="not_run", reason=results.idle_reason)
    if results.faults and standing.state == "undecided":
        standing = replace(standing, reason=results.why_unanswered(planned))
    left, unknown = results.given_up.total(), results.unknown.total()
    if standing.state != "undecided" or not unknown or not results.cases or standing.trials + unknown < planned:
        return standing
    # Only trials that were given up, or had no answer, are missing: does their outcome matter?
    at = partial(settled, pass_rate=rate, confidence=confidence, correction=correction)
    state = None if results.chance else at(results.cases, results.unknown)
    if state is None:
        return standing
    so_far = stand(results.cases, pass_rate=rate, planned=standing.trials, confidence=confidence, correction=correction)
    reason = so_far.reason if state == "undecided" else None
    return replace(standing, state=state, rate=None, reason=reason, given_up=left, unanswered=results.faults)


def _with_bounds(standing: Standing, results: RungResults, confidence: float | None) -> Standing:
    """The standing with bounds that hold for every outcome of the trials that have none."""
    bounds = bounds_whatever_comes(
        results.cases, results.unknown, confidence=confidence or _CONFIDENCE, correction=results.correction
    )
    return standing if bounds is None or results.chance else replace(standing, low=bounds.low, high=bounds.high)


def _judge_task(policy: Policy, trials: Sequence[Trial], run: Run) -> Verdict:
    """The verdict for one task."""
    results = results_by_rung(trials, run)
    standing = {
        rung: found
        if policy.stops_early and results[rung].correction is None
        else _with_bounds(found, results[rung], policy.confidence)
        for rung, (_, found) in _up_the_ladder(policy, results, run)
    }
    ladder = [rung.name for rung in run.rungs]
    smallest, obstacle, open_rungs = _smallest(ladder, standing)
    verdict, why = _verdict(policy, run.rungs, standing, smallest, obstacle)
    is_bisected = run.strategy == "bisect" and _fell_back(ladder, standing)
    open_notes = [f"{rung}: {standing[rung].reason}, so that it may pass too" for rung in open_rungs]
    notes = [*([why] if why else []), *open_notes, *_non_monotone(ladder, standing, bisected=is_bisected)]
    notes += near_tie_notes(policy, trials, standing, run.rungs)
    judged = Verdict(
        task=policy.task,
        verdict=verdict,
        standing=standing,
        smallest=smallest,
        chosen=policy.chosen,
        chosen_from=policy.chosen_from,
        pass_rate=policy.pass_rate,
        confidence=policy.confidence,
        notes=tuple(notes),
        open_rungs=tuple(open_rungs),
        judge=check_judge(trials, run.calibrations),
    )
    judged = with_suspicion(judged, ladder, trials)
    return with_evidence(judged, ladder, policy, lambda rung: _sample(policy, results, run, rung, standing[rung].claim))


def _sample(policy: Policy, results: Mapping[str, RungResults], run: Run, rung: str, claim: float | None) -> Sample:
    """Outcomes of one rung, for its evidence."""
    of_rung = results[rung]
    if not policy.stops_early or claim is None or of_rung.correction is not None:
        return Sample(
            cases=of_rung.cases,
            given_up=of_rung.given_up,
            missing=of_rung.unanswered,
            correction=of_rung.correction,
        )
    order = _order(policy, results)
    design, outcomes = _in_order(policy, results[rung], run.planned.get((policy.task, rung), 0), order, claim)
    missing = Counter(case for case in order if case not in results[rung].cases and case not in results[rung].left_out)
    return Sample(cases=results[rung].cases, missing=missing, design=design, outcomes=outcomes)


def _smallest(ladder: Sequence[str], standing: Mapping[str, Standing]) -> tuple[str | None, str | None, Sequence[str]]:
    """The smallest rung that passes, or else the smallest that may pass (the obstacle); at most one of the two.

    The third value lists the open rungs below the one that passes; the report says that they may pass too.
    """
    open_rungs: list[str] = []
    for rung in ladder:
        state = standing[rung]
        if state.state == "passes":
            return rung, None, open_rungs
        if state.is_open:
            open_rungs.append(rung)
        elif state.state == "undecided" or (state.state == "not_run" and state.reason != "private"):
            return None, open_rungs[0] if open_rungs else rung, ()
    return None, open_rungs[0] if open_rungs else None, ()


def _verdict(
    policy: Policy,
    rungs: Sequence[Rung],
    standing: Mapping[str, Standing],
    smallest: str | None,
    obstacle: str | None,
) -> tuple[VerdictName, str | None]:
    """The verdict, and a sentence that explains it unless the table already does."""
    if obstacle is not None:
        reason = standing[obstacle].reason or "it was not run"
        return "undecided", f"{obstacle}: {_IDLE_WORDS.get(reason, reason)}"
    if all(state.state == "not_run" for state in standing.values()):
        return "undecided", "no rung of this ladder may see a private task"
    if smallest is None:
        return "unsolved", None
    if policy.chosen is None:
        return "unchosen", None
    size = {rung.name: place for place, rung in enumerate(rungs)}
    if policy.chosen not in size:
        return "undecided", f"the chosen rung {policy.chosen} is not on this ladder: add it to --rightsize-ladder"
    if standing[policy.chosen].is_open and size[policy.chosen] < size[smallest]:
        return "undecided", f"{smallest} passes; whether {policy.chosen}, which is chosen, passes too is not shown"
    if size[policy.chosen] == size[smallest]:
        return "right-sized", None
    return ("over-sized" if size[policy.chosen] > size[smallest] else "under-sized"), None


def _non_monotone(ladder: Sequence[str], standing: Mapping[str, Standing], *, bisected: bool) -> list[str]:
    """Notes on rungs that fail where a smaller one passes."""
    passing = next((rung for rung in ladder if standing[rung].state == "passes"), None)
    if passing is None:
        return []
    failing = [rung for rung in ladder[ladder.index(passing) + 1 :] if standing[rung].state == "fails"]
    consequence = ", so bisect fell back to full" if bisected else ""
    return [f"non-monotone: {passing} passes, {rung} fails{consequence}" for rung in failing]


def _fell_back(ladder: Sequence[str], standing: Mapping[str, Standing]) -> bool:
    """Whether the rungs that bisect needed showed that the ladder is not monotone.

    It needs the middle one of any part, then the smaller half, and the larger half if nothing below it passes. What
    recorded answers completed beyond that had no rung asked.
    """
    if not ladder:
        return False
    middle = (len(ladder) - 1) // 2
    own, smaller, larger = standing[ladder[middle]], ladder[:middle], ladder[middle + 1 :]
    is_one_passing = any(standing[rung].state == "passes" for rung in smaller)
    if is_one_passing and own.state == "fails":
        return True
    needs_larger = own.state in ("fails", "not_run") or own.is_open or own.could_not_answer
    return _fell_back(smaller, standing) or (needs_larger and not is_one_passing and _fell_back(larger, standing))
