"""Facts of a run and its verdicts that every report uses: the headline, intervals, what to change.

It formats and counts what others judged; it judges nothing itself. Pure.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pytest_rightsize.judging.conclusions import Conclusion, conclude
from pytest_rightsize.judging.judge_checks import correction_of
from pytest_rightsize.judging.strength import strength_words
from pytest_rightsize.judging.usage import RunUsage, Usage, usage_of
from pytest_rightsize.records import Run, Trial, VerdictName, trials_by_task
from pytest_rightsize.reports.sureness import decided, is_corrected, is_partial, open_words, undecided_words
from pytest_rightsize.reports.units import percent
from pytest_rightsize.statistics import pass_rate_interval
from pytest_rightsize.statistics.estimates import Interval
from pytest_rightsize.verdict_records import Standing, Verdict

__all__ = [
    "Cell",
    "Facts",
    "bounds",
    "effort",
    "failure",
    "gather",
    "headline",
    "intervals",
    "per_case",
    "place_to_change",
    "remedy",
    "silent_rungs",
    "strength_of",
    "tokens_spent",
    "verdict_counts",
    "waived",
]

_CONFIDENCE = 0.95
_ORDER: Sequence[VerdictName] = ("right-sized", "over-sized", "under-sized", "unsolved", "undecided", "unchosen")


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One rung in one task; `decided` says in words what was decided of a rung that was stopped early, else None.

    `interval` is that of the verdict where a `confidence` was asked for, or the rung was stopped; else the 95 % one.
    """

    task: str
    rung: str
    standing: Standing
    interval: Interval | None
    usage: Usage | None
    smallest: bool
    chosen: bool
    confidence: float | None = None
    decided: str | None = None


@dataclass(frozen=True, kw_only=True)
class Facts:
    """A run with its verdicts, usage and conclusions; `cells` is by task and rung."""

    run: Run
    verdicts: Sequence[Verdict]
    cells: Mapping[tuple[str, str], Cell]
    run_usage: RunUsage
    conclusions: Mapping[str, Conclusion]


def gather(run: Run, verdicts: Sequence[Verdict]) -> Facts:
    """Everything a report needs, from the arguments alone."""
    run_usage = usage_of(run)
    interval_by_cell = intervals(run, verdicts)
    cells = {
        (verdict.task, rung.name): Cell(
            task=verdict.task,
            rung=rung.name,
            standing=verdict.standing[rung.name],
            interval=interval_by_cell.get((verdict.task, rung.name)),
            usage=run_usage.by_task_rung.get((verdict.task, rung.name)),
            smallest=rung.name == verdict.smallest,
            chosen=rung.name == verdict.chosen,
            confidence=verdict.confidence,
            decided=decided(verdict, rung.name),
        )
        for verdict in verdicts
        for rung in run.rungs
    }
    conclusions = {conclusion.task: conclusion for conclusion in conclude(run, verdicts)}
    return Facts(run=run, verdicts=verdicts, cells=cells, run_usage=run_usage, conclusions=conclusions)


def intervals(run: Run, verdicts: Sequence[Verdict]) -> dict[tuple[str, str], Interval]:
    """The interval of each pass rate by task and rung: the one that decided the verdict, else 95 % two-sided.

    A sample that was stopped early has no interval of its own: it gets the bounds that hold whatever was left out.
    """
    by_task = trials_by_task(run.trials)
    interval_by_cell: dict[tuple[str, str], Interval] = {}
    for verdict in verdicts:
        if verdict.judge is not None and verdict.judge.state == "chance":
            continue  # what its judge passed says nothing
        policy = run.policies.get(verdict.task)
        cases: dict[str, dict[str, list[bool]]] = defaultdict(lambda: defaultdict(list))
        own = by_task.get(verdict.task, ())
        for trial in own:
            if trial.outcome in ("passed", "failed"):
                cases[trial.key.rung][trial.key.case].append(trial.outcome == "passed")
        for rung, standing in verdict.standing.items():
            key = (verdict.task, rung)
            confidence = policy.confidence if policy is not None else None
            decides = confidence is not None or is_partial(standing)
            if standing.low is not None and standing.high is not None and decides:
                interval_by_cell[key] = Interval(
                    low=standing.low, high=standing.high, confidence=confidence or _CONFIDENCE, one_sided=True
                )
                continue
            judged = [trial for trial in own if trial.key.rung == rung]
            correction = correction_of(verdict.judge, judged) if is_corrected(verdict) else None
            interval = pass_rate_interval(cases[rung], confidence=_CONFIDENCE, correction=correction)
            if interval is not None:
                interval_by_cell[key] = interval
    return interval_by_cell


