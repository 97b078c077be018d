"""The task and bar of each test: what its markers say, else the ladder file, else the options."""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import pytest

from pytest_rightsize.config.ladder import Ladder, resolve_chosen
from pytest_rightsize.config.settings import Settings
from pytest_rightsize.config.task_settings import ChosenSource, TaskSettings, marked_settings, merged
from pytest_rightsize.errors import ConfigError
from pytest_rightsize.locations import key_line, place
from pytest_rightsize.records import Policy

__all__ = ["Definition", "Policies", "definition_of"]


class Definition(Protocol):
    """A test function: its id without parameters, where it stands, and its markers."""

    @property
    def nodeid(self) -> str:
        """The id, without parameters."""

    @property
    def location(self) -> tuple[str, int | None, str]:
        """The file from the rootdir, the line counted from 0, and the name."""

    def iter_markers(self, name: str | None = None) -> Iterator[pytest.Mark]:
        """The markers, the nearest first."""


def definition_of(item: pytest.Item) -> Definition:
    """An item as its test function."""
    return _Item(item)


class _Item:
    def __init__(self, item: pytest.Item) -> None:
        self.nodeid = item.nodeid.partition("[")[0]
        self.location = item.location
        self.iter_markers = item.iter_markers


class Policies(Mapping[str, Policy]):
    """The policies of a session by task, settled when a test of the task is first met."""

    def __init__(self, settings: Settings, ladder: Ladder) -> None:
        """Start with none."""
        self._settings = settings
        self._ladder = ladder
        self._policies: dict[str, Policy] = {}
        self._said_by: dict[str, tuple[str, TaskSettings]] = {}
        # The cases of one function have the same markers; they are kept, so that an id stays theirs.
        self._by_markers: dict[tuple[str, tuple[int, ...]], tuple[Policy, Sequence[pytest.Mark]]] = {}

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
        markers = [*definition.iter_markers("rightsize")]
        key = (definition.nodeid, tuple(map(id, markers)))
        if key not in self._by_markers:
            self._by_markers[key] = (self._read(definition, markers), markers)
        return self._by_markers[key][0]

    def _read(self, definition: Definition, markers: Sequence[pytest.Mark]) -> Policy:
        layers = [marked_settings(definition.nodeid, marker) for marker in markers]
        task = next((name for name, _ in layers if name is not None), definition.nodeid)
        marked = merged(*(settings for _, settings in layers))
        known = self._said_by.setdefault(task, (definition.nodeid, marked))
        if known[1] != marked:
            raise ConfigError(
                f"the task {task!r} is described differently by {known[0]} and {definition.nodeid}: "
                f"give both the same arguments of rightsize(...), or write them once under [tasks] in the ladder file"
            )
        if task not in self._policies:
            file, line, _ = definition.location
            test_at = place(file, None if line is None else line + 1)
            self._policies[task] = self._complete(task, marked, test_at)
        return self._policies[task]

    def _complete(self, task: str, marked: TaskSettings, test_at: str | None) -> Policy:
        said = merged(marked, self._ladder.tasks.get(task, TaskSettings()))
        chosen, chosen_from = resolve_chosen(
            said.chosen, ladder=self._ladder, base_dir=self._settings.rootdir, env=os.environ, task=task
        )
        return Policy(
            task=task,
            pass_rate=self._settings.pass_rate if said.pass_rate is None else said.pass_rate,
            confidence=self._settings.confidence if said.confidence is None else said.confidence,
            samples=self._settings.samples if said.samples is None else said.samples,
            chosen=chosen,
            chosen_from=chosen_from,
            private=bool(said.private),
            max_tokens=said.max_tokens,
            concurrent=said.concurrent is not False,
            waivers=said.waive or (),
            test_at=test_at,
            chosen_at=self._chosen_at(said.chosen, task) or (test_at if marked.chosen is not None else None),
        )

    def _chosen_at(self, chosen: str | ChosenSource | None, task: str) -> str | None:
        """The place of a `chosen` that stands in a file; one in a marker is at the test, a variable's is nowhere."""
        if isinstance(chosen, ChosenSource):
            if chosen.file is None:
                return None
            return self._line_in(self._settings.rootdir / chosen.file, str(chosen.key).split("."))
        source = Path(self._ladder.source.removesuffix(" [tool.rightsize]"))
        above = ("tool", "rightsize") if source.name == "pyproject.toml" else ()
        task_settings = self._ladder.tasks.get(task)
        if task_settings is None or task_settings.chosen != chosen or chosen is None:
            return None
        return self._line_in(source, [*above, "tasks", task, "chosen"])

    def _line_in(self, path: Path, keys: Sequence[str]) -> str | None:
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            return None
        shown = path.relative_to(self._settings.rootdir) if path.is_relative_to(self._settings.rootdir) else path
        return place(shown.as_posix(), key_line(text, keys, suffix=path.suffix))
