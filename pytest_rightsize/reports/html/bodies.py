"""Packs the cases of a run for the page: a small index, and the texts apart from it, each once, compressed.

The page unpacks the index when it opens, and a chunk of texts when one of its cases is opened or searched, so that a
large run opens as fast as a small one. Texts are JSON data inside the page and never markup.
"""

import base64
import gzip
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pytest_rightsize.records import AnswerRecord, Json, Run, Trial

__all__ = ["Bodies", "CaseIndex", "index_cases", "packed"]

_CHUNK_CHARS = 400_000
_OUTCOMES = ("passed", "failed", "error", "not_run")
# Where the texts would be larger than this, long ones are shortened, the longest first, and say so.
_BUDGET_BYTES = 13_000_000
_LIMITS: Sequence[int | None] = (None, 200_000, 20_000, 4_000, 1_000, 300)


def packed(plain: Json) -> str:
    """JSON data as base64 of gzip, so that no text in it can end its script element."""
    raw = json.dumps(plain, ensure_ascii=True, separators=(",", ":")).encode("ascii")
    return base64.b64encode(gzip.compress(raw, compresslevel=6, mtime=0)).decode("ascii")


@dataclass(kw_only=True)
class Bodies:
    """Texts by number, each kept once; `limit` shortens those that are longer."""

    limit: int | None = None
    shortened: int = 0
    texts: list[str] = field(default_factory=list)
    _numbers: dict[str, int] = field(default_factory=dict)

    def number(self, text: str | None) -> int:
        """The text's number; -1 where there is none."""
        if not text:
            return -1
        if text not in self._numbers:
            self._numbers[text] = len(self.texts)
            self.texts.append(self._short(text))
        return self._numbers[text]

    def _short(self, text: str) -> str:
        if self.limit is None or len(text) <= self.limit:
            return text
        self.shortened += 1
        return f"{text[: self.limit]}\n[{len(text) - self.limit:,} more characters stand in the results file]"

    def chunks(self) -> Iterator[tuple[int, list[str]]]:
        """The texts in order, in lists small enough to unpack at once; each with the number of its first text."""
        start, size, chunk = 0, 0, list[str]()
        for number, text in enumerate(self.texts):
            if chunk and size + len(text) > _CHUNK_CHARS:
                yield start, chunk
                start, size, chunk = number, 0, []
            chunk.append(text)
            size += len(text)
        if chunk:
            yield start, chunk


@dataclass(frozen=True, kw_only=True)
class CaseIndex:
    """The cases as the page holds them: `index` is JSON data, `chunks` are packed lists of texts."""

    index: Mapping[str, Json]
    chunks: Sequence[str]
    limit: int | None
    shortened: int


def index_cases(run: Run, tasks: Sequence[str], *, budget_bytes: int = _BUDGET_BYTES) -> CaseIndex:
    """The cases of the run in the order of `tasks`; long texts are shortened where the page would weigh too much."""
    cases = None
    for limit in _LIMITS:
        cases = _indexed(run, tasks, limit)
        if sum(map(len, cases.chunks)) <= budget_bytes:
            break
    assert cases is not None  # _LIMITS is not empty
    return cases


def _indexed(run: Run, tasks: Sequence[str], limit: int | None) -> CaseIndex:
    bodies = Bodies(limit=limit)
    index = _Index(bodies, [rung.name for rung in run.rungs], tasks)
    for trials in _by_case(run, tasks):
        index.add([run.whole(trial) for trial in trials])
    starts, chunks = [], []
    for start, texts in bodies.chunks():
        starts.append(start)
        chunks.append(packed(texts))
    return CaseIndex(
        index=index.to_dict() | {"starts": starts, "bodies": len(bodies.texts)},
        chunks=chunks,
        limit=limit if bodies.shortened else None,
        shortened=bodies.shortened,
    )


