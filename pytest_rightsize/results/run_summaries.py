"""The verdicts of a run as its results file states them, without its trials: quick to read, however many there are."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from pytest_rightsize.bounded_files import numbered_lines
from pytest_rightsize.errors import ConfigError
from pytest_rightsize.escaping import one_line
from pytest_rightsize.records import Json
from pytest_rightsize.strict_json import loads

__all__ = ["RunSummary", "TaskSummary", "read_summary"]

# Lines of other kinds hold most of the bytes, and are not parsed.
_KINDS = tuple(f'{{"kind": "{kind}"'.encode() for kind in ("run", "verdict", "end"))


@dataclass(frozen=True, kw_only=True)
class TaskSummary:
    """A task's verdict, and of each rung its state, passes and trials.

    A rung that was stopped early has neither passes nor trials: those up to there are no fair sample.
    """

    verdict: str
    smallest: str | None
    chosen: str | None
    evidence: str | None
    standing: Mapping[str, tuple[str, int | None, int | None]]


@dataclass(frozen=True, kw_only=True)
class RunSummary:
    """One run: when it began, of which commit, its rungs, and its tasks. `is_whole` is false where it was cut off."""

    path: Path
    started: str
    commit: str | None
    rungs: tuple[str, ...]
    tasks: Mapping[str, TaskSummary] = field(default_factory=dict)
    exitstatus: int | None = None
    is_whole: bool = False


def read_summary(path: Path) -> RunSummary:
    """Read what a results file concludes; raises ConfigError if it is none."""
    head: dict[str, Json] = {}
    tasks: dict[str, TaskSummary] = {}
    end: dict[str, Json] | None = None
    try:
        with path.open("rb") as file:
            for line in _summary_lines(file, path):
                if line["kind"] == "run":
                    head = line
                elif line["kind"] == "verdict":
                    tasks[one_line(line["task"])] = _task(line)
                else:
                    end = line
        return RunSummary(
            path=path,
            started=one_line(str(head.get("started") or "")),
            commit=None if head.get("commit") is None else one_line(str(head["commit"])),
            rungs=tuple(one_line(str(rung["name"])) for rung in head["ladder"]),
            tasks=tasks,
            exitstatus=None if end is None else end.get("exitstatus"),
            is_whole=end is not None,
        )
    except OSError as error:
        raise ConfigError(f"cannot read the results file {path}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise ConfigError(f"{path} is no results file that this version reads") from None


def _summary_lines(file: IO[bytes], path: Path) -> Iterator[dict[str, Json]]:
    for _, raw in numbered_lines(file, path):
        if raw.startswith(_KINDS) and raw.endswith(b"\n"):
            yield loads(raw)


def _task(line: Mapping[str, Json]) -> TaskSummary:
    return TaskSummary(
        verdict=one_line(str(line["verdict"])),
        smallest=_name(line.get("smallest")),
        chosen=_name(line.get("chosen")),
        evidence=_name(line.get("evidence")),
        standing={one_line(rung): _standing(each) for rung, each in line["standing"].items()},
    )


def _standing(plain: Mapping[str, Json]) -> tuple[str, int | None, int | None]:
    if plain.get("given_up") or plain.get("decided_at") is not None:
        return str(plain["state"]), None, None
    return str(plain["state"]), int(plain["passed"]), int(plain["trials"])


def _name(value: Json) -> str | None:
    return None if value is None else one_line(str(value))
