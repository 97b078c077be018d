"""From facts to what the page's template prints and its charts draw: words and numbers, no markup."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import quote

from pytest_rightsize.energy import Metering, Phases
from pytest_rightsize.records import Json, Rung, Standing, Verdict
from pytest_rightsize.reports.amounts import bounded_joules, count, joules, parameters, percent, seconds, usd
from pytest_rightsize.reports.bodies import CaseIndex
from pytest_rightsize.reports.facts import (
    Cell,
    Facts,
    bounds,
    effort,
    headline,
    per_case,
    place_to_change,
    remedy,
    saving_words,
    told_savings,
    verdict_counts,
    waived,
)
from pytest_rightsize.spending import Spent, Subtotal

__all__ = ["chart_data", "page_view"]

_STATE_WORDS = {"passes": "passes", "fails": "fails", "undecided": "undecided", "not_run": "not run"}
_MEASURES: Mapping[str, tuple[str, str]] = {
    "joules": ("Energy", "J"),
    "tokens": ("Tokens", "tokens"),
    "seconds": ("Time", "s"),
    "usd": ("Money", "USD"),
}


def page_view(facts: Facts, cases: CaseIndex) -> dict[str, Json]:
    """Everything the template prints."""
    sentence = headline(facts)
    measures = list(_measures(facts))
    return {
        "title": f"{sentence} · pytest-rightsize",
        "sentence": f"{sentence}.",
        "under": _under(facts),
        "interrupted": facts.run.interrupted,
        "counts": [{"word": word, "number": number} for word, number in verdict_counts(facts.verdicts)],
        "interval_words": _interval_words(facts),
        "rungs": [{"name": rung.name, "size": _size(rung.params_b)} for rung in facts.run.rungs],
        "rows": [_row(facts, verdict) for verdict in facts.verdicts],
        "measures": measures,
        "measure": next((measure["key"] for measure in measures if not measure["why"]), None),
        "columns": ["energy per case", "tokens per case", "time per case", "money per case"],
        "figures": [_figures(cell) for cell in facts.cells.values() if cell.standing.trials],
        "tokens": [_tokens(rung.name, facts.spending.by_rung[rung.name]) for rung in _ran(facts)],
        "tokens_words": _tokens_words(facts),
        "economies": [
            f"{task}: {str(found).removeprefix('false economy: ')}"
            for task, conclusion in facts.conclusions.items()
            for found in conclusion.false_economies
        ],
        "no_economies": _no_economies(facts),
        "facts": [*_fact_groups(facts)],
        "models": [_model(rung, facts.run.about) for rung in facts.run.rungs],
        "measured": [*_measured(facts), *_shortened(cases)],
    }


def chart_data(facts: Facts) -> dict[str, Json]:
    """What the charts draw; a number that is not known is null."""
    by_task = {verdict.task: verdict for verdict in facts.verdicts}
    return {
        "policies": [_policy_row(facts, verdict) for verdict in facts.verdicts],
        "points": [_point(cell, by_task[cell.task]) for cell in facts.cells.values() if cell.standing.trials],
        "token_means": [{"rung": rung.name, **_token_means(facts.spending.by_rung[rung.name])} for rung in _ran(facts)],
        "measures": {
            key: {"label": label, "unit": unit, "known": why is None}
            for key, (label, unit) in _MEASURES.items()
            for why in [_why_unknown(facts, key)]
        },
    }


# --- the ladder -------------------------------------------------------------------------------------------------------


def _size(billions: float | None) -> str | None:
    return None if billions is None else f"{parameters(billions)} parameters"


def _under(facts: Facts) -> str:
    cases = len({(trial.key.task, trial.key.case) for trial in facts.run.trials})
    rungs = len(facts.run.rungs)
    text = effort(facts.run)
    energy = _why_unknown(facts, "joules")
    return (
        f"{len(facts.verdicts)} task{'s' * (len(facts.verdicts) != 1)} with {cases:,} cases, on a ladder of {rungs} "
        f"model{'s' * (rungs != 1)}. {text[0].upper()}{text[1:]}.{f' Energy is {energy}' if energy else ''}"
    )


def _interval_words(facts: Facts) -> str:
    found = [cell.interval for cell in facts.cells.values() if cell.interval is not None]
    asked = sorted({interval.confidence for interval in found if interval.one_sided})
    usual = any(not interval.one_sided for interval in found)
    parts = [
        f"Where a confidence was asked for, the thin line spans the two one-sided bounds, each sure at {level:g}."
        for level in asked
    ]
    plain = "The thin line is the 95 % interval (Clopper-Pearson)" + (
        "." if not asked else " where none was asked for."
    )
    early = any(cell.standing.given_up for cell in facts.cells.values())
    settled = "Where a model was settled early, rate and interval are of the cases that it was asked."
    return " ".join([*parts, *([plain] if usual else []), *([settled] if early else [])])


def _row(facts: Facts, verdict: Verdict) -> dict[str, Json]:
    advice = remedy(verdict)
    place = place_to_change(facts.run, verdict)
    conclusion = facts.conclusions[verdict.task]
    return {
        "task": verdict.task,
        "href": f"#task={quote(verdict.task.encode('utf-8', 'replace'))}",
        "bar": percent(verdict.pass_rate),
        "verdict": verdict.verdict,
        "remedy": f"{_as_sentence(advice, facts)}{f' ({place})' if place else ''}." if advice else "",
        "notes": [
            *([f"Regressed: {verdict.regressed}."] if verdict.regressed else []),
            *(f"{words[0].upper()}{words[1:]}." for words in waived(facts.run, verdict.task)),
            *(note for note in verdict.notes if note not in advice),
            *(f"{saving}." for saving in _shown_savings(facts, verdict)),
            *([conclusion.no_savings] if conclusion.no_savings else []),
        ],
        "cells": [_cell(facts.cells[verdict.task, rung.name], verdict.pass_rate) for rung in facts.run.rungs],
    }


def _as_sentence(clause: str, facts: Facts) -> str:
    """With a capital letter, but that of a model's name is its own."""
    starts_with_name = any(clause.startswith(f"{rung.name} ") for rung in facts.run.rungs)
    return clause if starts_with_name else f"{clause[0].upper()}{clause[1:]}"