def verdict_counts(verdicts: Iterable[Verdict]) -> list[tuple[VerdictName, int]]:
    """The number of tasks of each verdict that occurs."""
    counts = Counter(verdict.verdict for verdict in verdicts)
    return [(name, counts[name]) for name in _ORDER if counts[name]]


def headline(facts: Facts) -> str:
    """The sentence to remember: how many tasks could use a smaller model than they do, and what that would save."""
    chosen = [verdict for verdict in facts.verdicts if verdict.chosen is not None]
    smaller = [verdict for verdict in chosen if verdict.verdict == "over-sized"]
    if smaller:
        number = f"{len(smaller)} of {_tasks(len(chosen))}"
        return f"{number} could use a smaller model{_provisional(smaller)}{_saving(facts, smaller) or ''}"
    if not chosen:
        solved = sum(verdict.smallest is not None for verdict in facts.verdicts)
        return f"{solved} of {_tasks(len(facts.verdicts))} pass on this ladder"
    if all(verdict.verdict == "undecided" for verdict in chosen):
        undecided = sum(verdict.verdict == "undecided" for verdict in facts.verdicts)
        return f"Nothing is decided yet: {_tasks(undecided)} undecided"
    right = [verdict for verdict in chosen if verdict.verdict == "right-sized"]
    if len(right) == len(chosen):
        return f"Every task uses the smallest model that passes it: {len(right)} of {len(right)}{_provisional(right)}"
    return f"{len(right)} of {_tasks(len(chosen))} use the smallest model that passes{_provisional(right)}"


def _provisional(verdicts: Sequence[Verdict]) -> str:
    """` (2 of them provisional)`: how many of these verdicts rest on too few cases; empty where none does."""
    number = sum(verdict.evidence == "provisional" for verdict in verdicts)
    if not number:
        return ""
    return " (provisional)" if number == len(verdicts) else f" ({number} of them provisional)"


def _tasks(number: int) -> str:
    return f"{number} task{'s' if number != 1 else ''}"


def _saving(facts: Facts, smaller: Sequence[Verdict]) -> str | None:
    """` and save 82 % of the energy`, of the first quantity that is known; None where nothing could be compared."""
    for quantity, noun in (("energy", "energy"), ("cost", "cost")):
        pairs = [
            (saving, saving.chosen_per_1000)
            for verdict in smaller
            for saving in facts.conclusions[verdict.task].savings
            if saving.quantity == quantity and saving.chosen_per_1000 and saving.estimate is None
        ]
        # Joules of two kinds are never added up, least of all in a headline.
        if not pairs or len({saving.kind for saving, _ in pairs}) > 1:
            continue
        # Nor does a headline name a difference whose interval covers 0.
        lows, highs = [saving.low for saving, _ in pairs], [saving.high for saving, _ in pairs]
        if None in lows or sum(low or 0.0 for low in lows) <= 0 <= sum(high or 0.0 for high in highs):
            continue
        share = sum(saving.per_1000 for saving, _ in pairs) / sum(before for _, before in pairs)
        amount = f"{percent(abs(share))}{'' if share >= 0 else ' more'} of the {noun}"
        if len(pairs) < len(smaller):
            return f"; in {len(pairs)} of them that would {'save' if share >= 0 else 'take'} {amount}"
        return f" and save {amount}" if share >= 0 else f", which would take {percent(abs(share))} more of the {noun}"
    return None


