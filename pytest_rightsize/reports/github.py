"""Annotations for GitHub Actions: each gate that failed or only warns, at the line that has to change."""

from collections.abc import Iterable, Iterator
from posixpath import join, normpath

from pytest_rightsize.escaping import visible
from pytest_rightsize.records import Run
from pytest_rightsize.reports.facts import place_to_change
from pytest_rightsize.reports.gate_groups import GateGroup, gate_groups
from pytest_rightsize.reports.judge_words import judge_words
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

    Tasks that wait for the same rungs share one, at the place of the first.

    `prefix` is the path from the repository to the rootdir.
    """
    for command, tripped in (("error", failed), ("warning", warned)):
        for group in gate_groups(tripped):
            yield _annotation(command, group, run, prefix)


def _annotation(command: str, group: GateGroup, run: Run, prefix: str) -> str:
    place = place_to_change(run, group.verdicts[0])
    location = "" if place is None else _location(place, prefix)
    title = f"title={_property(f'rightsize: {group.gate}')}"
    sure = None if group.gate == "regressed" or group.only is None else sure_words(group.only)
    judges = dict.fromkeys(filter(None, map(judge_words, group.verdicts)))
    text = "; ".join([f"{group.tasks}: {group.text}{f' ({sure})' if sure else ''}", *judges])
    return f"::{command} {location}{title}::{_data(text)}"


def _location(place: str, prefix: str) -> str:
    file, _, line = place.rpartition(":")
    return f"file={_property(normpath(join(prefix, file)))},line={line},"


def _data(text: str) -> str:
    """A message that cannot end its line and start another command."""
    return visible(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
