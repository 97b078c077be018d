"""Everything that the page's template prints, as words and numbers.

It joins the sections; each has a file of its own beside this one. Nothing here is markup.
"""

from pytest_rightsize.records import Json
from pytest_rightsize.reports.escalation_words import escalation_lines
from pytest_rightsize.reports.facts import Facts, effort, headline, verdict_counts
from pytest_rightsize.reports.html.actions import action_rows
from pytest_rightsize.reports.html.bodies import CaseIndex
from pytest_rightsize.reports.html.fleet_section import fleet_section
from pytest_rightsize.reports.html.measured_lines import measured_lines, shortened_lines
from pytest_rightsize.reports.html.measures import MEASURES, first_measure, judged_rungs, why_unknown
from pytest_rightsize.reports.html.number_tables import figures_row, tokens_caution, tokens_row
from pytest_rightsize.reports.html.prompt_groups import grouped_rows
from pytest_rightsize.reports.html.run_facts import fact_groups, model_row
from pytest_rightsize.reports.html.verdict_table import bar_line, interval_legend, verdict_row
from pytest_rightsize.reports.judge_words import judge_lines
from pytest_rightsize.reports.order_words import order_words
from pytest_rightsize.reports.rung_faults import fault_lines
from pytest_rightsize.reports.units import parameters

__all__ = ["page_view"]


def page_view(facts: Facts, cases: CaseIndex) -> dict[str, Json]:
    """The values of the template's `page`, by key."""
    sentence = headline(facts)
    measures = [{"key": key, "label": label, "why": why_unknown(facts, key)} for key, (label, _) in MEASURES.items()]
    return {
        "title": f"{sentence} · pytest-rightsize",
        "sentence": f"{sentence}.",
        "under": _subtitle(facts),
        "interrupted": facts.run.interrupted,
        "faults": [f"{line[0].upper()}{line[1:]}" for line in fault_lines(facts.run.trials)],
        "counts": [{"word": word, "number": number} for word, number in verdict_counts(facts.verdicts)],
        "actions": grouped_rows(action_rows(facts)),
        "interval_words": interval_legend(facts),
        "bar_words": bar_line(facts),
        "order_words": order_words(facts.run),
        "rungs": [{"name": rung.name, "size": _size(rung.params_b)} for rung in facts.run.rungs],
        "rows": grouped_rows([verdict_row(facts, verdict) for verdict in facts.verdicts]),
        "measures": measures,
        "measure": first_measure(facts),
        "columns": ["energy per case", "completion tokens per case", "time per case", "cost per case"],
        "figures": [figures_row(cell) for cell in facts.cells.values() if cell.standing.trials],
        "tokens": [tokens_row(rung.name, facts.run_usage.by_rung[rung.name]) for rung in judged_rungs(facts)],
        "has_tokens": any(usage.completion.known > 0 for usage in facts.run_usage.by_rung.values()),
        "tokens_words": tokens_caution(facts),
        "economies": [
            f"{task}: {str(economy).removeprefix('false economy: ')}"
            for task, conclusion in facts.conclusions.items()
            for economy in conclusion.false_economies
        ],
        "no_economies": _no_economies(facts),
        "judges": judge_lines(facts.run, facts.verdicts),
        "cascades": escalation_lines(facts.run, facts.verdicts),
        "fleet": fleet_section(facts),
        "facts": [*fact_groups(facts)],
        "models": [model_row(rung, facts.run.about) for rung in facts.run.rungs],
        "cases_words": cases.shown.words,
        "measured": [*measured_lines(facts), *shortened_lines(cases)],
    }


def _size(billions: float | None) -> str | None:
    return None if billions is None else f"{parameters(billions)} parameters"


def _subtitle(facts: Facts) -> str:
    """The sentences below the headline: tasks, cases and models, the trials and tokens."""
    cases = len({(trial.key.task, trial.key.case) for trial in facts.run.trials})
    rungs = len(facts.run.rungs)
    text = effort(facts.run)
    energy = "" if why_unknown(facts, "joules") is None else " Energy was not measured."
    return (
        f"{len(facts.verdicts)} task{'s' * (len(facts.verdicts) != 1)} with {cases:,} cases, on a ladder of {rungs} "
        f"model{'s' * (rungs != 1)}. {text[0].upper()}{text[1:]}.{energy}"
    )


def _no_economies(facts: Facts) -> str:
    """The sentence that stands where no false economy was found, or none could be."""
    passing = [sum(standing.state == "passes" for standing in verdict.standing.values()) for verdict in facts.verdicts]
    if not any(number > 1 for number in passing):
        return (
            "None can be told: no task has two models that pass. A climb stops at the first; "
            "--rightsize-strategy=full runs the larger ones too."
        )
    unknown = [label.lower() for key, (label, _) in MEASURES.items() if key != "completion" and why_unknown(facts, key)]
    rest = f" {' and '.join(unknown).capitalize()} could not be compared." if unknown else ""
    return f"None found: no smaller model that passes takes surely more than a larger one.{rest}"
