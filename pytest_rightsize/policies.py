"""The task and bar of each test: what its markers say, else the ladder file, else the options."""

import os
from collections.abc import Iterator, Mapping
from typing import Protocol

import pytest

from pytest_rightsize.errors import ConfigError
from pytest_rightsize.ladder import resolve_chosen
from pytest_rightsize.records import Ladder, Policy, TaskSettings
from pytest_rightsize.settings import Settings, marked_settings, merged

__all__ = ["Definition", "Policies", "definition_of"]


class Definition(Protocol):
    """A test function: its id without parameters, and its markers."""

    @property
    def nodeid(self) -> str:
        """The id, without parameters."""

    def iter_markers(self, name: str | None = None) -> Iterator[pytest.Mark]:
        """The markers, the nearest first."""


def definition_of(item: pytest.Item) -> Definition:
    """An item as its test function."""
    return _Item(item)


class _Item:
    def __init__(self, item: pytest.Item) -> None:
        self.nodeid = item.nodeid.partition("[")[0]
        self.iter_markers = item.iter_markers


class Policies(Mapping[str, Policy]):
    """The policies of a session by task, settled when a test of the task is first met."""

    def __init__(self, settings: Settings, ladder: Ladder) -> None:
        """Start with none."""
        self._settings = settings
        self._ladder = ladder
        self._policies: dict[str, Policy] = {}
        self._said_by: dict[str, tuple[str, TaskSettings]] = {}

    def __getitem__(self, task: str) -> Policy:
        """The policy of a task that was met."""
        return self._policies[task]

    def __iter__(self) -> Iterator[str]:
        """The tasks that were met."""
        return iter(self._policies)

    def __len__(self) -> int:
        """How many tasks were met."""
        return len(self._policies)

    def add(self, policy: Policy) -> None:
        """Take over a policy that another process has settled."""
        self._policies[policy.task] = policy

    def of(self, definition: Definition) -> Policy:
        """The policy of a test; raises ConfigError where its markers are wrong or two tests of a task differ."""
        layers = [marked_settings(definition.nodeid, marker) for marker in definition.iter_markers("rightsize")]
        task = next((name for name, _ in layers if name is not None), definition.nodeid)
        marked = merged(*(settings for _, settings in layers))
        known = self._said_by.setdefault(task, (definition.nodeid, marked))
        if known[1] != marked:
            raise ConfigError(
                f"the task {task!r} is described differently by {known[0]} and {definition.nodeid}: "
                f"give both the same arguments of rightsize(...), or write them once under [tasks] in the ladder file"
            )
        if task not in self._policies:
            self._policies[task] = self._complete(task, marked)
        return self._policies[task]

    def _complete(self, task: str, marked: TaskSettings) -> Policy:
        said = merged(marked, self._ladder.tasks.get(task, TaskSettings()))
        chosen, chosen_from = resolve_chosen(
            said.chosen, ladder=self._ladder, base_dir=self._settings.rootdir, env=os.environ, task=task
        )
        return Policy(
            task=task,
            pass_rate=self._settings.pass_rate if said.pass_rate is None else said.pass_rate,
            samples=self._settings.samples if said.samples is None else said.samples,
            chosen=chosen,
            chosen_from=chosen_from,
            private=bool(said.private),
            max_tokens=said.max_tokens,
            concurrent=said.concurrent is not False,
        )
