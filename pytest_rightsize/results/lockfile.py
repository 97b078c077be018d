"""The file `rightsize.lock`: the result of each task when it was last run, small enough to review; pure.

It is made from a run and its verdicts, written as TOML with one fact a line, and read back with the line of each task.
"""

import json
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import get_args

from pytest_rightsize.errors import ConfigError
from pytest_rightsize.escaping import one_line
from pytest_rightsize.locations import key_line
from pytest_rightsize.records import Evidence, Json, Run, Rung, State
from pytest_rightsize.verdict_records import Standing, Verdict

__all__ = [
    "Lock",
    "LockedTask",
    "are_different_models",
    "is_lock",
    "lock_of",
    "model_of",
    "model_with_hash",
    "parse_lock",
    "render_lock",
    "why_none",
]

_SCHEMA = 1
# Enough to tell two files apart, and short enough to read.
_HASH, _HASH_DIGITS = ", sha256 ", 16
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_HEAD = """\
# What each task needed when it was last looked at. Written by: rightsize lock RUN.jsonl
# pytest --rightsize-baseline=rightsize.lock fails where a task has become worse. Review a change of this file as code.
"""


@dataclass(frozen=True, kw_only=True)
class LockedTask:
    """One task: its smallest rung (None: none was known), how each rung that was run stood, and its evidence.

    `judge` names the judges that it rests on, and what is known of their errors.

    `line` is the line of `smallest` in the file, for the person who has to change it, and `standing_lines` are those of
    each rung; None and empty if the lock is in no file.
    """

    smallest: str | None = None
    chosen: str | None = None
    evidence: Evidence | None = None
    judge: str | None = None
    samples: int = 1
    standing: Mapping[str, Standing] = field(default_factory=dict)
    line: int | None = None
    standing_lines: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Lock:
    """A lock: the day of the run as `YYYY-MM-DD`, empty if not known, its ladder smallest first, each rung's model."""

    day: str
    ladder: Sequence[str]
    models: Mapping[str, str]
    tasks: Mapping[str, LockedTask]
    commit: str | None = None


def lock_of(run: Run, verdicts: Sequence[Verdict]) -> Lock:
    """The parts of a run that a lock keeps."""
    return Lock(
        day=str(run.about.get("started", ""))[:10],
        commit=run.about.get("commit"),
        ladder=[rung.name for rung in run.rungs],
        models={rung.name: model_with_hash(run, rung) for rung in run.rungs},
        tasks={
            verdict.task: LockedTask(
                smallest=verdict.smallest,
                chosen=verdict.chosen,
                evidence=verdict.evidence,
                judge=None if verdict.judge is None else f"{', '.join(verdict.judge.by)}: {verdict.judge.state}",
                samples=run.policies[verdict.task].samples,
                standing={rung: standing for rung, standing in verdict.standing.items() if standing.trials},
            )
            for verdict in verdicts
        },
    )


def model_of(rung: Rung) -> str:
    """The provider and model of a rung, or the file that answers for it."""
    return f"{rung.provider}: {rung.model or rung.options.get('file') or 'not said'}"


def model_with_hash(run: Run, rung: Rung) -> str:
    """`model_of`, with the beginning of the hash of its files where the run has it."""
    content: Mapping[str, Json] = (run.about.get("identities") or {}).get(rung.name) or {}
    hashes = content.get("sha256") or []
    shown = [str(digest)[:_HASH_DIGITS] for digest in ([hashes] if isinstance(hashes, str) else hashes)]
    return f"{model_of(rung)}{_HASH}{' '.join(shown)}" if shown else model_of(rung)


def are_different_models(model: str, other: str) -> bool:
    """Whether two models, as `model_with_hash` names them, surely differ: by name, or by hash if both have one."""
    (name, _, digest), (other_name, _, other_digest) = model.partition(_HASH), other.partition(_HASH)
    return name != other_name or bool(digest and other_digest and digest != other_digest)


def is_lock(head: str) -> bool:
    """Whether a file that begins so is a lock."""
    return "rightsize lock" in head or ("schema = " in head and "ladder = [" in head)


def render_lock(lock: Lock) -> str:
    """The lock as TOML; rates and bounds with four digits."""
    return _HEAD + "\n".join(_lines(lock)) + "\n"


def _lines(lock: Lock) -> Iterator[str]:
    yield f"schema = {_SCHEMA}"
    if lock.day:
        yield f"date = {lock.day}"
    if lock.commit:
        yield f"commit = {_text(lock.commit)}"
    yield f"ladder = [{', '.join(map(_text, lock.ladder))}]"
    yield "\n[models]"
    yield from (f"{_key(rung)} = {_text(model)}" for rung, model in lock.models.items())
    # Sorted by name: with -n or pytest-randomly the order of tests changes, and that is nothing to review.
    for name, task in sorted(lock.tasks.items()):
        yield f"\n[tasks.{_key(name)}]"
        yield f"smallest = {_text(task.smallest)}" if task.smallest else f"# smallest: {why_none(lock, task)}"
        if task.chosen:
            yield f"chosen = {_text(task.chosen)}"
        if task.evidence:
            yield f"evidence = {_text(task.evidence)}"
        if task.judge:
            yield f"judge = {_text(task.judge)}"
        if task.samples > 1:
            yield f"samples = {task.samples}"
        yield from (f"standing.{_key(rung)} = {_inline(standing)}" for rung, standing in task.standing.items())


