"""The summary at the end of a session, as lines of text: the table, the sentence, and what to change."""

from collections import Counter
from collections.abc import Iterable, Sequence

from tabulate import tabulate

from pytest_rightsize.records import Run, Standing, Trial, Verdict
from pytest_rightsize.savings import joules_of, saved, tokens_of
from pytest_rightsize.verdict import WaiverState

__all__ = ["TITLE", "gate_lines", "summary_lines", "waiver_lines"]

TITLE = "smallest model that passes each task"
_SHOUTED = {"over-sized": "OVER-SIZED", "under-sized": "UNDER-SIZED", "unsolved": "UNSOLVED", "undecided": "UNDECIDED"}


def summary_lines(run: Run, verdicts: Sequence[Verdict]) -> list[str]:
    """The table of verdicts, a legend of the marks that occur in it, the notes, and one sentence about the whole."""
    ladder = [rung.name for rung in run.rungs]
    rows = [_row(verdict, ladder) for verdict in verdicts]
    headers = ["task", *ladder, "smallest", "chosen", "verdict"]
    table = tabulate(rows, headers=headers, tablefmt="plain", disable_numparse=True).splitlines()
    notes = [f"{verdict.task}: {note}" for verdict in verdicts for note in verdict.notes]
    extra = [*notes, *_retries(run), *_recorded(run)]
    return [*table, *_legend(verdicts), *extra, _sentence(run, verdicts), *_savings(run)]


def _row(verdict: Verdict, ladder: Sequence[str]) -> list[str]:
    bounded = verdict.confidence is not None
    cells = [_cell(verdict.standing[rung], smallest=rung == verdict.smallest, bounded=bounded) for rung in ladder]
    word = _SHOUTED.get(verdict.verdict, verdict.verdict)
    return [verdict.task, *cells, verdict.smallest or "-", verdict.chosen or "-", word]


def _cell(standing: Standing, *, smallest: bool, bounded: bool) -> str:
    """`38/40* [85,99]`: passed of trials, and the bounds of the rate in percent where a confidence was asked for.

    A tilde where the rest was given up, a star at the smallest rung that passes, a question mark where it is undecided.
    """
    if standing.state == "not_run":
        return "-"
    if standing.trials == 0:
        return "?"
    early = "~" if standing.given_up else ""
    mark = "*" if smallest else "?" if standing.state == "undecided" else ""
    counts = f"{standing.passed}/{standing.trials}{early}{mark}"
    if not bounded or standing.low is None or standing.high is None:
        return counts
    return f"{counts} [{100 * standing.low:.0f},{100 * standing.high:.0f}]"


def _legend(verdicts: Sequence[Verdict]) -> list[str]:
    shown = [standing for verdict in verdicts for standing in verdict.standing.values()]
    states = {standing.state for standing in shown}
    levels = sorted({verdict.confidence for verdict in verdicts if verdict.confidence is not None})
    parts = [
        *(["* smallest that passes"] if any(verdict.smallest for verdict in verdicts) else []),
        *(["? undecided"] if "undecided" in states else []),
        *(["~ settled early"] if any(standing.given_up for standing in shown) else []),
        *(["- not run"] if "not_run" in states else []),
        *(f"[,] bounds of the pass rate in %, each sure at {level:g}" for level in levels),
    ]
    return [f"({', '.join(parts)})"] if parts else []


def _sentence(run: Run, verdicts: Sequence[Verdict]) -> str:
    tasks = f"{len(verdicts)} task{'s' if len(verdicts) != 1 else ''}"
    counts = [(name, sum(verdict.verdict == name for verdict in verdicts)) for name in _SHOUTED]
    found = [f"{count} {name}" for name, count in counts if count]
    right = sum(verdict.verdict == "right-sized" for verdict in verdicts)
    said = ", ".join([*([f"{right} right-sized"] if right else []), *found]) or "no chosen model to compare with"
    return f"rightsize: of {tasks}, {said}; {_effort(run)}"


def _effort(run: Run) -> str:
    """What was asked, and how much of the full ladder that is."""
    asked = [trial for trial in run.trials if trial.outcome != "not_run"]
    planned = sum(run.planned.values())
    tokens = _tokens(asked)
    spent = "tokens unknown" if tokens is None else f"{tokens:,} tokens"
    if run.interrupted:
        return f"interrupted after {len(asked):,} of {planned:,} trials, {spent}"
    if run.strategy == "full" or not planned:
        return f"{len(asked):,} trials, {spent}"
    word = "bisected" if run.strategy == "bisect" else "climbed"
    return f"{word} with {100 * len(asked) / planned:.0f} % of the trials of the full ladder, {spent}"


