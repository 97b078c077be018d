"""Chooses the cases that a page shows where a run has more than a browser opens at once; pure."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pytest_rightsize.records import Trial, trials_by_task

__all__ = ["ShownCases", "shown_cases"]

# A page of so many trials has an index of 10 MB when it is unpacked, and opens within a second or two.
MOST_TRIALS = 100_000


@dataclass(frozen=True, kw_only=True)
class ShownCases:
    """How many cases a run has, and how many of them a page shows."""

    cases: int
    shown: int

    @property
    def words(self) -> str | None:
        """A sentence where some are left out; else None."""
        if self.shown == self.cases:
            return None
        return (
            f"This page shows {self.shown:,} of {self.cases:,} cases, so that it opens: of each task first those that "
            f"a model did not pass. The others count in every figure; rightsize show FILE --task T --case C prints one."
        )


def shown_cases(
    trials: Sequence[Trial], tasks: Sequence[str], *, most: int | None = None
) -> tuple[ShownCases, Iterator[list[Trial]]]:
    """The trials of each case that is shown, task by task and then by name, with the counts.

    Where there are more than `most` trials (by default `MOST_TRIALS`), each task has the same room, and what a small
    one leaves goes to the others. The room of a task is filled with cases that a rung did not pass, then with the rest.
    """
    by_task = trials_by_task(trials)
    cases, sizes = 0, {}
    for task in tasks:
        own = by_task.get(task, ())
        cases, sizes[task] = cases + len({trial.key.case for trial in own}), len(own)
    room = _room([*sizes.values()], MOST_TRIALS if most is None else most)
    chosen = {task: _chosen(by_task.get(task, ()), room) for task in tasks if sizes[task]}
    counts = ShownCases(cases=cases, shown=sum(map(len, chosen.values())))
    return counts, (of_case for of_task in chosen.values() for of_case in of_task)


def _room(sizes: Sequence[int], most: int) -> int | None:
    """The largest number of trials that each task may show; None where all have room."""
    left = most
    for place, size in enumerate(sorted(sizes)):
        each = left // (len(sizes) - place)
        if size > each:
            return each
        left -= size
    return None


def _chosen(trials: Sequence[Trial], room: int | None) -> list[list[Trial]]:
    """The cases of a task that are shown, by name.

    Trials end in another order in each run, and readers look for a case where it was before.
    """
    cases: dict[str, list[Trial]] = {}
    for trial in trials:
        cases.setdefault(trial.key.case, []).append(trial)
    names = sorted(cases, key=_natural_key)
    if room is not None:
        names = [*_that_fit(sorted(names, key=lambda name: _passed(cases[name])), cases, room)]
        names.sort(key=_natural_key)
    return [cases[name] for name in names]


def _that_fit(names: Sequence[str], cases: Mapping[str, Sequence[Trial]], room: int) -> Iterator[str]:
    """As many of the first cases as have room, and at least one."""
    for place, name in enumerate(names):
        room -= len(cases[name])
        if room < 0 and place:
            return
        yield name


def _passed(trials: Sequence[Trial]) -> bool:
    """Whether no answer failed, and none was an error."""
    return all(trial.outcome in ("passed", "not_run") for trial in trials)


def _natural_key(name: str) -> list[tuple[int, str]]:
    """The key that sorts names as people do: `case 9` before `case 10`."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"([0-9]{1,15})", name)]