def effort(run: Run) -> str:
    """The number of trials that ran, or their share of the full ladder, and their tokens."""
    ran = sum(1 for _ in _ran(run))
    planned = sum(run.planned.values()) - sum(map(_is_silent, run.trials))
    tokens_text = _tokens_text(run)
    if run.interrupted:
        return f"interrupted after {ran:,} of {planned:,} trials, {tokens_text}"
    if run.strategy == "full" or not planned:
        return f"{ran:,} trials, {tokens_text}"
    return f"ran {100 * ran / planned:.0f} % of all test and model combinations, {tokens_text}"


def _is_silent(trial: Trial) -> bool:
    """Whether the trial's rung was not there to be asked, so that the trial neither took anything nor saved it."""
    return trial.reason in ("down", "missing") and not trial.answers


def _ran(run: Run) -> Iterator[Trial]:
    return (trial for trial in run.trials if (trial.outcome != "not_run" or trial.ended) and not _is_silent(trial))


def _tokens_text(run: Run) -> str:
    """`1,234 tokens`, or those of the completions alone where the prompts' are not known."""
    if (tokens := tokens_spent(_ran(run))) is not None:
        return f"{tokens:,} tokens"
    completions = 0
    for trial in _ran(run):
        for answer in trial.answers:
            if answer.tokens.completion is None:
                return "tokens unknown"
            completions += answer.tokens.completion
    return f"{completions:,} completion tokens"


def tokens_spent(trials: Iterable[Trial]) -> int | None:
    """All tokens of the trials, or None if one answer's are unknown."""
    total = 0
    for trial in trials:
        for answer in trial.answers:
            if answer.tokens.total is None:
                return None
            total += answer.tokens.total
    return total


def failure(gate: str, verdict: Verdict) -> str:
    """The reason why a gate failed and what to change, in a clause."""
    return verdict.regressed or "" if gate == "regressed" else remedy(verdict)


def place_to_change(run: Run, verdict: Verdict) -> str | None:
    """The place to change, as `file:line`: the choice of a model of the wrong size, else the test."""
    policy = run.policies.get(verdict.task)
    if policy is None:
        return None
    changes_choice = verdict.verdict in ("over-sized", "under-sized")
    return (policy.chosen_at if changes_choice else None) or policy.test_at


def remedy(verdict: Verdict) -> str:
    """What to change, in a clause; empty for a verdict that fails no gate."""
    where = verdict.chosen_from or "the marker or the ladder file"
    if verdict.verdict == "over-sized":
        return (
            f"{open_words(verdict) or f'{verdict.smallest} passes'}, so {verdict.chosen} is larger than needed: "
            f"set {where} to {verdict.smallest}"
        )
    if verdict.verdict == "under-sized":
        return (
            f"{verdict.chosen} fails, {verdict.smallest} is the smallest that passes"
            f"{f' ({open_rungs})' if (open_rungs := undecided_words(verdict)) else ''}: "
            f"set {where} to {verdict.smallest}"
        )
    if verdict.verdict == "unsolved":
        nearest = f"no rung reaches {verdict.pass_rate:g} ({_nearest(verdict)})"
        if verdict.suspicion is not None:
            return f"{nearest}, and every trial ended in {verdict.suspicion}: look there for a bug of the test first"
        return f"{nearest}: add a larger rung, mend the prompt, or lower pass_rate"
    if verdict.verdict == "undecided" and (silent := silent_rungs(verdict)):
        return _without(silent, verdict)
    if verdict.verdict == "undecided":
        unknown = "what the chosen rung would do" if verdict.smallest else "which rung is the smallest"
        return f"it is not known {unknown} ({verdict.notes[0]}): {_way_out(verdict)}"
    return ""


