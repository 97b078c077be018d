"""Packs the cases of a run for the page: an index of columns, and the texts apart from it, each once.

The page unpacks the index when it opens, and texts when one of them is shown or searched, so that a large run opens as
fast as a small one. All of it is data inside the page and never markup.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pytest_rightsize.records import AnswerRecord, Json, Run, Trial
from pytest_rightsize.reports.case_names import readable_case
from pytest_rightsize.reports.html.pictures import Pictures
from pytest_rightsize.reports.html.shown_cases import ShownCases, shown_cases
from pytest_rightsize.reports.html.texts import TextStore
from pytest_rightsize.reports.part_words import content_words

__all__ = ["CaseIndex", "index_cases"]

_OUTCOMES = ("passed", "failed", "error", "not_run")
# Where the texts would be larger than this, long ones are shortened, the longest first, and say so.
_BUDGET_BYTES = 8_500_000
# More is not kept at once to find out how much it weighs when it is packed.
_MOST_CHARACTERS = 100_000_000
_LIMITS: Sequence[int | None] = (None, 200_000, 20_000, 4_000, 1_000, 300)
_TRIAL_COLUMNS = ("rung", "sample", "outcome", "reason", "detail", "earlier", "answers")
_ANSWER_COLUMNS = (
    *("text", "reasoning", "calls", "prompt", "prompt_tokens", "completion_tokens", "reasoning_tokens"),
    *("seconds", "joules", "usd", "finish", "cached"),
)
_Keyed = Mapping[tuple[str, str], Sequence[Trial]]


@dataclass(frozen=True, kw_only=True)
class CaseIndex:
    """The cases as the page holds them: `index` is JSON data, `words` the packed table of words, `chunks` the texts.

    `pictures` are the packed images of prompts, `shown` counts the cases.
    """

    index: Mapping[str, Json]
    words: str
    chunks: Sequence[str]
    pictures: str
    limit: int | None
    shortened: int
    shown: ShownCases


def index_cases(
    run: Run, tasks: Sequence[str], *, earlier: _Keyed | None = None, budget_bytes: int = _BUDGET_BYTES
) -> CaseIndex:
    """The cases of the run in the order of `tasks`; long texts are shortened where the page would weigh too much.

    `earlier` has trials of an earlier run by task and case, to show beside those of this one.
    """
    cases = None
    for limit in _LIMITS:
        cases = _indexed(run, tasks, earlier or {}, limit)
        if cases is None:
            continue
        if len(cases.words) + sum(map(len, cases.chunks)) <= budget_bytes:
            break
    assert cases is not None  # with the last limit there always are some
    return cases


def _indexed(run: Run, tasks: Sequence[str], earlier: _Keyed, limit: int | None) -> CaseIndex | None:
    """The cases with texts shortened to the limit; None where even so they are too much to be kept in memory."""
    texts, pictures = TextStore(limit=limit), Pictures(run.read_data)
    index = _Index(texts, pictures, [rung.name for rung in run.rungs], tasks)
    shown, by_case = shown_cases(run.trials, tasks)
    for trials in by_case:
        key = trials[0].key
        index.add([run.whole(trial) for trial in trials], earlier.get((key.task, key.case), ()))
        if texts.characters > _MOST_CHARACTERS and limit != _LIMITS[-1]:
            return None
    words, starts, chunks = texts.pack()
    return CaseIndex(
        index=index.to_dict() | {"starts": starts, "texts": len(texts)},
        words=words,
        chunks=chunks,
        pictures=pictures.pack(),
        limit=limit if texts.shortened else None,
        shortened=texts.shortened,
        shown=shown,
    )


class _Index:
    """Builds the index; names that occur often are numbers into lists, and rows are columns."""

    def __init__(self, texts: TextStore, pictures: Pictures, rungs: Sequence[str], tasks: Sequence[str]) -> None:
        self._texts = texts
        self._pictures = pictures
        self._rungs = {name: place for place, name in enumerate(rungs)}
        self._tasks = {name: place for place, name in enumerate(tasks)}
        self._words: dict[str, int] = {}
        self._prompts: dict[str, int] = {}
        self._prompt_list: list[Json] = []
        self._cases: list[tuple[Json, ...]] = []
        self._trials: list[tuple[Json, ...]] = []
        self._answers: list[tuple[Json, ...]] = []

    def add(self, trials: Sequence[Trial], earlier: Sequence[Trial]) -> None:
        """One case: its task and name, and a row for each trial, smallest rung first, an earlier run's beside it."""
        key = trials[0].key
        rows = [(trial, 0) for trial in trials] + [(trial, 1) for trial in earlier]
        shown = [row for row in rows if row[0].key.rung in self._rungs]
        shown.sort(key=lambda row: (self._rungs[row[0].key.rung], row[1], row[0].key.sample))
        self._trials += [self._trial(trial, is_earlier) for trial, is_earlier in shown]
        self._cases.append((self._tasks[key.task], readable_case(key.case), len(shown)))

    def _trial(self, trial: Trial, is_earlier: int) -> tuple[Json, ...]:
        self._answers += map(self._answer, trial.answers)
        return (
            self._rungs[trial.key.rung],
            trial.key.sample,
            _OUTCOMES.index(trial.outcome),
            self._word(trial.reason if trial.sampled is None else f"asked for savings only: {trial.sampled}"),
            self._texts.number(trial.detail),
            is_earlier,
            len(trial.answers),
        )

    def _answer(self, answer: AnswerRecord) -> tuple[Json, ...]:
        tokens, energy = answer.tokens, answer.energy
        return (
            self._texts.number(answer.text),
            self._texts.number(answer.reasoning),
            self._texts.number(_json_text(answer.tool_calls) if answer.tool_calls else None),
            self._prompt(answer.messages),
            tokens.prompt,
            tokens.completion,
            tokens.reasoning,
            None if answer.seconds is None else float(f"{answer.seconds:.4g}"),
            None if energy is None or energy.joules is None else float(f"{energy.joules:.4g}"),
            answer.cost_usd,
            self._word(answer.finish_reason),
            int(answer.cached),
        )

    def _prompt(self, messages: Sequence[Mapping[str, Json]]) -> int:
        """The number of a prompt, which is a list of roles and texts, and numbers of images; -1 where there is none."""
        if not messages:
            return -1
        parts = [self._message(message) for message in messages]
        key = str(parts)
        if key not in self._prompts:
            self._prompts[key] = len(self._prompt_list)
            self._prompt_list.append(parts)
        return self._prompts[key]

    def _message(self, message: Mapping[str, Json]) -> list[int]:
        images, hidden = self._pictures.of(message)
        role = self._word(str(message.get("role", "user")))
        return [role, self._texts.number(_content(message, hidden)), *images]

    def _word(self, word: str | None) -> int:
        return -1 if word is None else self._words.setdefault(word, len(self._words))

    def to_dict(self) -> dict[str, Json]:
        """The index as JSON data: `cases`, `trials` and `answers` are columns, a row of each is the next of all."""
        return {
            "rungs": list(self._rungs),
            "tasks": list(self._tasks),
            "words": list(self._words),
            "prompts": self._prompt_list,
            "cases": _columns(("task", "name", "trials"), self._cases),
            "trials": _columns(_TRIAL_COLUMNS, self._trials),
            "answers": _columns(_ANSWER_COLUMNS, self._answers),
        }


def _columns(names: Sequence[str], rows: Sequence[tuple[Json, ...]]) -> dict[str, Json]:
    """The columns of the rows by name."""
    columns = zip(*rows, strict=True) if rows else [()] * len(names)
    return dict(zip(names, map(list, columns), strict=True))


def _content(message: Mapping[str, Json], hidden: Sequence[str]) -> str:
    """A message as text; an image is named in place of its data, and where it is not shown stands why."""
    texts = [content_words(message["content"])] if message.get("content") else []
    if message.get("tool_calls"):
        texts.append(_json_text(message["tool_calls"]))
    return "\n".join([*texts, *hidden])


def _json_text(plain: Json) -> str:
    """JSON data as people read it, every letter in its own script."""
    return json.dumps(plain, indent=1, ensure_ascii=False)
