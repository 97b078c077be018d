"""Writes the reports that a session was asked for to their files.

Names and folders are checked before any model is called. A report that fails at the end is reported, and the others are
still written.
"""

import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pytest_rightsize.errors import ConfigError, unknown_name
from pytest_rightsize.output_paths import refuse_other, write_whole
from pytest_rightsize.records import Run
from pytest_rightsize.reports import Report, load_reports
from pytest_rightsize.verdict_records import Verdict

__all__ = ["Publisher", "refuse_foreign", "write_report", "write_step_summary"]

# A folder on a full disk takes a file, and nothing into it.
_PROBE_BYTES = 64 * 1024
# What a report without a mark of its own never replaces.
_SOURCES = frozenset({".cfg", ".ini", ".ipynb", ".js", ".lock", ".py", ".pyi", ".sh", ".toml", ".ts", ".yaml", ".yml"})


class Publisher:
    """The reports that a session was asked for, as pairs of a name and a file."""

    def __init__(self, targets: Iterable[tuple[str, Path]], mappings: Iterable[Mapping[str, type[Report]]]) -> None:
        """Raises ConfigError for an unknown report, one that cannot be made here, and a file that cannot be written."""
        classes = load_reports(mappings)
        self._reports: list[tuple[str, Path, Report]] = []
        for name, path in targets:
            if name not in classes:
                raise unknown_name("--rightsize-report", name, list(classes), noun="report")
            report = classes[name]()
            if (problem := report.check()) is not None:
                raise ConfigError(f"the {name} report {path} cannot be made: {problem}")
            refuse_foreign(name, report, path)
            if (fault := _write_fault(path)) is not None:
                raise ConfigError(f"the {name} report cannot be written to {path} ({fault}): give another file")
            self._reports.append((name, path, report))
        _check_step_summary()
        self.reads_texts = _step_summary() is not None or any(_texts(one) != "none" for _, _, one in self._reports)

    def publish(self, run: Run, verdicts: Sequence[Verdict]) -> Iterator[tuple[bool, str]]:
        """Write each report; yields whether it was written, and a line that says so."""
        for name, path, report in self._reports:
            try:
                seen = _with_all_texts(run) if _texts(report) == "all" else run
                write_report(path, report.render(seen, verdicts), private=_is_private(run))
            except Exception as error:  # a fault of one report does not keep the others from being written
                yield False, f"the {name} report was not written to {path}: {type(error).__name__}: {error}"
            else:
                yield True, f"{name} report in {path}"


def _texts(report: Report) -> str:
    """Which texts of trials a report takes: none, those of a single trial at a time, or all."""
    return getattr(report, "texts", "all")


def _with_all_texts(run: Run) -> Run:
    return replace(run, trials=tuple(map(run.whole, run.trials)), read_texts=None)


def _write_fault(path: Path) -> str | None:
    """The system's error where no file can be made in the folder of `path`, or in the nearest one that exists.

    Found by writing a temporary file there.
    """
    if path.exists() and not path.is_file():  # a pipe, or a device
        return None
    folder = next(folder for folder in path.absolute().parents if folder.exists())
    try:
        with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
            file.write(bytes(_PROBE_BYTES))
    except OSError as error:
        return error.strerror
    return None


def refuse_foreign(name: str, report: Report | type[Report], path: Path) -> None:
    """Raise ConfigError where `path` holds something else than a report of this kind, which it would replace."""
    mark = getattr(report, "own_mark", None)
    refuse_other(
        path,
        f"{name} report",
        is_own=lambda head: path.suffix not in _SOURCES if mark is None else mark in head,
    )


def _is_private(run: Run) -> bool:
    return any(policy.private for policy in run.policies.values())


def write_report(path: Path, text: str, *, private: bool = False) -> None:
    """Write a report whole or not at all. Only the owner may read a private one. Raises OSError."""
    write_whole(path, [text], private=private)


def write_step_summary(run: Run, verdicts: Sequence[Verdict]) -> None:
    """Add the Markdown summary to the page of a GitHub job, where there is one."""
    if (path := _step_summary()) is None:
        return
    from pytest_rightsize.reports.markdown import MarkdownReport

    with path.open("a", encoding="utf-8", errors="backslashreplace") as file:
        file.write(MarkdownReport().render(run, verdicts))


def _check_step_summary() -> None:
    """Raise ConfigError where GitHub's summary of the job cannot be written."""
    if (path := _step_summary()) is not None:
        try:
            path.open("a", encoding="utf-8").close()
        except OSError as error:
            raise ConfigError(
                f"the summary of the job cannot be written to {path} ({error.strerror}): correct or unset "
                f"GITHUB_STEP_SUMMARY"
            ) from None


def _step_summary() -> Path | None:
    """Where GitHub shows the summary of a job; None elsewhere."""
    path = os.environ.get("GITHUB_STEP_SUMMARY")
    return Path(path) if path else None