def silent_rungs(verdict: Verdict) -> list[str]:
    """The rungs that could not answer, if it is one of them that keeps the smallest from being known."""
    obstacle = next((of for of in verdict.standing.values() if of.state != "fails" and of.reason != "private"), None)
    if verdict.smallest is not None or obstacle is None or not obstacle.could_not_answer:
        return []
    return [rung for rung, standing in verdict.standing.items() if standing.could_not_answer]


def _without(silent: Sequence[str], verdict: Verdict) -> str:
    """How to go on with the rungs that could not answer, or without them; the same for all tasks that wait for them."""
    others = [rung for rung in verdict.standing if rung not in silent]
    if not others:
        return "no rung could answer: fix one, and run again"
    they, them, verb = ("it", "it", "passes") if len(silent) == 1 else ("they", "them", "pass")
    return (
        f"whether {' or '.join(silent)} {verb} is not known, as {they} could not answer: fix that, "
        f"or leave {them} out with --rightsize-ladder={','.join(others)}"
    )


def _nearest(verdict: Verdict) -> str:
    """The rung that came nearest to the bar, in a clause."""
    standings = verdict.standing
    if not any(standing.passed for standing in standings.values()):
        return "none passed a single case"
    if any(is_partial(standing) for standing in standings.values()):
        # Which came nearest is not known then: of those, the one that surely passes most.
        rung = max(standings, key=lambda rung: standings[rung].low or 0.0)
        return f"{rung} {decided(verdict, rung) or f'passed {standings[rung].passed} of {standings[rung].trials}'}"
    rung = max(standings, key=lambda rung: standings[rung].rate or 0.0)
    return f"{rung} came nearest with {standings[rung].passed}/{standings[rung].trials}"


def _way_out(verdict: Verdict) -> str:
    """The way to decide the task: where a confidence leaves it open, running again would not help."""
    if "no number of trials would show" in verdict.notes[0]:
        if "label more" in verdict.notes[0]:
            return "label more answers for its judge (rightsize judge calibrate)"
        return "mend the prompt, or lower pass_rate or the confidence"
    obstacle = next((of for of in verdict.standing.values() if of.state not in ("fails", "not_run")), None)
    if verdict.judge is not None and verdict.judge.state == "chance":
        return "take a larger judge, a clearer rubric, or more labels (rightsize judge calibrate)"
    if verdict.confidence is not None and ("needs about" in verdict.notes[0] or (obstacle and obstacle.is_open)):
        return "add cases, or lower the confidence"
    return "fix it and run again"


def waived(run: Run, task: str) -> list[str]:
    """Each waiver of a task, in a clause; also one that is not needed or is over."""
    policy = run.policies.get(task)
    waivers = () if policy is None else policy.waivers
    return [f"gate {waiver.gate} waived until {waiver.until}: {waiver.reason}" for waiver in waivers]


def strength_of(run: Run, task: str) -> list[str]:
    """How many wrong answers the tests of a task let pass, in a clause; none where it was played none."""
    return [strength_words(run.strengths[task])] if task in run.strengths else []


def bounds(interval: Interval | None) -> str | None:
    """`83 % to 99 %`."""
    return None if interval is None else f"{percent(interval.low)} to {percent(interval.high)}"


def per_case(usage: Usage | None) -> dict[str, float | None]:
    """Mean tokens, seconds, joules and USD of a case; None where not all are known, or joules are of two kinds."""
    if usage is None or not usage.judged:
        return dict.fromkeys(("joules", "seconds", "usd", "prompt", "completion", "reasoning", "answer"))
    energy, answer = usage.energy_per_case, usage.answer_tokens
    return {
        "joules": None if energy is None else energy.joules,
        "seconds": usage.per_case(usage.seconds),
        "usd": usage.per_case(usage.cost_usd),
        "prompt": usage.per_case(usage.prompt),
        "completion": usage.per_case(usage.completion),
        "reasoning": usage.per_case(usage.reasoning),
        "answer": None if answer is None else answer / usage.judged,
    }
