"""Annotations for GitHub Actions: each failed gate, at the line that has to change."""

from collections.abc import Iterable, Iterator
from posixpath import join, normpath

from pytest_rightsize.records import Run, Verdict
from pytest_rightsize.reports.escaping import visible
from pytest_rightsize.reports.facts import failure, place_to_change

__all__ = ["annotations"]


def annotations(run: Run, failed: Iterable[tuple[str, Verdict]], *, prefix: str = "") -> Iterator[str]:
    """One `::error` command for each failed gate; `prefix` is the path from the repository to the rootdir."""
    for gate, verdict in failed:
        place = place_to_change(run, verdict)
        location = "" if place is None else _location(place, prefix)
        title = f"title={_property(f'rightsize: {gate}')}"
        yield f"::error {location}{title}::{_data(f'{verdict.task}: {failure(gate, verdict)}')}"


def _location(place: str, prefix: str) -> str:
    file, _, line = place.rpartition(":")
    return f"file={_property(normpath(join(prefix, file)))},line={line},"


def _data(text: str) -> str:
    """A message that cannot end its line and start another command."""
    return visible(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
