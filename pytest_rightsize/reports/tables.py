"""Tables for notebooks and other programs: one row a trial as CSV, or everything as one JSON document."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import ClassVar

from pytest_rightsize.energy import Energy
from pytest_rightsize.errors import MixedEnergyError
from pytest_rightsize.escaping import one_line, printable
from pytest_rightsize.judging.fleet import fleet
from pytest_rightsize.judging.token_counts import rung_tokens
from pytest_rightsize.plain_data import plain_fields
from pytest_rightsize.records import Json, Policy, Run, Trial
from pytest_rightsize.reports import Report
from pytest_rightsize.reports.facts import Facts, gather, headline
from pytest_rightsize.reports.sureness import decided, sure_words
from pytest_rightsize.verdict_records import Verdict

__all__ = ["CsvReport", "JsonReport", "pytest_rightsize_reports"]

_BAR = ("pass_rate", "pass_rate_from", "confidence", "confidence_from", "samples", "samples_from")
_COLUMNS = (
    *("task", "case", "rung", "sample", "outcome", "reason", "answers", "seconds"),
    *("prompt_tokens", "cached_tokens", "completion_tokens", "reasoning_tokens", "reasoning_share"),
    *("joules", "joules_low", "joules_high", "energy_kind", "cost_usd", "recorded"),
    *_BAR,
    *("standing", "decided", "verdict", "evidence"),
)


class CsvReport:
    """One row for each trial; a cell is empty where the value is not known. Prompts and answers are in the JSON.

    The last columns are of its rung and its task: how the rung stands, what was decided where it was stopped early (its
    rows are no sample to take a rate of), the verdict, and its evidence.
    """

    texts: ClassVar[str] = "none"
    own_mark: ClassVar[str] = "task,case,rung,sample,outcome"

    def check(self) -> str | None:
        """See `Report`."""
        return None

    def render(self, run: Run, verdicts: Sequence[Verdict]) -> str:
        """See `Report`."""
        verdict_of = {verdict.task: verdict for verdict in verdicts}
        file = io.StringIO()
        writer = csv.DictWriter(file, _COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(
            _row(trial) | _bar(run.policies.get(trial.key.task)) | _conclusion(verdict_of.get(trial.key.task), trial)
            for trial in run.trials
        )
        return file.getvalue()


def _row(trial: Trial) -> dict[str, Json]:
    answers = trial.answers
    energy = _energy(trial)
    return {
        "task": _cell(trial.key.task),
        "case": _cell(trial.key.case),
        "rung": _cell(trial.key.rung),
        "sample": trial.key.sample,
        "outcome": trial.outcome,
        "reason": trial.reason,
        "answers": len(answers),
        "seconds": _sum([answer.seconds for answer in answers]),
        "prompt_tokens": _sum([answer.tokens.prompt for answer in answers]),
        "cached_tokens": _sum([answer.tokens.cached for answer in answers]),
        "completion_tokens": _sum([answer.tokens.completion for answer in answers]),
        "reasoning_tokens": _sum([answer.tokens.reasoning for answer in answers]),
        "reasoning_share": rung_tokens([trial]).reasoning_share,
        "joules": energy.joules if energy else None,
        "joules_low": energy.low if energy else None,
        "joules_high": energy.high if energy else None,
        "energy_kind": str(energy.kind) if energy and energy.joules is not None else None,
        "cost_usd": _sum([answer.cost_usd for answer in answers]),
        "recorded": sum(answer.cached for answer in answers),
    }


def _bar(policy: Policy | None) -> dict[str, Json]:
    """The bar of a task and where each part of it was set."""
    return {name: None if policy is None else getattr(policy, name) for name in _BAR}


def _conclusion(verdict: Verdict | None, trial: Trial) -> dict[str, Json]:
    """What was concluded of the trial's rung and task."""
    standing = None if verdict is None else verdict.standing.get(trial.key.rung)
    if verdict is None or standing is None:
        return {}
    return {
        "standing": standing.state,
        "decided": decided(verdict, trial.key.rung),
        "verdict": verdict.verdict,
        "evidence": verdict.evidence,
    }


def _cell(text: str) -> str:
    """A name that no spreadsheet reads as a formula, and no CI system as a command where the table is printed."""
    plain = printable(one_line(text))
    return f"'{plain}" if plain.startswith(("=", "+", "-", "@")) else plain


def _sum(values: Sequence[float | None]) -> float | None:
    """The sum, or None where one value is not known or there are none."""
    known = [value for value in values if value is not None]
    return sum(known) if known and len(known) == len(values) else None


def _energy(trial: Trial) -> Energy | None:
    energies = [answer.energy for answer in trial.answers if answer.energy is not None]
    if len(energies) < len(trial.answers):
        return None
    try:
        return Energy.total(energies)
    except MixedEnergyError:
        return None


class JsonReport:
    """All facts and conclusions, as one document."""

    texts: ClassVar[str] = "single"
    own_mark: ClassVar[str] = '{"schema": 1, "headline": '

    def check(self) -> str | None:
        """See `Report`."""
        return None

    def render(self, run: Run, verdicts: Sequence[Verdict]) -> str:
        """See `Report`."""
        facts = gather(run, verdicts)
        document = {
            "schema": 1,
            "headline": headline(facts),
            "run": {**run.about, "strategy": run.strategy, "interrupted": run.interrupted},
            "ladder": [rung.to_dict() for rung in run.rungs],
            "verdicts": [_verdict(facts, verdict) for verdict in verdicts],
            "spending": facts.run_usage.to_dict(),
            "conclusions": [conclusion.to_dict() for conclusion in facts.conclusions.values()],
            "fleet": [row.to_dict() for row in fleet(run, verdicts, facts.conclusions)],
            "strengths": [strength.to_dict() for strength in run.strengths.values()],
            "meters": [metering.to_dict() for metering in run.meters],
            "trials": [run.whole(trial).to_dict() for trial in run.trials],
        }
        return json.dumps(document, ensure_ascii=True, allow_nan=False, default=_plain) + "\n"


def _plain(value: object) -> Json:
    """Sets as sorted lists: no other type that is not JSON occurs in a report."""
    if isinstance(value, frozenset | set):
        return sorted(value)
    raise TypeError(f"{value!r} is no JSON")


def _verdict(facts: Facts, verdict: Verdict) -> dict[str, Json]:
    """The verdict with its bar, in data and words, and the interval that is shown of each pass rate."""
    plain = {name: value for name, value in verdict.to_dict().items() if name != "kind"}
    intervals = {
        rung: None if (interval := facts.cells[verdict.task, rung].interval) is None else plain_fields(interval)
        for rung in verdict.standing
    }
    words = {rung: cell.decided for rung in verdict.standing if (cell := facts.cells[verdict.task, rung]).decided}
    return {
        **plain,
        **_bar(facts.run.policies.get(verdict.task)),
        "intervals": intervals,
        "decided": words,
        "sure": sure_words(verdict),
    }


def pytest_rightsize_reports() -> Mapping[str, type[Report]]:
    """The reports of this file."""
    return {"csv": CsvReport, "json": JsonReport}