def _savings(run: Run) -> list[str]:
    """What was saved against the full ladder; what cannot be estimated is said, not left out."""
    if run.strategy == "full" or run.interrupted:
        return []
    tokens, joules = saved(run, tokens_of), saved(run, joules_of)
    parts = [
        *(f"{amount:,.0f} tokens" for amount in tokens.amounts.values()),
        *(f"{amount:,.3g} J ({kind})" for kind, amount in sorted(joules.amounts.items())),
    ]
    # Energy that nobody meters is no news; of tokens one expects to hear.
    unknown = [f"{count:,} trial{'s' * (count != 1)} on {rung}" for rung, count in tokens.unknown.items()]
    known = [f"saved about {' and '.join(parts)} against the full ladder"] if parts else []
    missing = [f"what {' and '.join(unknown)} would have taken is not known"] if unknown else []
    said = [*known, *(missing if known or _tokens(run.trials) is not None else [])]
    return [f"rightsize: {'; '.join(said)}"] if said else []


def _retries(run: Run) -> list[str]:
    """How many requests had to be sent again, for each rung where some had."""
    again: Counter[str] = Counter()
    for trial in run.trials:
        again[trial.key.rung] += sum(answer.retries for answer in trial.answers)
    return [
        f"{rung}: {count:,} retries before its answers came; their waiting is in no figure"
        for rung, count in again.items()
        if count
    ]


def _recorded(run: Run) -> list[str]:
    """How many answers were not asked for."""
    answers = [answer.cached for trial in run.trials for answer in trial.answers]
    known = sum(answers)
    return [f"{known:,} of {len(answers):,} answers were recorded before, and took nothing now"] if known else []


def _tokens(trials: Iterable[Trial]) -> int | None:
    """All tokens of the trials, or None if one answer's are unknown."""
    total = 0
    for trial in trials:
        for answer in trial.answers:
            if answer.tokens.total is None:
                return None
            total += answer.tokens.total
    return total


def gate_lines(failed: Iterable[tuple[str, Verdict]]) -> list[str]:
    """For each failed gate one line that says what to change."""
    return [
        f"gate {gate}: {verdict.task}: {verdict.regressed if gate == 'regressed' else _remedy(verdict)}"
        for gate, verdict in failed
    ]


def waiver_lines(states: Iterable[WaiverState]) -> list[str]:
    """Every waiver, whether it is used, not needed, or over."""
    return [_waiver_line(state) for state in states]


def _waiver_line(state: WaiverState) -> str:
    waiver = state.waiver
    if not state.honoured:
        return f"waiver over since {waiver.until}: gate {waiver.gate}: {state.task}: {waiver.reason}"
    unused = "" if state.needed else " (not needed now)"
    return f"waived until {waiver.until}: gate {waiver.gate}: {state.task}: {waiver.reason}{unused}"


def _remedy(verdict: Verdict) -> str:
    where = verdict.chosen_from or "the marker or the ladder file"
    if verdict.verdict == "over-sized":
        return (
            f"{verdict.smallest} passes, so {verdict.chosen} is larger than needed: set {where} to {verdict.smallest}"
        )
    if verdict.verdict == "under-sized":
        return (
            f"{verdict.chosen} fails, {verdict.smallest} is the smallest that passes: set {where} to {verdict.smallest}"
        )
    if verdict.verdict == "unsolved":
        best = max(verdict.standing.items(), key=lambda item: item[1].rate or 0.0)
        reached = f"{best[0]} came nearest with {best[1].passed}/{best[1].trials}"
        return (
            f"no rung reaches {verdict.pass_rate:g} ({reached}): add a larger rung, mend the prompt, or lower pass_rate"
        )
    unknown = "what the chosen rung would do" if verdict.smallest else "which rung is the smallest"
    return f"it is not known {unknown} ({verdict.notes[0]}): {_way_out(verdict)}"


def _way_out(verdict: Verdict) -> str:
    """What a confidence leaves open is no fault that one could mend."""
    if "no number of trials would show" in verdict.notes[0]:
        return "mend the prompt, or lower pass_rate or the confidence"
    if verdict.confidence is not None and "needs about" in verdict.notes[0]:
        return "add cases, or lower the confidence"
    return "mend that and run again"
