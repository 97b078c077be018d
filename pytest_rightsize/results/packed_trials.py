"""Keeps the trials of a large run in little memory: those of a task together, compressed, and unpacked when looked at.

A million trials are a gigabyte as objects, and tens of megabytes like this. Whoever goes through them looks at one task
after the other.
"""

import pickle
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import overload

from pytest_rightsize.records import Trial, TrialKey

__all__ = ["PackedTrials"]

# So many trials are kept as objects until they are packed.
_MOST_LOOSE = 20_000
_LEVEL = 1


class PackedTrials(Sequence[Trial]):
    """The trials of a run, by task in the order in which tasks came; of one that was added twice the last counts."""

    def __init__(self) -> None:
        self._packed: dict[str, list[bytes]] = {}
        self._loose: dict[str, list[Trial]] = {}
        self._loose_count = 0
        self._lengths: dict[str, int] = {}
        self._last: tuple[str, Sequence[Trial]] | None = None

    def add(self, trial: Trial) -> None:
        """Keep a trial."""
        task = trial.key.task
        self._packed.setdefault(task, [])
        self._loose.setdefault(task, []).append(trial)
        self._lengths.pop(task, None)
        self._last = None
        self._loose_count += 1
        if self._loose_count >= _MOST_LOOSE:
            self._pack()

    def by_task(self) -> Mapping[str, Sequence[Trial]]:
        """The trials of each task, unpacked when they are looked up."""
        return _ByTask(self)

    def tasks(self) -> Iterator[str]:
        """The names of the tasks."""
        return iter(self._packed)

    def of_task(self, task: str) -> Sequence[Trial]:
        """The trials of one task; raises KeyError for a task without one."""
        if self._last is not None and self._last[0] == task:
            return self._last[1]
        trials: dict[TrialKey, Trial] = {}
        for packed in self._packed[task]:
            # What this process packed, and nobody else can reach.
            trials.update((trial.key, trial) for trial in pickle.loads(zlib.decompress(packed)))
        trials.update((trial.key, trial) for trial in self._loose.get(task, ()))
        found = tuple(trials.values())
        self._lengths[task], self._last = len(found), (task, found)
        return found

    def _pack(self) -> None:
        for task, trials in self._loose.items():
            self._packed[task].append(zlib.compress(pickle.dumps(trials, protocol=5), _LEVEL))
        self._loose, self._loose_count = {}, 0

    def __iter__(self) -> Iterator[Trial]:
        """All trials, a task at a time."""
        for task in self._packed:
            yield from self.of_task(task)

    def __len__(self) -> int:
        """How many trials there are; counted anew after a trial was added."""
        return sum(self._length(task) for task in self._packed)

    def _length(self, task: str) -> int:
        return self._lengths[task] if task in self._lengths else len(self.of_task(task))

    @overload
    def __getitem__(self, place: int) -> Trial: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Trial]: ...
    def __getitem__(self, place: int | slice) -> Trial | Sequence[Trial]:
        """One or several trials by their places."""
        if isinstance(place, slice):
            return [self[each] for each in range(*place.indices(len(self)))]
        left = place + len(self) if place < 0 else place
        for task in self._packed if left >= 0 else ():
            if left < self._length(task):
                return self.of_task(task)[left]
            left -= self._length(task)
        raise IndexError(place)


class _ByTask(Mapping[str, Sequence[Trial]]):
    def __init__(self, trials: PackedTrials) -> None:
        self._trials = trials

    def __getitem__(self, task: str) -> Sequence[Trial]:
        return self._trials.of_task(task)

    def __iter__(self) -> Iterator[str]:
        return self._trials.tasks()

    def __len__(self) -> int:
        return sum(1 for _ in self._trials.tasks())