def _shown_savings(facts: Facts, verdict: Verdict) -> list[str]:
    """The savings of the first quantity that is known, as sentences."""
    return [saving_words(saving) for saving in told_savings(facts.conclusions[verdict.task])][:1]


def _cell(cell: Cell, pass_rate: float) -> dict[str, Json]:
    standing, interval = cell.standing, cell.interval
    return {
        "rung": cell.rung,
        "state": standing.state,
        "words": _STATE_WORDS[standing.state],
        "none": _none_words(standing),
        "rate": None if standing.rate is None or not standing.trials else round(100 * standing.rate, 2),
        "percent": percent(standing.rate),
        "ratio": f"{standing.passed}/{standing.trials}",
        "early": bool(standing.given_up),
        "low": None if interval is None else round(100 * interval.low, 2),
        "high": None if interval is None else round(100 * interval.high, 2),
        "goal": round(100 * pass_rate, 2),
        "interval": f"{percent(standing.rate)}, interval {bounds(interval)}, bar {percent(pass_rate)}",
        "smallest": cell.smallest,
        "chosen": cell.chosen,
    }


def _none_words(standing: Standing) -> str:
    if standing.state == "not_run":
        return "private" if standing.reason == "private" else "not run"
    return standing.reason or "no answer"


# --- prices -----------------------------------------------------------------------------------------------------------


def _measures(facts: Facts) -> Iterator[dict[str, Json]]:
    for key, (label, _) in _MEASURES.items():
        yield {"key": key, "label": label, "why": _why_unknown(facts, key)}


