"""The runs before this one, as a part of the page: of each task the smallest model that passed, run by run. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pytest_rightsize.records import Json

__all__ = ["PastRuns", "trend_section"]


@dataclass(frozen=True, kw_only=True)
class PastRuns:
    """The names of runs, oldest first, this one last; of each task a cell for each run, and its last change in words.

    A cell is empty where a run does not have the task.
    """

    names: Sequence[str]
    cells: Mapping[str, Sequence[str]]
    changes: Mapping[str, str]


def trend_section(past: PastRuns | None, tasks: Sequence[str]) -> Json:
    """What the template prints, of the tasks of this run; None where there is no earlier run."""
    if past is None or len(past.names) < 2:
        return None
    return {
        "names": list(past.names),
        "rows": [
            {"task": task, "cells": list(past.cells[task]), "change": past.changes.get(task, "")}
            for task in tasks
            if task in past.cells
        ],
    }
