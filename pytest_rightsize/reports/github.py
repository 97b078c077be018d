"""Annotations for GitHub Actions: each gate that failed or only warns, at the line that has to change."""

from collections.abc import Iterable, Iterator
from posixpath import join, normpath

from pytest_rightsize.records import Run
from pytest_rightsize.reports.escaping import visible
from pytest_rightsize.reports.facts import failure, place_to_change
from pytest_rightsize.reports.sureness import sure_words
from pytest_rightsize.verdict_records import Verdict

__all__ = ["annotations"]


def annotations(
    run: Run,
    failed: Iterable[tuple[str, Verdict]],
    *,
    warned: Iterable[tuple[str, Verdict]] = (),
    prefix: str = "",
) -> Iterator[str]:
    """One `::error` command for each failed gate, and a `::warning` for each that would fail with more evidence.

    `prefix` is the path from the repository to the rootdir.
    """
    for command, tripped in (("error", failed), ("warning", warned)):
        for gate, verdict in tripped:
            yield _annotation(command, gate, verdict, run, prefix)


def _annotation(command: str, gate: str, verdict: Verdict, run: Run, prefix: str) -> str:
    place = place_to_change(run, verdict)
    location = "" if place is None else _location(place, prefix)
    title = f"title={_property(f'rightsize: {gate}')}"
    sure = None if gate == "regressed" else sure_words(verdict)
    text = f"{verdict.task}: {failure(gate, verdict)}{f' ({sure})' if sure else ''}"
    return f"::{command} {location}{title}::{_data(text)}"


def _location(place: str, prefix: str) -> str:
    file, _, line = place.rpartition(":")
    return f"file={_property(normpath(join(prefix, file)))},line={line},"


def _data(text: str) -> str:
    """A message that cannot end its line and start another command."""
    return visible(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