def _why_unknown(facts: Facts, key: str) -> str | None:
    """Why nothing can be drawn of a measure, or None if something can."""
    if any(per_case(cell.spent)[key] is not None for cell in facts.cells.values()):
        return None
    if key == "joules":
        mixed = any(len({part.kind for part in spent.energies}) > 1 for spent in facts.spending.by_rung.values())
        reasons = "; ".join(facts.spending.total.reasons) or "no answer came"
        return "joules of several kinds are not added up." if mixed else f"not known ({reasons})."
    reasons_of = {
        "tokens": "not known: no endpoint or tokenizer told for every answer.",
        "seconds": "not known: the recorded answers do not tell.",
        "usd": "not known: no rung of this ladder names a price for what it answered.",
    }
    return reasons_of[key]


def _figures(cell: Cell) -> dict[str, Json]:
    values = per_case(cell.spent)
    energy = None if cell.spent is None else cell.spent.energy_per_case
    return {
        "task": cell.task,
        "rung": cell.rung,
        "ratio": f"{cell.standing.passed}/{cell.standing.trials}",
        "interval": bounds(cell.interval),
        "amounts": [bounded_joules(energy), count(values["tokens"]), seconds(values["seconds"]), usd(values["usd"])],
    }


def _point(cell: Cell, verdict: Verdict) -> dict[str, Json]:
    energy = None if cell.spent is None else cell.spent.energy_per_case
    low, high = (None, None) if energy is None or energy.bounds is None else energy.bounds
    return {
        "task": cell.task,
        "rung": cell.rung,
        "state": cell.standing.state,
        "rate": cell.standing.rate,
        "low": cell.interval.low if cell.interval else None,
        "high": cell.interval.high if cell.interval else None,
        "passed": cell.standing.passed,
        "trials": cell.standing.trials,
        "goal": verdict.pass_rate,
        "smallest": cell.smallest,
        "chosen": cell.chosen,
        "kind": None if energy is None else str(energy.kind),
        "joules_low": low,
        "joules_high": high,
        **{key: value for key, value in per_case(cell.spent).items() if key in _MEASURES},
    }


def _policy_row(facts: Facts, verdict: Verdict) -> dict[str, Json]:
    policy = facts.run.policies.get(verdict.task)
    return {
        "task": verdict.task,
        "verdict": verdict.verdict,
        "smallest": verdict.smallest,
        "chosen": verdict.chosen,
        "bar": percent(verdict.pass_rate),
        "test_at": policy.test_at if policy else None,
        "remedy": remedy(verdict),
        "without": [
            [rung.name, "no answer" if cell.standing.state == "undecided" else _none_words(cell.standing)]
            for rung in facts.run.rungs
            for cell in [facts.cells[verdict.task, rung.name]]
            if not cell.standing.trials
        ],
    }


def _ran(facts: Facts) -> list[Rung]:
    return [rung for rung in facts.run.rungs if rung.name in facts.spending.by_rung]


def _token_means(spent: Spent) -> dict[str, Json]:
    values = per_case(spent)
    known = {name: values[name] for name in ("prompt", "reasoning", "answer")}
    return {"cases": spent.judged, **known, "completion": spent.per_case(spent.completion)}


def _tokens(rung: str, spent: Spent) -> dict[str, Json]:
    values = per_case(spent)
    # Where nobody tells reasoning apart, the whole completion is shown as what it is.
    answer = values["answer"]
    completion = spent.per_case(spent.completion)
    shown = count(answer) if answer is not None or completion is None else f"{count(completion)} (with any reasoning)"
    return {
        "rung": rung,
        "cases": f"{spent.judged:,}",
        "prompt": count(values["prompt"]),
        "reasoning": count(values["reasoning"]),
        "answer": shown,
        "total": count(values["tokens"]),
    }


