"""One case of a run with the answers of all rungs side by side, as lines for a terminal of any width.

In come the trials of one case, one for each rung; out go its prompts, answers, reasons, tokens, seconds and joules.
What is not known is left out, and never 0. Pure.
"""

import json
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest

from pytest_rightsize.energy import Energy
from pytest_rightsize.errors import MixedEnergyError
from pytest_rightsize.escaping import visible
from pytest_rightsize.records import AnswerRecord, Json, Tokens, Trial
from pytest_rightsize.reports.case_names import readable_case
from pytest_rightsize.reports.part_words import content_words
from pytest_rightsize.reports.text_width import columns, filled
from pytest_rightsize.reports.units import bounded_joules, seconds, usd

__all__ = ["case_lines"]

# A column narrower than this holds no sentence: then the rungs stand one below the other.
_NARROWEST = 24
_GAP = "  "
_ROWS = (
    *("result", "answer", "tool calls", "reasoning", "ended", "reason"),
    *("tokens", "time", "energy", "cost", "recorded", "took"),
)
_WORDS = {"passed": "passed", "failed": "too small", "error": "no answer", "not_run": "not run"}


def case_lines(trials: Sequence[Trial], *, width: int) -> list[str]:
    """The trials of one case and sample, in the order of the ladder, in lines of at most `width` columns."""
    key = trials[0].key
    sample = f", sample {key.sample}" if key.sample else ""
    lines = [f"{key.task}: {readable_case(key.case)}{sample}"]
    turns = max(len(trial.answers) for trial in trials)
    for turn in range(max(1, turns)):
        lines += _prompt_lines(trials, turn, width)
        lines += _rung_lines(trials, turn, turns, width)
    return [visible(line) for line in lines]


def _prompt_lines(trials: Sequence[Trial], turn: int, width: int) -> Iterator[str]:
    """The prompt of one turn; where it depends on an answer before it, each rung's own."""
    prompts: dict[str, list[str]] = {}
    for trial in trials:
        text = _prompt(trial, turn)
        if text is not None:
            prompts.setdefault(text, []).append(trial.key.rung)
    for text, rungs in prompts.items():
        of = f" of {', '.join(rungs)}" if len(prompts) > 1 else ""
        yield ""
        yield f"prompt{f' {turn + 1}' if turn else ''}{of}:"
        yield from (f"  {line}".rstrip() for line in _wrapped(text, width - 2))


def _prompt(trial: Trial, turn: int) -> str | None:
    """What was said to the model since the turn before; None where there was no such turn."""
    if turn >= len(trial.answers):
        return None
    before = trial.answers[turn - 1].messages if turn else ()
    messages = trial.answers[turn].messages
    # A conversation repeats what was said, and then the answer to it.
    is_continued = turn > 0 and messages[: len(before)] == before
    new = messages[len(before) + 1 :] if is_continued else messages
    return "\n".join(_message(message) for message in new) or "(not recorded)"


def _message(message: Mapping[str, Json]) -> str:
    content = message.get("content")
    text = content_words(content) if isinstance(content, str | list) else json.dumps(content, ensure_ascii=False)
    role = message.get("role")
    return text if role in ("user", None) else f"{role}: {text}"


def _rung_lines(trials: Sequence[Trial], turn: int, turns: int, width: int) -> Iterator[str]:
    """The answers of one turn; with the last turn what the trial came to."""
    heads = [trial.key.rung for trial in trials]
    cells = [_cells(trial, turn, turns) for trial in trials]
    names = [name for name in _ROWS if any(name in cell for cell in cells)]
    label_width = max(map(len, names), default=0)
    room = (width - label_width - len(_GAP) * len(trials)) // len(trials)
    yield ""
    if room < _NARROWEST and len(trials) > 1:
        for head, cell in ((head, cell) for head, cell in zip(heads, cells, strict=True) if cell):
            yield f"{head}:"
            for name in (name for name in names if name in cell):
                yield from _row(name, [cell[name]], label_width + 2, max(10, width - label_width - 4), indent="  ")
        return
    texts = [*heads, *(text for cell in cells for text in cell.values())]
    widest = max(columns(line) for text in texts for line in text.splitlines() or [""])
    room = max(10, min(room, widest))
    yield from _row("", heads, label_width, room)
    for name in names:
        yield from _row(name, [cell.get(name, "") for cell in cells], label_width, room)


