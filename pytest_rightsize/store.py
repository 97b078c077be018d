"""The results file: a run as JSON Lines, written line by line while it goes, and read back.

Line 1 is the run, then trials as they end, verdicts, and an end; a file without its end was cut off.
"""

import json
import os
import platform
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import IO

from pytest_rightsize.durable import DurableFile
from pytest_rightsize.errors import ConfigError
from pytest_rightsize.records import Json, Policy, Run, Rung, Trial, Verdict
from pytest_rightsize.results_lines import check_line

__all__ = ["ResultsFile", "read_run"]

SCHEMA = 1
_PACKAGES = ("pytest-rightsize", "pytest", "pytest-xdist", "aiohttp", "llama-cpp-python", "rapidfuzz", "jsonschema")


class ResultsFile:
    """The one writer of a results file. Every line is on its way to the disk before the next thing happens."""

    def __init__(
        self,
        path: Path,
        *,
        rungs: Sequence[Rung],
        settings: Mapping[str, Json],
        rootdir: Path,
        private: bool = False,
        on_trouble: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Open `path` and write its first line; raises ConfigError if it cannot be opened.

        A `private` file is its owner's only. `on_trouble` hears if the disk is full; no line is lost to that.
        """
        self.path = path
        try:
            self._file = DurableFile(path, private=private, on_trouble=on_trouble)
        except OSError as error:
            raise ConfigError(
                f"--rightsize-results cannot write {path}: {error.strerror}. Give another file."
            ) from None
        self._write(_run_line(rungs, settings, rootdir))

    def trial(self, trial: Trial) -> None:
        """Add one trial."""
        self._write(trial.to_dict())

    def end(
        self, verdicts: Iterable[Verdict], *, exitstatus: int, failed: Iterable[str], totals: Mapping[str, Json]
    ) -> None:
        """Add the verdicts and the last line, and close the file."""
        for verdict in verdicts:
            self._write(verdict.to_dict())
        self._write({"kind": "end", "exitstatus": exitstatus, "gate": {"failed": list(failed)}, "totals": dict(totals)})
        self._file.close()

    def plan(self, policies: Iterable[Policy], planned: Mapping[tuple[str, str], int]) -> None:
        """Add what the session means to do, so that a cut-off file still tells what is missing."""
        for policy in policies:
            counts = {rung: count for (task, rung), count in planned.items() if task == policy.task}
            self._write({"kind": "plan", **policy.to_dict(), "planned": counts})

    def _write(self, line: Mapping[str, Json]) -> None:
        # json.dumps keeps lone surrogates of a hostile answer as \\ud800 escapes, which UTF-8 could not hold.
        self._file.write(json.dumps(line, ensure_ascii=True, allow_nan=False) + "\n")


def _run_line(rungs: Sequence[Rung], settings: Mapping[str, Json], rootdir: Path) -> dict[str, Json]:
    return {
        "kind": "run",
        "schema": SCHEMA,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {"python": platform.python_version(), **dict(_versions())},
        "machine": {"system": platform.platform(), "processor": platform.machine(), "cores": os.cpu_count()},
        "commit": _commit(rootdir),
        "ladder": [rung.to_dict() for rung in rungs],
        "settings": dict(settings),
    }


def _versions() -> Iterator[tuple[str, str]]:
    for name in _PACKAGES:
        try:
            yield name, version(name)
        except PackageNotFoundError:
            continue


def _commit(rootdir: Path) -> str | None:
    """The commit of the suite, or None outside git."""
    try:
        done = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=rootdir, capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None


def read_run(path: Path) -> Run:
    """Read a results file into a Run, as a stream; a trial written twice counts as its last line says.

    Raises ConfigError that names the line if it is not a results file of a schema this version knows. A file that was
    cut off gives a Run with `interrupted` set.
    """
    rungs: list[Rung] = []
    strategy: Json = "climb"
    trials: dict[Json, Trial] = {}
    policies: dict[str, Policy] = {}
    planned: dict[tuple[str, str], int] = {}
    ended = False
    for number, line in _lines(path):
        kind = line.get("kind")
        if number == 1 and kind != "run":
            raise ConfigError(f'{path}:1 is not the first line of a results file: it has no "kind": "run"')
        try:
            check_line(line)
            if kind == "run":
                if line["schema"] != SCHEMA:
                    raise ConfigError(
                        f"{path} has schema {line['schema']}; this version reads {SCHEMA}: update pytest-rightsize"
                    )
                rungs = [_rung(plain) for plain in line["ladder"]]
                strategy = line["settings"].get("strategy", "climb")
            elif kind == "plan":
                counts = line.pop("planned")
                policies[line["task"]] = Policy(**{k: v for k, v in line.items() if k in Policy.__dataclass_fields__})
                planned.update({(line["task"], rung): count for rung, count in counts.items()})
            elif kind == "trial":
                trial = Trial.from_dict(line)
                trials[trial.key] = trial
            ended = kind == "end"
        except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
            raise ConfigError(f"{path}:{number} is not a line this version understands: {error!r}") from None
    return Run(
        rungs=tuple(rungs),
        trials=tuple(trials.values()),
        policies=policies,
        planned=planned,
        strategy=strategy,
        interrupted=not ended,
    )


def _rung(plain: Mapping[str, Json]) -> Rung:
    """A rung as far as judging needs it; what its provider needs stays in `options`."""
    return Rung(
        name=plain["name"],
        provider=plain["provider"],
        model=plain.get("model"),
        params_b=plain.get("params_b"),
        active_b=plain.get("active_b"),
    )


def _lines(path: Path) -> Iterator[tuple[int, dict[str, Json]]]:
    """Number and content of each line; a last line that was cut off in the middle is left out."""
    try:
        file = path.open(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot read the results file {path}: {error.strerror}") from None
    with file:
        for number, text in _numbered(file, path):
            try:
                line = json.loads(text)
            except json.JSONDecodeError as error:
                if not text.endswith("\n"):
                    return
                raise ConfigError(f"{path}:{number} is not JSON: {error.msg}") from None
            except (ValueError, RecursionError) as error:
                raise ConfigError(f"{path}:{number} cannot be read: {error}") from None
            if not isinstance(line, dict):
                raise ConfigError(f"{path}:{number} is not a JSON object")
            yield number, line


def _numbered(file: IO[str], path: Path) -> Iterator[tuple[int, str]]:
    try:
        yield from enumerate(file, 1)
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is not UTF-8 text, and so no results file") from None