def _tokens_words(facts: Facts) -> str:
    judged = {facts.spending.by_rung[rung.name].judged for rung in _ran(facts)}
    return "" if len(judged) < 2 else "The models did not all answer the same cases: compare across rows with care."


def _no_economies(facts: Facts) -> str:
    passing = [sum(standing.state == "passes" for standing in verdict.standing.values()) for verdict in facts.verdicts]
    if not any(number > 1 for number in passing):
        return (
            "None can be told: no task has two models that pass. A climb stops at the first; "
            "--rightsize-strategy=full runs the larger ones too."
        )
    unknown = [label.lower() for key, (label, _) in _MEASURES.items() if key != "tokens" and _why_unknown(facts, key)]
    rest = f" {' and '.join(unknown).capitalize()} could not be compared." if unknown else ""
    return f"None found: no smaller model that passes takes surely more than a larger one.{rest}"


# --- the run ----------------------------------------------------------------------------------------------------------


def _fact_groups(facts: Facts) -> Iterator[dict[str, Json]]:
    about = facts.run.about
    settings = dict(about.get("settings") or {})
    outcomes = Counter(trial.outcome for trial in facts.run.trials)
    cached = sum(answer.cached for trial in facts.run.trials for answer in trial.answers)
    yield {
        "title": "Session",
        "rows": [
            ("started", about.get("started")),
            ("commit", about.get("commit") or "outside git, or not known"),
            (
                "trials",
                f"{outcomes['passed']:,} passed, {outcomes['failed']:,} too small, {outcomes['error']:,} errors, "
                f"{outcomes['not_run']:,} not run",
            ),
            ("recorded answers", f"{cached:,} of {facts.spending.total.answers:,}"),
            *((name.replace("_", " "), _plain(value) or "none") for name, value in settings.items()),
        ],
    }
    yield {
        "title": "Machine",
        "rows": [(name, _plain(value)) for name, value in dict(about.get("machine") or {}).items()],
    }
    yield {
        "title": "Versions",
        "rows": [(name, _plain(value)) for name, value in dict(about.get("versions") or {}).items()],
    }


def _plain(value: Json) -> str | None:
    if value is None:
        return None
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return str(value)


def _model(rung: Rung, about: Mapping[str, Json]) -> dict[str, Json]:
    active = f" ({parameters(rung.active_b)} active)" if rung.active_b else ""
    settings = {
        "max_in_flight": rung.max_in_flight,
        "temperature": rung.temperature,
        "top_p": rung.top_p,
        "seed": rung.seed,
        "max_tokens": rung.max_tokens,
        **rung.options,
    }
    return {
        "name": rung.name,
        "model": rung.model,
        "provider": rung.provider,
        "size": f"{parameters(rung.params_b)}{active}" if rung.params_b else None,
        "identity": _identity(dict(about.get("identities") or {}).get(rung.name)),
        "price": f"{rung.price.prompt:g} prompt, {rung.price.completion:g} completion" if rung.price else None,
        "settings": ", ".join(f"{name}={value}" for name, value in settings.items() if value is not None),
    }


def _identity(content: Mapping[str, Json] | None) -> str | None:
    """What tells this very model from others of its name: the hashes of its files, where it has any."""
    if content is None:
        return None
    hashes = content.get("sha256")
    if not hashes:
        return "known by name only"
    shown = hashes if isinstance(hashes, list) else [hashes]
    engine = f"; {content['engine']}" if content.get("engine") else ""
    return f"sha256 {', '.join(map(str, shown))}{engine}"


def _measured(facts: Facts) -> Iterator[str]:
    """What was measured on each rung, then what was not and why, rungs of which the same is true at once."""
    ran = [(rung, facts.spending.by_rung[rung.name]) for rung in _ran(facts)]
    unknown: dict[str, list[str]] = {}
    for rung, spent in ran:
        for part in spent.energies:
            yield f"{rung.name}: {_measured_part(part)}"
        for sentence in _unknown(rung, spent):
            unknown.setdefault(sentence, []).append(rung.name)
    for metering in facts.run.meters:
        yield from _metering(metering)
    for sentence, rungs in unknown.items():
        yield f"{', '.join(rungs)}: {sentence}"