def _by_case(run: Run, tasks: Sequence[str]) -> Iterator[list[Trial]]:
    """The trials of each case, task by task."""
    cases_by_task: dict[str, dict[str, list[Trial]]] = {task: {} for task in tasks}
    for trial in run.trials:
        if trial.key.task in cases_by_task:
            cases_by_task[trial.key.task].setdefault(trial.key.case, []).append(trial)
    for cases in cases_by_task.values():
        # By name: trials end in another order in each run, and readers look for a case where it was before.
        for name in sorted(cases, key=_natural_key):
            yield cases[name]


def _natural_key(name: str) -> list[tuple[int, str]]:
    """The key that sorts names as people do: `case 9` before `case 10`."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"([0-9]{1,15})", name)]


class _Index:
    """Builds the index; names that occur often are numbers into lists."""

    def __init__(self, bodies: Bodies, rungs: Sequence[str], tasks: Sequence[str]) -> None:
        self._bodies = bodies
        self._rungs = {name: place for place, name in enumerate(rungs)}
        self._tasks = {name: place for place, name in enumerate(tasks)}
        self._words: dict[str, int] = {}
        self._prompts: dict[str, int] = {}
        self._prompt_list: list[Json] = []
        self._cases: list[Json] = []

    def add(self, trials: Sequence[Trial]) -> None:
        """One case: its task and name, and a row for each trial, smallest rung first."""
        key = trials[0].key
        ordered = sorted(trials, key=lambda trial: (self._rungs.get(trial.key.rung, 0), trial.key.sample))
        rows = [self._trial(trial) for trial in ordered if trial.key.rung in self._rungs]
        self._cases.append([self._tasks[key.task], key.case, rows])

    def _trial(self, trial: Trial) -> Json:
        return [
            self._rungs[trial.key.rung],
            trial.key.sample,
            _OUTCOMES.index(trial.outcome),
            self._word(trial.reason),
            self._bodies.number(trial.detail),
            [self._answer(answer) for answer in trial.answers],
        ]

    def _answer(self, answer: AnswerRecord) -> Json:
        tokens, energy = answer.tokens, answer.energy
        calls = json.dumps(answer.tool_calls, indent=1) if answer.tool_calls else None
        return [
            self._bodies.number(answer.text),
            self._bodies.number(answer.reasoning),
            self._bodies.number(calls),
            self._prompt(answer.messages),
            [tokens.prompt, tokens.completion, tokens.reasoning],
            None if answer.seconds is None else round(answer.seconds, 4),
            None if energy is None or energy.joules is None else float(f"{energy.joules:.4g}"),
            answer.cost_usd,
            self._word(answer.finish_reason),
            int(answer.cached),
        ]

    def _prompt(self, messages: Sequence[Mapping[str, Json]]) -> int:
        """The number of a prompt, which is a list of roles and texts; -1 where there is none."""
        if not messages:
            return -1
        parts = [
            [self._word(str(message.get("role", "user"))), self._bodies.number(_content(message))]
            for message in messages
        ]
        key = str(parts)
        if key not in self._prompts:
            self._prompts[key] = len(self._prompt_list)
            self._prompt_list.append(parts)
        return self._prompts[key]

    def _word(self, word: str | None) -> int:
        return -1 if word is None else self._words.setdefault(word, len(self._words))

    def to_dict(self) -> dict[str, Json]:
        """The index as JSON data."""
        return {
            "rungs": list(self._rungs),
            "tasks": list(self._tasks),
            "words": list(self._words),
            "prompts": self._prompt_list,
            "cases": self._cases,
        }


def _content(message: Mapping[str, Json]) -> str:
    """A message as text; a long part that is no text, such as an image, is named in place of its data."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else [content] if content else []
    texts = [_part(part) for part in parts]
    if message.get("tool_calls"):
        texts.append(json.dumps(message["tool_calls"], indent=1))
    return "\n".join(texts)


def _part(part: Json) -> str:
    if isinstance(part, Mapping) and isinstance(part.get("text"), str):
        return str(part["text"])
    plain = json.dumps(part)
    if len(plain) <= 300:
        return plain
    kind = part.get("type", "part") if isinstance(part, Mapping) else "part"
    return f"[{kind}, {len(plain):,} characters]"
