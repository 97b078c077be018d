"""The page's first section: for each task the model to use, how sure that is, what it saves, and the next step."""

from collections.abc import Sequence
from urllib.parse import quote

from pytest_rightsize.judging.conclusions import Saving
from pytest_rightsize.records import Json, VerdictName
from pytest_rightsize.reports.facts import Facts, place_to_change, remedy, silent_rungs
from pytest_rightsize.reports.saving_words import saving_parts, shown_savings
from pytest_rightsize.reports.sureness import more_cases_words, sure_words
from pytest_rightsize.verdict_records import Verdict

__all__ = ["action_rows"]

# What needs somebody comes first, what is as it should be last.
_URGENCY: Sequence[VerdictName] = ("under-sized", "unsolved", "over-sized", "undecided", "unchosen", "right-sized")


def action_rows(facts: Facts) -> list[dict[str, Json]]:
    """A row for each task, the most urgent first."""
    return [_row(facts, verdict) for verdict in sorted(facts.verdicts, key=lambda one: _URGENCY.index(one.verdict))]


def _row(facts: Facts, verdict: Verdict) -> dict[str, Json]:
    model = _model(facts, verdict)
    sure = sure_words(verdict)
    step = _next_step(facts, verdict, model)
    place = place_to_change(facts.run, verdict)
    return {
        "task": verdict.task,
        "href": f"#task={quote(verdict.task.encode('utf-8', 'replace'))}",
        "verdict": verdict.verdict,
        "model": model,
        "no_model": None if model else "none on this ladder" if verdict.verdict == "unsolved" else "not known yet",
        "is_kept": model is not None and model == verdict.chosen,
        "chosen": verdict.chosen,
        "evidence": verdict.evidence,
        # The first word is the evidence, which stands apart.
        "sure": None if sure is None else f"{_sentence(facts, sure.partition(': ')[2])}.",
        "saving": _saving(facts, verdict),
        "caution": _caution(facts, verdict),
        "step": f"{step}.",
        "place": None if silent_rungs(verdict) or verdict.verdict == "right-sized" else place,
    }


def _model(facts: Facts, verdict: Verdict) -> str | None:
    """The model to use: what the session's objective recommends, else the smallest that passes."""
    return verdict.recommended or facts.conclusions[verdict.task].recommended or verdict.smallest


def _next_step(facts: Facts, verdict: Verdict, model: str | None) -> str:
    """What to do, as a sentence without its point."""
    more = _more_cases(verdict)
    if model is not None and model == verdict.chosen:
        return f"Keep {model}{f'. {more} would settle it' if more else ''}"
    if verdict.verdict in ("over-sized", "under-sized") and model is not None:
        change = f"set {verdict.chosen_from or 'the marker or the ladder file'} to {model}"
        if verdict.evidence == "provisional" and not more:
            return f"Too close to the bar to tell: keep {verdict.chosen} until more cases decide it; then {change}"
        return f"{more} before you switch; then {change}" if more else _capital(change)
    if verdict.verdict == "unchosen" and model is not None:
        return f"Tell which model your application uses: chosen = {model!r} in the marker or the ladder file"
    advice = remedy(verdict)
    if silent_rungs(verdict):
        # What to do about these is said once, at the top of the page.
        advice = advice.partition(", as ")[0]
    return _sentence(facts, advice)


def _sentence(facts: Facts, clause: str) -> str:
    """The clause with a capital letter, unless it begins with a model's name, which keeps its own."""
    starts_with_name = any(clause.startswith(f"{rung.name} ") for rung in facts.run.rungs)
    return clause if starts_with_name else _capital(clause)


def _more_cases(verdict: Verdict) -> str | None:
    """`About 12 more cases`, where a verdict is only provisional and so many would make it likely."""
    number = verdict.cases_to_likely
    if verdict.evidence != "provisional" or number is None:
        return None
    return _capital(more_cases_words(number))


def _saving(facts: Facts, verdict: Verdict) -> dict[str, Json] | None:
    """What the model saves against the chosen one: the amount, and the rest of the sentence; None where nothing is."""
    savings: Sequence[Saving] = shown_savings(facts.conclusions[verdict.task])
    if not savings:
        return None
    amount, rest = saving_parts(savings[0])
    return {"amount": amount, "rest": rest}


def _caution(facts: Facts, verdict: Verdict) -> str | None:
    """A larger model that passes too and costs less or takes less energy, in a sentence; None where there is none."""
    economies = facts.conclusions[verdict.task].false_economies
    first = next((one for one in economies if one.quantity in ("cost", "energy")), None)
    if first is None:
        return None
    times = f"{first.ratio.value:.3g} times the {first.quantity} of {first.larger}"
    return f"Mind: {first.smaller} takes {times} for a passed case, and that passes too."


def _capital(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}"