def why_none(lock: Lock, task: LockedTask) -> str:
    """Why a task has no smallest rung: no rung passes, or it is not known."""
    states = [task.standing[rung].state for rung in lock.ladder if rung in task.standing]
    return "no rung passes" if states == ["fails"] * len(lock.ladder) else "not known"


def _inline(standing: Standing) -> str:
    """The standing of one rung as an inline table; `settled_early` counts the trials that were left out."""
    facts = [f'state = "{standing.state}"', f"passed = {standing.passed}", f"n = {standing.trials}"]
    if standing.given_up:
        facts.append(f"settled_early = {standing.given_up}")
    if standing.unanswered:
        facts.append(f"unanswered = {standing.unanswered}")
    numbers = {"rate": standing.rate, "low": standing.low, "high": standing.high}
    facts += [f"{name} = {value:.4f}" for name, value in numbers.items() if value is not None]
    return f"{{ {', '.join(facts)} }}"


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _text(name)


def _text(text: str) -> str:
    """A TOML string: as in JSON, with DEL escaped too."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def parse_lock(text: str, *, where: str) -> Lock:
    """Read what `render_lock` wrote; raises a ConfigError that names `where` and what is wrong."""
    try:
        plain = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # a TOMLDecodeError is a ValueError
        raise ConfigError(f"{where} is not TOML: {error}. Mend it, or write it again with rightsize lock") from None
    if plain.get("schema") != _SCHEMA:
        raise ConfigError(
            f"{where} has schema {plain.get('schema')!r}; this version reads {_SCHEMA}: write it with rightsize lock"
        )
    try:
        return Lock(
            day=_day(plain["date"]) if "date" in plain else "",
            commit=_name(plain, "commit"),
            ladder=_ladder(plain["ladder"]),
            models={rung: str(model) for rung, model in plain.get("models", {}).items()},
            tasks={one_line(name): _task(task, name, text) for name, task in plain.get("tasks", {}).items()},
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ConfigError(f"{where} is not a lock ({error!r}): write it again with rightsize lock RUN.jsonl") from None


def _ladder(value: Json) -> list[str]:
    names = [one_line(str(rung)) for rung in value] if isinstance(value, list) else []
    if not isinstance(value, list) or len({*names}) < len(names):
        raise TypeError(f"ladder is {value!r}, not a list of rungs, each once")
    return names


def _day(value: Json) -> str:
    if not isinstance(value, date):
        raise TypeError(f"date is {value!r}, not a day")
    return value.isoformat()


def _task(plain: Mapping[str, Json], name: str, text: str) -> LockedTask:
    return LockedTask(
        smallest=_name(plain, "smallest"),
        chosen=_name(plain, "chosen"),
        evidence=_evidence(plain.get("evidence")),
        judge=_name(plain, "judge"),
        samples=_count(plain, "samples", 1, least=1),
        standing={rung: _standing(facts) for rung, facts in plain.get("standing", {}).items()},
        line=key_line(text, ["tasks", name, "smallest"], suffix=".toml"),
        standing_lines={
            rung: line
            for rung in plain.get("standing", {})
            if (line := key_line(text, ["tasks", name, "standing", rung], suffix=".toml"))
        },
    )


def _standing(facts: Mapping[str, Json]) -> Standing:
    passed, trials = _count(facts, "passed"), _count(facts, "n")
    if passed > trials:
        raise ValueError(f"{passed} passed of {trials}")
    return Standing(
        state=_state(facts["state"]),
        passed=passed,
        trials=trials,
        given_up=_count(facts, "settled_early", 0),
        unanswered=_count(facts, "unanswered", 0),
        rate=_fraction(facts.get("rate")),
        low=_fraction(facts.get("low")),
        high=_fraction(facts.get("high")),
    )


def _count(plain: Mapping[str, Json], key: str, default: int | None = None, *, least: int = 0) -> int:
    value = plain[key] if default is None else plain.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{key} is {value!r}, not a count")
    return value


def _name(plain: Mapping[str, Json], key: str) -> str | None:
    value = plain.get(key)
    if value is not None and (not isinstance(value, str) or not value):
        raise TypeError(f"{key} is {value!r}, not a name")
    return value


def _state(value: Json) -> State:
    states: tuple[State, ...] = get_args(State)
    for state in states:
        if state == value:
            return state
    raise ValueError(f"state is {value!r}")


def _evidence(value: Json) -> Evidence | None:
    """None in a lock of an earlier version."""
    grades: tuple[Evidence, ...] = get_args(Evidence)
    for grade in grades:
        if grade == value:
            return grade
    if value is not None:
        raise ValueError(f"evidence is {value!r}")
    return None


def _fraction(value: Json) -> float | None:
    if value is not None and not (isinstance(value, int | float) and 0 <= value <= 1):
        raise ValueError(f"{value!r} is no fraction of 1")
    return value