def _row(name: str, texts: Sequence[str], label_width: int, room: int, *, indent: str = "") -> Iterator[str]:
    """One row of the table, its cells wrapped in columns of `room`."""
    wrapped = [_wrapped(text, room) for text in texts]
    label = indent + name
    for parts in zip_longest(*wrapped, fillvalue=""):
        yield _GAP.join([filled(label, label_width), *(filled(part, room) for part in parts)]).rstrip()
        label = ""


def _wrapped(text: str, width: int) -> list[str]:
    """The text in lines of at most `width` columns; its own ends of lines and indentation stay."""
    lines: list[str] = []
    for line in text.expandtabs(4).splitlines() or [""]:
        # Wide letters: of these only so many fit that all of them might be wide.
        fitting = width if columns(line) == len(line) else max(1, width // 2)
        indent = line[: len(line) - len(line.lstrip())]
        indent = indent if len(indent) < fitting // 2 else ""
        lines += textwrap.wrap(line, fitting, subsequent_indent=indent, break_on_hyphens=False) or [""]
    return [line.rstrip() for line in lines]


def _cells(trial: Trial, turn: int, turns: int) -> dict[str, str]:
    """The rows of one rung, by their names; a row of which nothing is known is not there."""
    rows: dict[str, str | None] = {}
    is_last = turn == max(0, turns - 1)
    if is_last:
        rows["result"] = _result(trial)
    if turn < len(trial.answers):
        rows |= _answer_rows(trial.answers[turn])
    if is_last:
        rows |= {"reason": _reason(trial), "took": _took(trial.answers) if turns > 1 else None}
    return {name: text for name, text in rows.items() if text}


def _result(trial: Trial) -> str:
    if trial.sampled is not None:
        return f"{_WORDS[trial.sampled]} (asked for savings only, no verdict counts it)"
    word = _WORDS[trial.outcome]
    return f"{word} ({trial.reason})" if trial.reason else word


def _reason(trial: Trial) -> str | None:
    return None if trial.outcome == "passed" else (trial.detail or "").removeprefix("AssertionError: ").rstrip()


def _answer_rows(answer: AnswerRecord) -> dict[str, str | None]:
    """What one answer is, and what it took."""
    calls = "\n".join(json.dumps(call, ensure_ascii=False) for call in answer.tool_calls)
    return {
        "answer": answer.text or ("" if calls else "(empty)"),
        "tool calls": calls,
        "reasoning": answer.reasoning,
        "ended": answer.finish_reason if answer.finish_reason not in (None, "stop") else None,
        "tokens": _tokens([answer]),
        "time": seconds(answer.seconds),
        "energy": _energy([answer]),
        "cost": usd(answer.cost_usd),
        "recorded": (answer.recorded or "before") if answer.cached else None,
    }


def _took(answers: Sequence[AnswerRecord]) -> str | None:
    """What all answers of a trial took together, as far as it is known of each; None where there are none."""
    if not answers:
        return None
    times = [answer.seconds for answer in answers]
    costs = [answer.cost_usd for answer in answers]
    parts = [
        _tokens(answers),
        None if None in times else seconds(sum(time or 0.0 for time in times)),
        _energy(answers),
        None if None in costs else usd(sum(cost or 0.0 for cost in costs)),
    ]
    return "\n".join(part for part in parts if part)


def _tokens(answers: Sequence[AnswerRecord]) -> str | None:
    """`31 + 4 (2 reasoning)`: those of the prompt and of the completion, a part of which may be reasoning."""
    total = Tokens.together([answer.tokens for answer in answers])
    if not answers or total.completion is None:
        return None
    reasoning = f" ({total.reasoning:,} reasoning)" if total.reasoning else ""
    return f"{'?' if total.prompt is None else f'{total.prompt:,}'} + {total.completion:,}{reasoning}"


def _energy(answers: Sequence[AnswerRecord]) -> str | None:
    energies = [answer.energy for answer in answers if answer.energy is not None]
    if len(energies) < len(answers):
        return None
    try:
        return bounded_joules(Energy.total(energies))
    except MixedEnergyError:
        return None