def _measured_part(part: Subtotal) -> str:
    """Shares of one device err against each other, so they have no bounds here; the meter's own line has them."""
    when = "; spent when it was recorded" if part.replayed else ""
    meter = f"; meter {part.energy.meter}" if part.energy.meter else ""
    return f"{joules(part.energy.joules)} for {part.answers:,} answers ({part.kind}{meter}{when})"


def _unknown(rung: Rung, spent: Spent) -> Iterator[str]:
    why = "; ".join(spent.reasons) or "no reason was given"
    if spent.energy_unknown:
        yield f"the energy of {_share(spent.energy_unknown, spent.answers)} is unknown ({why})"
    for name, amount in (("tokens", spent.completion), ("time", spent.seconds), ("cost", spent.cost_usd)):
        if amount.unknown:
            verb = "are" if name == "tokens" else "is"
            reason = " (no price is set)" if name == "cost" and rung.price is None else ""
            yield f"the {name} of {_share(amount.unknown, spent.answers)} {verb} unknown{reason}"


def _share(number: int, whole: int) -> str:
    return "every answer" if number == whole else f"{number:,} of {whole:,} answers"


def _metering(metering: Metering) -> Iterator[str]:
    """What a rung's meter saw beside the answers."""
    parts = [
        f"{what} {text}"
        for what, text in (
            ("all answers together", bounded_joules(metering.served)),
            ("loading", bounded_joules(metering.load)),
            ("idle between answers", bounded_joules(metering.idle)),
            ("other processes", bounded_joules(metering.others)),
            # A counter without ticks has no period.
            ("counter period", seconds(metering.tick_s or None)),
            ("idle power before any model", _idle_power(metering, "cold", metering.cold_w)),
            ("idle power with the model", _idle_power(metering, "resident", metering.idle_w)),
        )
        if text is not None
    ]
    parts += [_phases(phases) for phases in metering.phases]
    yield f"{metering.rung}: meter {metering.meter}: {'; '.join([*parts, *metering.notes]) or 'saw nothing'}"


def _idle_power(metering: Metering, state: str, watts: float | None) -> str | None:
    """`61.2 W (60.8 to 61.9)`, and how often it was found where that is more than once."""
    found = [power for power in metering.idle_powers if power.state == state]
    if watts is None or not found:
        return None if watts is None else f"{watts:.3g} W"
    low, high = min(power.low for power in found), max(power.high for power in found)
    times = f"; found {len(found)} times" if len(found) > 1 else ""
    return f"{watts:.3g} W ({low:.3g} to {high:.3g}{times})"


def _phases(phases: Phases) -> str:
    """`of nvml:GPU-1 21 % for reading prompts, 70 % for writing, 9 % for each answer alike (fitted to ...)`."""
    shares = (phases.prompt_share, phases.completion_share, phases.answer_share)
    prompt, completion, answer = (f"{100 * share:.0f} %" for share in shares)
    weight, error = phases.prompt_weight, phases.prompt_weight_error
    weighs = (
        "" if weight is None or error is None else f"; a token read weighs {weight:.2g} ± {error:.2g} of one written"
    )
    return (
        f"of {phases.device} {prompt} for reading prompts, {completion} for writing, {answer} for each answer alike "
        f"(fitted to {phases.answers:.0f} answers{weighs})"
    )


def _shortened(cases: CaseIndex) -> Sequence[str]:
    if cases.limit is None:
        return ()
    return [
        f"{cases.shortened:,} texts of more than {cases.limit:,} characters are shortened in this page, "
        "so that it opens quickly; the results file has them whole."
    ]
